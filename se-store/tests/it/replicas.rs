//! Several engines on one database.

use std::num::NonZeroU32;

use futures_util::future::join_all;
use se_runtime::lease::Member;
use se_runtime::{Event, EventLog, LogError};
use se_store::{CancelNoted, Error, Limits, Submitted};
use se_testkit::postgres::{Cluster, Database};

use crate::bench::{Bench, batch, completed, job, job_with, news};

async fn engines<const N: usize>(url: &str) -> [Bench; N] {
    let all: Vec<Bench> = join_all((0..N).map(|_| Bench::open(url))).await;
    all.try_into().ok().unwrap()
}

/// As others see this engine.
async fn member(of: &Bench) -> Member {
    let members = of.store.members().await.unwrap();
    let me = members.into_iter().find(|it| it.id == of.store.replica());
    me.unwrap()
}

fn ids(claimed: Vec<se_store::Claimed>) -> Vec<String> {
    claimed.into_iter().map(|it| it.id).collect()
}

#[tokio::test]
async fn each_job_is_claimed_by_one() {
    let database = Database::create();
    let all = engines::<3>(&database.url()).await;
    join_all((0..30).map(|n| all[n % 3].store.submit(job(&format!("job-{n}"))))).await;
    let claims = join_all((0..30).map(|n| all[n % 3].store.claim(2, Limits::NONE, &[]))).await;
    let mut claimed: Vec<String> = claims.into_iter().flat_map(|it| ids(it.unwrap())).collect();
    claimed.sort_unstable();
    let mut expected: Vec<String> = (0..30).map(|n| format!("job-{n}")).collect();
    expected.sort_unstable();
    assert_eq!(claimed, expected);
    assert_eq!(all[0].store.waiting().await.unwrap(), 0);
    assert!(
        all[1]
            .store
            .claim(1, Limits::NONE, &[])
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn one_of_many_requests_with_one_key_is_stored_by_any_engine() {
    let database = Database::create();
    let all = engines::<2>(&database.url()).await;
    let submits = (0..20).map(|n| {
        let mut new = job(&format!("job-{n}"));
        new.idempotency_key = Some("key".to_owned());
        all[n % 2].store.submit(new)
    });
    let outcomes: Vec<Submitted> = join_all(submits)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let new = outcomes.iter().filter(|it| **it == Submitted::New).count();
    assert_eq!(new, 1);
    let existing: std::collections::BTreeSet<String> = outcomes
        .into_iter()
        .filter_map(|it| match it {
            Submitted::Existing { job_id, .. } => Some(job_id),
            Submitted::New => None,
        })
        .collect();
    assert_eq!(existing.len(), 1);
}

#[tokio::test]
async fn who_lost_the_lease_writes_nothing_more() {
    let database = Database::create();
    let [old, new] = engines(&database.url()).await;
    let log = old.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    let seen = member(&old).await;
    old.store.beat().await.unwrap();
    assert!(!new.store.bury(&seen).await.unwrap(), "it is alive");
    log.append(batch(2, [Event::JobStarted])).await.unwrap();

    assert!(new.store.bury(&member(&old).await).await.unwrap());
    let fenced = log.append(batch(3, [Event::JobStarted])).await;
    assert!(matches!(fenced, Err(LogError::Fenced { .. })), "{fenced:?}");
    let outcomes = [
        old.store.submit(job("b")).await.map(drop),
        old.store.claim(1, Limits::NONE, &[]).await.map(drop),
        old.store.beat().await,
        old.store.note_cancel("a", "no").await.map(drop),
        old.store
            .sweep(se_store::Retention::default())
            .await
            .map(drop),
        old.store.outbox().delivered(1).await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(Error::Fenced)), "{outcome:?}");
    }
    // Somebody else goes on where it stopped.
    let log = new.log("a").await;
    log.append(batch(3, [completed()])).await.unwrap();
    let events = old.store.events("a", 0, 9).await.unwrap().records;
    assert_eq!(events.len(), 4);
}

#[tokio::test]
async fn who_joins_again_is_somebody_else() {
    let database = Database::create();
    let [old, new] = engines(&database.url()).await;
    let log = old.submit(job("a")).await;
    new.store.bury(&member(&old).await).await.unwrap();
    old.store.join().await.unwrap();
    // Nobody has written since, so the log ends where the former driver believes.
    let late = log.append(batch(1, [Event::JobStarted])).await;
    assert!(matches!(late, Err(LogError::Fenced { .. })), "{late:?}");
    let log = old.log("a").await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
}

