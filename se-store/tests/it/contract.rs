//! What every database must do with jobs, events, secrets and facts.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;
use se_runtime::{Event, EventLog, JobStatus, LogError, Record};
use se_store::{Cursor, Error, JobFilter, Limits, Retention, Submitted};

use crate::bench::{Bench, SECRET, batch, completed, job, job_with, learned, news};
use crate::objects::{said, whole_log};

pub(crate) async fn a_job_is_stored_with_its_first_event_and_secrets(bench: &Bench) {
    let new = job("a");
    let accepted = new.accepted.clone();
    bench.submit(new).await;
    let stored = bench.store.job("a").await.unwrap();
    assert_eq!(stored.summary.status, JobStatus::Accepted);
    assert_eq!(stored.last_seq, 1);
    assert_eq!(stored.worker.as_deref(), Some("10.0.0.9"));
    assert_eq!(stored.created_at, accepted.at);
    assert_eq!(
        bench.store.events("a", 0, 10).await.unwrap().records,
        [accepted]
    );
    let secrets = bench.store.secrets("a").await.unwrap();
    let texts: Vec<&str> = secrets.iter().map(|it| it.expose()).collect();
    assert_eq!(texts, [SECRET]);
    for missing in [
        bench.store.job("b").await.map(drop),
        bench.store.events("b", 0, 1).await.map(drop),
        bench.store.secrets("b").await.map(drop),
        bench.store.log("b").await.map(drop),
    ] {
        assert!(
            matches!(missing, Err(Error::NotFound { .. })),
            "{missing:?}"
        );
    }
}

pub(crate) async fn a_resumed_job_begins_with_what_is_done(bench: &Bench) {
    let done = batch(1, [Event::JobStarted, Event::JobStarted]).records;
    let misnumbered = batch(2, [Event::JobStarted]).records;
    let refused = bench.store.submit_resumed(job("a"), misnumbered).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    let submitted = bench.store.submit_resumed(job("a"), done).await;
    assert_eq!(submitted.unwrap(), Submitted::New);
    assert_eq!(bench.store.job("a").await.unwrap().last_seq, 3);
    assert_eq!(events(bench, "a").await.len(), 3);
    let log = bench.log("a").await;
    log.append(batch(3, [completed()])).await.unwrap();
    let told = bench.store.outbox().list(None, 9, None).await.unwrap();
    let ids: Vec<&str> = told.items.iter().map(|it| it.event_id.as_str()).collect();
    assert_eq!(ids, ["a/4", "a/1"]);
}

pub(crate) async fn the_row_of_a_resumed_job_follows_its_status(bench: &Bench) {
    let progress = || Event::JobProgress {
        percentage: 50,
        message: String::new(),
    };
    let done = batch(1, [progress(), progress()]).records;
    bench.store.submit_resumed(job("a"), done).await.unwrap();
    let row = async || bench.store.job("a").await.unwrap().summary;
    assert_eq!(row().await.status, JobStatus::Accepted);
    let log = bench.log("a").await;
    log.append(batch(3, [Event::JobStarted])).await.unwrap();
    log.append(batch(4, [progress()])).await.unwrap();
    let running = row().await;
    assert_eq!(running.status, JobStatus::Running);
    assert!(running.started_at.is_some());
    assert_eq!(running.message, "after 4");
    let reason = String::new();
    let mut cancelled = batch(5, [Event::CancelRequested { reason }]);
    cancelled.summary.status = JobStatus::Cancelling;
    log.append(cancelled).await.unwrap();
    assert_eq!(row().await.status, JobStatus::Cancelling);
    log.append(batch(6, [completed()])).await.unwrap();
    assert_eq!(row().await.status, JobStatus::Completed);
}

pub(crate) async fn an_idempotency_key_gets_the_first_job_for_a_day(bench: &Bench) {
    let keyed = |id: &str, hash: &str| {
        let mut new = job(id);
        new.idempotency_key = Some("key".to_owned());
        new.request_hash = hash.to_owned();
        new
    };
    let existing = |same_request| Submitted::Existing {
        job_id: "a".to_owned(),
        same_request,
    };
    bench.submit(keyed("a", "x")).await;
    assert_eq!(
        bench.store.submit(keyed("b", "x")).await.unwrap(),
        existing(true)
    );
    assert_eq!(
        bench.store.submit(keyed("c", "y")).await.unwrap(),
        existing(false)
    );
    assert!(bench.store.job("b").await.is_err());
    bench.clock.advance(Duration::from_secs(24 * 60 * 60));
    bench.submit(keyed("d", "x")).await;
    the_first_name_that_is_known_decides(bench).await;
}

