//! What every database must do with pod definitions.

use se_store::{Content, DefinitionKey, DefinitionStatus, Error, Sync, SyncRequest};

use crate::bench::{Bench, SINK};

fn key(text: &str) -> DefinitionKey {
    let (id, version) = text.split_once('@').unwrap();
    DefinitionKey::new(id, version)
}

fn request(text: &str) -> SyncRequest {
    SyncRequest {
        key: key(text),
        source_uri: format!("s3://content/{text}.zip"),
        name: None,
        pod_type: None,
    }
}

fn content(name: &str, hash: &str) -> Content {
    Content {
        name: name.to_owned(),
        pod_type: "cml_on_aws".to_owned(),
        content_hash: hash.to_owned(),
        package_hash: format!("package of {hash}"),
        folder: format!("/content/{hash}"),
        warnings: serde_json::json!(["odd"]),
    }
}

async fn begin(bench: &Bench, text: &str) -> Sync {
    bench
        .store
        .definitions()
        .begin_sync(request(text))
        .await
        .unwrap()
}

async fn ready(bench: &Bench, text: &str, hash: &str) -> Vec<DefinitionKey> {
    let sync = begin(bench, text).await;
    let ready = bench
        .store
        .definitions()
        .ready(sync, content("lab", hash))
        .await;
    ready.unwrap()
}

async fn status(bench: &Bench, text: &str) -> &'static str {
    let found = bench
        .store
        .definitions()
        .by_version(&key(text))
        .await
        .unwrap();
    found.status.as_str()
}

pub(crate) async fn a_sync_makes_a_version_ready(bench: &Bench) {
    let definitions = bench.store.definitions();
    definitions.define(request("a@1")).await.unwrap();
    assert_eq!(status(bench, "a@1").await, "defined");
    let sync = begin(bench, "a@1").await;
    assert_eq!(status(bench, "a@1").await, "synchronizing");
    assert!(matches!(
        definitions.latest_ready("a").await,
        Err(Error::NotFound { .. })
    ));
    assert_eq!(
        definitions.ready(sync, content("lab", "h1")).await.unwrap(),
        []
    );
    let found = definitions.latest_ready("a").await.unwrap();
    assert_eq!(found.status, DefinitionStatus::Ready);
    assert_eq!(found.content_hash.as_deref(), Some("h1"));
    assert_eq!(found.folder.as_deref(), Some("/content/h1"));
    assert_eq!(found.warnings, serde_json::json!(["odd"]));
    assert_eq!(found.synced_at, Some(bench.now()));
    let due = bench.store.outbox().due(bench.now(), 9).await.unwrap();
    assert_eq!(
        (due[0].event_id.as_str(), due[0].url.as_str()),
        ("a@1/Ready/ready", SINK)
    );
}

pub(crate) async fn one_sync_of_a_version_at_a_time(bench: &Bench) {
    let sync = begin(bench, "a@1").await;
    let second = bench.store.definitions().begin_sync(request("a@1")).await;
    assert!(matches!(second, Err(Error::Busy { .. })), "{second:?}");
    let _other = begin(bench, "a@2").await;
    bench
        .store
        .definitions()
        .failed(sync, "no manifest")
        .await
        .unwrap();
    let _third = begin(bench, "a@1").await;
}

pub(crate) async fn a_failed_sync_leaves_what_is_ready_serving(bench: &Bench) {
    let definitions = bench.store.definitions();
    let sync = begin(bench, "a@1").await;
    definitions.failed(sync, "no manifest").await.unwrap();
    assert_eq!(status(bench, "a@1").await, "failed");
    ready(bench, "a@1", "h1").await;
    let sync = begin(bench, "a@1").await;
    let meanwhile = definitions.latest_ready("a").await.unwrap();
    assert!(meanwhile.synchronizing);
    definitions.failed(sync, "broken zip").await.unwrap();
    let found = definitions.latest_ready("a").await.unwrap();
    assert_eq!(found.content_hash.as_deref(), Some("h1"));
    assert_eq!(found.error.as_deref(), Some("broken zip"));
    assert!(!found.synchronizing);
    let sync = begin(bench, "a@1").await;
    definitions.unchanged(sync).await.unwrap();
    assert_eq!(definitions.latest_ready("a").await.unwrap().error, None);
}

