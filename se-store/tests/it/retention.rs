//! What is old goes, a little at a time, and its space with it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use se_runtime::event::End;
use se_runtime::{Event, EventLog as _, JobStatus, LogError};
use se_store::{Error, Objects, Options, Retention, Store, Submitted, Swept, compact};
use se_testkit::postgres::Database;

use crate::bench::{Bench, batch, completed, job, job_with, options};
use crate::sqlite::{sql, url};

const MINUTE: Duration = Duration::from_secs(60);

/// Sweeps until there is nothing more; how much went in how many slices.
async fn swept(store: &Store, retention: Retention) -> (u64, u32) {
    let (mut jobs, mut slices) = (0, 0);
    loop {
        let slice = store.sweep(retention).await.unwrap();
        jobs += slice.jobs();
        slices += 1;
        if !slice.more {
            return (jobs, slices);
        }
    }
}

async fn end(bench: &Bench, id: &str, status: JobStatus) {
    let end = End::default();
    let error = || {
        let fault = se_runtime::Fault::new(se_runtime::FaultKind::Communication, "gone");
        se_runtime::StepError::new(&fault, "/steps/0", 1)
    };
    let last = match status {
        JobStatus::Faulted => Event::JobFaulted {
            error: error(),
            end,
        },
        JobStatus::Cancelled => Event::JobCancelled {
            reason: String::new(),
            end,
        },
        _ => completed(),
    };
    let mut batch = batch(1, [last]);
    batch.summary.status = status;
    let log = bench.submit(job(id)).await;
    log.append(batch).await.unwrap();
}

async fn ids(store: &Store) -> Vec<String> {
    let filter = se_store::JobFilter::default();
    let page = store.jobs(&filter, 1000, None).await.unwrap();
    let mut ids: Vec<String> = page.items.into_iter().map(|it| it.id).collect();
    ids.sort();
    ids
}

pub(crate) async fn what_is_old_can_be_deleted(bench: &Bench) {
    let ended = bench.submit(job("ended")).await;
    ended.append(batch(1, [completed()])).await.unwrap();
    bench.submit(job("running")).await;
    let keep = Retention::all(Some(MINUTE));
    assert_eq!(bench.store.sweep(keep).await.unwrap(), Swept::default());
    bench.clock.advance(2 * MINUTE);
    assert_eq!(swept(&bench.store, keep).await, (1, 1));
    assert!(bench.store.job("ended").await.is_err());
    assert!(bench.store.job("running").await.is_ok());
    assert_eq!(bench.store.events_since(0, 10).await.unwrap().len(), 1);
    // A driver that still holds the log of a deleted job learns that.
    let late = ended.append(batch(2, [Event::JobStarted])).await;
    assert!(matches!(late, Err(LogError::Corrupt { .. })), "{late:?}");
}

pub(crate) async fn each_status_is_kept_as_long_as_it_says(bench: &Bench) {
    end(bench, "completed", JobStatus::Completed).await;
    end(bench, "faulted", JobStatus::Faulted).await;
    end(bench, "cancelled", JobStatus::Cancelled).await;
    bench.submit(job("running")).await;
    let keep = Retention {
        completed: Some(MINUTE),
        faulted: Some(3 * MINUTE),
        ..Retention::default()
    };
    let expected: [&[&str]; 3] = [
        &["cancelled", "completed", "faulted", "running"],
        &["cancelled", "faulted", "running"],
        &["cancelled", "running"],
    ];
    for left in expected {
        swept(&bench.store, keep).await;
        assert_eq!(ids(&bench.store).await, left);
        bench.clock.advance(2 * MINUTE);
    }
}

pub(crate) async fn a_position_is_never_given_again(bench: &Bench) {
    end(bench, "old", JobStatus::Completed).await;
    end(bench, "newest", JobStatus::Completed).await;
    let last = bench.store.newest_position().await.unwrap();
    bench.clock.advance(2 * MINUTE);
    let keep = Retention::all(Some(MINUTE));
    assert_eq!(swept(&bench.store, keep).await, (1, 1));
    end(bench, "next", JobStatus::Completed).await;
    let next = bench.store.events_since(last, 10).await.unwrap();
    assert_eq!(next.len(), 2);
    // What had the highest position goes now that another has it.
    assert_eq!(swept(&bench.store, keep).await, (1, 1));
    assert_eq!(ids(&bench.store).await, ["next"]);
}

