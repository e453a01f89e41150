//! What released engines wrote: their databases, which this engine opens, audits and goes on with. Each
//! version has a folder below `tests/released/`, which is never changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use se_runtime::JobStatus;
use se_server::World;
use se_server::config::Config;
use se_store::{JobFilter, KeyFile, Objects, Options, Silent, Store};
use se_testkit::sim::{Pod, PodOptions};
use serde_json::{Value, json};

use crate::harness::{Home, Service, changed, zip};
use crate::process::Server;
use crate::retention::Ahead;

fn released() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released")
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The data of every released version, each in a folder of its own.
fn versions() -> Vec<(String, Arc<Home>)> {
    let entries = fs::read_dir(released()).unwrap().map(|it| it.unwrap());
    let copied = |entry: fs::DirEntry| {
        let folder = Home::of(tempfile::tempdir().unwrap());
        copy(&entry.path().join("data"), &folder.path().join("data"));
        let name = entry.file_name().into_string().unwrap();
        (name, Arc::new(folder))
    };
    let all: Vec<_> = entries.map(copied).collect();
    assert!(all.iter().any(|it| it.0 == "0.1"));
    all
}

fn checked(folder: &Path) -> (Option<i32>, String) {
    let checked = Command::new(env!("CARGO_BIN_EXE_se-server"))
        .args(["store", "check", "--data-dir", "data"])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    (checked.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn databases_of_former_versions_are_whole() {
    for (version, folder) in versions() {
        let (code, said) = checked(folder.path());
        assert_eq!(code, Some(0), "{version}: {said}");
        assert!(!said.contains("0 jobs"), "{version}: {said}");
    }
}

/// How many jobs had not ended; each has now, and can be shown.
async fn gone_on(service: &Service, version: &str) -> usize {
    let store = service.engine.store();
    let all = store.jobs(&JobFilter::default(), 1000, None).await.unwrap();
    let mut went_on = 0;
    for job in all.items {
        let ended = job.summary.status.is_final();
        service.followed(&job.id).await;
        let path = format!("/api/v1/jobs/{}", job.id);
        let (_, shown) = service.get(&path).await;
        let (status, events) = service.get(&format!("{path}/events?limit=1000")).await;
        assert_eq!(status, 200, "{version}: {events}");
        if !ended {
            assert_eq!(shown["status"], "completed", "{version}: {shown}");
            went_on += 1;
        }
    }
    went_on
}

#[tokio::test]
async fn jobs_of_former_versions_go_on_and_can_be_shown() {
    for (version, folder) in versions() {
        // Late enough for every wait to be over, whatever clock wrote them.
        let world = Ahead::days(36_500);
        let keep = |config: &mut Config| config.store.keep_days = 0.0;
        let service = Service::in_world(Arc::clone(&folder), world, keep).await;
        let went_on = gone_on(&service, &version).await;
        assert!(went_on > 0, "{version} has a job that was under way");
        service.engine.stop().await;
        drop(service);
        let (code, said) = checked(folder.path());
        assert_eq!(code, Some(0), "{version}: {said}");
    }
}

#[tokio::test]
async fn a_job_that_a_newer_engine_wrote_to_is_left_as_it_is() {
    let service = Service::ready(|_| {}).await;
    let id = service.submit("wait", json!({})).await;
    service.reaches(&id, "step_started", "long").await;
    service.engine.stop().await;
    let folder = Arc::clone(&service.folder);
    drop(service);
    let path = folder.path().join("data/se.db");
    let bytes = fs::read(&path).unwrap();
    // The kind has a name of the same length: no page of the file is otherwise changed.
    let from = b"\"event\":\"job_started\"";
    let at = bytes.windows(from.len()).position(|it| it == from).unwrap();
    let mut newer = bytes.clone();
    newer[at..at + from.len()].copy_from_slice(b"\"event\":\"job_stirred\"");
    fs::write(&path, &newer).unwrap();
    let service = Service::again(Arc::clone(&folder), |_| {}).await;
    let (status, shown) = service.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(status, 503, "{shown}");
    let detail = shown["detail"].as_str().unwrap();
    assert!(detail.contains("knows no event `job_stirred`"), "{detail}");
    assert!(detail.contains("start the newer engine again"), "{detail}");
    let row = service.engine.store().job(&id).await.unwrap();
    assert_eq!(row.summary.status, JobStatus::Running);
    service.engine.stop().await;
    drop(service);
    let (code, said) = checked(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a newer engine wrote it"), "{said}");
    assert!(!said.contains("restore it from a backup"), "{said}");
}

/// What the examples have no reason for: a step that is skipped, one that is gone on from, one that is
/// tried again in vain.
const SHAKY: &str = "apiVersion: pav1\nkind: JobDefinition\nmetadata: {name: judge, version: v1}\nspec:\n\
    \x20 process_type: Change\n  steps:\n\
    \x20   - {id: done, uses: pause@v1, with: {seconds: 0}}\n\
    \x20   - {id: never, uses: pause@v1, when: \"${ session.never }\", with: {seconds: 0}}\n\
    \x20   - {id: soft, uses: pause@v1, with: {seconds: \"${ session.text | tonumber }\"}, on_error: {action: continue}}\n\
    \x20   - {id: hard, uses: pause@v1, with: {seconds: \"${ session.text | tonumber }\"}, on_error: {action: retry, retries: 1, backoff: 1}}\n";

/// A service on simulated pods, whose data is kept.
struct Author {
    folder: PathBuf,
    server: Server,
}

impl Author {
    async fn start(folder: &Path) -> Self {
        let server = Server::replica(folder, None, "data", &[]).await;
        server.sync("tiny", &folder.join("tiny.zip")).await;
        for name in ["loops", "session"] {
            server.sync(name, &folder.join(format!("{name}.zip"))).await;
        }
        Self {
            folder: folder.to_path_buf(),
            server,
        }
    }

    async fn submit(&self, definition: &str, phase: &str, more: Value) -> String {
        let mut body = json!({
            "definition_id": definition, "version": "1", "session_id": definition, "phase": phase,
            "secrets": {"name": "s3cr3t-of-the-job"},
        });
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        let job = self.server.post("/api/v1/jobs", &body).await;
        job["job_id"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, job: &str, status: &str) {
        let ended = self.server.ended(job).await;
        assert_eq!(ended["status"], status, "{ended:#}");
    }

    /// A job that fails, and the one that brings along what it had done.
    async fn shaky(&self) {
        let text = json!({"session": {"text": "no number"}});
        let faulted = self.submit("tiny", "judge", text).await;
        self.ended(&faulted, "faulted").await;
        let again = format!("/api/v1/jobs/{faulted}/retry");
        let secret = json!({"secrets": {"name": "s3cr3t-of-the-job"}});
        let resumed = self.server.post(&again, &secret).await;
        let resumed = resumed["job_id"].as_str().unwrap();
        self.ended(resumed, "faulted").await;
    }

    /// Loops and composites; one that fails, and the one that does the rest of it.
    async fn loops(&self, pod: &Pod) {
        let facts = pod.facts();
        let known = json!({"worker": facts["worker"], "runtime_env": facts["runtime_env"]});
        let mut wrong = known.clone();
        wrong["worker"]["cml_password"] = json!("not-the-password");
        let faulted = self.submit("loops", "instantiate", wrong).await;
        self.ended(&faulted, "faulted").await;
        let again = format!("/api/v1/jobs/{faulted}/retry");
        let mut body = known.clone();
        body["secrets"] = json!({"name": "s3cr3t-of-the-job"});
        let resumed = self.server.post(&again, &body).await;
        self.ended(resumed["job_id"].as_str().unwrap(), "completed")
            .await;
        for phase in ["seed", "grade"] {
            let job = self.submit("loops", phase, known.clone()).await;
            self.ended(&job, "completed").await;
        }
    }

    /// Parts.
    async fn session(&self, pod: &Pod) {
        let facts = pod.facts();
        let known = json!({"worker": facts["worker"], "runtime_env": facts["runtime_env"]});
        for phase in ["provision", "prepare", "collect"] {
            let job = self.submit("session", phase, known.clone()).await;
            self.ended(&job, "completed").await;
        }
    }

    /// One that is cancelled, and one that is under way when the service is killed.
    async fn end(self) {
        let long = |it: &Value| it["steps"][1]["status"] == "running";
        let cancelled = self.submit("tiny", "wait", json!({})).await;
        self.server.when(&cancelled, long).await;
        let url = format!("{}/api/v1/jobs/{cancelled}", self.server.url);
        reqwest::Client::new().delete(url).send().await.unwrap();
        self.ended(&cancelled, "cancelled").await;
        let cut = self.submit("tiny", "wait", json!({})).await;
        self.server.when(&cut, long).await;
        self.server.end("-KILL").await;
        let folder = self.folder.join("data");
        let world = World::system();
        let options = Options {
            keys: KeyFile::at(folder.join("sealing.key")).read().unwrap(),
            announce: Arc::new(Silent),
            clock: world.clock,
            random: world.random,
            objects: Objects::default(),
            answer_within: se_store::ANSWER_WITHIN,
        };
        // Opened and closed: everything is in the one file.
        let url = format!("sqlite://{}", folder.join("se.db").display());
        let store = Store::open(&url, options).await.unwrap();
        write_logs(&store, &self.folder).await;
        store.close().await;
        fs::remove_file(folder.join("se.db.lock")).unwrap();
    }
}

/// Each log as a file of lines, for those who fold it without a database.
async fn write_logs(store: &Store, folder: &Path) {
    fs::create_dir(folder.join("logs")).unwrap();
    let all = store.jobs(&JobFilter::default(), 1000, None).await.unwrap();
    for (n, job) in all.items.iter().rev().enumerate() {
        let records = store.events(&job.id, 0, u32::MAX).await.unwrap().records;
        let lines: Vec<String> = records
            .iter()
            .map(|it| serde_json::to_string(it).unwrap() + "\n")
            .collect();
        let name = format!(
            "{n}-{}-{}-{}.jsonl",
            job.definition_id,
            job.phase.as_deref().unwrap(),
            job.summary.status.as_str()
        );
        fs::write(folder.join("logs").join(name), lines.concat()).unwrap();
    }
}

/// Writes the folder of this version; `CONTRIBUTING.md` says when. Fails where there is one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes test data, at a release"]
async fn write_what_this_version_writes() {
    let version = env!("CARGO_PKG_VERSION");
    let version = version.rsplit_once('.').unwrap().0;
    let to = released().join(version);
    assert!(!to.exists(), "what is released is never changed: {to:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    zip(path, "tiny.zip", &changed("jobs/judge.yaml", SHAKY));
    for name in ["loops", "session"] {
        let bytes = se_content::pack(&examples.join(name), &se_content::Limits::default());
        fs::write(path.join(format!("{name}.zip")), bytes.unwrap()).unwrap();
    }
    let author = Author::start(path).await;
    for name in ["loops", "session"] {
        let pod = PodOptions::new(examples.join(name)).unwrap();
        let pod = Pod::start(pod).await.unwrap();
        match name {
            "loops" => author.loops(&pod).await,
            _ => author.session(&pod).await,
        }
    }
    author.shaky().await;
    author.end().await;
    for name in ["data", "logs"] {
        copy(&path.join(name), &to.join(name));
    }
}
