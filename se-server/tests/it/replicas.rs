//! Services killed at random in the middle of many jobs: one on a file, several on one database that is killed
//! with them. Every job, step, event and device action is accounted for at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use se_testkit::postgres::{Cluster, Database};
use se_testkit::sim::{Pod, PodOptions, Sink, SinkOptions};
use serde_json::{Value, json};

use crate::crash::{example, without_holes};
use crate::process::{PATIENCE, PROGRAM, Server};

const PODS: usize = 8;
const JOBS: usize = 200;
/// Of each pod one job at a time, whichever replica runs it: its consoles have one user.
const LIMITS: [(&str, &str); 3] = [
    ("SE_STORE__LEASE", "2"),
    ("SE_JOBS__MAX_PER_WORKER", "1"),
    ("SE_JOBS__MAX_CONCURRENT", "6"),
];

/// Numbers that look drawn; the moments that they fall on are drawn by the machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Where the jobs are kept.
enum Place {
    File,
    /// In the order in which they have to go.
    Shared(Database, Cluster),
}

impl Place {
    fn shared() -> Self {
        let cluster = Cluster::start().unwrap();
        let database = Database::create_on(&cluster.url()).unwrap();
        Self::Shared(database, cluster)
    }

    fn url(&self) -> Option<String> {
        match self {
            Self::File => None,
            Self::Shared(database, _) => Some(database.url()),
        }
    }

    /// How many services work on it.
    fn replicas(&self) -> usize {
        match self {
            Self::File => 1,
            Self::Shared(..) => 3,
        }
    }
}

struct Stage {
    /// What is started as a replica.
    program: String,
    folder: tempfile::TempDir,
    // In the order in which they have to go.
    replicas: Vec<Server>,
    place: Place,
    pods: Vec<Pod>,
    sink: Sink,
}

impl Stage {
    async fn set(place: Place) -> Self {
        Self::of(PROGRAM.to_owned(), place).await
    }

    async fn of(program: String, place: Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zip = se_content::pack(&example(), &se_content::Limits::default()).unwrap();
        std::fs::write(folder.path().join("lab.zip"), zip).unwrap();
        let mut pods = Vec::new();
        for number in 0..PODS {
            let mut options = PodOptions::new(example()).unwrap();
            // Workers are told apart by their addresses.
            options.listen = format!("127.0.0.{}", 2 + number);
            pods.push(Pod::start(options).await.unwrap());
        }
        let sink = Sink::start(("127.0.0.1", 0), SinkOptions::default())
            .await
            .unwrap();
        let mut stage = Self {
            program,
            folder,
            replicas: Vec::new(),
            place,
            pods,
            sink,
        };
        for number in 0..stage.place.replicas() {
            let server = stage.replica(number).await;
            stage.replicas.push(server);
        }
        let zip = stage.folder.path().join("lab.zip");
        stage.replicas[0].sync("lab", &zip).await;
        stage
    }

    /// Each has data of its own: what another has synced it fetches.
    async fn replica(&self, number: usize) -> Server {
        let (data, url) = (format!("data-{number}"), self.place.url());
        let folder = self.folder.path();
        Server::of(&self.program, folder, url.as_deref(), &data, &LIMITS).await
    }

    /// Ends a replica with a signal, and starts one in its place; its exit code.
    async fn replace(&mut self, number: usize, signal: &str) -> Option<i32> {
        // Nobody else works on a file before the former one has gone.
        let code = self.replicas.remove(number).end(signal).await;
        let again = self.replica(number).await;
        self.replicas.insert(number, again);
        code
    }

    /// A job that says its number on a console.
    fn body(&self, number: usize) -> Value {
        let facts = self.pods[number % PODS].facts();
        json!({
            "scenario_name": "exec", "pod_definition_id": "lab",
            "input_data": {"target": "workstation_serial", "command": format!("echo job-{number}-")},
            "worker": facts["worker"], "runtime_env": facts["runtime_env"],
            "callback_url": self.sink.url(),
        })
    }

