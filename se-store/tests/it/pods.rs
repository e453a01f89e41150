//! Ports, consoles and transcripts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use se_runtime::{EventLog as _, Timestamp};
use se_store::{Error, Piece, PortRequest, Retention, port_holder};

use crate::bench::{Bench, batch, completed, job, job_with};

fn request(holder: &str, names: &[&str]) -> PortRequest {
    PortRequest {
        worker: "10.0.0.7".to_owned(),
        holder: holder.to_owned(),
        names: names.iter().map(|it| ((*it).to_owned(), None)).collect(),
        range: 2000..=2005,
    }
}

fn fixed(holder: &str, name: &str, port: u16) -> PortRequest {
    PortRequest {
        names: BTreeMap::from([(name.to_owned(), Some(port))]),
        ..request(holder, &[])
    }
}

pub(crate) async fn ports_are_given_once_and_again_to_who_has_them(bench: &Bench) {
    let store = &bench.store;
    let first = store.allocate_ports(request("s1", &["a", "b"])).await;
    let first = first.unwrap();
    assert_eq!(first.values().copied().collect::<Vec<_>>(), [2000, 2001]);
    let other = store.allocate_ports(request("s2", &["a"])).await.unwrap();
    assert_eq!(other["a"], 2002);
    let again = store.allocate_ports(request("s1", &["a", "b", "c"])).await;
    let again = again.unwrap();
    assert_eq!((again["a"], again["b"], again["c"]), (2000, 2001, 2003));
    let elsewhere = PortRequest {
        worker: "10.0.0.8".to_owned(),
        ..request("s2", &["x"])
    };
    assert_eq!(store.allocate_ports(elsewhere).await.unwrap()["x"], 2000);
    assert_eq!(store.held_ports("10.0.0.7", "s1").await.unwrap(), again);
}

pub(crate) async fn ports_are_given_all_or_none_and_come_back(bench: &Bench) {
    let store = &bench.store;
    for (holder, names) in [("s1", &["a", "b", "c"][..]), ("s2", &["a"])] {
        store.allocate_ports(request(holder, names)).await.unwrap();
    }
    let many = store.allocate_ports(request("s3", &["a", "b", "c"])).await;
    let error = many.unwrap_err().to_string();
    assert!(error.contains("no port from 2000 to 2005"), "{error}");
    assert!(store.held_ports("10.0.0.7", "s3").await.unwrap().is_empty());
    let one = BTreeSet::from(["b".to_owned()]);
    for (names, count) in [(Some(one), 1), (None, 2), (None, 0)] {
        let gone = store.release_ports("10.0.0.7", "s1", names).await;
        assert_eq!(gone.unwrap(), count);
    }
    let many = store.allocate_ports(request("s3", &["a", "b", "c"])).await;
    assert_eq!(many.unwrap()["a"], 2000);
}

pub(crate) async fn a_port_that_must_be_one_is_nobody_elses(bench: &Bench) {
    let store = &bench.store;
    let given = store.allocate_ports(fixed("s1", "a", 5041)).await.unwrap();
    assert_eq!(given["a"], 5041);
    let again = store.allocate_ports(fixed("s1", "a", 5041)).await.unwrap();
    assert_eq!(again["a"], 5041);
    let error = store.allocate_ports(fixed("s2", "z", 5041)).await;
    assert!(matches!(error, Err(Error::Conflict { .. })), "{error:?}");
    let error = store.allocate_ports(fixed("s1", "b", 5041)).await;
    assert!(matches!(error, Err(Error::Conflict { .. })), "{error:?}");
    // A name moves to another port.
    store.allocate_ports(fixed("s1", "a", 2000)).await.unwrap();
    let moved = store.held_ports("10.0.0.7", "s1").await.unwrap();
    assert_eq!(moved, BTreeMap::from([("a".to_owned(), 2000)]));
    // One of the range that is wanted is not given to another name beside it.
    let both = PortRequest {
        names: BTreeMap::from([("x".to_owned(), None), ("y".to_owned(), Some(2001))]),
        ..request("s2", &[])
    };
    let both = store.allocate_ports(both).await.unwrap();
    assert_eq!((both["x"], both["y"]), (2002, 2001));
}

