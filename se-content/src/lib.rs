//! Content packages: fetch, ingest with limits, hash, publish atomically
