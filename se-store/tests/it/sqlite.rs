//! What only files can do wrong.

use std::path::Path;
use std::sync::Arc;

use se_runtime::EventLog;
use se_store::{Error, Store};

use crate::bench::{Bench, SECRET, batch, completed, job, options};

pub(crate) fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("se.db").display())
}

pub(crate) async fn sql(folder: &Path, sql: &'static str) {
    let conn = rusqlite::Connection::open(folder.join("se.db")).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    conn.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn secrets_are_nowhere_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    bench.submit(job("running")).await;
    let ended = bench.submit(job("ended")).await;
    ended.append(batch(1, [completed()])).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
        assert!(!holds(SECRET), "{}", path.display());
        seen += usize::from(holds("running"));
    }
    // The search does find what is there.
    assert!(seen > 0);
    bench.store.close().await;
}

#[tokio::test]
async fn a_store_that_is_opened_again_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    bench.submit(job("a")).await;
    let request = se_store::SyncRequest {
        key: se_store::DefinitionKey::new("lab", "1"),
        source_uri: "s3://content/lab.zip".to_owned(),
        name: None,
        pod_type: None,
    };
    let cut_short = bench
        .store
        .definitions()
        .begin_sync(request.clone())
        .await
        .unwrap();
    bench.store.close().await;

    let bench = Bench::open(&url(folder.path())).await;
    let unfinished = bench.store.unfinished().await.unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(bench.store.secrets("a").await.unwrap()[0].expose(), SECRET);
    let log = bench.log("a").await;
    assert_eq!(log.accepted().definition_id, "lab");
    log.append(batch(1, [completed()])).await.unwrap();
    let failed = bench
        .store
        .definitions()
        .by_version(&request.key)
        .await
        .unwrap();
    assert_eq!(failed.status.as_str(), "failed");
    assert!(failed.error.unwrap().contains("sync again"));
    // The sync from before the restart cannot end any more.
    let _sync = bench.store.definitions().begin_sync(request).await.unwrap();
    let late = bench.store.definitions().failed(cut_short, "late").await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
    bench.store.close().await;
}

#[tokio::test]
async fn a_second_engine_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    let second = Store::open(&url(folder.path()), options(&bench.clock, 7)).await;
    let Err(error @ Error::InUse { .. }) = second else {
        panic!("{second:?}")
    };
    assert!(error.to_string().contains("another engine"));
    bench.store.close().await;
    let third = Bench::open(&url(folder.path())).await;
    third.store.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    bench.store.close().await;
    sql(
        folder.path(),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .await;
    let opened = Store::open(&url(folder.path()), options(&bench.clock, 7)).await;
    assert!(
        matches!(
            opened,
            Err(Error::NewerSchema {
                found: 9999,
                known: 5
            })
        ),
        "{opened:?}"
    );
}

#[tokio::test]
async fn rows_that_make_no_sense_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    bench.submit(job("a")).await;
    let store = &bench.store;
    let cases = [
        ("UPDATE jobs SET status = 'dancing'", "jobs"),
        (
            "UPDATE jobs SET status = 'running', percentage = 300",
            "jobs",
        ),
        ("UPDATE jobs SET percentage = 0, last_seq = -1", "jobs"),
        ("UPDATE events SET record = '{\"seq\":1}'", "events"),
        ("UPDATE events SET record = '{'", "events"),
        ("UPDATE job_secrets SET sealed = x'00'", "job_secrets"),
        ("UPDATE job_secrets SET nonce = x''", "job_secrets"),
        ("UPDATE deliveries SET status = 'lost'", "deliveries"),
    ];
    for (change, table) in cases {
        sql(folder.path(), change).await;
        let outcome = match table {
            "jobs" => store.job("a").await.map(drop),
            "events" => store.events("a", 0, 9).await.map(drop),
            "job_secrets" => store.secrets("a").await.map(drop),
            _ => store.outbox().list(None, 9, None).await.map(drop),
        };
        let Err(Error::Corrupt { table: found, .. }) = outcome else {
            panic!("{change}: {outcome:?}")
        };
        assert_eq!(found, table, "{change}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_row_that_makes_no_sense_does_not_keep_other_jobs_from_going_on() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    bench.submit(job("broken")).await;
    bench.submit(job("fine")).await;
    sql(
        folder.path(),
        "UPDATE jobs SET last_seq = -1 WHERE id = 'broken'",
    )
    .await;
    let unfinished = bench.store.unfinished().await.unwrap();
    let ids: Vec<&str> = unfinished.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["fine"]);
    bench.store.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    bench.submit(job("a")).await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["se.db", "se.db-shm", "se.db-wal", "se.db.lock"]);
    bench.store.close().await;
}

#[tokio::test]
async fn secrets_moved_to_another_job_do_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    bench.submit(job("a")).await;
    bench.submit(job("b")).await;
    sql(
        folder.path(),
        "UPDATE job_secrets SET (nonce, sealed) = \
         (SELECT nonce, sealed FROM job_secrets WHERE job = 1) WHERE job = 2",
    )
    .await;
    let opened = bench.store.secrets("b").await;
    assert!(matches!(opened, Err(Error::Corrupt { .. })), "{opened:?}");
    bench.store.close().await;
}

#[tokio::test]
async fn a_store_in_memory_is_its_own() {
    let one = Bench::open("sqlite::memory:").await;
    let other = Bench::open("sqlite::memory:").await;
    one.submit(job("a")).await;
    assert!(other.store.job("a").await.is_err());
    let store = Arc::new(one.store);
    let tasks = (0..50).map(|n| {
        let store = Arc::clone(&store);
        async move { store.submit(job(&n.to_string())).await.unwrap() }
    });
    futures_util::future::join_all(tasks).await;
    assert_eq!(store.unfinished().await.unwrap().len(), 51);
}
