//! Events too large for a row: their text is outside, and nobody who reads them notices.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use se_runtime::event::Map;
use se_runtime::{Event, EventLog as _, LogError, Record};
use se_store::{Audit, Error, Objects, Options, Retention, Store, Stored, export, import};
use serde_json::Value;

use crate::bench::{Bench, HandClock, batch, completed, job, job_with, options};
use crate::sqlite::{sql, url};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a device said, so many bytes of it.
pub(crate) fn said(bytes: usize) -> Event {
    let line = "GigabitEthernet0/0/1 is up, line protocol is up\n";
    let text: String = line.chars().cycle().take(bytes).collect();
    Event::StepCompleted {
        step: "look".to_owned(),
        attempt: 1,
        output: Map::from_iter([("output".to_owned(), Value::String(text))]),
        learned: Map::new(),
    }
}

async fn paths(objects: &InMemory) -> Vec<String> {
    let all: Vec<_> = objects.list(None).try_collect().await.unwrap();
    all.into_iter().map(|it| it.location.to_string()).collect()
}

pub(crate) async fn whole_log(store: &Store, id: &str) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let after = all.last().map_or(0, |it| it.seq);
        let page = store.events(id, after, 1000).await.unwrap();
        all.extend(page.records);
        if !page.more {
            return all;
        }
    }
}

pub(crate) async fn a_large_event_is_kept_outside_its_row(bench: &Bench) {
    // Before the job is: an event may be told after its commit was answered.
    let mut heard = bench.store.committed();
    let log = bench.submit(job("a")).await;
    assert_eq!(heard.recv().await.unwrap().seq, 1);
    let sent = batch(1, [said(1_000), said(200_000), said(60_000)]);
    log.append(sent.clone()).await.unwrap();
    let found = paths(&bench.objects).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("events/a/3-"), "{found:?}");
    assert_eq!(whole_log(&bench.store, "a").await[1..], sent.records);
    let stored = bench.store.events_since(0, 10).await.unwrap();
    assert_eq!(stored.len(), 4);
    assert_eq!(stored[2].record, sent.records[1]);
    // Who listens is told that it happened.
    for record in &sent.records {
        let news = heard.recv().await.unwrap();
        assert_eq!(news.seq, record.seq);
        assert_eq!(news.record.is_some(), record.seq != 3, "{}", news.seq);
    }
}

pub(crate) async fn large_events_are_paged_by_their_size(bench: &Bench) {
    let log = bench.submit(job("a")).await;
    let sent = batch(1, [said(3 << 20), said(3 << 20), said(3 << 20), said(10)]);
    log.append(sent.clone()).await.unwrap();
    let page = bench.store.events("a", 1, 10).await.unwrap();
    assert_eq!((page.records.len(), page.more), (2, true));
    let page = bench.store.events("a", 3, 10).await.unwrap();
    assert_eq!((page.records.len(), page.more), (2, false));
    assert_eq!(whole_log(&bench.store, "a").await[1..], sent.records);
    let first = bench.store.events_since(0, 10).await.unwrap();
    assert_eq!(first.len(), 3);
    let rest = bench.store.events_since(first[2].position, 10).await;
    assert_eq!(rest.unwrap().len(), 2);
}

pub(crate) async fn many_events_are_paged_by_their_size(bench: &Bench) {
    let log = bench.submit(job("a")).await;
    let sent = batch(1, (0..150).map(|_| said(60_000)));
    log.append(sent.clone()).await.unwrap();
    let page = bench.store.events("a", 1, 1000).await.unwrap();
    assert!(page.more && (60..80).contains(&page.records.len()));
    assert_eq!(whole_log(&bench.store, "a").await[1..], sent.records);
    let mut all = Vec::new();
    loop {
        let after = all.last().map_or(0, |it: &Stored| it.position);
        let page = bench.store.events_since(after, 1000).await.unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert_eq!(all.len(), 151);
}

pub(crate) async fn a_large_acceptance_is_kept_outside_too(bench: &Bench) {
    let text = "x".repeat(100_000);
    let large = job_with("a", |it| {
        it.scopes.session = Value::String(text.clone());
    });
    let log = bench.submit(large).await;
    assert_eq!(paths(&bench.objects).await.len(), 1);
    assert_eq!(log.accepted().scopes.session, text);
    let accepted = bench.store.accepted("a").await.unwrap();
    assert_eq!(accepted.scopes.session, text);
}

pub(crate) async fn what_is_lost_or_altered_is_told_from_an_event(bench: &Bench) {
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [said(100_000)])).await.unwrap();
    let path = Path::from(paths(&bench.objects).await.remove(0));
    let kept = bench.objects.get(&path).await.unwrap();
    let kept = kept.bytes().await.unwrap();
    bench.objects.put(&path, "other".into()).await.unwrap();
    let altered = bench.store.events("a", 1, 10).await.unwrap_err();
    assert!(matches!(altered, Error::Corrupt { .. }), "{altered:?}");
    assert!(altered.to_string().contains(path.as_ref()), "{altered}");
    bench.objects.delete(&path).await.unwrap();
    // It may come back: a folder that is not mounted, a bucket of another name.
    let lost = bench.store.events("a", 1, 10).await.unwrap_err();
    assert!(matches!(lost, Error::Unavailable { .. }), "{lost:?}");
    bench.objects.put(&path, kept.into()).await.unwrap();
    assert_eq!(whole_log(&bench.store, "a").await.len(), 2);
}

