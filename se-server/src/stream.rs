//! Events as they are stored: first those that are there, then each as it comes. Nothing is shown that
//! is not durable, and a slow reader holds up only itself: it reads the store at its own pace.

mod all;
mod hub;
mod job;

use std::sync::Arc;

use se_runtime::cloudevent::{self, Kind, Profile};
use se_runtime::{Accepted, Record};

use crate::error::chain;

pub(crate) use all::{Filter, of_all};
pub(crate) use hub::{Hub, run};
pub(crate) use job::of_job;

/// Events read from the store in one go.
const PAGE: u32 = 256;

/// An event, put into words once for all who listen.
#[derive(Debug)]
pub(crate) struct Item {
    job: Arc<Accepted>,
    /// Number in the log of its job.
    seq: u64,
    /// Nothing where the event tells the outside nothing.
    told: Option<Arc<Told>>,
    is_last: bool,
}

#[derive(Debug)]
struct Told {
    kind: &'static str,
    data: String,
}

/// What a reader is told.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Where to go on after it.
    pub(crate) id: String,
    told: Arc<Told>,
}

impl Message {
    /// Short name of what is told.
    pub(crate) fn kind(&self) -> &'static str {
        self.told.kind
    }

    /// The event as the seed profile tells it, which tells everything: a CloudEvent in JSON.
    pub(crate) fn data(&self) -> &str {
        &self.told.data
    }
}

impl Item {
    /// `public` is what stands before `/api/v1` in addresses.
    fn new(public: &str, job: &Arc<Accepted>, record: &Record) -> Self {
        let public = public.trim_end_matches('/');
        let told = || {
            let event = cloudevent::of_job(Profile::Seed, public, job, record)?;
            Some(Told {
                kind: Kind::of(&record.event)?.short(),
                data: serde_json::to_string(&event).expect("a CloudEvent is always JSON"),
            })
        };
        Self {
            seq: record.seq,
            told: told().map(Arc::new),
            is_last: record.event.is_last(),
            job: Arc::clone(job),
        }
    }
}

fn broken_off(error: &se_store::Error) {
    tracing::warn!(error = %chain(error), "event stream broken off");
}
