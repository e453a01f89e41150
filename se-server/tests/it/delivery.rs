//! CloudEvents on their way out: in order, at least once, told apart by their ids.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use se_runtime::cloudevent::Profile;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::Service;

/// Receives events; answers what it is told to first, then 200.
#[derive(Clone, Default)]
struct Sink {
    got: Arc<Mutex<Vec<(u16, Value)>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
    more: Arc<Notify>,
}

impl Sink {
    async fn start(answers: &[u16]) -> (Self, String, impl Drop) {
        let sink = Self::default();
        sink.answers.lock().unwrap().extend(answers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/events", post(receive))
            .with_state(sink.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "a receiver beside the engine under test"
        )]
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let guard = tokio_util::task::AbortOnDropHandle::new(task);
        (sink, url, guard)
    }

    /// Waits for an event of that type that was taken in.
    async fn until(&self, kind: &str) -> Vec<(u16, Value)> {
        loop {
            let more = self.more.notified();
            let got = self.got.lock().unwrap().clone();
            if got
                .iter()
                .any(|(status, it)| *status == 200 && it["type"] == kind)
            {
                return got;
            }
            more.await;
        }
    }
}

async fn receive(State(sink): State<Sink>, headers: HeaderMap, body: String) -> StatusCode {
    assert_eq!(
        headers["content-type"],
        "application/cloudevents+json; charset=utf-8"
    );
    let status = sink.answers.lock().unwrap().pop_front().unwrap_or(200);
    sink.got
        .lock()
        .unwrap()
        .push((status, serde_json::from_str(&body).unwrap()));
    sink.more.notify_waiters();
    sink.more.notify_one();
    StatusCode::from_u16(status).unwrap()
}

#[tokio::test]
async fn events_of_a_job_arrive_in_order_whatever_the_receiver_does() {
    let service = Service::ready(|_| {}).await;
    let (sink, url, _guard) = Sink::start(&[200, 500, 404, 200]).await;
    let id = service
        .submit("judge", json!({"callback_url": url, "metadata": {"m": 1}}))
        .await;
    let got = sink.until("io.lcm.se.job.completed").await;
    let numbers = |all: &[(u16, Value)]| -> Vec<u64> {
        let number = |it: &Value| {
            it["id"]
                .as_str()
                .unwrap()
                .rsplit('-')
                .next()
                .unwrap()
                .parse()
        };
        all.iter().map(|(_, it)| number(it).unwrap()).collect()
    };
    // The second came three times, with one id, before anything behind it.
    let all = numbers(&got);
    assert_eq!(all[1..4], [all[1]; 3], "{all:?}");
    let mut once = all.clone();
    once.dedup();
    assert!(once.windows(2).all(|it| it[0] < it[1]), "{all:?}");
    for (_, event) in &got {
        assert_eq!(
            (&event["data"]["job_id"], &event["data"]["metadata"]),
            (&json!(id), &json!({"m": 1}))
        );
    }
}

#[tokio::test]
async fn gone_stops_a_stream_and_it_can_be_sent_again() {
    let service = Service::ready(|_| {}).await;
    let (sink, url, _guard) = Sink::start(&[410]).await;
    let id = service.submit("judge", json!({"callback_url": url})).await;
    service.followed(&id).await;
    let gone = loop {
        let mut changes = service.engine.store().changes();
        changes.mark_unchanged();
        let (_, all) = service.get("/api/v1/deliveries?status=gone").await;
        let (_, left) = service.get("/api/v1/deliveries?status=pending").await;
        if left["deliveries"] == json!([]) && all["deliveries"] != json!([]) {
            break all["deliveries"].as_array().unwrap().clone();
        }
        changes.changed().await.unwrap();
    };
    assert_eq!(sink.got.lock().unwrap().len(), 1);
    assert!(gone.len() > 1, "what waited is gone too: {gone:?}");
    let first = gone.last().unwrap()["id"].as_i64().unwrap();
    assert_eq!(
        service
            .call("POST", &format!("/api/v1/deliveries/{first}/resend"), "")
            .await
            .0,
        202
    );
    let got = sink.until("io.lcm.se.job.accepted").await;
    assert_eq!(got[0].1["id"], got[1].1["id"]);
}

#[tokio::test]
async fn pod_definitions_are_told_to_the_configured_sink_in_its_profile() {
    let (sink, url, _guard) = Sink::start(&[]).await;
    let _service = Service::ready(|config| {
        config.events.sink = Some(url);
        config.events.profile = Profile::Lcm;
    })
    .await;
    let got = sink.until("scenario_engine.pod_definition.ready.v1").await;
    let data = &got[0].1["data"];
    assert_eq!(
        (&data["pod_definition_id"], &data["name"]),
        (&json!("tiny"), &json!("TINY"))
    );
    assert_eq!(got[0].1["source"], "scenario-engine");
}
