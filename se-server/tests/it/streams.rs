//! Event streams: from the start, from where a reader was, to the end.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::harness::{Service, changed, text, zip};

fn field<'a>(stream: &'a str, name: &str) -> Vec<&'a str> {
    let prefix = format!("{name}: ");
    stream
        .lines()
        .filter_map(|it| it.strip_prefix(prefix.as_str()))
        .collect()
}

#[tokio::test]
async fn a_stream_replays_goes_on_and_ends_with_the_job() {
    let service = Service::ready(|_| {}).await;
    let id = service.submit("judge", json!({"session_id": "s"})).await;
    let live = service.followed(&id).await;
    let replayed = service.followed(&id).await;
    assert_eq!(live, replayed);
    let kinds = field(&live, "event");
    assert_eq!(
        (kinds.first(), kinds.last()),
        (Some(&"job.accepted"), Some(&"job.completed"))
    );
    let numbers: Vec<u64> = field(&live, "id")
        .iter()
        .map(|it| it.parse().unwrap())
        .collect();
    assert!(numbers.is_sorted() && numbers[0] == 1, "{numbers:?}");
    for (data, kind) in field(&live, "data").iter().zip(&kinds) {
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(event["type"], format!("io.lcm.se.{kind}"));
        assert_eq!(
            (&event["specversion"], &event["subject"]),
            (&json!("1.0"), &json!("s"))
        );
    }
    let after = numbers[2];
    let request = Request::get(format!("/api/v1/jobs/{id}/stream"));
    let request = request
        .header("Last-Event-ID", after.to_string())
        .body(Body::empty())
        .unwrap();
    let rest = text(service.raw(request).await).await;
    let rest: Vec<u64> = field(&rest, "id")
        .iter()
        .map(|it| it.parse().unwrap())
        .collect();
    assert_eq!(rest, numbers[3..]);
}

#[tokio::test]
async fn a_reader_that_has_seen_everything_gets_an_end_and_not_a_wait() {
    let service = Service::ready(|_| {}).await;
    let id = service.submit("judge", json!({"session_id": "s"})).await;
    let last = field(&service.followed(&id).await, "id").len() + 5;
    for seen in [last, 1_000_000] {
        let request = Request::get(format!("/api/v1/jobs/{id}/stream"));
        let request = request.header("Last-Event-ID", seen.to_string());
        let rest = text(service.raw(request.body(Body::empty()).unwrap()).await).await;
        assert_eq!(field(&rest, "id"), [""; 0], "{rest}");
    }
}

#[tokio::test]
async fn a_reader_that_falls_behind_misses_nothing() {
    let service = Service::with(|_| {}).await;
    let step = |n: usize| format!("    - {{id: s{n}, uses: pause@v1, with: {{seconds: 0}}}}\n");
    let steps: String = (0..100).map(step).collect();
    let judge = format!(
        "apiVersion: pav1\nkind: JobDefinition\nmetadata: {{name: judge, version: v1}}\nspec:\n\
         \x20 process_type: Initialization\n  steps:\n{steps}"
    );
    let documents = changed("jobs/judge.yaml", &judge);
    let uri = zip(service.folder.path(), "long.zip", &documents);
    let body = json!({"definition_id": "tiny", "version": "1", "s3_uri": uri});
    assert_eq!(
        service.post("/api/v1/content/sync", body).await.1["status"],
        "ready"
    );
    let id = service.submit("judge", json!({})).await;
    let open = async |path: String| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        service.raw(request).await.into_body().into_data_stream()
    };
    // Both follow from its first event, and read nothing more until it has ended.
    let mut slow = open(format!("/api/v1/jobs/{id}/stream")).await;
    let mut all = open("/api/v1/events/stream".to_owned()).await;
    let mut seen = slow.next().await.unwrap().unwrap().to_vec();
    let mut all_seen = all.next().await.unwrap().unwrap().to_vec();
    let whole = service.followed(&id).await;
    while let Some(chunk) = slow.next().await {
        seen.extend(chunk.unwrap());
    }
    let seen = String::from_utf8(seen).unwrap();
    assert_eq!(field(&seen, "id"), field(&whole, "id"));
    assert!(field(&seen, "id").len() > 200);
    let last = field(&whole, "data").pop().unwrap();
    while !all_seen.windows(last.len()).any(|it| it == last.as_bytes()) {
        all_seen.extend(all.next().await.unwrap().unwrap());
    }
    let all_seen = String::from_utf8(all_seen).unwrap();
    assert_eq!(field(&all_seen, "data"), field(&whole, "data"));
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let service = Service::ready(|_| {}).await;
    let id = service.submit("wait", json!({})).await;
    service.reaches(&id, "step_started", "long").await;
    let mut bodies = Vec::new();
    for path in [
        format!("/api/v1/jobs/{id}/stream"),
        "/api/v1/events/stream".to_owned(),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let mut body = service.raw(request).await.into_body().into_data_stream();
        let first = body.next().await.unwrap().unwrap();
        assert!(first.starts_with(b"id: "), "{first:?}");
        bodies.push(body);
    }
    service.engine.stop().await;
    for mut body in bodies {
        while let Some(chunk) = body.next().await {
            chunk.unwrap();
        }
    }
}

#[tokio::test]
async fn the_stream_of_all_jobs_is_filtered_and_goes_on() {
    let service = Service::ready(|_| {}).await;
    let other = service
        .submit("judge", json!({"session_id": "other"}))
        .await;
    service.followed(&other).await;
    let request = Request::get("/api/v1/events/stream?session_id=mine")
        .body(Body::empty())
        .unwrap();
    let mut body = service.raw(request).await.into_body().into_data_stream();
    let mine = service.submit("judge", json!({"session_id": "mine"})).await;
    let mut seen = String::new();
    while !seen.contains("event: job.completed") {
        let chunk = body.next().await.unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(seen.contains(&mine) && !seen.contains(&other), "{seen}");
}

#[tokio::test]
async fn the_journal_is_paged() {
    let service = Service::ready(|_| {}).await;
    let id = service.submit("judge", json!({})).await;
    service.followed(&id).await;
    let mut seen = 0;
    let mut after = json!(0);
    while !after.is_null() {
        let (_, page) = service
            .get(&format!("/api/v1/jobs/{id}/events?limit=2&after={after}"))
            .await;
        for event in page["events"].as_array().unwrap() {
            seen += 1;
            assert_eq!(event["seq"], seen);
        }
        after = page["next_after"].clone();
    }
    assert!(seen > 4, "{seen}");
}

#[tokio::test]
async fn a_reader_of_all_jobs_that_claims_more_than_there_is_hears_what_comes() {
    let service = Service::ready(|_| {}).await;
    let old = service.submit("judge", json!({})).await;
    service.followed(&old).await;
    // As after a backup was restored.
    let request = Request::get("/api/v1/events/stream")
        .header("last-event-id", "1000000")
        .body(Body::empty())
        .unwrap();
    let mut body = service.raw(request).await.into_body().into_data_stream();
    let new = service.submit("judge", json!({})).await;
    let mut seen = String::new();
    while !seen.contains("event: job.completed") {
        let next = tokio::time::timeout(Duration::from_secs(10), body.next()).await;
        let chunk = next.expect("it says nothing").unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(seen.contains(&new) && !seen.contains(&old), "{seen}");
}