pub(crate) async fn one_of_many_requests_with_one_key_is_stored(bench: &Bench) {
    let submits = (0..20).map(|n| {
        let mut new = job(&format!("job-{n}"));
        new.idempotency_key = Some("key".to_owned());
        bench.store.submit(new)
    });
    let outcomes: Vec<Submitted> = join_all(submits)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let new = outcomes.iter().filter(|it| **it == Submitted::New).count();
    assert_eq!(new, 1);
    assert_eq!(bench.store.unfinished().await.unwrap().len(), 1);
}

pub(crate) async fn a_request_that_fails_does_not_hurt_its_group(bench: &Bench) {
    bench.submit(job("taken")).await;
    let ids = ["a", "taken", "b", "taken", "c"];
    let outcomes = join_all(ids.map(|id| bench.store.submit(job(id)))).await;
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        let conflict = matches!(outcome, Err(Error::Conflict { .. }));
        assert_eq!(conflict, id == "taken", "{id}: {outcome:?}");
    }
    for id in ["a", "b", "c", "taken"] {
        assert_eq!(bench.store.events(id, 0, 9).await.unwrap().records.len(), 1);
    }
    assert_eq!(
        bench
            .store
            .outbox()
            .due(bench.now(), 9)
            .await
            .unwrap()
            .len(),
        4
    );
}

pub(crate) async fn a_log_takes_events_only_at_its_end(bench: &Bench) {
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    for after in [0, 3] {
        let outcome = log.append(batch(after, [Event::JobStarted])).await;
        let Err(LogError::Conflict {
            expected, found, ..
        }) = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!((expected, found), (after, 2));
    }
    let mut holey = batch(2, [Event::JobStarted]);
    holey.records[0].seq = 4;
    let outcome = log.append(holey).await;
    assert!(
        matches!(outcome, Err(LogError::Corrupt { .. })),
        "{outcome:?}"
    );
    let stored = bench.store.job("a").await.unwrap();
    assert_eq!(
        (stored.last_seq, stored.summary.status),
        (2, JobStatus::Running)
    );
    assert_eq!(stored.summary.message, "after 1");
    // What was refused announces nothing.
    let deliveries = bench.store.outbox().list(None, 9, None).await.unwrap();
    assert_eq!(deliveries.items.len(), 2);
}

/// Where an answer was lost, the same is appended again.
pub(crate) async fn what_a_log_ends_with_is_not_stored_twice(bench: &Bench) {
    let step = |name: &str| Event::StepSkipped {
        step: name.to_owned(),
    };
    let log = bench.submit(job("a")).await;
    let first = batch(1, [Event::JobStarted, said(200_000)]);
    let last = batch(3, [step("b"), completed()]);
    for sent in [first.clone(), last.clone()] {
        log.append(sent.clone()).await.unwrap();
        let told = bench.store.changes().borrow().deliveries;
        log.append(sent.clone()).await.unwrap();
        let changes = *bench.store.changes().borrow();
        assert!(changes.deliveries > told, "who sends is told in any case");
        // What is no more than alike is somebody else's.
        let mut other = sent.clone();
        other.records[0].event = step("c");
        let outcome = log.append(other).await;
        assert!(
            matches!(
                outcome,
                Err(LogError::Conflict { .. } | LogError::Fenced { .. })
            ),
            "{outcome:?}"
        );
    }
    // The log goes on behind it.
    assert!(log.append(first.clone()).await.is_err());
    let all: Vec<Record> = first.records.into_iter().chain(last.records).collect();
    assert_eq!(whole_log(&bench.store, "a").await[1..], all);
    let deliveries = bench.store.outbox().list(None, 99, None).await.unwrap();
    let ids: BTreeSet<&str> = deliveries.items.iter().map(|it| &*it.event_id).collect();
    assert_eq!(ids.len(), deliveries.items.len());
}

