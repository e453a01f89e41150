//! Durable storage: pod definitions, jobs, event log, outbox