pub(crate) async fn a_sweep_goes_in_slices(bench: &Bench) {
    join_all(
        (0..450).map(|n| async move { end(bench, &n.to_string(), JobStatus::Completed).await }),
    )
    .await;
    bench.submit(job("newest")).await;
    bench.clock.advance(2 * MINUTE);
    let keep = Retention::all(Some(MINUTE));
    let first = bench.store.sweep(keep).await.unwrap();
    assert_eq!((first.completed, first.more), (200, true));
    assert_eq!(swept(&bench.store, keep).await, (250, 2));
    // Few jobs with many events are as much work.
    for id in ["x", "y", "z"] {
        let log = bench.submit(job(id)).await;
        let steps = (0..1_500).map(|n| Event::StepSkipped {
            step: n.to_string(),
        });
        log.append(batch(1, steps.chain([completed()])))
            .await
            .unwrap();
    }
    bench.submit(job("newer")).await;
    assert_eq!(bench.store.sweep(keep).await.unwrap().completed, 2);
    assert_eq!(swept(&bench.store, keep).await, (1, 1));
}

pub(crate) async fn deliveries_go_by_what_became_of_them(bench: &Bench) {
    for id in ["delivered", "dead", "pending"] {
        bench.submit(job(id)).await;
    }
    let outbox = bench.store.outbox();
    for it in outbox.due(bench.now(), 10).await.unwrap() {
        match it.stream.as_str() {
            "jobs/delivered" => outbox.delivered(it.id).await.unwrap(),
            "jobs/dead" => outbox.dead(it.id, "no answer").await.unwrap(),
            _ => {}
        }
    }
    bench.clock.advance(2 * MINUTE);
    let keep = Retention {
        delivered: Some(MINUTE),
        dead: Some(3 * MINUTE),
        ..Retention::default()
    };
    let first = bench.store.sweep(keep).await.unwrap();
    assert_eq!((first.delivered, first.dead, first.more), (1, 0, false));
    bench.clock.advance(2 * MINUTE);
    let second = bench.store.sweep(keep).await.unwrap();
    assert_eq!((second.delivered, second.dead), (0, 1));
    let left = outbox.list(None, 10, None).await.unwrap();
    assert_eq!(left.items.len(), 1);
    assert_eq!(left.items[0].stream, "jobs/pending");
}

pub(crate) async fn keys_facts_and_secrets_go_too(bench: &Bench) {
    let mut new = job("a");
    new.idempotency_key = Some("key".to_owned());
    let log = bench.submit(new).await;
    let facts = crate::bench::learned(serde_json::json!({"lab": 1}));
    log.append(batch(1, [facts])).await.unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let known = async || {
        let worker = Some("10.0.0.9");
        bench
            .store
            .session_facts("session", worker)
            .await
            .unwrap()
            .len()
    };
    bench.clock.advance(day);
    bench.store.sweep(Retention::default()).await.unwrap();
    assert!(!bench.store.has_key("key").await.unwrap());
    let keep = Retention::all(Some(MINUTE));
    bench.store.sweep(keep).await.unwrap();
    // The job runs on: nothing of it has gone, nor of its session.
    assert_eq!(known().await, 1);
    assert_eq!(bench.store.secrets("a").await.unwrap().len(), 1);
    log.append(batch(2, [completed()])).await.unwrap();
    bench.store.sweep(keep).await.unwrap();
    assert_eq!(known().await, 0);
}

pub(crate) async fn a_job_is_kept_while_a_request_that_is_repeated_gets_it(bench: &Bench) {
    let keyed = |id: &str| {
        let mut new = job(id);
        new.idempotency_key = Some("key".to_owned());
        new
    };
    let log = bench.submit(keyed("keyed")).await;
    log.append(batch(1, [completed()])).await.unwrap();
    end(bench, "other", JobStatus::Completed).await;
    bench.submit(job("newest")).await;
    let keep = Retention::all(Some(MINUTE));
    bench.clock.advance(2 * MINUTE);
    assert_eq!(swept(&bench.store, keep).await, (1, 1));
    let again = bench.store.submit(keyed("again")).await.unwrap();
    assert!(matches!(again, Submitted::Existing { job_id, .. } if job_id == "keyed"));
    assert_eq!(ids(&bench.store).await, ["keyed", "newest"]);
    bench.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(swept(&bench.store, keep).await, (1, 1));
}

