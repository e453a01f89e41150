//! A store with a clock that is set by hand and an announcer that tells of everything.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use object_store::memory::InMemory;
use se_runtime::event::{FrozenScopes, Map};
use se_runtime::{
    Accepted, Batch, Clock, Event, JobStatus, Record, Secret, Summary, Timestamp, Vault,
};
use se_store::{
    Announce, Definition, JobLog, NewDelivery, NewJob, News, Objects, Options, PodDefinitionEvent,
    Randomness, SealingKey, Store, Stored, Submitted,
};

pub(crate) const SECRET: &str = "correct horse battery staple";
pub(crate) const SINK: &str = "http://127.0.0.1:9/sink";

/// A store, the hand on its clock, and what it keeps outside.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) objects: Arc<InMemory>,
}

pub(crate) struct HandClock(AtomicI64);

impl Default for HandClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_764_000_000_000_000))
    }
}

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// As where somebody sets the machine's clock.
    pub(crate) fn go_back(&self, by: Duration) {
        self.0
            .fetch_sub(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, _at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// Never the same bytes twice in a test.
#[derive(Default)]
pub(crate) struct Counter(AtomicU8);

impl Randomness for Counter {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        let next = self.0.fetch_add(1, Ordering::SeqCst);
        bytes.fill(next);
        Ok(())
    }
}

/// One delivery for each event, to the callback or the sink.
struct TellAll;

impl Announce for TellAll {
    fn job(&self, accepted: &Accepted, batch: &Batch) -> Vec<NewDelivery> {
        let Some(url) = &accepted.callback_url else {
            return Vec::new();
        };
        let delivery = |record: &Record| NewDelivery {
            url: url.clone(),
            event_id: format!("{}/{}", accepted.job_id, record.seq),
            body: serde_json::to_string(record).unwrap(),
        };
        batch.records.iter().map(delivery).collect()
    }

    fn definition(&self, definition: &Definition, event: PodDefinitionEvent) -> Vec<NewDelivery> {
        vec![NewDelivery {
            url: SINK.to_owned(),
            event_id: format!(
                "{}/{event:?}/{}",
                definition.key,
                definition.status.as_str()
            ),
            body: "{}".to_owned(),
        }]
    }
}

pub(crate) fn options(clock: &Arc<HandClock>, key: u8) -> Options {
    let clock: Arc<dyn Clock> = Arc::<HandClock>::clone(clock);
    Options {
        keys: SealingKey::new([key; 32]).into(),
        announce: Arc::new(TellAll),
        clock,
        random: Arc::new(Counter::default()),
        objects: Objects::default(),
        answer_within: se_store::ANSWER_WITHIN,
    }
}

impl Bench {
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_within(url, se_store::ANSWER_WITHIN).await
    }

    /// One whose database has that long for an answer.
    pub(crate) async fn open_within(url: &str, limit: Duration) -> Self {
        let clock = Arc::new(HandClock::default());
        let objects = Arc::new(InMemory::new());
        let options = Options {
            objects: Objects::new(Arc::<InMemory>::clone(&objects)),
            answer_within: limit,
            ..options(&clock, 7)
        };
        let store = Store::open(url, options).await.unwrap();
        Self {
            store,
            clock,
            objects,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn submit(&self, job: NewJob) -> JobLog {
        let Event::JobAccepted(accepted) = &job.accepted.event else {
            panic!("no acceptance")
        };
        let id = accepted.job_id.clone();
        assert_eq!(self.store.submit(job).await.unwrap(), Submitted::New);
        self.log(&id).await
    }

    /// Claims a job that nobody drives.
    pub(crate) async fn log(&self, id: &str) -> JobLog {
        assert!(self.store.claim_one(id).await.unwrap().is_some());
        self.store.log(id).await.unwrap()
    }
}

pub(crate) fn job(id: &str) -> NewJob {
    job_with(id, |_| {})
}

pub(crate) fn job_with(id: &str, change: impl FnOnce(&mut Accepted)) -> NewJob {
    let mut accepted = Accepted {
        format: se_runtime::event::FORMAT,
        job_id: id.to_owned(),
        definition_id: "lab".to_owned(),
        version: "1".to_owned(),
        content_hash: "c0ffee".to_owned(),
        session_id: Some("session".to_owned()),
        phase: Some("grade".to_owned()),
        scenario: None,
        sequential: false,
        callback_url: Some("http://127.0.0.1:9/hook".to_owned()),
        metadata: None,
        scopes: FrozenScopes {
            runtime_env: serde_json::json!({"password": SECRET}),
            ..FrozenScopes::default()
        },
        engine_version: "0.1.0".to_owned(),
        origin: None,
    };
    change(&mut accepted);
    let secrets = vec![Secret::new(SECRET)];
    let record = Record {
        seq: 1,
        at: Timestamp::from_micros(1_764_000_000_000_000),
        event: Event::JobAccepted(Box::new(accepted)),
    };
    NewJob {
        accepted: record.seal(&Vault::new(secrets.clone())),
        secrets,
        worker: Some("10.0.0.9".to_owned()),
        idempotency_key: None,
        request_hash: String::new(),
    }
}

pub(crate) fn batch(after: u64, events: impl IntoIterator<Item = Event>) -> Batch {
    let records: Vec<Record> = (after + 1..)
        .zip(events)
        .map(|(seq, event)| Record {
            seq,
            at: Timestamp::from_micros(1_764_000_001_000_000),
            event,
        })
        .collect();
    let ended = records.iter().any(|it| it.event.is_last());
    let status = if ended {
        JobStatus::Completed
    } else {
        JobStatus::Running
    };
    let at = Timestamp::from_micros(1_764_000_001_000_000);
    Batch {
        after,
        records,
        summary: Summary {
            status,
            percentage: if ended { 100 } else { 50 },
            message: format!("after {after}"),
            started_at: Some(at),
            completed_at: ended.then_some(at),
        },
    }
}

/// As it is told to who listens, if it is not large.
pub(crate) fn news(stored: &Stored) -> News {
    News {
        position: stored.position,
        job_id: stored.job_id.clone(),
        seq: stored.record.seq,
        record: Some(stored.record.clone()),
    }
}

pub(crate) fn completed() -> Event {
    Event::JobCompleted {
        end: se_runtime::event::End::default(),
    }
}

pub(crate) fn learned(facts: serde_json::Value) -> Event {
    let serde_json::Value::Object(learned) = facts else {
        panic!("facts are an object")
    };
    Event::StepCompleted {
        step: "start".to_owned(),
        attempt: 1,
        output: Map::new(),
        learned,
    }
}