pub(crate) async fn of_two_drivers_one_goes_on(bench: &Bench) {
    let one = bench.submit(job("a")).await;
    let other = bench.store.log("a").await.unwrap();
    for after in 1..10 {
        let step = |name: &str| Event::StepSkipped {
            step: name.to_owned(),
        };
        let outcomes = join_all([
            one.append(batch(after, [step("one")])),
            other.append(batch(after, [step("other")])),
        ])
        .await;
        let won = outcomes.iter().filter(|it| it.is_ok()).count();
        assert_eq!(won, 1, "{outcomes:?}");
    }
    let seqs: Vec<u64> = events(bench, "a").await.iter().map(|it| it.seq).collect();
    assert_eq!(seqs, (1..=10).collect::<Vec<u64>>());
}

async fn events(bench: &Bench, id: &str) -> Vec<Record> {
    bench.store.events(id, 0, 1000).await.unwrap().records
}

pub(crate) async fn what_is_claimed_in_one_go_keeps_to_the_limits(bench: &Bench) {
    let submit = async |id: &str, definition: &str, worker: Option<&str>| {
        let mut new = job_with(id, |it| definition.clone_into(&mut it.definition_id));
        new.worker = worker.map(str::to_owned);
        assert_eq!(bench.store.submit(new).await.unwrap(), Submitted::New);
    };
    for n in 0..6 {
        submit(&format!("w{n}"), "x", Some("w")).await;
    }
    for n in 0..3 {
        submit(&format!("y{n}"), "y", None).await;
    }
    let claim_but = async |count, per_worker, per_definition, except: &[&str]| {
        let limits = Limits {
            per_worker: NonZeroU32::new(per_worker),
            per_definition: NonZeroU32::new(per_definition),
        };
        let except: Vec<String> = except.iter().map(|it| (*it).to_owned()).collect();
        let is_there = bench.store.has_claimable(limits, &except).await.unwrap();
        let claimed = bench.store.claim(count, limits, &except).await.unwrap();
        assert_eq!(is_there, !claimed.is_empty());
        claimed.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    let claim = async |count, per_worker, per_definition| {
        claim_but(count, per_worker, per_definition, &[]).await
    };
    // Those behind the jobs that wait for their worker are found as well.
    assert_eq!(claim(4, 2, 9).await, ["w0", "w1", "y0", "y1"]);
    assert_eq!(claim(9, 3, 2).await, [""; 0]);
    assert_eq!(claim(9, 3, 3).await, ["w2", "y2"]);
    // Those that are not to be had here are passed over, too.
    assert_eq!(claim_but(1, 0, 0, &["w3", "w"]).await, ["w4"]);
    assert_eq!(claim_but(9, 0, 0, &["w3", "w5"]).await, [""; 0]);
    assert_eq!(claim(1, 0, 0).await, ["w3"]);
    assert_eq!(claim(9, 0, 0).await, ["w5"]);
}

const HOUR: Duration = Duration::from_secs(60 * 60);

pub(crate) async fn a_clock_that_goes_back_loses_nothing(bench: &Bench) {
    let keyed = |id: &str| {
        let mut new = job(id);
        new.idempotency_key = Some("key".to_owned());
        new
    };
    let first = bench.submit(keyed("first")).await;
    bench.clock.go_back(3 * HOUR);
    // The key is as young as can be, and the next job is the newest, whatever its time.
    let again = bench.store.submit(keyed("again")).await.unwrap();
    assert!(matches!(again, Submitted::Existing { .. }), "{again:?}");
    let second = bench.submit(job("second")).await;
    let page = bench.store.jobs(&JobFilter::default(), 9, None).await;
    let ids: Vec<String> = page.unwrap().items.into_iter().map(|it| it.id).collect();
    assert_eq!(ids, ["second", "first"]);
    first.append(batch(1, [completed()])).await.unwrap();
    second.append(batch(1, [completed()])).await.unwrap();
    let stored = bench.store.events_since(0, 9).await.unwrap();
    let order: Vec<&str> = stored.iter().map(|it| it.job_id.as_str()).collect();
    assert_eq!(order, ["first", "second", "first", "second"]);
    // Nothing is old that ended later than now.
    let swept = bench.store.sweep(Retention::all(Some(HOUR))).await.unwrap();
    assert_eq!(swept.jobs(), 0);
}

pub(crate) async fn deliveries_outlast_a_clock_that_goes_back(bench: &Bench) {
    bench.submit(job("first")).await;
    let outbox = bench.store.outbox();
    let told = outbox.due(bench.now(), 9).await.unwrap().remove(0);
    let later = bench.now().after(Duration::from_secs(2));
    outbox.failed(told.id, "refused", later).await.unwrap();
    bench.clock.go_back(3 * HOUR);
    bench.submit(job("second")).await;
    let due = async || {
        let due = outbox.due(bench.now(), 9).await.unwrap();
        let mut ids: Vec<String> = due.into_iter().map(|it| it.event_id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(due().await, ["second/1"]);
    assert_eq!(outbox.next_due().await.unwrap(), Some(bench.now()));
    bench.clock.advance(4 * HOUR);
    assert_eq!(due().await, ["first/1", "second/1"]);
}

pub(crate) async fn a_clock_that_leaps_forward_ends_windows_and_nothing_else(bench: &Bench) {
    let log = bench.submit(job("running")).await;
    let ended = bench.submit(job("ended")).await;
    ended.append(batch(1, [completed()])).await.unwrap();
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    bench.clock.advance(10 * 365 * 24 * HOUR);
    let swept = bench.store.sweep(Retention::all(Some(HOUR))).await.unwrap();
    assert_eq!(swept.jobs(), 1);
    // What runs is driven by who drove it, with its secrets, and what was not delivered is kept.
    log.append(batch(2, [completed()])).await.unwrap();
    assert_eq!(events(bench, "running").await.len(), 3);
    let due = bench.store.outbox().due(bench.now(), 9).await.unwrap();
    assert_eq!(due.len(), 2, "{due:?}");
}

pub(crate) async fn events_are_paged(bench: &Bench) {
    let log = bench.submit(job("a")).await;
    let many = (0..10).map(|n| Event::StepSkipped {
        step: n.to_string(),
    });
    log.append(batch(1, many)).await.unwrap();
    let page = bench.store.events("a", 4, 3).await.unwrap();
    let seqs: Vec<u64> = page.records.iter().map(|it| it.seq).collect();
    assert_eq!((seqs, page.more), (vec![5, 6, 7], true));
    assert!(!bench.store.events("a", 4, 8).await.unwrap().more);
    let after = bench.store.events("a", 11, 3).await.unwrap();
    assert_eq!((after.records, after.more), (vec![], false));
}

pub(crate) async fn the_last_event_erases_the_secrets(bench: &Bench) {
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    assert_eq!(bench.store.secrets("a").await.unwrap().len(), 1);
    assert_eq!(bench.store.unfinished().await.unwrap().len(), 1);
    log.append(batch(2, [completed()])).await.unwrap();
    assert_eq!(bench.store.secrets("a").await.unwrap(), []);
    assert_eq!(bench.store.unfinished().await.unwrap(), []);
    let ended = bench.store.job("a").await.unwrap();
    assert_eq!(ended.summary.status, JobStatus::Completed);
    assert!(ended.summary.completed_at.is_some());
}

pub(crate) async fn what_is_learned_is_kept_for_session_and_worker(bench: &Bench) {
    let log = bench.submit(job("a")).await;
    let first = learned(serde_json::json!({"lab_id": "x", "title": "old"}));
    let sealed = learned(serde_json::json!({"title": "new", "token": "\u{F8F0}0\u{F8F1}"}));
    log.append(batch(1, [first])).await.unwrap();
    log.append(batch(2, [sealed])).await.unwrap();
    let facts = |session: &'static str, worker: Option<&'static str>| async move {
        let facts = bench.store.session_facts(session, worker).await.unwrap();
        serde_json::Value::Object(facts)
    };
    assert_eq!(
        facts("session", Some("10.0.0.9")).await,
        serde_json::json!({"lab_id": "x", "title": "new", "token": "***"})
    );
    assert_eq!(facts("session", None).await, serde_json::json!({}));
    assert_eq!(
        facts("other", Some("10.0.0.9")).await,
        serde_json::json!({})
    );
    let worker = bench.store.session_worker("session").await.unwrap();
    assert_eq!(worker.as_deref(), Some("10.0.0.9"));
}

pub(crate) async fn jobs_are_listed_newest_first(bench: &Bench) {
    for n in 0..7 {
        let new = job_with(&n.to_string(), |it| {
            it.phase = Some(if n % 2 == 0 { "grade" } else { "init" }.to_owned());
            it.session_id = (n != 6).then(|| "session".to_owned());
        });
        bench.submit(new).await;
    }
    let log = bench.store.log("4").await.unwrap();
    log.append(batch(1, [completed()])).await.unwrap();
    let grade = || JobFilter {
        phase: Some("grade".to_owned()),
        ..JobFilter::default()
    };
    let cases = [
        (JobFilter::default(), "6 5 4 3 2 1 0"),
        (grade(), "6 4 2 0"),
        (
            JobFilter {
                session_id: Some("session".to_owned()),
                ..grade()
            },
            "4 2 0",
        ),
        (
            JobFilter {
                status: Some(JobStatus::Accepted),
                ..grade()
            },
            "6 2 0",
        ),
        (
            JobFilter {
                definition_id: Some("other".to_owned()),
                ..grade()
            },
            "",
        ),
    ];
    for (filter, expected) in cases {
        let mut ids = Vec::new();
        let mut cursor = None;
        loop {
            let page = bench.store.jobs(&filter, 2, cursor).await.unwrap();
            assert!(page.items.len() <= 2);
            ids.extend(page.items.into_iter().map(|it| it.id));
            let Some(next) = page.next else { break };
            cursor = Some(next.to_string().parse::<Cursor>().unwrap());
        }
        assert_eq!(ids.join(" "), expected, "{filter:?}");
    }
}

pub(crate) async fn commits_are_told(bench: &Bench) {
    let mut changes = bench.store.changes();
    let mut committed = bench.store.committed();
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    assert!(log.append(batch(0, [Event::JobStarted])).await.is_err());
    assert!(changes.has_changed().unwrap());
    let seen = *changes.borrow_and_update();
    // Where there are other engines, it may have been one of them.
    assert!(seen.deliveries >= 2, "{seen:?}");
    let told = [
        committed.recv().await.unwrap(),
        committed.recv().await.unwrap(),
    ];
    assert!(committed.try_recv().is_err());
    let stored = bench.store.events_since(0, 10).await.unwrap();
    for (stored, told) in stored.iter().zip(&told) {
        assert_eq!(**told, news(stored));
    }
    assert_eq!(stored.len(), told.len());
    let newest = stored[1].position;
    // Each commit may have been told on its own.
    let reached = changes.wait_for(|it| it.events >= newest).await.unwrap();
    assert_eq!(reached.events, newest);
    drop(reached);
    assert_eq!(bench.store.events_since(newest, 10).await.unwrap(), []);
}

pub(crate) async fn it_answers_until_it_is_closed(bench: &Bench) {
    bench.store.ping().await.unwrap();
    bench.store.close().await;
    let outcome = bench.store.submit(job("a")).await;
    assert!(
        matches!(outcome, Err(Error::Unavailable { .. })),
        "{outcome:?}"
    );
}

async fn the_first_name_that_is_known_decides(bench: &Bench) {
    let name = |key: &str, hash: Option<&str>| (key.to_owned(), hash.map(str::to_owned));
    let submit = async |id: &str, names: &[(String, Option<String>)]| {
        let submitted = bench
            .store
            .submit_named(job(id), Vec::new(), names.to_vec());
        submitted.await.unwrap()
    };
    let existing = |id: &str, same_request| Submitted::Existing {
        job_id: id.to_owned(),
        same_request,
    };
    let (key, alone) = (name("k", Some("x")), name("a\0", None));
    assert_eq!(
        submit("first", &[key.clone(), alone.clone()]).await,
        Submitted::New
    );
    assert_eq!(
        submit("second", &[name("l", Some("x"))]).await,
        Submitted::New
    );
    for (names, expected) in [
        (vec![key.clone()], existing("first", true)),
        (vec![alone.clone()], existing("first", true)),
        (
            vec![name("k", Some("y")), alone.clone()],
            existing("first", false),
        ),
        (
            vec![name("l", Some("x")), alone.clone()],
            existing("second", true),
        ),
        (vec![name("m", Some("x")), alone], existing("first", true)),
    ] {
        let found = bench.store.first_job(names.clone()).await.unwrap();
        assert_eq!(found.as_ref(), Some(&expected), "{names:?}");
        assert_eq!(submit("third", &names).await, expected, "{names:?}");
    }
    for names in [vec![], vec![name("m", None)]] {
        assert_eq!(bench.store.first_job(names).await.unwrap(), None);
    }
    bench.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(bench.store.first_job(vec![key]).await.unwrap(), None);
}
