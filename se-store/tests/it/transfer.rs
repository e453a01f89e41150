//! A whole database, moved from one kind of store to another.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use se_runtime::{Event, EventLog, Timestamp};
use se_store::{DefinitionKey, Error, Objects, Piece, PortRequest, SyncRequest, export, import};
use se_testkit::postgres::Database;

use crate::bench::{Bench, SECRET, batch, completed, job, learned};
use crate::sqlite::url;

/// A job that runs, one that has ended, one that waits, a sync that runs; each with all that is theirs.
async fn fill(url: &str) {
    let bench = Bench::open(url).await;
    let mut first = job("running");
    first.idempotency_key = Some("once".to_owned());
    first.request_hash = "hash".to_owned();
    let log = bench.submit(first).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    let facts =
        serde_json::json!({"lab_id": "abc", "ports": [1, 2.5, null], "text": "ä\n\u{0}'\""});
    let ended = bench.submit(job("ended")).await;
    ended
        .append(batch(1, [Event::JobStarted, learned(facts)]))
        .await
        .unwrap();
    ended.append(batch(3, [completed()])).await.unwrap();
    bench.store.submit(job("waiting")).await.unwrap();
    bench.store.note_cancel("waiting", "no use").await.unwrap();
    // More than one page of events.
    for at in 0..300 {
        let more = (0..2).map(|_| Event::JobProgress {
            percentage: 3,
            message: format!("round {at}"),
        });
        log.append(batch(2 + 2 * at, more)).await.unwrap();
    }
    let ports = PortRequest {
        worker: "10.0.0.9".to_owned(),
        holder: "session".to_owned(),
        names: std::collections::BTreeMap::from([("r1_serial".to_owned(), Some(5041))]),
        range: 2000..=2999,
    };
    bench.store.allocate_ports(ports).await.unwrap();
    let piece = Piece {
        connector: "r1".to_owned(),
        at: Timestamp::from_micros(7),
        text: "> show clock\n".to_owned(),
    };
    bench
        .store
        .keep_transcripts("ended", vec![piece])
        .await
        .unwrap();
    let request = SyncRequest {
        key: DefinitionKey::new("lab", "1"),
        source_uri: "s3://content/lab.zip".to_owned(),
        name: Some("lab".to_owned()),
        pod_type: None,
    };
    drop(bench.store.definitions().begin_sync(request).await.unwrap());
    bench.store.close().await;
}

async fn exported(url: &str) -> String {
    let mut bytes = Vec::new();
    export(url, &Objects::default(), &mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("export");
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn nothing_is_lost_on_the_way_to_a_server_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (here, back) = (folder.path().join("here"), folder.path().join("back"));
    fill(&url(&here)).await;
    let first = exported(&url(&here)).await;
    let database = Database::create();
    let moved = import(
        &database.url(),
        &Objects::default(),
        &written(folder.path(), &first),
    )
    .await
    .unwrap();
    assert_eq!(
        moved.to_string(),
        "definitions 1, jobs 3, events 607, job_secrets 2, session_facts 1, idempotency 1, \
         deliveries 607, ports 1, transcripts 1"
    );
    // A text of the server cannot hold a NUL; what was learned is JSON, in which it is written as \u0000.
    let second = exported(&database.url()).await;
    assert_eq!(second, first);
    std::fs::create_dir(&back).unwrap();
    import(
        &url(&back),
        &Objects::default(),
        &written(folder.path(), &second),
    )
    .await
    .unwrap();
    assert_eq!(exported(&url(&back)).await, first);
    assert!(!first.contains(SECRET));
}

#[tokio::test]
async fn what_was_moved_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    fill(&url(folder.path())).await;
    let text = exported(&url(folder.path())).await;
    let database = Database::create();
    import(
        &database.url(),
        &Objects::default(),
        &written(folder.path(), &text),
    )
    .await
    .unwrap();
    let bench = Bench::open(&database.url()).await;
    assert_eq!(
        bench.store.secrets("running").await.unwrap()[0].expose(),
        SECRET
    );
    let log = bench.log("running").await;
    log.append(batch(602, [completed()])).await.unwrap();
    assert!(bench.store.has_key("once").await.unwrap());
    let facts = bench
        .store
        .session_facts("session", Some("10.0.0.9"))
        .await
        .unwrap();
    assert_eq!(facts["text"], "ä\n\u{0}'\"");
    // New rows get new numbers.
    bench.submit(job("new")).await;
    let newest = bench.store.events_since(607, 10).await.unwrap();
    assert_eq!(newest.len(), 2, "{newest:?}");
    let due = bench.store.outbox().due(bench.now(), 10).await.unwrap();
    assert_eq!(due.len(), 4, "one of each stream: {due:?}");
    let definition = bench
        .store
        .definitions()
        .by_version(&DefinitionKey::new("lab", "1"))
        .await;
    assert_eq!(
        definition.unwrap().status.as_str(),
        "failed",
        "its sync was cut off"
    );
    bench.store.close().await;
    let mut audit = se_store::Audit::open(&database.url(), Objects::default())
        .await
        .unwrap();
    assert_eq!(audit.tables().await.unwrap(), []);
    let mut after = 0;
    while let Some(job) = audit.next_job(&mut after).await.unwrap() {
        assert_eq!(job.findings, [], "{}", job.id);
    }
    audit.close().await;
}

