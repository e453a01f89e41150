//! The receiver of CloudEvents.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use se_testkit::sim::{Sink, SinkOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";

fn event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t", "data": {"n": 1}})
}

/// Delivers a body and gives the answer's status.
async fn deliver(sink: &Sink, kind: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(sink.address()).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST /events HTTP/1.1\r\nHost: sink\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn sink(fail_rate: f64) -> Sink {
    let options = SinkOptions {
        fail_rate,
        print: false,
    };
    Sink::start(("127.0.0.1", 0), options).await.unwrap()
}

#[tokio::test]
async fn structured_events_are_kept_in_order() {
    let sink = sink(0.0).await;
    assert!(sink.url().starts_with("http://127.0.0.1:"));
    for id in ["a", "b", "a"] {
        assert_eq!(
            deliver(&sink, STRUCTURED, &event(id).to_string()).await,
            202
        );
    }
    let waited = tokio::time::timeout(Duration::from_secs(5), sink.wait_for(3)).await;
    assert!(waited.is_ok());
    assert_eq!(sink.events(), [event("a"), event("b"), event("a")]);
}

#[tokio::test]
async fn what_is_no_structured_event_is_refused() {
    let sink = sink(0.0).await;
    let mut nameless = event("");
    let mut old = event("a");
    old["specversion"] = json!("0.3");
    for (kind, body, status) in [
        ("application/json", event("a").to_string(), 415),
        (STRUCTURED, "{".to_owned(), 400),
        (STRUCTURED, nameless.take().to_string(), 400),
        (STRUCTURED, event("").to_string(), 400),
        (STRUCTURED, old.to_string(), 400),
    ] {
        assert_eq!(deliver(&sink, kind, &body).await, status, "{body}");
    }
    assert_eq!(sink.events(), [] as [Value; 0]);
    assert_eq!(sink.deliveries(), 5);
}

#[tokio::test]
async fn the_fail_rate_refuses_the_same_deliveries_each_time() {
    for (rate, expected) in [
        (0.0, [202; 6]),
        (0.5, [202, 503, 202, 503, 202, 503]),
        (0.34, [202, 202, 503, 202, 202, 503]),
        (1.0, [503; 6]),
    ] {
        let sink = sink(rate).await;
        for (at, status) in expected.into_iter().enumerate() {
            let body = event(&at.to_string()).to_string();
            let found = deliver(&sink, STRUCTURED, &body).await;
            assert_eq!(found, status, "delivery {at} at {rate}");
        }
    }
}