#[tokio::test]
async fn two_engines_that_sweep_leave_no_object_behind() {
    let database = Database::create();
    let bench = Bench::open(&database.url()).await;
    let said = |text: &str| {
        let text = text.repeat(100_000);
        let large = crate::bench::learned(serde_json::json!({"text": text}));
        batch(1, [large, completed()])
    };
    let first = bench.submit(job("first")).await;
    first.append(said("x")).await.unwrap();
    let those = (0..199).map(|n| n.to_string());
    join_all(those.map(async |id| end(&bench, &id, JobStatus::Completed).await)).await;
    let last = bench.submit(job("last")).await;
    last.append(said("y")).await.unwrap();
    bench.submit(job("newest")).await;
    bench.clock.advance(2 * MINUTE);
    // Both look at the first 200 jobs; one deletes them before the other has come to it.
    let inner: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&bench.objects);
    let config = ThrottleConfig {
        wait_delete_per_call: Duration::from_secs(4),
        ..ThrottleConfig::default()
    };
    let slow = Options {
        objects: Objects::new(Arc::new(ThrottledStore::new(inner, config))),
        ..options(&bench.clock, 7)
    };
    let slow = Store::open(&database.url(), slow).await.unwrap();
    let keep = Retention::all(Some(MINUTE));
    let (late, early) = futures_util::join!(slow.sweep(keep), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.store.sweep(keep).await
    });
    assert_eq!((early.unwrap().jobs(), late.unwrap().jobs()), (200, 0));
    assert_eq!(swept(&bench.store, keep).await, (1, 1));
    let left: Vec<_> = bench.objects.list(None).try_collect().await.unwrap();
    assert_eq!(left, []);
    slow.close().await;
    bench.store.close().await;
}

async fn shrunk(store: &Store) {
    while store.shrink().await.unwrap() {}
}

/// A job that no delivery tells of: what is not delivered stays.
fn untold(id: &str) -> se_store::NewJob {
    job_with(id, |it| it.callback_url = None)
}

/// Twenty jobs of 200 kB each, all but the last two ended.
async fn large(bench: &Bench) {
    for n in 0..20 {
        let log = bench.submit(untold(&n.to_string())).await;
        let text = "x".repeat(20_000);
        let many = (0..10).map(|_| crate::bench::learned(serde_json::json!({"text": text})));
        log.append(batch(1, many)).await.unwrap();
        if n < 18 {
            log.append(batch(11, [completed()])).await.unwrap();
        }
    }
    bench.clock.advance(2 * MINUTE);
    swept(&bench.store, Retention::all(Some(MINUTE))).await;
}

#[tokio::test]
async fn the_space_of_what_went_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    large(&bench).await;
    shrunk(&bench.store).await;
    bench.store.close().await;
    let size = std::fs::metadata(folder.path().join("se.db"))
        .unwrap()
        .len();
    // What is left is 400 kB; a megabyte may stay free for what comes.
    assert!(size < 2_000_000, "{size}");
}

#[tokio::test]
async fn a_file_from_before_is_prepared_by_being_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    large(&bench).await;
    let busy = compact(&url(folder.path())).await;
    assert!(matches!(busy, Err(Error::InUse { .. })), "{busy:?}");
    bench.store.close().await;
    sql(folder.path(), "PRAGMA auto_vacuum = NONE; VACUUM").await;
    let bench = Bench::open(&url(folder.path())).await;
    large_again(&bench).await;
    let path = folder.path().join("se.db");
    assert!(!bench.store.shrink().await.unwrap());
    bench.store.close().await;
    let before = std::fs::metadata(&path).unwrap().len();
    compact(&url(folder.path())).await.unwrap();
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after * 2 < before, "{before} {after}");
    let store = Store::open(&url(folder.path()), options(&bench.clock, 7))
        .await
        .unwrap();
    assert_eq!(store.unfinished().await.unwrap().len(), 2);
    store.close().await;
    let missing = compact(&url(&folder.path().join("none"))).await;
    assert!(
        matches!(missing, Err(Error::Unavailable { .. })),
        "{missing:?}"
    );
    assert!(!folder.path().join("none").exists());
}

/// A large job that ends and is deleted.
async fn large_again(bench: &Bench) {
    let large = job_with("large", |it| {
        it.callback_url = None;
        it.session_id = Some("large".to_owned());
    });
    let log = bench.submit(large).await;
    let text = "x".repeat(2_000_000);
    let large = crate::bench::learned(serde_json::json!({"text": text}));
    log.append(batch(1, [large, completed()])).await.unwrap();
    end(bench, "newest", JobStatus::Completed).await;
    bench.clock.advance(2 * MINUTE);
    swept(&bench.store, Retention::all(Some(MINUTE))).await;
}