#[tokio::test]
async fn only_a_whole_export_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    fill(&url(folder.path())).await;
    let text = exported(&url(folder.path())).await;
    let lines: Vec<&str> = text.lines().collect();
    let without_end = lines[..lines.len() - 1].join("\n") + "\n";
    let cases = [
        ("", 0, "does not begin"),
        ("{}\n", 1, "not what was exported"),
        (&text[..text.len() - 9], lines.len(), "middle of a line"),
        (&without_end, lines.len() - 1, "its last line is missing"),
        (
            &text.replacen("round 7\\", "round 8\\", 1),
            lines.len(),
            "not what was exported",
        ),
        (
            &text.replacen("store\":1", "store\":2", 1),
            1,
            "format 2 of engine",
        ),
        (
            &text.replacen("[\"jobs\"", "[\"joys\"", 1),
            3,
            "no table `joys`",
        ),
        (
            &text.replacen("\"running\"", "7", 1),
            3,
            "`id` of jobs is of another kind",
        ),
        (&format!("{text}[]\n"), lines.len() + 1, "names no table"),
        (
            &format!("{text}{}\n", lines[0]),
            lines.len() + 1,
            "comes after its end",
        ),
    ];
    let target = folder.path().join("target");
    for (text, line, why) in cases {
        let outcome = import(
            &url(&target),
            &Objects::default(),
            &written(folder.path(), text),
        )
        .await;
        let Err(error @ Error::BadExport { .. }) = outcome else {
            panic!("{why}: {outcome:?}")
        };
        let message = error.to_string();
        assert!(message.starts_with(&format!("line {line} of")), "{message}");
        assert!(message.contains(why), "{message}");
        assert!(!target.exists(), "{why}: nothing is made");
    }
}

#[tokio::test]
async fn only_an_empty_database_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    fill(&url(folder.path())).await;
    let text = exported(&url(folder.path())).await;
    let from = written(folder.path(), &text);
    let again = import(&url(folder.path()), &Objects::default(), &from)
        .await
        .unwrap_err();
    assert!(
        again.to_string().contains("table definitions has 1 rows"),
        "{again}"
    );
    assert_eq!(exported(&url(folder.path())).await, text);

    let database = Database::create();
    let engine = Bench::open(&database.url()).await;
    let in_use = import(&database.url(), &Objects::default(), &from).await;
    assert!(matches!(in_use, Err(Error::InUse { .. })), "{in_use:?}");
    engine.store.close().await;
    let file = folder.path().join("file");
    let engine = Bench::open(&url(&file)).await;
    let in_use = import(&url(&file), &Objects::default(), &from).await;
    assert!(matches!(in_use, Err(Error::InUse { .. })), "{in_use:?}");
    engine.store.close().await;
    // What fails in the middle leaves nothing: a row that another refers to is missing.
    let nowhere = text.replacen("[\"events\",1,1,", "[\"events\",1,99,", 1);
    let sealed = resealed(&nowhere);
    let failed = import(
        &database.url(),
        &Objects::default(),
        &written(folder.path(), &sealed),
    )
    .await;
    assert!(
        matches!(failed, Err(Error::Unavailable { .. })),
        "{failed:?}"
    );
    import(
        &database.url(),
        &Objects::default(),
        &written(folder.path(), &text),
    )
    .await
    .unwrap();
    assert_eq!(exported(&database.url()).await, text);
}

/// With the hash that the lines have now.
fn resealed(text: &str) -> String {
    use sha2::Digest;
    let (lines, end) = text.trim_end().rsplit_once('\n').unwrap();
    let digest = sha2::Sha256::digest(format!("{lines}\n"));
    let digest: String = digest.iter().map(|it| format!("{it:02x}")).collect();
    let mut end: serde_json::Value = serde_json::from_str(end).unwrap();
    end["sha256"] = digest.into();
    format!("{lines}\n{end}\n")
}

/// Takes its time with the first bytes, as a pipe does whose reader is busy.
struct Slow(Vec<u8>);

impl std::io::Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.is_empty() {
            std::thread::sleep(STALL);
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Longer than a server waits for an engine that is in a transaction.
const STALL: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn a_move_waits_for_slow_disks_and_object_stores() {
    let (from, to) = (Database::create(), Database::create());
    let bench = Bench::open(&from.url()).await;
    let log = bench.submit(job("a")).await;
    let large = learned(serde_json::json!({"text": "x".repeat(100_000)}));
    log.append(batch(1, [large])).await.unwrap();
    let objects = Objects::new(Arc::<InMemory>::clone(&bench.objects));
    bench.store.close().await;
    let mut out = Slow(Vec::new());
    export(&from.url(), &objects, &mut out).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export");
    std::fs::write(&path, &out.0).unwrap();
    let config = ThrottleConfig {
        wait_put_per_call: STALL,
        ..ThrottleConfig::default()
    };
    let slow = Objects::new(Arc::new(ThrottledStore::new(InMemory::new(), config)));
    import(&to.url(), &slow, &path).await.unwrap();
    let mut again = Vec::new();
    export(&to.url(), &slow, &mut again).await.unwrap();
    assert!(again == out.0, "the same bytes come out");
}
