//! What every database must do with deliveries.

use std::time::Duration;

use proptest::prelude::{ProptestConfig, prop};
use proptest::proptest;
use se_runtime::{Event, EventLog};
use se_store::{Delivery, DeliveryStatus, Error, Retention};

use crate::bench::{Bench, batch, job, job_with};
use crate::sqlite::{sql, url};

async fn due(bench: &Bench) -> Vec<Delivery> {
    bench.store.outbox().due(bench.now(), 100).await.unwrap()
}

async fn due_ids(bench: &Bench) -> String {
    let due = due(bench).await;
    let ids: Vec<String> = due.into_iter().map(|it| it.event_id).collect();
    ids.join(" ")
}

/// A job with three events: its acceptance and two more.
async fn three_events(bench: &Bench, id: &str) {
    let log = bench.submit(job(id)).await;
    let more = [Event::JobStarted, Event::JobStarted];
    log.append(batch(1, more)).await.unwrap();
}

pub(crate) async fn deliveries_of_a_job_are_due_one_after_the_other(bench: &Bench) {
    three_events(bench, "a").await;
    three_events(bench, "b").await;
    assert_eq!(due_ids(bench).await, "a/1 b/1");
    let outbox = bench.store.outbox();
    let first = due(bench).await.remove(0);
    assert!(first.body.contains("job_accepted"));
    bench.clock.advance(Duration::from_millis(1));
    outbox.delivered(first.id).await.unwrap();
    assert_eq!(due_ids(bench).await, "b/1 a/2");
    let again = outbox.delivered(first.id).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
}

pub(crate) async fn a_failed_attempt_is_due_again_later_and_holds_back_the_rest(bench: &Bench) {
    three_events(bench, "a").await;
    let outbox = bench.store.outbox();
    let first = due(bench).await.remove(0);
    let later = bench.now().after(Duration::from_secs(2));
    outbox.failed(first.id, "refused", later).await.unwrap();
    assert_eq!(due_ids(bench).await, "");
    assert_eq!(outbox.next_due().await.unwrap(), Some(later));
    bench.clock.advance(Duration::from_secs(2));
    let again = due(bench).await.remove(0);
    assert_eq!(again.event_id, "a/1");
    assert_eq!(
        (again.attempts, again.error.as_deref()),
        (1, Some("refused"))
    );
}

pub(crate) async fn dead_letters_let_the_rest_pass_and_can_be_sent_again(bench: &Bench) {
    three_events(bench, "a").await;
    let outbox = bench.store.outbox();
    let first = due(bench).await.remove(0);
    outbox.dead(first.id, "gave up").await.unwrap();
    assert_eq!(due_ids(bench).await, "a/2");
    let dead = outbox
        .list(Some(DeliveryStatus::Dead), 9, None)
        .await
        .unwrap();
    assert_eq!(dead.items.len(), 1);
    assert_eq!(dead.items[0].error.as_deref(), Some("gave up"));
    outbox.resend(first.id).await.unwrap();
    // The head is on its way: the one sent again is next.
    let head = due(bench).await.remove(0);
    assert_eq!(head.event_id, "a/2");
    outbox.delivered(head.id).await.unwrap();
    assert_eq!(due_ids(bench).await, "a/1");
}

pub(crate) async fn only_what_was_given_up_can_be_sent_again(bench: &Bench) {
    three_events(bench, "a").await;
    let outbox = bench.store.outbox();
    let first = due(bench).await.remove(0);
    let twice = outbox.resend(first.id).await;
    assert!(matches!(twice, Err(Error::Conflict { .. })), "{twice:?}");
    let none = outbox.resend(999).await;
    assert!(matches!(none, Err(Error::NotFound { .. })), "{none:?}");
}

pub(crate) async fn a_receiver_that_is_gone_gets_nothing_more_of_the_stream(bench: &Bench) {
    three_events(bench, "a").await;
    let other = job_with("b", |it| {
        it.callback_url = Some("http://127.0.0.1:9/other".to_owned())
    });
    bench.submit(other).await;
    let outbox = bench.store.outbox();
    let first = due(bench).await.remove(0);
    outbox.gone(first.id, "410 Gone").await.unwrap();
    let log = bench.store.log("a").await.unwrap();
    log.append(batch(3, [Event::JobStarted])).await.unwrap();
    assert_eq!(due_ids(bench).await, "b/1");
    let gone = outbox
        .list(Some(DeliveryStatus::Gone), 9, None)
        .await
        .unwrap();
    assert_eq!(gone.items.len(), 4);
    // All have ended, also what was not wanted before it was put in: they can go.
    let open = gone.items.iter().find(|it| it.ended_at.is_none());
    assert_eq!(open, None);
    bench.clock.advance(Duration::from_secs(120));
    let old = Retention {
        delivered: Some(Duration::from_secs(60)),
        ..Retention::default()
    };
    assert_eq!(bench.store.sweep(old).await.unwrap().delivered, 4);
}

