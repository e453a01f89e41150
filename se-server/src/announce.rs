//! Which CloudEvents tell of a change, and to whom.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use se_runtime::cloudevent::{CloudEvent, DefinitionChange, Profile, of_definition, of_job};
use se_runtime::{Accepted, Batch, Clock, Event, Timestamp};
use se_store::{Announce, Definition, NewDelivery, PodDefinitionEvent};

use crate::config::Config;

/// Tells the `callback_url` of a job, else the configured sink.
pub(crate) struct Announcer {
    profile: Profile,
    sink: Option<String>,
    public_url: String,
    interval: Duration,
    clock: Arc<dyn Clock>,
    /// When progress of a job was told last. Entries go when the job ends.
    progress: Mutex<BTreeMap<String, Timestamp>>,
}

impl Announcer {
    pub(crate) fn new(config: &Config, clock: Arc<dyn Clock>) -> Self {
        Self {
            profile: config.events.profile,
            sink: config.events.sink.clone(),
            public_url: config.server.public_url.trim_end_matches('/').to_owned(),
            interval: Duration::from_secs(config.jobs.progress_interval),
            clock,
            progress: Mutex::default(),
        }
    }

    /// Whether it is time to tell of progress again; the first always is.
    fn progress_is_due(&self, job: &str, at: Timestamp) -> bool {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let due = progress
            .get(job)
            .is_none_or(|last| at.since(*last) >= self.interval);
        if due {
            progress.insert(job.to_owned(), at);
        }
        due
    }

    fn forget(&self, job: &str) {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(job);
    }
}

impl Announce for Announcer {
    fn job(&self, accepted: &Accepted, batch: &Batch) -> Vec<NewDelivery> {
        let Some(url) = accepted.callback_url.as_ref().or(self.sink.as_ref()) else {
            return Vec::new();
        };
        let mut deliveries = Vec::new();
        for record in &batch.records {
            let is_progress = matches!(record.event, Event::JobProgress { .. });
            if is_progress && !self.progress_is_due(&accepted.job_id, record.at) {
                continue;
            }
            if record.event.is_last() {
                self.forget(&accepted.job_id);
            }
            let event = of_job(self.profile, &self.public_url, accepted, record);
            deliveries.extend(event.and_then(|it| delivery(url, &it)));
        }
        deliveries
    }

    fn definition(&self, definition: &Definition, event: PodDefinitionEvent) -> Vec<NewDelivery> {
        let Some(url) = &self.sink else {
            return Vec::new();
        };
        let error = definition.error.as_deref().unwrap_or("the sync failed");
        let change = DefinitionChange {
            definition_id: &definition.key.definition_id,
            version: &definition.key.version,
            name: definition.name.as_deref(),
            pod_type: definition.pod_type.as_deref(),
            content_hash: definition.content_hash.as_deref(),
            error: (event == PodDefinitionEvent::Failed).then_some(error),
            at: self.clock.now(),
        };
        let event = of_definition(self.profile, &change);
        event
            .and_then(|it| delivery(url, &it))
            .into_iter()
            .collect()
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Announcer")
    }
}

fn delivery(url: &str, event: &CloudEvent) -> Option<NewDelivery> {
    let body = serde_json::to_string(event);
    let body = body
        .inspect_err(|error| tracing::error!(%error, event = %event.id, "no JSON"))
        .ok()?;
    Some(NewDelivery {
        url: url.to_owned(),
        event_id: event.id.clone(),
        body,
    })
}
