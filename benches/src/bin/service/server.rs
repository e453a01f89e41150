//! A server with a package whose jobs wait.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;

const HEAD: &str = "apiVersion: pav1\nkind: JobDefinition\nmetadata: {name: NAME, version: v1}\n\
    spec:\n  process_type: Change\n  steps:\n";

/// A phase of pauses, one after the other.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    steps: usize,
    /// Of each pause.
    seconds: &'static str,
}

/// One that waits.
pub(crate) const HOUR: Phase = Phase {
    name: "hour",
    steps: 1,
    seconds: "3600",
};
/// The job whose recovery peers were measured with.
pub(crate) const TICK: Phase = Phase {
    name: "tick",
    steps: 300,
    seconds: "0.01",
};
/// One that is under way for longer than a lease or two.
pub(crate) const LONG: Phase = Phase {
    name: "long",
    steps: 2000,
    seconds: "0.005",
};
/// One of which many run beside each other.
pub(crate) const TURN: Phase = Phase {
    name: "turn",
    steps: 200,
    seconds: "2",
};

/// A service that runs, and how to ask it.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts one on the data in a folder, with these settings.
    pub(crate) async fn start(program: &Path, folder: &Path, settings: &[(&str, String)]) -> Self {
        let data = folder.join("data");
        let (data, root) = (data.to_string_lossy(), folder.to_string_lossy());
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data];
        let arguments = [&arguments[..], &["--content-root", &root]].concat();
        let mut process = Process::start(program, &arguments, settings);
        let line = process.line().await;
        let url = line.strip_prefix("listening on ");
        Self {
            url: url.expect("it says where it listens").to_owned(),
            process,
            http: reqwest::Client::new(),
        }
    }

    /// One on a folder of its own, which has taken a package with that phase in.
    pub(crate) async fn fresh(
        program: &Path,
        phase: &Phase,
        settings: &[(&str, String)],
    ) -> (TempDir, Self) {
        let folder = tempfile::tempdir().expect("there is a place for files");
        package(program, phase, folder.path());
        let server = Self::start(program, folder.path(), settings).await;
        server.sync(folder.path()).await;
        (folder, server)
    }

    /// Where it listens: host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await;
        let answer = answer.expect("it answers").text().await;
        answer.expect("it answers whole")
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).expect("it answers in JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        let answer = request.send().await.expect("it answers");
        let status = answer.status();
        let answer: Value = answer.json().await.expect("it answers in JSON");
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    pub(crate) async fn cancel(&self, job: &str) {
        let request = self.http.delete(format!("{}/api/v1/jobs/{job}", self.url));
        let status = request.send().await.expect("it answers").status();
        assert!(status.is_success(), "{status}");
    }

    /// Has it take the package in.
    async fn sync(&self, folder: &Path) {
        let uri = format!("file://{}", folder.join("waits.zip").display());
        let body = json!({"definition_id": "waits", "version": "1", "s3_uri": uri});
        let answer = self.post("/api/v1/content/sync", &body).await;
        assert_eq!(answer["status"], "ready", "{answer}");
    }

    /// Submits a job; gives its id.
    pub(crate) async fn submit(&self, phase: &Phase) -> String {
        let answer = self.post("/api/v1/jobs", &body(phase)).await;
        answer["job_id"].as_str().expect("it has an id").to_owned()
    }

    /// Waits until that many jobs run.
    pub(crate) async fn runs(&self, jobs: usize) {
        let line = format!("se_jobs_running {jobs}");
        while !self.get("/metrics").await.lines().any(|it| it == line) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// How many events a job has.
    pub(crate) async fn events(&self, job: &str, after: u64) -> Vec<Value> {
        let path = format!("/api/v1/jobs/{job}/events?after={after}&limit=1000");
        let page = self.json(&path).await;
        page["events"].as_array().expect("a list").clone()
    }
}

/// A submission.
pub(crate) fn body(phase: &Phase) -> Value {
    json!({"definition_id": "waits", "version": "1", "phase": phase.name})
}

/// Puts a package into a folder.
fn package(program: &Path, phase: &Phase, folder: &Path) {
    let root = folder.join("waits/PAv1");
    std::fs::create_dir_all(root.join("jobs")).expect("the folder can be written");
    let write = |name: &str, text: String| {
        std::fs::write(root.join(name), text).expect("the folder can be written");
    };
    let manifest = "apiVersion: pav1\nkind: LabletDefinition\n\
        metadata: {name: WAITS, title: Waits, content_version: \"1\"}\nspec: {pod_type: none, summary: Waits.}\n";
    write("manifest.yaml", manifest.to_owned());
    let Phase {
        name,
        steps,
        seconds,
    } = phase;
    let phases = format!(
        "apiVersion: pav1\nkind: Lifecycle\nmetadata: {{lablet: WAITS}}\nspec:\n  phases:\n    \
         - {{name: {name}, jobs: [{{definition: {name}@v1}}]}}\n"
    );
    write("lifecycle.yaml", phases);
    let step =
        |at: usize| format!("    - {{id: s{at}, uses: pause@v1, with: {{seconds: {seconds}}}}}\n");
    let steps: String = (0..*steps).map(step).collect();
    write(
        &format!("jobs/{name}.yaml"),
        HEAD.replace("NAME", name) + &steps,
    );
    let (from, to) = (folder.join("waits"), folder.join("waits.zip"));
    let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
    let packed = std::process::Command::new(program)
        .args(["pack", &from, "-o", &to])
        .output()
        .expect("the program is built");
    assert!(packed.status.success(), "{packed:?}");
}