#[tokio::test]
async fn what_former_engines_put_in_as_gone_goes_too() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(&url(folder.path())).await;
    three_events(&bench, "a").await;
    let first = due(&bench).await.remove(0);
    let outbox = bench.store.outbox();
    outbox.gone(first.id, "410 Gone").await.unwrap();
    bench.store.close().await;
    sql(
        folder.path(),
        "UPDATE deliveries SET ended_at = NULL WHERE event_id = 'a/3'",
    )
    .await;
    let bench = Bench::open(&url(folder.path())).await;
    bench.clock.advance(Duration::from_secs(120));
    let old = Retention {
        delivered: Some(Duration::from_secs(60)),
        ..Retention::default()
    };
    assert_eq!(bench.store.sweep(old).await.unwrap().delivered, 3);
    bench.store.close().await;
}

pub(crate) async fn deliveries_are_paged_newest_first(bench: &Bench) {
    three_events(bench, "a").await;
    let outbox = bench.store.outbox();
    let page = outbox.list(None, 2, None).await.unwrap();
    let ids = |items: &[Delivery]| {
        items
            .iter()
            .map(|it| it.event_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&page.items), ["a/3", "a/2"]);
    let rest = outbox.list(None, 2, page.next).await.unwrap();
    assert_eq!(ids(&rest.items), ["a/1"]);
    assert_eq!(rest.next, None);
}

/// What happens to the outbox: an event of a job, or an outcome for the n-th delivery that is due.
async fn happen(bench: &Bench, what: u8, which: usize) {
    let outbox = bench.store.outbox();
    let due = due(bench).await;
    let chosen = due.get(which % due.len().max(1)).map(|it| it.id);
    match (what, chosen) {
        (0..=2, _) => {
            let id = if which.is_multiple_of(2) { "a" } else { "b" };
            let after = bench.store.job(id).await.unwrap().last_seq;
            let log = bench.store.log(id).await.unwrap();
            log.append(batch(after, [Event::JobStarted])).await.unwrap();
        }
        (3 | 4, Some(id)) => outbox.delivered(id).await.unwrap(),
        (5, Some(id)) => outbox.dead(id, "dead").await.unwrap(),
        (6, Some(id)) => {
            let later = bench.now().after(Duration::from_secs(1));
            outbox.failed(id, "failed", later).await.unwrap();
        }
        (7, Some(id)) if which == 7 => outbox.gone(id, "gone").await.unwrap(),
        (8, _) => {
            let all = outbox
                .list(Some(DeliveryStatus::Dead), 99, None)
                .await
                .unwrap();
            if let Some(dead) = all.items.get(which % all.items.len().max(1)) {
                outbox.resend(dead.id).await.unwrap();
            }
        }
        _ => bench.clock.advance(Duration::from_secs(1)),
    }
}

/// Each stream that has something to send has exactly one head, and the head is its oldest.
async fn every_stream_has_one_head(bench: &Bench) {
    let all = bench
        .store
        .outbox()
        .list(None, 999, None)
        .await
        .unwrap()
        .items;
    let events: usize = bench.store.events_since(0, 999).await.unwrap().len();
    assert_eq!(all.len(), events, "an event without its delivery, or twice");
    for stream in ["jobs/a", "jobs/b"] {
        let open = |status| {
            let of_stream = all.iter().filter(move |it| it.stream == stream);
            of_stream.filter(move |it| it.status == status).count()
        };
        let (heads, waiting) = (open(DeliveryStatus::Pending), open(DeliveryStatus::Waiting));
        assert!(
            heads == 1 || (heads == 0 && waiting == 0),
            "{stream}: {heads}, {waiting}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_stuck_or_lost_whatever_happens(all in prop::collection::vec((0_u8..10, 0_usize..8), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::open("sqlite::memory:").await;
            bench.submit(job("a")).await;
            bench.submit(job("b")).await;
            for (what, which) in all {
                happen(&bench, what, which).await;
                every_stream_has_one_head(&bench).await;
            }
        });
    }
}
