-- What is not wanted any more when it is put in has ended then, and is nobody's. Former engines say neither: whoever
-- sweeps finds theirs by this index.
CREATE INDEX deliveries_unended ON deliveries (id) WHERE status = 'gone' AND ended_at IS NULL;

-- As before, but for that.
CREATE OR REPLACE FUNCTION append_events(
    me BIGINT,
    logs BIGINT[], ends BIGINT[], drivers BIGINT[], lasts BIGINT[], percentages BIGINT[], messages TEXT[],
    statuses TEXT[], starts BIGINT[], completions BIGINT[], owners BIGINT[],
    event_logs BIGINT[], seqs BIGINT[], records TEXT[],
    delivery_logs BIGINT[], streams TEXT[], urls TEXT[], event_ids TEXT[], bodies TEXT[], moments BIGINT[]
) RETURNS TABLE (mine BOOLEAN, stored BIGINT[], positions BIGINT[])
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1935961716);
    WITH lease AS (
        SELECT FROM replicas WHERE id = me
    ), moved AS (
        UPDATE jobs SET last_seq = it.last_seq, percentage = it.percentage, message = it.message,
            status = it.status, started_at = it.started_at, completed_at = it.completed_at,
            owner = it.owner, cancel = CASE WHEN it.owner IS NULL THEN NULL ELSE jobs.cancel END
        FROM unnest(logs, ends, drivers, lasts, percentages, messages, statuses, starts, completions, owners)
            AS it (log, after, driver, last_seq, percentage, message, status, started_at, completed_at, owner)
        WHERE jobs.row = it.log AND jobs.last_seq = it.after AND jobs.owner = it.driver
            AND EXISTS (SELECT FROM lease)
        RETURNING jobs.row
    ), put AS (
        INSERT INTO events (job, seq, record)
        SELECT it.log, it.seq, it.record
        FROM unnest(event_logs, seqs, records) WITH ORDINALITY AS it (log, seq, record, place)
        WHERE it.log IN (SELECT moved.row FROM moved)
        ORDER BY it.place
        RETURNING events.position
    )
    SELECT EXISTS (SELECT FROM lease),
        coalesce((SELECT array_agg(moved.row) FROM moved), '{}'),
        coalesce((SELECT array_agg(put.position ORDER BY put.position) FROM put), '{}')
    INTO mine, stored, positions;

    IF array_position(owners, NULL) IS NOT NULL THEN
        DELETE FROM job_secrets USING unnest(logs, owners) AS it (log, owner)
        WHERE job_secrets.job = it.log AND it.owner IS NULL AND it.log = ANY (stored);
    END IF;

    FOR it IN 1 .. cardinality(streams) LOOP
        IF delivery_logs[it] = ANY (stored) THEN
            INSERT INTO deliveries (stream, url, event_id, body, next_at, created_at, ended_at, owner, status)
            SELECT streams[it], urls[it], event_ids[it], bodies[it], moments[it], moments[it],
                CASE now.status WHEN 'gone' THEN moments[it] END, CASE WHEN now.status <> 'gone' THEN me END, now.status
            FROM (SELECT CASE
                WHEN EXISTS (SELECT FROM deliveries WHERE stream = streams[it] AND url = urls[it]
                    AND status = 'gone') THEN 'gone'
                WHEN EXISTS (SELECT FROM deliveries WHERE stream = streams[it] AND url = urls[it]
                    AND status IN ('pending', 'waiting')) THEN 'waiting' ELSE 'pending' END AS status
                LIMIT 1) AS now;
        END IF;
    END LOOP;

    -- Nobody else is there to be told.
    IF EXISTS (SELECT FROM replicas WHERE id <> me) THEN
        PERFORM pg_notify('scenario_engine', CAST(me AS TEXT));
    END IF;
    RETURN NEXT;
END
$$;
