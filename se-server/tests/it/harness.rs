//! An engine in a folder of its own, and ways to ask it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use se_runtime::Event;
use se_server::config::Config;
use se_server::{Engine, World, app};
use se_testkit::postgres::Database;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Long enough for any test on a busy machine; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const DOCUMENTS: [(&str, &str); 5] = [
    (
        "manifest.yaml",
        "apiVersion: pav1\nkind: LabletDefinition\nmetadata: {name: TINY, title: Tiny, content_version: \"1\"}\n\
         spec: {pod_type: none, summary: Nothing to drive.}\n",
    ),
    (
        "lifecycle.yaml",
        "apiVersion: pav1\nkind: Lifecycle\nmetadata: {lablet: TINY}\nspec:\n  phases:\n\
         \x20   - {name: judge, jobs: [{definition: judge@v1, process_type: Initialization}]}\n\
         \x20   - {name: wait, jobs: [{definition: wait@v1}]}\n\
         \x20   - {name: nothing}\n",
    ),
    (
        "jobs/judge.yaml",
        "apiVersion: pav1\nkind: JobDefinition\nmetadata: {name: judge, version: v1}\nspec:\n\
         \x20 process_type: Initialization\n  steps:\n\
         \x20   - id: settle\n      uses: pause@v1\n      with: {seconds: 0}\n\
         \x20   - id: look\n      uses: evaluate.regex@v1\n\
         \x20     with: {source: \"seen ${ runtime_env.devices.r1.password } ${ session.extra }\", regex: \"^seen\", mode: positive}\n\
         \x20     capture: {passed: seen}\n",
    ),
    (
        "jobs/wait.yaml",
        "apiVersion: pav1\nkind: JobDefinition\nmetadata: {name: wait, version: v1}\nspec:\n  process_type: Change\n  steps:\n\
         \x20   - {id: first, uses: pause@v1, with: {seconds: 0}}\n\
         \x20   - {id: long, uses: pause@v1, with: {seconds: 3600}}\n",
    ),
    ("files/readme.txt", "hello\n"),
];

/// Where a service keeps everything. The database is a file in the folder, or one on a server: then
/// `SE_TEST_STORE` is `postgres`, as `cargo xtask test` sets it for a second run.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    database: Option<Database>,
}

impl Home {
    #[expect(
        clippy::disallowed_methods,
        reason = "says which database the tests are run on"
    )]
    pub(crate) fn new() -> Self {
        let on_a_server = std::env::var("SE_TEST_STORE").is_ok_and(|it| it == "postgres");
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: on_a_server.then(Database::create),
        }
    }

    /// What is in that folder already.
    pub(crate) fn of(folder: tempfile::TempDir) -> Self {
        let database = None;
        Self { folder, database }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What `--store` says; nothing for the default.
    pub(crate) fn store(&self) -> Option<String> {
        self.database.as_ref().map(Database::url)
    }

    /// Everything that is stored, as bytes.
    pub(crate) fn stored(&self) -> Vec<u8> {
        if let Some(database) = &self.database {
            return database.dump().unwrap().into_bytes();
        }
        let data = self.path().join("data");
        let files = ["se.db", "se.db-wal"].map(|it| std::fs::read(data.join(it)));
        files.into_iter().flatten().flatten().collect()
    }
}

/// A running engine; its folder goes with it.
pub(crate) struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) folder: Arc<Home>,
    app: Router,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = Arc::new(Home::new());
        Self::again(folder, change).await
    }

    /// Another engine in the same folder.
    pub(crate) async fn again(folder: Arc<Home>, change: impl FnOnce(&mut Config)) -> Self {
        Self::in_world(folder, World::system(), change).await
    }

    /// Another engine in the same folder, and in another world.
    pub(crate) async fn in_world(
        folder: Arc<Home>,
        world: World,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::default();
        config.store.data_dir = folder.path().join("data");
        config.store.url = folder.store();
        config.sealing.key = folder
            .store()
            .map(|_| se_runtime::Secret::new(crate::process::KEY));
        config.content.root = Some(folder.path().to_path_buf());
        config.jobs.progress_interval = 0;
        change(&mut config);
        let engine = Engine::open(config, world).await.unwrap();
        engine.start();
        Self {
            app: app(Arc::clone(&engine)),
            engine,
            folder,
        }
    }

    /// With the tiny package ready as `tiny@1`.
    pub(crate) async fn ready(change: impl FnOnce(&mut Config)) -> Self {
        let service = Self::with(change).await;
        let uri = zip(service.folder.path(), "tiny.zip", &DOCUMENTS);
        let body = json!({"definition_id": "tiny", "version": "1", "s3_uri": uri});
        let answer = service.post("/api/v1/content/sync", body).await;
        assert_eq!(
            (answer.0, &answer.1["status"]),
            (202, &json!("ready")),
            "{}",
            answer.1
        );
        service
    }

    pub(crate) async fn raw(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let answer = self.raw(request).await;
        let status = answer.status();
        let media = answer.headers().get(header::CONTENT_TYPE).cloned();
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(media.unwrap(), "application/problem+json");
        }
        let text = text(answer).await;
        (
            status.as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, body.to_string()).await
    }

    /// Takes a job in and gives its id.
    pub(crate) async fn submit(&self, phase: &str, more: Value) -> String {
        let mut body = json!({"definition_id": "tiny", "version": "1", "phase": phase});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (status, answer) = self.post("/api/v1/jobs", body).await;
        assert_eq!(status, StatusCode::ACCEPTED.as_u16(), "{answer}");
        answer["job_id"].as_str().unwrap().to_owned()
    }

    /// Follows the job's stream to its end and gives its text.
    pub(crate) async fn followed(&self, job: &str) -> String {
        let request = Request::get(format!("/api/v1/jobs/{job}/stream"));
        let answer = self.raw(request.body(Body::empty()).unwrap()).await;
        tokio::time::timeout(PATIENCE, text(answer))
            .await
            .expect("the job ends in time")
    }

    /// Waits until the job's log holds an event of that kind for that step.
    pub(crate) async fn reaches(&self, job: &str, kind: &str, step: &str) {
        let reached = async {
            let mut changes = self.engine.store().changes();
            while !self.has(job, kind, step).await {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, reached)
            .await
            .expect("the job gets there in time");
    }

    async fn has(&self, job: &str, kind: &str, step: &str) -> bool {
        let events = self
            .engine
            .store()
            .events(job, 0, 1000)
            .await
            .unwrap()
            .records;
        let about = |it: &Event| step.is_empty() || it.step() == Some(step);
        events
            .iter()
            .any(|it| it.event.kind() == kind && about(&it.event))
    }
}

pub(crate) async fn text(answer: Response<Body>) -> String {
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Makes a zip of documents below `PAv1/` and gives its address.
pub(crate) fn zip(folder: &Path, name: &str, documents: &[(&str, &str)]) -> String {
    let package = tempfile::tempdir().unwrap();
    for (path, text) in documents {
        let path = package.path().join("PAv1").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let bytes = se_content::pack(package.path(), &se_content::Limits::default()).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    format!("file://{}", path.display())
}

/// The tiny package with one document changed.
pub(crate) fn changed<'a>(path: &'a str, text: &'a str) -> Vec<(&'a str, &'a str)> {
    let others = DOCUMENTS.iter().copied().filter(|it| it.0 != path);
    others.chain([(path, text)]).collect()
}

/// Text that no database can make shorter.
pub(crate) fn noise(length: usize) -> String {
    let mut state = 17_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 16) % 26).unwrap())
    };
    (0..length).map(next).collect()
}
