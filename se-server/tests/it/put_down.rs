//! Jobs that only wait are put down, and nobody can tell.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_runtime::{Clock, Event, Timestamp};
use se_server::World;
use serde_json::json;

use crate::harness::{PATIENCE, Service};
use crate::secrets::Log;

/// How long the step `long` takes.
const PAUSE: Duration = Duration::from_secs(3600);

/// A clock that is ahead of the others.
struct Ahead(Arc<dyn Clock>, Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now().after(self.1)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        self.0.sleep_until(self.0.now().after(at.since(self.now())))
    }
}

async fn is_put_down(log: &Log, job: &str) {
    let said = async {
        let says = |line: &str| line.contains("job put down") && line.contains(job);
        while !log.text().lines().any(says) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let said = tokio::time::timeout(PATIENCE, said).await;
    assert!(said.is_ok(), "{job} is not put down");
}

#[tokio::test]
async fn a_job_in_a_long_pause_is_put_down_and_cancelled_at_once() {
    let log = Log::of_this_process();
    let service = Service::ready(|_| {}).await;
    let id = service.submit("wait", json!({})).await;
    is_put_down(&log, &id).await;
    let path = format!("/api/v1/jobs/{id}");
    let (_, job) = service.get(&path).await;
    assert_eq!(job["status"], "running", "{job}");
    assert_eq!(service.engine.gauges().running, 1, "it keeps its place");
    assert!(!log.text().contains("job left its driver"));
    assert_eq!(service.call("DELETE", &path, "").await.0, 204);
    let stream = tokio::time::timeout(Duration::from_secs(2), service.followed(&id)).await;
    let stream = stream.expect("it is cancelled within two seconds");
    assert!(stream.contains("event: job.cancelled"), "{stream}");
}

#[tokio::test]
async fn a_job_that_was_put_down_counts_its_limit() {
    let log = Log::of_this_process();
    let service = Service::ready(|config| config.jobs.default_timeout = 3).await;
    let id = service.submit("wait", json!({})).await;
    is_put_down(&log, &id).await;
    let stream = service.followed(&id).await;
    assert!(stream.contains("jobs.default_timeout (3 s)"), "{stream}");
}

#[tokio::test]
async fn a_job_that_was_put_down_is_drained_and_goes_on_in_time() {
    let log = Log::of_this_process();
    let service = Service::ready(|_| {}).await;
    let id = service.submit("wait", json!({})).await;
    is_put_down(&log, &id).await;
    let stopped = tokio::time::timeout(Duration::from_secs(20), service.engine.stop()).await;
    assert!(stopped.is_ok(), "the engine stops in time");
    let folder = Arc::clone(&service.folder);
    drop(service);
    let system = World::system();
    let ahead = PAUSE.saturating_sub(Duration::from_secs(2));
    let world = World {
        clock: Arc::new(Ahead(Arc::clone(&system.clock), ahead)),
        ..system
    };
    let service = Service::in_world(folder, world, |_| {}).await;
    service.followed(&id).await;
    let events = service.engine.store().events(&id, 0, 100).await.unwrap();
    let at = |begins: bool| {
        let mut found = events.records.iter().filter(|it| match &it.event {
            Event::StepStarted { step, .. } => begins && step == "long",
            Event::StepCompleted { step, .. } => !begins && step == "long",
            _ => false,
        });
        let at = found.next().unwrap().at;
        assert!(found.next().is_none(), "once");
        at
    };
    let due = at(true).after(PAUSE);
    assert!(at(false) >= due, "{} is before {due}", at(false));
    service.engine.stop().await;
}
