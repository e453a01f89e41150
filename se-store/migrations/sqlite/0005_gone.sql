-- What was not wanted any more when former engines put it in, and does not say when it ended.
CREATE INDEX deliveries_unended ON deliveries (id) WHERE status = 'gone' AND ended_at IS NULL;