pub(crate) async fn new_content_supersedes_its_name_and_pod_type(bench: &Bench) {
    assert_eq!(ready(bench, "a@1", "h1").await, []);
    assert_eq!(ready(bench, "a@2", "h2").await, [key("a@1")]);
    assert_eq!(ready(bench, "b@1", "h3").await, [key("a@2")]);
    let other = begin(bench, "c@1").await;
    let superseded = bench
        .store
        .definitions()
        .ready(other, content("another lab", "h4"))
        .await;
    assert_eq!(superseded.unwrap(), []);
    for (version, expected) in [
        ("a@1", "superseded"),
        ("a@2", "superseded"),
        ("b@1", "ready"),
        ("c@1", "ready"),
    ] {
        assert_eq!(status(bench, version).await, expected, "{version}");
    }
    // What runs on it still finds it.
    let old = bench
        .store
        .definitions()
        .by_version(&key("a@1"))
        .await
        .unwrap();
    assert_eq!(old.folder.as_deref(), Some("/content/h1"));
    let versions = bench.store.definitions().versions("a").await.unwrap();
    assert_eq!(versions.len(), 2);
    let ready = Some(DefinitionStatus::Ready);
    let listed = bench
        .store
        .definitions()
        .list(ready, 1, None)
        .await
        .unwrap();
    assert_eq!(listed.items[0].key, key("c@1"));
    assert!(listed.next.is_some());
}

pub(crate) async fn versions_expire(bench: &Bench) {
    ready(bench, "a@1", "h1").await;
    let definitions = bench.store.definitions();
    let other = definitions.expire("a", Some("2")).await;
    assert!(matches!(other, Err(Error::NotFound { .. })), "{other:?}");
    definitions.expire("a", None).await.unwrap();
    assert_eq!(status(bench, "a@1").await, "expired");
    let again = definitions.expire("a", None).await;
    assert!(matches!(again, Err(Error::NotFound { .. })), "{again:?}");
    ready(bench, "a@1", "h1").await;
    assert_eq!(status(bench, "a@1").await, "ready");
}

pub(crate) async fn an_expired_version_stays_so_unless_its_sync_ends_well(bench: &Bench) {
    ready(bench, "a@1", "h1").await;
    let sync = begin(bench, "a@1").await;
    bench.store.definitions().expire("a", None).await.unwrap();
    let unchanged = bench.store.definitions().unchanged(sync).await;
    assert!(
        matches!(unchanged, Err(Error::Conflict { .. })),
        "{unchanged:?}"
    );
}

pub(crate) async fn a_sync_that_finds_nothing_ready_has_ended_all_the_same(bench: &Bench) {
    let definitions = bench.store.definitions();
    ready(bench, "a@1", "h1").await;
    let sync = begin(bench, "a@1").await;
    definitions.expire("a", None).await.unwrap();
    definitions.unchanged(sync).await.unwrap_err();
    let found = definitions.by_version(&key("a@1")).await.unwrap();
    assert!(!found.synchronizing);
    assert_eq!(found.status, DefinitionStatus::Expired);
    ready(bench, "a@1", "h1").await;
}

pub(crate) async fn a_sync_that_nobody_is_at_any_more_gives_way(bench: &Bench) {
    let definitions = bench.store.definitions();
    drop(begin(bench, "a@1").await);
    let sync = begin(bench, "a@1").await;
    let second = definitions.begin_sync(request("a@1")).await;
    assert!(matches!(second, Err(Error::Busy { .. })), "{second:?}");
    let ready = definitions.ready(sync, content("lab", "h1")).await;
    assert_eq!(ready.unwrap(), []);
    assert_eq!(status(bench, "a@1").await, "ready");
}
