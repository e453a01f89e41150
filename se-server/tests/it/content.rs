//! Syncs: atomic, told in full, done once.

use serde_json::{Value, json};

use crate::harness::{DOCUMENTS, Service, changed, noise, zip};

#[tokio::test]
async fn a_broken_package_is_told_in_full_and_changes_nothing() {
    let service = Service::ready(|_| {}).await;
    let (_, before) = service.get("/api/v1/content/tiny").await;
    let broken = DOCUMENTS[2]
        .1
        .replace("pause@v1", "paus@v1")
        .replace("capture:", "captures:");
    let documents = changed("jobs/judge.yaml", &broken);
    let uri = zip(service.folder.path(), "broken.zip", &documents);
    let body = json!({"definition_id": "tiny", "version": "1", "source_uri": uri, "force": true});
    let (status, problem) = service.post("/api/v1/content/sync", body).await;
    assert_eq!(status, 422, "{problem}");
    let errors = problem["errors"].as_array().unwrap();
    let said: Vec<&Value> = errors
        .iter()
        .filter(|it| it["severity"] == "error")
        .collect();
    assert!(said.len() >= 2, "{problem}");
    for error in said {
        assert_eq!(error["file"], "PAv1/jobs/judge.yaml");
        assert!(
            error["line"].as_u64() > Some(1) && error["column"].is_u64(),
            "{error}"
        );
        assert!(error["code"].as_str().unwrap().starts_with("SE"), "{error}");
        assert!(!error["help"].as_str().unwrap().is_empty(), "{error}");
    }
    let (_, after) = service.get("/api/v1/content/tiny").await;
    assert_eq!(
        (&after["status"], &after["content_hash"]),
        (&json!("ready"), &before["content_hash"])
    );
    assert!(
        after["error"].as_str().unwrap().contains("errors"),
        "{after}"
    );
}

#[tokio::test]
async fn the_same_content_is_not_synced_twice() {
    let service = Service::ready(|_| {}).await;
    let uri = format!("file://{}/tiny.zip", service.folder.path().display());
    let body = json!({"definition_id": "tiny", "version": "1", "source_uri": uri});
    let (status, answer) = service.post("/api/v1/content/sync", body).await;
    assert_eq!(status, 202);
    assert!(
        answer["message"].as_str().unwrap().contains("already"),
        "{answer}"
    );
}

#[tokio::test]
async fn other_content_of_the_same_name_takes_over() {
    let service = Service::ready(|_| {}).await;
    let documents = changed("files/readme.txt", "other\n");
    let uri = zip(service.folder.path(), "other.zip", &documents);
    let body = json!({"name": "tiny", "version": "2", "source_uri": uri});
    let (_, answer) = service.post("/api/v1/content/sync/", body).await;
    assert_eq!(answer["superseded_versions"], json!(["tiny@1"]), "{answer}");
    assert_eq!(answer["superseded_ids"], json!([]), "{answer}");
    let (_, latest) = service.get("/api/v1/content/tiny").await;
    assert_eq!(latest["version"], "2");
    let (_, old) = service.get("/api/v1/content/tiny?version=1").await;
    assert_eq!(old["status"], "superseded");
    let (_, all) = service.get("/api/v1/content/tiny/versions").await;
    assert_eq!(all["definitions"].as_array().unwrap().len(), 2);
    let (_, file) = service
        .get("/api/v1/content/tiny/files/PAv1/files/readme.txt")
        .await;
    assert_eq!(file, "other\n");
    assert_eq!(
        service.call("DELETE", "/api/v1/content/tiny", "").await.0,
        204
    );
    let (_, expired) = service.get("/api/v1/content?status=expired").await;
    assert_eq!(expired["definitions"][0]["version"], "2");
    let (status, problem) = service
        .post(
            "/api/v1/jobs",
            json!({"definition_id": "tiny", "phase": "judge"}),
        )
        .await;
    assert_eq!(status, 404, "{problem}");
}

