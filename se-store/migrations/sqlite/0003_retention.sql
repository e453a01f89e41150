-- What has ended, by when: retention deletes from the old end, a little at a time.
CREATE INDEX jobs_ended ON jobs (status, completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX deliveries_ended ON deliveries (status, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX idempotency_expires ON idempotency (expires_at);
CREATE INDEX session_facts_updated ON session_facts (updated_at);
