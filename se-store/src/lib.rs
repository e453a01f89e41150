//! What must not be lost: jobs with their events and secrets, CloudEvents on their way out, and which
//! content is ready.
//!
//! One writer commits in groups ([`Store::open`] starts it), readers stand beside it. Everything that
//! a change causes is written in the transaction of the change: a job with its first event, secrets
//! and deliveries; an event with the deliveries that tell of it.

mod append;
mod audit;
mod changes;
mod claims;
mod consoles;
mod definitions;
mod error;
mod facts;
mod feed;
mod group;
mod jobs;
mod key_file;
mod keyring;
mod log;
mod objects;
mod outbox;
mod ports;
mod postgres;
mod process;
mod replicas;
mod reseal;
mod retention;
mod seal;
mod session;
mod sql;
mod sqlite;
mod store;
mod together;
mod transcripts;
mod transfer;
mod vacuum;
mod writer;

pub use audit::{Audit, Audited, Finding};
pub use changes::{Changes, News, Stored};
pub use claims::{CancelNoted, Claimed, Limits};
pub use definitions::{
    Content, Definition, DefinitionKey, DefinitionStatus, Definitions, Sync, SyncRequest,
};
pub use error::{Error, Result};
pub use jobs::{Cursor, Job, JobFilter, NewJob, Page, Submitted};
pub use key_file::KeyFile;
pub use keyring::{Keyring, NoKeyring};
pub use log::{Events, JobLog};
pub use objects::Objects;
pub use outbox::{
    Announce, Delivery, DeliveryStatus, NewDelivery, Outbox, PodDefinitionEvent, Silent,
};
pub use ports::{PortRequest, port_holder};
pub use reseal::Resealed;
pub use retention::{Retention, Swept};
pub use seal::{Randomness, SealingKey};
pub use store::{ANSWER_WITHIN, Options, Store};
pub use transcripts::{Piece, TranscriptInfo};
pub use transfer::{Moved, export, import};
pub use vacuum::compact;
