//! What is old goes by itself, and is counted.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::future::BoxFuture;
use se_runtime::{Clock, Timestamp};
use se_server::config::Config;
use se_server::{Engine, World, app};
use serde_json::json;
use tower::ServiceExt as _;

use crate::harness::Service;
use crate::process::KEY;

/// The machine's clock, so many days ahead.
pub(crate) struct Ahead(Arc<dyn Clock>, u64);

impl Ahead {
    /// The world with such a clock.
    pub(crate) fn days(days: u64) -> World {
        let system = World::system();
        World {
            clock: Arc::new(Self(Arc::clone(&system.clock), days)),
            ..system
        }
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let days = Duration::from_secs(self.1 * 24 * 60 * 60);
        self.0.now().after(days)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(at.since(self.now())))
    }
}

#[tokio::test]
async fn ended_jobs_are_deleted_after_their_days_and_counted() {
    let service = Service::ready(|_| {}).await;
    let ended = service.submit("judge", json!({})).await;
    service.followed(&ended).await;
    let running = service.submit("wait", json!({})).await;
    service.reaches(&running, "step_started", "long").await;
    service.engine.stop().await;
    let folder = Arc::clone(&service.folder);
    drop(service);
    for (days, left) in [(29, true), (31, false)] {
        let mut config = Config::default();
        config.store.data_dir = folder.path().join("data");
        config.store.url = folder.store();
        config.sealing.key = folder.store().map(|_| se_runtime::Secret::new(KEY));
        config.store.keep_completed_days = Some(30.0);
        let engine = Engine::open(config, Ahead::days(days)).await.unwrap();
        engine.start();
        let counted = format!(
            "se_jobs_deleted_total{{status=\"completed\"}} {}",
            u8::from(!left)
        );
        let told = tokio::time::timeout(Duration::from_secs(30), told(&engine, &counted)).await;
        told.unwrap_or_else(|_| panic!("{counted} is never told"));
        assert!(engine.store().job(&running).await.is_ok());
        engine.stop().await;
        let service = Service::again(Arc::clone(&folder), |_| {}).await;
        assert_eq!(service.engine.store().job(&ended).await.is_ok(), left);
        service.engine.stop().await;
    }
}

/// Ends when the metrics say so.
async fn told(engine: &Arc<Engine>, line: &str) {
    while !metrics(engine).await.contains(line) {
        tokio::task::yield_now().await;
    }
}

async fn metrics(engine: &Arc<Engine>) -> String {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = app(Arc::clone(engine)).oneshot(request).await.unwrap();
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}
