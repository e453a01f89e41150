-- What SQLite has in its first two migrations. Times are microseconds since 1970. A job is its events;
-- the columns beside them are what lists and queues need without folding a log.

-- Engines that work on this database. A row is a lease: whoever deletes it frees what its engine worked
-- on, and that engine can write nothing more.
CREATE TABLE replicas (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    beats BIGINT NOT NULL DEFAULT 0,
    process TEXT NOT NULL,
    joined_at BIGINT NOT NULL
);

CREATE TABLE jobs (
    row BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    definition_id TEXT NOT NULL,
    version TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    session_id TEXT,
    phase TEXT,
    scenario_name TEXT,
    scenario_version TEXT,
    worker TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL,
    percentage BIGINT NOT NULL,
    message TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    completed_at BIGINT,
    last_seq BIGINT NOT NULL,
    -- Who drives the job; nobody while it waits and after its end.
    owner BIGINT REFERENCES replicas (id) ON DELETE SET NULL,
    -- Why it shall be cancelled, sealed; noted for whoever drives it.
    cancel TEXT
);

CREATE INDEX jobs_by_session ON jobs (session_id, row);
CREATE INDEX jobs_unfinished ON jobs (row)
    WHERE status IN ('accepted', 'running', 'cancelling');
CREATE INDEX jobs_owned ON jobs (owner) WHERE owner IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (row)
    WHERE owner IS NULL AND status IN ('accepted', 'running', 'cancelling');

-- A request that is repeated within its window gets the first job.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Written by one engine at a time, so positions grow in the order of commits.
CREATE TABLE events (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job BIGINT NOT NULL REFERENCES jobs (row) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    record TEXT NOT NULL,
    UNIQUE (job, seq)
);

-- Gone as soon as the job has ended.
CREATE TABLE job_secrets (
    job BIGINT PRIMARY KEY REFERENCES jobs (row) ON DELETE CASCADE,
    key_id TEXT NOT NULL,
    nonce BYTEA NOT NULL,
    sealed BYTEA NOT NULL
);

-- What jobs have learned about the pod of a session, for its later jobs.
CREATE TABLE session_facts (
    session_id TEXT NOT NULL,
    worker TEXT NOT NULL,
    facts TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (session_id, worker)
);

-- CloudEvents. `pending` is the head of its stream, `waiting` stands behind it.
CREATE TABLE deliveries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream TEXT NOT NULL,
    url TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    error TEXT,
    -- Who sends it while it is on its way.
    owner BIGINT REFERENCES replicas (id) ON DELETE SET NULL
);

CREATE INDEX deliveries_due ON deliveries (owner, next_at, id) WHERE status = 'pending';
CREATE INDEX deliveries_in_stream ON deliveries (stream, url, status, id);
CREATE INDEX deliveries_by_status ON deliveries (status, id);
CREATE INDEX deliveries_owned ON deliveries (owner) WHERE owner IS NOT NULL;
CREATE INDEX deliveries_orphaned ON deliveries (id)
    WHERE owner IS NULL AND status IN ('pending', 'waiting');

CREATE TABLE definitions (
    row BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    definition_id TEXT NOT NULL,
    version TEXT NOT NULL,
    name TEXT,
    pod_type TEXT,
    status TEXT NOT NULL,
    content_hash TEXT,
    package_hash TEXT,
    source_uri TEXT NOT NULL,
    folder TEXT,
    error TEXT,
    warnings TEXT NOT NULL DEFAULT '[]',
    -- Number of the sync that is going on; a READY version goes on serving meanwhile.
    sync BIGINT,
    -- Whose sync it is; a sync without one is abandoned.
    sync_owner BIGINT REFERENCES replicas (id) ON DELETE SET NULL,
    created_at BIGINT NOT NULL,
    synced_at BIGINT,
    UNIQUE (definition_id, version)
);

CREATE INDEX definitions_ready ON definitions (name, pod_type) WHERE status = 'ready';

-- Numbers of syncs never repeat, so that the end of an abandoned one is known for what it is.
CREATE TABLE syncs (number BIGINT NOT NULL);
INSERT INTO syncs (number) VALUES (0);

-- SQLite has it.
CREATE FUNCTION json_valid(it TEXT) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM it::json;
    RETURN true;
EXCEPTION WHEN others THEN
    RETURN false;
END
$$;
