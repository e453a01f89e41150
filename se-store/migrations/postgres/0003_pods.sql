-- Ports of workers, each held by one session (or job): what is in here is not given to another.
CREATE TABLE ports (
    worker TEXT NOT NULL,
    port BIGINT NOT NULL,
    holder TEXT NOT NULL,
    name TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (worker, port)
);

CREATE UNIQUE INDEX ports_held ON ports (worker, holder, name);
CREATE INDEX ports_since ON ports (since);

-- Consoles that an engine uses: one user each. Gone with the lease of their engine.
CREATE TABLE consoles (
    address TEXT PRIMARY KEY,
    owner BIGINT NOT NULL REFERENCES replicas (id) ON DELETE CASCADE,
    job TEXT NOT NULL,
    since BIGINT NOT NULL,
    -- Since when another engine waits for it.
    wanted BIGINT
);

CREATE INDEX consoles_owned ON consoles (owner);

-- What went over the connectors of a job, piece by piece, secrets masked.
CREATE TABLE transcripts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job BIGINT NOT NULL REFERENCES jobs (row) ON DELETE CASCADE,
    connector TEXT NOT NULL,
    at BIGINT NOT NULL,
    text TEXT NOT NULL
);

CREATE INDEX transcripts_of_job ON transcripts (job, connector, id);