pub(crate) async fn objects_go_with_their_job(bench: &Bench) {
    for id in ["old", "young"] {
        let log = bench.submit(job(id)).await;
        log.append(batch(1, [said(100_000), completed()]))
            .await
            .unwrap();
    }
    let log = bench.submit(job("running")).await;
    log.append(batch(1, [said(100_000)])).await.unwrap();
    assert_eq!(paths(&bench.objects).await.len(), 3);
    bench.clock.advance(2 * DAY);
    let swept = bench.store.sweep(Retention::all(Some(DAY))).await.unwrap();
    assert_eq!(swept.jobs(), 2);
    let left = paths(&bench.objects).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with("events/running/"), "{left:?}");
}

pub(crate) async fn what_nothing_refers_to_goes_after_a_day(bench: &Bench) {
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [said(100_000)])).await.unwrap();
    // As of an engine that stopped before it referred to it.
    let refused = log.append(batch(1, [said(100_001)])).await;
    assert!(matches!(refused, Err(LogError::Conflict { .. })));
    // What others keep in the same bucket.
    let of_another = format!("events/elsewhere/1-{}", "a".repeat(64));
    for path in ["events/a/x", "events/stray", "packages/a.zip", &of_another] {
        let put = bench.objects.put(&Path::from(path), "text".into()).await;
        put.unwrap();
    }
    assert_eq!(paths(&bench.objects).await.len(), 6);
    assert_eq!(bench.store.sweep_objects().await.unwrap(), 0);
    // The objects are of today, whatever the hand says.
    bench.clock.advance(3 * 365 * DAY);
    assert_eq!(bench.store.sweep_objects().await.unwrap(), 1);
    assert_eq!(bench.store.sweep_objects().await.unwrap(), 0);
    let left = paths(&bench.objects).await;
    assert_eq!(left.len(), 5, "{left:?}");
    assert_eq!(whole_log(&bench.store, "a").await.len(), 2);
}

#[tokio::test]
async fn a_damaged_row_keeps_its_object_and_stops_no_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(InMemory::new());
    let outside = Objects::new(Arc::<InMemory>::clone(&objects));
    let store = at(folder.path(), &outside).await;
    for id in ["a", "b"] {
        store.submit(job(id)).await.unwrap();
        store.claim_one(id).await.unwrap().unwrap();
        let log = store.log(id).await.unwrap();
        log.append(batch(1, [said(100_000)])).await.unwrap();
        // As of an engine that stopped before it referred to it.
        let refused = log.append(batch(1, [said(100_001)])).await;
        assert!(matches!(refused, Err(LogError::Conflict { .. })));
    }
    store.close().await;
    sql(
        folder.path(),
        "UPDATE events SET record = substr(record, 1, 40) WHERE seq = 2 AND job = 1",
    )
    .await;
    let clock = Arc::new(HandClock::default());
    clock.advance(3 * 365 * DAY);
    let options = Options {
        objects: outside,
        ..options(&clock, 7)
    };
    let store = Store::open(&url(folder.path()), options).await.unwrap();
    assert_eq!(store.sweep_objects().await.unwrap(), 1);
    let left = paths(&objects).await;
    let of = |job: &str| left.iter().filter(|it| it.starts_with(job)).count();
    assert_eq!((of("events/a/"), of("events/b/")), (2, 1), "{left:?}");
    store.close().await;
}

async fn at(folder: &std::path::Path, objects: &Objects) -> Store {
    let options = Options {
        objects: objects.clone(),
        ..options(&Arc::new(HandClock::default()), 7)
    };
    Store::open(&url(folder), options).await.unwrap()
}