#[tokio::test]
async fn addresses_and_promises_are_held_to() {
    let service = Service::ready(|_| {}).await;
    let tiny = format!("file://{}/tiny.zip", service.folder.path().display());
    for (body, expected, says) in [
        (
            json!({"name": "x", "source_uri": "file:///etc/passwd"}),
            422,
            "below the configured root",
        ),
        (
            json!({"name": "x", "source_uri": "http://host/x.zip"}),
            422,
            "s3://",
        ),
        (
            json!({"name": "x", "source_uri": "s3://bucket/x.zip"}),
            422,
            "no object store",
        ),
        (
            json!({"name": "x", "source_uri": tiny, "content_hash": "00"}),
            409,
            "not the expected 00",
        ),
        (
            json!({"name": "x", "source_uri": tiny, "pod_type": "vmware"}),
            409,
            "for `none`",
        ),
        (
            json!({"name": "x", "source_uri": tiny, "pod_type": "box"}),
            422,
            "give one of",
        ),
    ] {
        let (status, problem) = service.post("/api/v1/content/sync", body.clone()).await;
        assert_eq!(status, expected, "{body}: {problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{body}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_zip_is_validated_without_being_kept() {
    let service = Service::start().await;
    let broken = changed(
        "lifecycle.yaml",
        "apiVersion: pav1\nkind: Lifecycle\nspec: {phase: []}\n",
    );
    for (documents, valid) in [(DOCUMENTS.to_vec(), true), (broken, false)] {
        zip(service.folder.path(), "v.zip", &documents);
        let bytes = std::fs::read(service.folder.path().join("v.zip")).unwrap();
        let (status, found) = service
            .call("POST", "/api/v1/content/validate", bytes)
            .await;
        assert_eq!((status, &found["valid"]), (200, &json!(valid)), "{found}");
        assert_eq!(found["errors"] == 0, valid);
    }
    assert_eq!(
        service.get("/api/v1/content").await.1["definitions"],
        json!([])
    );
}

/// A job with mistakes of all kinds: with fixes, with other places, with neither.
const BROKEN: &str = "apiVersion: pav1
kind: JobDefinition
spec:
  process_type: Change
  steps:
    - id: first
      uses: pause@v1
      with: { seconds: 0 }
      captures: { ok: done }
    - id: first
      uses: exec@v1
      target: r1
      with: { command: \"${ vars.nothing }\" }
      timeout: soon
";

#[tokio::test]
async fn the_command_line_and_the_service_find_the_same() {
    let service = Service::start().await;
    let address = zip(
        service.folder.path(),
        "broken.zip",
        &changed("jobs/wait.yaml", BROKEN),
    );
    let path = service.folder.path().join("broken.zip");
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_se-server"))
        .args(["validate", "--format", "json"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let (status, found) = service
        .call(
            "POST",
            "/api/v1/content/validate",
            std::fs::read(&path).unwrap(),
        )
        .await;
    assert_eq!((status, &found["valid"]), (200, &json!(false)));
    for key in ["diagnostics", "errors", "warnings"] {
        assert_eq!(found[key], said[key], "{key}");
    }
    let body = json!({"definition_id": "d", "source_uri": address});
    let (status, problem) = service.post("/api/v1/content/sync", body).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["errors"], said["diagnostics"]);
    let all = said["diagnostics"].as_array().unwrap();
    for key in ["related", "edits"] {
        let some = all.iter().filter(|it| it[key] != json!([]));
        assert!(some.count() > 0, "no finding has {key}: {said:#}");
    }
}

#[tokio::test]
async fn a_mistake_in_an_address_is_told_at_the_key_that_gave_it() {
    let service = Service::start().await;
    for key in ["s3_uri", "source_uri"] {
        let body = json!({"definition_id": "d", key: "nowhere"});
        let (status, problem) = service.post("/api/v1/content/sync", body).await;
        assert_eq!(status, 422, "{problem}");
        assert_eq!(
            problem["errors"][0]["pointer"],
            format!("/{key}"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn what_does_not_keep_content_from_use_is_told_by_dry_runs_too() {
    let service = Service::start().await;
    let documents = changed(
        "jobs/wait.yaml",
        "apiVersion: pav1\nkind: JobDefinition\nspec:\n  process_type: Change\n  steps:\n\
         \x20   - { id: first, uses: pause@v1, with: { seconds: 0 }, on_error: { action: continue, retries: 2 } }\n",
    );
    let address = zip(service.folder.path(), "w.zip", &documents);
    let zip = std::fs::read(service.folder.path().join("w.zip")).unwrap();
    let (_, found) = service.call("POST", "/api/v1/content/validate", zip).await;
    assert_eq!(found["diagnostics"][0]["code"], "SE1312", "{found}");
    let body = json!({"definition_id": "w", "source_uri": address});
    let (status, synced) = service.post("/api/v1/content/sync", body).await;
    assert_eq!(status, 202, "{synced}");
    let definition = service.get("/api/v1/content/w").await.1;
    assert_eq!(definition["warnings"], found["diagnostics"]);
    let body = json!({"definition_id": "w", "phase": "wait", "dry_run": true});
    let (status, plan) = service.post("/api/v1/jobs", body).await;
    assert_eq!(status, 200, "{plan}");
    assert_eq!(plan["diagnostics"], found["diagnostics"]);
}

#[tokio::test]
async fn names_that_are_too_long_to_be_looked_up_are_refused() {
    let service = Service::ready(|_| {}).await;
    let uri = format!("file://{}/tiny.zip", service.folder.path().display());
    for key in ["definition_id", "version", "name"] {
        let mut body = json!({"definition_id": "other", "source_uri": uri});
        body[key] = json!(noise(256));
        let (status, problem) = service.post("/api/v1/content/sync", body).await;
        assert_eq!(status, 422, "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{key}"));
    }
    let body = json!({
        "definition_id": noise(255), "version": noise(255), "name": noise(255), "source_uri": uri,
    });
    let (status, answer) = service.post("/api/v1/content/sync", body).await;
    assert_eq!(
        (status, &answer["status"]),
        (202, &json!("ready")),
        "{answer}"
    );
    let long = DOCUMENTS.map(|(path, text)| (path, text.replace("TINY", &noise(256))));
    let long = long.each_ref().map(|(path, text)| (*path, text.as_str()));
    let uri = zip(service.folder.path(), "long.zip", &long);
    let body = json!({"definition_id": "long", "source_uri": uri});
    let (status, problem) = service.post("/api/v1/content/sync", body).await;
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("256 bytes"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_sync_that_takes_long_says_where_its_end_is_told() {
    let service = Service::with(|config| config.content.sync_wait = 0).await;
    let uri = zip(service.folder.path(), "tiny.zip", &DOCUMENTS);
    let body = json!({"definition_id": "tiny", "version": "v1", "source_uri": uri});
    let (status, answer) = service.post("/api/v1/content/sync", body).await;
    let said = (status, answer["status"].as_str().unwrap());
    assert_eq!(said, (202, "synchronizing"), "{answer}");
    let message = answer["message"].as_str().unwrap();
    let address = message.split("GET ").nth(1).unwrap();
    let address = address.split(' ').next().unwrap();
    let (status, found) = service.get(address).await;
    assert_eq!(
        (status, &found["version"]),
        (200, &json!("v1")),
        "{message}"
    );
}