pub(crate) async fn no_port_is_given_twice_at_the_same_time(bench: &Bench) {
    let all = (0..20).map(|at| {
        let store = bench.store.clone();
        let holder = format!("s{at}");
        async move {
            let wide = PortRequest {
                range: 3000..=3099,
                ..request(&holder, &["a", "b", "c"])
            };
            store.allocate_ports(wide).await.unwrap()
        }
    });
    let given: Vec<u16> = join_all(all)
        .await
        .into_iter()
        .flat_map(BTreeMap::into_values)
        .collect();
    let different: BTreeSet<u16> = given.iter().copied().collect();
    assert_eq!((given.len(), different.len()), (60, 60));
}

fn wide(holder: &str) -> PortRequest {
    PortRequest {
        range: 3000..=3099,
        ..request(holder, &["a"])
    }
}

pub(crate) async fn ports_of_forgotten_sessions_are_free_again(bench: &Bench) {
    let store = &bench.store;
    store.allocate_ports(request("s1", &["a"])).await.unwrap();
    // A session with a job that runs, and such a job without a session, keep theirs.
    let of_session = job_with("j1", |it| it.session_id = Some("s3".to_owned()));
    let alone = job_with("j2", |it| it.session_id = None);
    store.submit(of_session).await.unwrap();
    store.submit(alone).await.unwrap();
    for (job, session) in [("j1", Some("s3")), ("j2", None)] {
        for part in [None, Some("core")] {
            let holder = port_holder(job, session, part);
            store.allocate_ports(wide(&holder)).await.unwrap();
        }
    }
    let of_none = port_holder("j3", None, Some("core"));
    store.allocate_ports(wide(&of_none)).await.unwrap();
    bench.clock.advance(Duration::from_secs(3600));
    store.allocate_ports(request("s2", &["a"])).await.unwrap();
    let keep = Retention {
        facts: Some(Duration::from_secs(1800)),
        ..Retention::default()
    };
    store.sweep(keep).await.unwrap();
    for (holder, held) in [
        ("s1", 0),
        ("s2", 1),
        ("s3", 1),
        ("s3 core", 1),
        ("job j2", 1),
        ("job j2 core", 1),
        ("job j3 core", 0),
    ] {
        let ports = store.held_ports("10.0.0.7", holder).await.unwrap();
        assert_eq!(ports.len(), held, "{holder}");
    }
}

pub(crate) async fn a_console_is_taken_and_left(bench: &Bench) {
    let store = &bench.store;
    assert!(store.take_console("10.0.0.7:5041", "j1").await.unwrap());
    // The same engine keeps its own jobs apart by itself.
    assert!(store.take_console("10.0.0.7:5041", "j2").await.unwrap());
    assert!(store.wanted_consoles().await.unwrap().is_empty());
    store.leave_console("10.0.0.7:5041").await.unwrap();
    store.leave_console("10.0.0.7:5041").await.unwrap();
    assert!(store.take_console("10.0.0.7:5041", "j1").await.unwrap());
}

pub(crate) async fn transcripts_are_kept_with_their_job(bench: &Bench) {
    let store = &bench.store;
    let log = bench.submit(job("a")).await;
    let piece = |connector: &str, second, text: &str| Piece {
        connector: connector.to_owned(),
        at: Timestamp::from_micros(second),
        text: text.to_owned(),
    };
    let pieces = vec![piece("r1", 1, "one\n"), piece("r2", 2, "größe\0\n")];
    store.keep_transcripts("a", pieces).await.unwrap();
    let more = vec![piece("r1", 3, "two\n")];
    store.keep_transcripts("a", more).await.unwrap();
    let listed: Vec<_> = store.transcripts("a").await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|it| (it.connector.as_str(), it.bytes, it.at.micros()))
        .collect();
    assert_eq!(listed, [("r1", 8, 3), ("r2", 8, 2)]);
    for (connector, text) in [
        ("r1", Some("one\ntwo\n")),
        ("r2", Some("größe\n")),
        ("r3", None),
    ] {
        let kept = store.transcript("a", connector).await.unwrap();
        assert_eq!(kept.as_deref(), text);
    }
    let nobody = store
        .keep_transcripts("b", vec![piece("r1", 1, "x\n")])
        .await;
    assert!(matches!(nobody, Err(Error::NotFound { .. })), "{nobody:?}");
    log.append(batch(1, [completed()])).await.unwrap();
    bench.submit(job("newer")).await;
    bench.clock.advance(Duration::from_secs(60));
    let swept = store.sweep(Retention::all(Some(Duration::ZERO))).await;
    assert_eq!(swept.unwrap().jobs(), 1);
    assert!(store.transcripts("a").await.unwrap().is_empty());
}
