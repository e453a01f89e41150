-- Engines that work on this database: on SQLite one at a time. A row is a lease: whoever deletes it frees
-- what its engine worked on, and that engine can write nothing more.
CREATE TABLE replicas (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    beats INTEGER NOT NULL DEFAULT 0,
    process TEXT NOT NULL,
    joined_at INTEGER NOT NULL
) STRICT;

-- Who drives the job; nobody while it waits and after its end.
ALTER TABLE jobs ADD COLUMN owner INTEGER REFERENCES replicas (id) ON DELETE SET NULL;
-- Why it shall be cancelled, sealed; noted for whoever drives it.
ALTER TABLE jobs ADD COLUMN cancel TEXT;

CREATE INDEX jobs_owned ON jobs (owner) WHERE owner IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (row)
    WHERE owner IS NULL AND status IN ('accepted', 'running', 'cancelling');

-- Whose sync it is; a sync without one is abandoned.
ALTER TABLE definitions ADD COLUMN sync_owner INTEGER REFERENCES replicas (id) ON DELETE SET NULL;

-- Who sends it while it is on its way.
ALTER TABLE deliveries ADD COLUMN owner INTEGER REFERENCES replicas (id) ON DELETE SET NULL;

DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (owner, next_at, id) WHERE status = 'pending';
CREATE INDEX deliveries_owned ON deliveries (owner) WHERE owner IS NOT NULL;
CREATE INDEX deliveries_orphaned ON deliveries (id)
    WHERE owner IS NULL AND status IN ('pending', 'waiting');
