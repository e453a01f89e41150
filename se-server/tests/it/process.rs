//! The service as a process of its own, as an operator runs it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::Home;

/// More than any of this takes on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The service of this version.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_se-server");

/// What engines on one database share.
pub(crate) const KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// A running `se-server serve`; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts on the data in `folder`; `file://` content must lie in it.
    pub(crate) async fn start(home: &Home) -> Self {
        Self::replica(home.path(), home.store().as_deref(), "data", &[]).await
    }

    /// Starts on that database with data of its own in `data`.
    pub(crate) async fn replica(
        folder: &Path,
        store: Option<&str>,
        data: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::of(PROGRAM, folder, store, data, environment).await
    }

    /// The same, of a program that may be another version.
    pub(crate) async fn of(
        program: &str,
        folder: &Path,
        store: Option<&str>,
        data: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", data]);
        command.arg("--content-root").arg(folder);
        command.envs(environment.iter().copied());
        if let Some(store) = store {
            command.args(["--store", store]);
            command.env("SE_SEALING__KEY", KEY);
        }
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .unwrap();
        let line = line.unwrap().expect("the service says where it listens");
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self {
            child,
            url,
            http: reqwest::Client::new(),
        }
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Ends it with a signal, and waits for it; its exit code.
    pub(crate) async fn end(mut self, signal: &str) -> Option<i32> {
        self.signal(signal).await;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends").unwrap().code()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Has it take in a zip that lies in its content root.
    pub(crate) async fn sync(&self, definition: &str, zip: &Path) {
        let uri = format!("file://{}", zip.display());
        let body = json!({"definition_id": definition, "version": "1", "s3_uri": uri});
        let answer = self.post("/api/v1/content/sync", &body).await;
        assert_eq!(answer["status"], "ready", "{answer}");
    }

    /// The job once `ready` holds of it.
    pub(crate) async fn when(&self, job: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let watching = async {
            let mut shown = self.get(&format!("/api/v1/jobs/{job}")).await;
            while !ready(&shown) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                shown = self.get(&format!("/api/v1/jobs/{job}")).await;
            }
            shown
        };
        tokio::time::timeout(PATIENCE, watching)
            .await
            .expect("the job comes that far")
    }

    /// The job once it has ended.
    pub(crate) async fn ended(&self, job: &str) -> Value {
        let last = ["completed", "faulted", "cancelled"];
        self.when(job, |it| last.iter().any(|status| it["status"] == *status))
            .await
    }

    /// Ends when it runs so many jobs.
    pub(crate) async fn runs(&self, jobs: usize) {
        let (url, line) = (
            format!("{}/metrics", self.url),
            format!("se_jobs_running {jobs}"),
        );
        let said = async || {
            let answer = self.http.get(&url).send().await.unwrap();
            answer.text().await.unwrap()
        };
        let watching = async {
            while !said().await.lines().any(|it| it == line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let watching = tokio::time::timeout(PATIENCE, watching);
        watching.await.expect("it runs so many");
    }

    /// Everything its event stream tells, from the start; it ends with the job.
    pub(crate) async fn stream(&self, job: &str) -> String {
        let url = format!("{}/api/v1/jobs/{job}/stream", self.url);
        let text = async {
            self.http
                .get(url)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap()
        };
        tokio::time::timeout(PATIENCE, text)
            .await
            .expect("the stream ends with the job")
    }
}

/// How many of a job's steps have that status.
pub(crate) fn count(job: &Value, status: &str) -> usize {
    let steps = job["steps"].as_array().into_iter().flatten();
    steps.filter(|step| step["status"] == status).count()
}
