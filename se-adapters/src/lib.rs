//! Pod adapters and device connectors
