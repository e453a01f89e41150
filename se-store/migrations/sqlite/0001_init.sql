-- Times are microseconds since 1970. A job is its events; the columns beside them are what lists and
-- queues need without folding a log.

CREATE TABLE jobs (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
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
    percentage INTEGER NOT NULL,
    message TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,
    last_seq INTEGER NOT NULL
) STRICT;

CREATE INDEX jobs_by_session ON jobs (session_id, row);
CREATE INDEX jobs_unfinished ON jobs (row)
    WHERE status IN ('accepted', 'running', 'cancelling');

-- A request that is repeated within its window gets the first job.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs (row) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    record TEXT NOT NULL,
    UNIQUE (job, seq)
) STRICT;

-- Gone as soon as the job has ended.
CREATE TABLE job_secrets (
    job INTEGER PRIMARY KEY REFERENCES jobs (row) ON DELETE CASCADE,
    key_id TEXT NOT NULL,
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- What jobs have learned about the pod of a session, for its later jobs.
CREATE TABLE session_facts (
    session_id TEXT NOT NULL,
    worker TEXT NOT NULL,
    facts TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (session_id, worker)
) STRICT, WITHOUT ROWID;

-- CloudEvents. `pending` is the head of its stream, `waiting` stands behind it.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    url TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    error TEXT
) STRICT;

CREATE INDEX deliveries_due ON deliveries (next_at, id) WHERE status = 'pending';
CREATE INDEX deliveries_in_stream ON deliveries (stream, url, status, id);
CREATE INDEX deliveries_by_status ON deliveries (status, id);

CREATE TABLE definitions (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
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
    sync INTEGER,
    created_at INTEGER NOT NULL,
    synced_at INTEGER,
    UNIQUE (definition_id, version)
) STRICT;

CREATE INDEX definitions_ready ON definitions (name, pod_type) WHERE status = 'ready';

-- Numbers of syncs never repeat, so that the end of an abandoned one is known for what it is.
CREATE TABLE syncs (number INTEGER NOT NULL) STRICT;
INSERT INTO syncs (number) VALUES (0);