    /// Submits until somebody takes it: a replica may be gone, or the database.
    async fn submit(&self, client: &reqwest::Client, number: usize) -> String {
        for at in number.. {
            let url = format!(
                "{}/api/v1/jobs",
                self.replicas[at % self.replicas.len()].url
            );
            let request = client
                .post(url)
                .header("Idempotency-Key", format!("job-{number}"));
            let answer = request.json(&self.body(number)).send().await;
            if let Some(job) = taken(answer).await {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("numbers do not end")
    }

    /// A job whose command runs on a console by now.
    async fn runs(&self, server: &Server, command: &str) -> String {
        let mut body = self.body(0);
        body["input_data"]["command"] = json!(command);
        let job = server.post("/api/v1/jobs", &body).await;
        let job = job["job_id"].as_str().unwrap().to_owned();
        let running = |it: &Value| crate::process::count(it, "running") == 1;
        server.when(&job, running).await;
        job
    }

    /// How often a job has said its number.
    fn said(&self, number: usize) -> usize {
        let mark = format!("echo job-{number}-");
        let entries = self.pods[number % PODS].journal().entries();
        entries
            .iter()
            .filter(|it| it.detail.contains(&mark))
            .count()
    }

    /// Whether everything has come to its end: jobs, and deliveries of their events.
    async fn is_quiet(&self) -> bool {
        let jobs = ["accepted", "running", "cancelling"].map(|it| ("jobs", it));
        let deliveries = ["pending", "waiting"].map(|it| ("deliveries", it));
        for (list, status) in jobs.into_iter().chain(deliveries) {
            let path = format!("/api/v1/{list}?status={status}&limit=1");
            let page = self.replicas[0].get(&path).await;
            if !page[list].as_array().unwrap().is_empty() {
                return false;
            }
        }
        true
    }

    /// The ids of each job's events as they arrived, repeats dropped, progress aside.
    fn received(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in self.sink.events() {
            if event["type"] == "io.lcm.se.job.progress" {
                continue;
            }
            let source = event["source"].as_str().unwrap();
            let job = source.rsplit('/').next().unwrap().to_owned();
            let id = event["id"].as_str().unwrap().to_owned();
            let ids = all.entry(job).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        all
    }

    /// Waits for the end of everything, and accounts for each job, step, event and device action; gives how many jobs
    /// were cut short.
    async fn account_for(&self, jobs: &[String]) -> usize {
        assert_eq!(jobs.iter().collect::<BTreeSet<_>>().len(), jobs.len());
        let quiet = async {
            while !self.is_quiet().await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(3 * PATIENCE, quiet)
            .await
            .expect("every job ends, and every event arrives");
        let mut interrupted = 0;
        for (number, job) in jobs.iter().enumerate() {
            let server = &self.replicas[number % self.replicas.len()];
            let shown = server.get(&format!("/api/v1/jobs/{job}")).await;
            without_holes(server, job).await;
            // A command may not be repeated: one that was under way faults its job.
            if shown["status"] == "completed" {
                assert_eq!(self.said(number), 1, "{shown:#}");
            } else {
                let kind = shown["error"]["type"].as_str().unwrap_or_default();
                assert!(kind.ends_with("/interrupted"), "{shown:#}");
                assert!(self.said(number) <= 1, "{shown:#}");
                interrupted += 1;
            }
        }
        let received = self.received();
        for (number, job) in jobs.iter().enumerate() {
            let server = &self.replicas[(number + 1) % self.replicas.len()];
            let told = crate::crash::told(&server.stream(job).await);
            assert_eq!(received[job], told, "job {number}");
        }
        interrupted
    }
}

/// The id of a job that was taken in; nothing if nobody could take it in.
async fn taken(answer: reqwest::Result<reqwest::Response>) -> Option<String> {
    let answer = answer.ok()?;
    let (status, text) = (answer.status(), answer.text().await.ok()?);
    if status.is_success() {
        let answer: Value = serde_json::from_str(&text).unwrap();
        return Some(answer["job_id"].as_str().unwrap().to_owned());
    }
    assert!(status.is_server_error(), "{status} {text}");
    None
}

/// Kills whoever the dice say, again and again, and starts it again.
async fn chaos(stage: &mut Stage, dice: &mut Dice) {
    for round in 0..12 {
        tokio::time::sleep(Duration::from_millis(300 + dice.below(700) as u64)).await;
        if let (Place::Shared(_, cluster), 3) = (&stage.place, round % 4) {
            cluster.kill().unwrap();
            tokio::time::sleep(Duration::from_millis(dice.below(500) as u64)).await;
            cluster.start_again().unwrap();
            continue;
        }
        let number = dice.below(stage.replicas.len());
        assert_eq!(stage.replace(number, "-KILL").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_a_file_is_killed_and_nothing_is_lost() {
    let stage = killed_and_accounted_for(Place::File).await;
    let server = stage.replicas.into_iter().next().unwrap();
    assert_eq!(server.end("-TERM").await, Some(0));
    let check = ["store", "check", "--data-dir", "data-0"];
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_se-server"))
        .args(check)
        .current_dir(stage.folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&checked.stdout);
    assert!(text.contains(": nothing is wrong"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_and_their_database_are_killed_and_nothing_is_lost() {
    killed_and_accounted_for(Place::shared()).await;
}

async fn killed_and_accounted_for(place: Place) -> Stage {
    let mut stage = Stage::set(place).await;
    let client = reqwest::Client::new();
    let mut dice = Dice(42);
    let mut jobs: Vec<String> = Vec::new();
    for number in 0..JOBS {
        jobs.push(stage.submit(&client, number).await);
    }
    chaos(&mut stage, &mut dice).await;
    let interrupted = stage.account_for(&jobs).await;
    assert!(
        interrupted < JOBS / 2,
        "{interrupted} of {JOBS} were cut short"
    );
    stage
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no other way to name a program to a test"
)]
/// The service of a former version, where there is one; otherwise engines of this one take each other's place.
fn former() -> String {
    std::env::var("SE_TEST_FORMER").unwrap_or_else(|_| PROGRAM.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_replaced_one_after_the_other_while_jobs_run_and_none_is_cut_short() {
    let mut stage = Stage::of(former(), Place::shared()).await;
    stage.program = PROGRAM.to_owned();
    let client = reqwest::Client::new();
    let mut jobs: Vec<String> = Vec::new();
    for replaced in 0..stage.replicas.len() {
        for _ in 0..JOBS / 6 {
            jobs.push(stage.submit(&client, jobs.len()).await);
        }
        assert_eq!(stage.replace(replaced, "-TERM").await, Some(0));
    }
    jobs.push(stage.submit(&client, jobs.len()).await);
    assert_eq!(stage.account_for(&jobs).await, 0, "all have ended well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_stopped_for_too_long_joins_again_and_writes_nothing_of_before() {
    let mut stage = Stage::set(Place::shared()).await;
    let client = reqwest::Client::new();
    for server in stage.replicas.drain(1..) {
        assert_eq!(server.end("-TERM").await, Some(0));
    }
    let job = stage.runs(&stage.replicas[0], "sleep 40").await;
    let other = stage.replica(1).await;
    stage.replicas[0].signal("-STOP").await;
    // The command may not be repeated, so who takes the job over says that it was cut short.
    let ended = other.ended(&job).await;
    let kind = ended["error"]["type"].as_str().unwrap_or_default();
    assert!(kind.ends_with("/interrupted"), "{ended:#}");
    let events = format!("/api/v1/jobs/{job}/events?limit=500");
    let before = other.get(&events).await;
    stage.replicas[0].signal("-CONT").await;
    assert_eq!(other.end("-TERM").await, Some(0));
    let next = stage.submit(&client, 0).await;
    let next = stage.replicas[0].ended(&next).await;
    assert_eq!(next["status"], "completed", "{next:#}");
    assert_eq!(stage.replicas[0].get(&events).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_were_let_go_because_the_database_was_away_go_on_when_it_is_back() {
    let mut stage = Stage::set(Place::shared()).await;
    for server in stage.replicas.drain(1..) {
        assert_eq!(server.end("-TERM").await, Some(0));
    }
    let server = &stage.replicas[0];
    let job = stage.runs(server, "sleep 40").await;
    let Place::Shared(_, cluster) = &stage.place else {
        panic!("the database is a server");
    };
    cluster.kill().unwrap();
    server.runs(0).await;
    cluster.start_again().unwrap();
    // Nobody else is there to take it, and its command may not be repeated.
    let ended = server.ended(&job).await;
    let kind = ended["error"]["type"].as_str().unwrap_or_default();
    assert!(kind.ends_with("/interrupted"), "{ended:#}");
    let next = stage.submit(&reqwest::Client::new(), 0).await;
    let next = server.ended(&next).await;
    assert_eq!(next["status"], "completed", "{next:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_runs_while_the_database_fails_over_is_not_cut_off() {
    let mut stage = Stage::set(Place::shared()).await;
    for server in stage.replicas.drain(..) {
        assert_eq!(server.end("-TERM").await, Some(0));
    }
    let (url, folder) = (stage.place.url(), stage.folder.path());
    // Longer than the database is away.
    let lease = [("SE_STORE__LEASE", "120")];
    let server = Server::of(PROGRAM, folder, url.as_deref(), "data-0", &lease).await;
    let job = stage.runs(&server, "sleep 2").await;
    let Place::Shared(_, cluster) = &stage.place else {
        panic!("the database is a server");
    };
    cluster.kill().unwrap();
    cluster.start_again().unwrap();
    let ended = server.ended(&job).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(server.end("-TERM").await, Some(0));
}