#[tokio::test]
async fn what_an_engine_leaves_behind_is_taken_over() {
    let database = Database::create();
    let [one, two] = engines(&database.url()).await;
    one.submit(job("a")).await;
    one.store.submit(job("b")).await.unwrap();
    let request = se_store::SyncRequest {
        key: se_store::DefinitionKey::new("lab", "1"),
        source_uri: "s3://content/lab.zip".to_owned(),
        name: None,
        pod_type: None,
    };
    let sync = one.store.definitions().begin_sync(request.clone()).await;
    drop(sync.unwrap());
    // An engine that begins beside others takes nothing from them.
    let three = Bench::open(&database.url()).await;
    assert_eq!(three.store.outbox().due(three.now(), 9).await.unwrap(), []);
    assert!(three.store.claim_one("a").await.unwrap().is_none());
    let syncing = three.store.definitions().by_version(&request.key).await;
    assert!(syncing.unwrap().synchronizing);

    one.store.leave().await.unwrap();
    two.store.adopt().await.unwrap();
    let due = two.store.outbox().due(two.now(), 9).await.unwrap();
    let due: Vec<&str> = due.iter().map(|it| it.event_id.as_str()).collect();
    assert_eq!(due, ["a/1", "b/1"]);
    let claimed = three.store.claim(9, Limits::NONE, &[]).await.unwrap();
    assert_eq!(ids(claimed), ["a", "b"]);
    let syncing = three.store.definitions().by_version(&request.key).await;
    assert!(!syncing.unwrap().synchronizing);
}

#[tokio::test]
async fn what_came_of_a_delivery_is_told_by_who_sends_it() {
    let database = Database::create();
    let [one, two] = engines(&database.url()).await;
    one.submit(job("a")).await;
    let due = one.store.outbox().due(one.now(), 9).await.unwrap();
    let id = due[0].id;
    // It is declared dead while it sends, and joins again as another.
    one.store.leave().await.unwrap();
    two.store.adopt().await.unwrap();
    one.store.join().await.unwrap();
    let former = one.store.outbox();
    let later = one.now().after(std::time::Duration::from_secs(60));
    let told = [
        former.delivered(id).await,
        former.dead(id, "no answer").await,
        former.gone(id, "410").await,
        former.failed(id, "no answer", later).await,
    ];
    for it in told {
        assert!(matches!(it, Err(Error::Conflict { .. })), "{it:?}");
    }
    let due = two.store.outbox().due(two.now(), 9).await.unwrap();
    assert_eq!(due.iter().map(|it| it.id).collect::<Vec<_>>(), [id]);
    two.store.outbox().delivered(id).await.unwrap();
}

#[tokio::test]
async fn a_cancel_reaches_who_drives_the_job() {
    let database = Database::create();
    let [one, two] = engines(&database.url()).await;
    let log = one.submit(job("a")).await;
    let mut changes = one.store.changes();
    changes.mark_unchanged();
    let noted = two.store.note_cancel("a", "too late").await.unwrap();
    assert_eq!(noted, CancelNoted::Noted);
    two.store.note_cancel("a", "again").await.unwrap();
    changes.changed().await.unwrap();
    let cancels = one.store.cancels().await.unwrap();
    assert_eq!(cancels[0].cancel.as_deref(), Some("too late"));
    assert_eq!(two.store.cancels().await.unwrap(), []);
    log.append(batch(1, [completed()])).await.unwrap();
    assert_eq!(one.store.cancels().await.unwrap(), []);
    let noted = two.store.note_cancel("a", "too late").await.unwrap();
    assert_eq!(noted, CancelNoted::Ended);
}

#[tokio::test]
async fn events_of_all_engines_are_told_to_each_in_one_order() {
    const EACH: u64 = 40;
    let database = Database::create();
    let all = engines::<3>(&database.url()).await;
    let mut heard: Vec<_> = all.iter().map(|it| it.store.committed()).collect();
    let work = all.iter().enumerate().map(async |(n, bench)| {
        let log = bench.submit(job(&n.to_string())).await;
        for after in 1..EACH {
            log.append(batch(after, [Event::JobStarted])).await.unwrap();
        }
    });
    join_all(work).await;
    let stored = all[0].store.events_since(0, 1000).await.unwrap();
    assert_eq!(stored.len() as u64, 3 * EACH);
    for heard in &mut heard {
        for expected in &stored {
            assert_eq!(*heard.recv().await.unwrap(), news(expected));
        }
    }
}

#[tokio::test]
async fn events_behind_many_that_cannot_be_read_are_told() {
    let database = Database::create();
    let bench = Bench::open(&database.url()).await;
    let mut heard = bench.store.committed();
    for id in ["a", "b"] {
        bench.submit(job(id)).await;
        let told = heard.recv().await.unwrap();
        assert_eq!((told.job_id.as_str(), told.seq), (id, 1));
    }
    // As of a newer engine: more than is read in one go, and behind them one that this engine knows.
    let newer = "BEGIN; INSERT INTO events (job, seq, record) SELECT row, it, 'of a newer engine' \
        FROM jobs, generate_series(2, 1200) AS it WHERE id = 'a'; \
        WITH one AS (DELETE FROM events WHERE seq = 1 AND job = (SELECT row FROM jobs WHERE id = 'b') \
        RETURNING job, seq, record) INSERT INTO events (job, seq, record) SELECT * FROM one; COMMIT";
    database.run(newer).unwrap();
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), heard.recv()).await;
    let told = told.expect("nothing is told").unwrap();
    assert_eq!((told.job_id.as_str(), told.seq), ("b", 1));
    // Who reads from the beginning finds it behind them, too.
    for (after, expected) in [(0, vec!["a", "b"]), (2, vec!["b"])] {
        let stored = bench.store.events_since(after, 100).await.unwrap();
        let jobs: Vec<&str> = stored.iter().map(|it| it.job_id.as_str()).collect();
        assert_eq!(jobs, expected[..jobs.len()]);
        let last = stored.last().unwrap().position;
        let rest = bench.store.events_since(last, 100).await.unwrap();
        assert_eq!(stored.len() + rest.len(), expected.len());
    }
}

