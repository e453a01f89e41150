//! A database is whole, or the audit says which row is not.

use std::path::Path;

use se_runtime::EventLog;
use se_store::{Audit, Error, Objects};

use crate::bench::{Bench, batch, completed, job};
use crate::sqlite::{sql, url};

/// What an audit finds, and how many jobs it looked at.
async fn findings(folder: &Path) -> (usize, Vec<String>) {
    let mut audit = Audit::open(&url(folder), Objects::default()).await.unwrap();
    let mut all = audit.tables().await.unwrap();
    let (mut after, mut jobs) = (0, 0);
    while let Some(found) = audit.next_job(&mut after).await.unwrap() {
        jobs += 1;
        assert_eq!(found.whole.is_some(), found.findings.is_empty());
        all.extend(found.findings);
    }
    audit.close().await;
    (jobs, all.iter().map(ToString::to_string).collect())
}

/// A running job with three events, and one that has ended.
async fn filled(folder: &Path) -> Bench {
    let bench = Bench::open(&url(folder)).await;
    let running = bench.submit(job("running")).await;
    let facts = || crate::bench::learned(serde_json::json!({}));
    running.append(batch(1, [facts(), facts()])).await.unwrap();
    let ended = bench.submit(job("ended")).await;
    ended.append(batch(1, [completed()])).await.unwrap();
    bench
}

#[tokio::test]
async fn what_an_engine_writes_is_whole_also_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let bench = filled(folder.path()).await;
    assert_eq!(findings(folder.path()).await, (2, vec![]));
    bench.store.close().await;
    assert_eq!(findings(folder.path()).await, (2, vec![]));
}

/// Each with what is said of it.
const DAMAGES: &[(&str, &str)] = &[
    (
        "DELETE FROM events WHERE seq = 2 AND job = 1",
        "jobs running: event 2 is missing: 3 comes next",
    ),
    (
        "DELETE FROM events WHERE seq = 3",
        "jobs running: its row ends with event 3, its log with 2",
    ),
    (
        "UPDATE events SET record = '{' WHERE seq = 2 AND job = 1",
        "jobs running: row running/2 of table `events` cannot be read: EOF while parsing an object \
             at line 1 column 1; restore it from a backup or delete it",
    ),
    (
        "UPDATE jobs SET status = 'lost' WHERE id = 'running'",
        "jobs running: row running of table `jobs` cannot be read: unknown status `lost`; restore \
             it from a backup or delete it",
    ),
    (
        "UPDATE jobs SET status = 'running' WHERE id = 'ended'",
        "jobs ended: its row says running, and its log otherwise",
    ),
    (
        "UPDATE jobs SET status = 'completed' WHERE id = 'running'",
        "job_secrets running: the job has ended and its secrets are still there",
    ),
    (
        "UPDATE jobs SET id = 'other' WHERE id = 'ended'",
        "jobs other: its log is that of job ended",
    ),
    (
        "UPDATE deliveries SET status = 'pending'",
        "deliveries 3: another delivery of its stream is due too: they may arrive out of order",
    ),
    (
        "UPDATE deliveries SET status = 'waiting' WHERE stream = 'jobs/ended'",
        "deliveries 4: nothing of its stream is due, so it will wait for ever",
    ),
    (
        "UPDATE deliveries SET status = 'sent' WHERE id = 1",
        "deliveries 1: its status is unknown",
    ),
    (
        "UPDATE deliveries SET event_id = 'running/1' WHERE id = 2",
        "deliveries 2: the same event is in the outbox twice",
    ),
    (
        "UPDATE deliveries SET body = 'no' WHERE id = 2",
        "deliveries 2: its body is no JSON",
    ),
    (
        "INSERT INTO session_facts VALUES ('s', '', 'no', 0)",
        "session_facts s: what the session has learned is no JSON",
    ),
    (
        "INSERT INTO definitions (definition_id, version, status, source_uri, created_at) \
             VALUES ('d', '1', 'ready', '', 0)",
        "definitions d@1: it is ready and has no content",
    ),
];

#[tokio::test]
async fn each_kind_of_damage_is_found_by_its_row() {
    for (damage, expected) in DAMAGES.iter().copied() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path()).await.store.close().await;
        sql(folder.path(), damage).await;
        let (_, found) = findings(folder.path()).await;
        assert!(
            found.iter().any(|it| it == expected),
            "{damage}: {found:#?}"
        );
    }
}

#[tokio::test]
async fn events_without_their_job_are_found() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await.store.close().await;
    sql(
        folder.path(),
        "PRAGMA foreign_keys = OFF; DELETE FROM jobs WHERE id = 'ended'",
    )
    .await;
    let (jobs, found) = findings(folder.path()).await;
    assert_eq!(jobs, 1);
    assert!(found.iter().all(|it| it.ends_with("it belongs to no job")));
    assert_eq!(found.len(), 2, "{found:#?}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Audit::open(&url(folder.path()), Objects::default()).await;
    assert!(
        matches!(opened, Err(Error::Unavailable { .. })),
        "{opened:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