#[tokio::test]
async fn a_folder_keeps_them_and_a_row_does_where_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    let objects = Objects::in_folder(&outside).unwrap();
    let clock = Arc::new(HandClock::default());
    let options = Options {
        objects,
        ..options(&clock, 7)
    };
    let store = Store::open(&url(folder.path()), options).await.unwrap();
    store.submit(job("a")).await.unwrap();
    store.claim_one("a").await.unwrap().unwrap();
    let log = store.log("a").await.unwrap();
    log.append(batch(1, [said(100_000)])).await.unwrap();
    let of_job = outside.join("events/a");
    assert_eq!(of_job.read_dir().unwrap().count(), 1);
    // The folder becomes a file: nothing can be kept there.
    let aside = folder.path().join("aside");
    std::fs::rename(&outside, &aside).unwrap();
    std::fs::write(&outside, "").unwrap();
    log.append(batch(2, [said(100_001)])).await.unwrap();
    assert!(matches!(
        store.events("a", 1, 1).await,
        Err(Error::Unavailable { .. })
    ));
    let inside = store.events("a", 2, 1).await.unwrap();
    assert_eq!(inside.records, batch(2, [said(100_001)]).records);
    std::fs::remove_file(&outside).unwrap();
    std::fs::rename(&aside, &outside).unwrap();
    assert_eq!(whole_log(&store, "a").await.len(), 3);
    log.append(batch(3, [completed()])).await.unwrap();
    store.submit(job("newer")).await.unwrap();
    // Of a job that was never stored; the folder is this database's alone.
    let stray = outside.join(format!("events/b/1-{}", "a".repeat(64)));
    std::fs::create_dir(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, "").unwrap();
    clock.advance(3 * 365 * DAY);
    assert_eq!(store.sweep_objects().await.unwrap(), 1);
    assert!(!stray.exists());
    let swept = store.sweep(Retention::all(Some(DAY))).await.unwrap();
    assert_eq!(swept.jobs(), 1);
    assert!(!of_job.exists());
    store.close().await;
}

#[tokio::test]
async fn an_audit_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::in_folder(&folder.path().join("outside")).unwrap();
    let store = at(folder.path(), &objects).await;
    store.submit(job("a")).await.unwrap();
    store.claim_one("a").await.unwrap().unwrap();
    let log = store.log("a").await.unwrap();
    log.append(batch(1, [said(100_000)])).await.unwrap();
    store.close().await;
    let findings = async |objects: &Objects| {
        let mut audit = Audit::open(&url(folder.path()), objects.clone())
            .await
            .unwrap();
        assert_eq!(audit.tables().await.unwrap(), []);
        let job = audit.next_job(&mut 0).await.unwrap().unwrap();
        audit.close().await;
        job.findings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(findings(&objects).await, [] as [&str; 0]);
    let none = findings(&Objects::default()).await;
    assert!(none[0].contains("none is configured"), "{none:?}");
    std::fs::remove_dir_all(folder.path().join("outside/events")).unwrap();
    let missing = findings(&objects).await;
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].contains("events/a/2-"), "{missing:?}");
}

#[tokio::test]
async fn a_move_brings_them_along() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Objects::in_folder(&here.path().join("outside")).unwrap();
    let store = at(here.path(), &first).await;
    store.submit(job("a")).await.unwrap();
    store.claim_one("a").await.unwrap().unwrap();
    let log = store.log("a").await.unwrap();
    let sent = batch(1, [said(10), said(100_000), said(300_000)]);
    log.append(sent.clone()).await.unwrap();
    store.close().await;
    let mut text = Vec::new();
    export(&url(here.path()), &first, &mut text).await.unwrap();
    // Without what is outside it would not be whole.
    let cut = export(&url(here.path()), &Objects::default(), &mut Vec::new()).await;
    assert!(matches!(cut, Err(Error::Unavailable { .. })), "{cut:?}");
    let file = there.path().join("export");
    std::fs::write(&file, &text).unwrap();
    let second = Objects::in_folder(&there.path().join("outside")).unwrap();
    import(&url(there.path()), &second, &file).await.unwrap();
    let of_job = there.path().join("outside/events/a");
    assert_eq!(of_job.read_dir().unwrap().count(), 2);
    let mut again = Vec::new();
    export(&url(there.path()), &second, &mut again)
        .await
        .unwrap();
    assert!(again == text, "the same bytes come out");
    let store = at(there.path(), &second).await;
    assert_eq!(whole_log(&store, "a").await[1..], sent.records);
    store.close().await;
}