#[tokio::test]
async fn a_write_survives_the_loss_of_its_connection() {
    let database = Database::create();
    let bench = Bench::open(&database.url()).await;
    let log = bench.submit(job("a")).await;
    let mut after = 1;
    for _ in 0..20 {
        let (appended, broken) =
            futures_util::join!(log.append(batch(after, [Event::JobStarted])), async {
                database.break_connections()
            },);
        broken.unwrap();
        // Whatever was said is so.
        let last = bench.store.job("a").await.unwrap().last_seq;
        assert_eq!(last, after + u64::from(appended.is_ok()), "{appended:?}");
        after = last;
    }
}

#[tokio::test]
async fn it_goes_on_when_the_server_is_back() {
    let cluster = Cluster::start().unwrap();
    let database = Database::create_on(&cluster.url()).unwrap();
    let bench = Bench::open(&database.url()).await;
    let mut heard = bench.store.committed();
    let log = bench.submit(job("a")).await;
    assert_eq!(heard.recv().await.unwrap().seq, 1);
    cluster.kill().unwrap();
    let lost = log.append(batch(1, [Event::JobStarted])).await;
    assert!(matches!(lost, Err(LogError::Unavailable(_))), "{lost:?}");
    let unread = bench.store.job("a").await;
    assert!(
        matches!(unread, Err(Error::Unavailable { .. })),
        "{unread:?}"
    );
    cluster.start_again().unwrap();
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    assert_eq!(bench.store.job("a").await.unwrap().last_seq, 2);
    assert_eq!(heard.recv().await.unwrap().seq, 2);
    bench.store.close().await;
}

#[tokio::test]
async fn limits_hold_over_all_engines() {
    let database = Database::create();
    let [one, two] = engines(&database.url()).await;
    let of = |id: &str, definition: &str, worker: Option<&str>| {
        let mut new = job_with(id, |it| definition.clone_into(&mut it.definition_id));
        new.worker = worker.map(str::to_owned);
        new
    };
    for (id, definition, worker) in [
        ("a", "x", Some("w")),
        ("b", "x", Some("w")),
        ("c", "x", Some("v")),
        ("d", "y", Some("w")),
        ("e", "y", None),
        ("f", "z", None),
    ] {
        one.store.submit(of(id, definition, worker)).await.unwrap();
    }
    let limits = Limits {
        per_worker: NonZeroU32::new(1),
        per_definition: NonZeroU32::new(2),
    };
    assert_eq!(ids(one.store.claim(1, limits, &[]).await.unwrap()), ["a"]);
    // b and d wait for the worker of a.
    assert_eq!(
        ids(two.store.claim(9, limits, &[]).await.unwrap()),
        ["c", "e", "f"]
    );
    let log = one.store.log("a").await.unwrap();
    log.append(batch(1, [completed()])).await.unwrap();
    // One of the worker at a time; of x runs c alone.
    assert_eq!(ids(two.store.claim(9, limits, &[]).await.unwrap()), ["b"]);
}

#[tokio::test]
async fn a_console_has_one_user_over_all_engines() {
    const CONSOLE: &str = "10.0.0.7:5041";
    let database = Database::create();
    let [one, two] = engines(&database.url()).await;
    let both = join_all([
        one.store.take_console(CONSOLE, "a"),
        two.store.take_console(CONSOLE, "b"),
    ]);
    let got: Vec<bool> = both.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(got.iter().filter(|it| **it).count(), 1, "{got:?}");
    let (has, waits) = if got[0] { (&one, &two) } else { (&two, &one) };
    assert_eq!(has.store.wanted_consoles().await.unwrap(), [CONSOLE]);
    assert!(waits.store.wanted_consoles().await.unwrap().is_empty());
    // Nobody takes it away.
    waits.store.leave_console(CONSOLE).await.unwrap();
    assert!(!waits.store.take_console(CONSOLE, "b").await.unwrap());
    has.store.leave_console(CONSOLE).await.unwrap();
    assert!(waits.store.take_console(CONSOLE, "b").await.unwrap());
    // It goes with the lease of who has it.
    assert!(!has.store.take_console(CONSOLE, "a").await.unwrap());
    let dead = member(waits).await;
    assert!(has.store.bury(&dead).await.unwrap());
    assert!(has.store.take_console(CONSOLE, "a").await.unwrap());
    let lost = waits.store.take_console(CONSOLE, "b").await;
    assert!(matches!(lost, Err(Error::Fenced)), "{lost:?}");
}
