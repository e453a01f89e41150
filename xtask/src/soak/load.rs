//! What the service is asked to do meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Stage;
use crate::client::Client;
use crate::command::{Failure, say};

pub(super) const DEFINITION: &str = "lab-0.1";
/// One job in so many is cancelled while it runs.
const CANCELLED: u64 = 10;
/// Between two jobs on the devices of the pod.
const DEVICES: Duration = Duration::from_secs(5);

/// Submits jobs until it is told to end.
pub(super) struct Load {
    shared: Arc<Shared>,
    running: JoinSet<Result<(), Failure>>,
}

struct Shared {
    client: Client,
    facts: Value,
    sink: String,
    accepted: AtomicU64,
    ends: AtomicBool,
    /// How long submissions took, in milliseconds, since they were last asked for.
    latencies: Mutex<Vec<f64>>,
}

impl Load {
    pub(super) async fn start(stage: &Stage, rate: u32) -> Result<Self, Failure> {
        let shared = Arc::new(Shared {
            client: Client::new(stage.client.base.clone())?,
            facts: stage.facts.clone(),
            sink: stage.sink.url().await?,
            accepted: AtomicU64::new(0),
            ends: AtomicBool::new(false),
            latencies: Mutex::default(),
        });
        if !shared.phase("instantiate").await? {
            return Err("the lab does not start".to_owned());
        }
        let mut running = JoinSet::new();
        running.spawn(small(Arc::clone(&shared), rate));
        running.spawn(on_devices(Arc::clone(&shared)));
        Ok(Self { shared, running })
    }

    /// Nothing more is submitted; how many jobs were accepted.
    pub(super) async fn end(mut self) -> Result<u64, Failure> {
        self.shared.ends.store(true, Ordering::SeqCst);
        while let Some(ended) = self.running.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        Ok(self.shared.accepted.load(Ordering::SeqCst))
    }

    /// The 99th percentile of the submissions since the last call, in milliseconds.
    pub(super) fn p99(&self) -> f64 {
        let latencies = &self.shared.latencies;
        let mut all =
            std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort_by(f64::total_cmp);
        all.get(all.len() * 99 / 100).copied().unwrap_or_default()
    }
}

impl Shared {
    fn has_ended(&self) -> bool {
        self.ends.load(Ordering::SeqCst)
    }

    #[expect(clippy::disallowed_methods, reason = "this tool lives in real time")]
    async fn submit(&self, body: &Value) -> Result<String, Failure> {
        let began = Instant::now();
        let answer = self.client.post("/api/v1/jobs", body).await?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        let latencies = &self.latencies;
        latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(took);
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let job = answer["job_id"].as_str();
        job.map(str::to_owned)
            .ok_or_else(|| format!("no job_id in {answer}"))
    }

    fn scenario(&self, name: &str, input: &Value) -> Value {
        json!({
            "scenario_name": name, "pod_definition_id": DEFINITION, "input_data": input,
            "worker": self.facts["worker"], "runtime_env": self.facts["runtime_env"],
            "callback_url": self.sink,
        })
    }

    /// Runs a phase of the lab, and follows its events to the last; whether it ended well.
    async fn phase(&self, phase: &str) -> Result<bool, Failure> {
        let body = json!({
            "definition_id": DEFINITION, "version": "1", "session_id": "soak", "phase": phase,
            "worker": self.facts["worker"], "runtime_env": self.facts["runtime_env"],
            "callback_url": self.sink,
        });
        let job = self.submit(&body).await?;
        let stream = self
            .client
            .events(&format!("/api/v1/jobs/{job}/stream"))
            .await?;
        let mut stream = Box::pin(stream);
        let mut last = Value::Null;
        while let Some(event) = stream.next().await {
            last = event?;
        }
        match last["type"].as_str() {
            Some(kind) if kind.ends_with("job.completed") => Ok(true),
            Some(kind) if kind.ends_with("job.faulted") => {
                let why = &last["data"]["error"]["detail"];
                say(&format!("{phase} {job} faulted: {why}"));
                Ok(false)
            }
            _ => Err(format!("the stream of {phase} {job} ends with {last}")),
        }
    }
}

/// Many jobs that touch no device; every tenth is cancelled.
async fn small(shared: Arc<Shared>, rate: u32) -> Result<(), Failure> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let look = json!({"source": "line protocol is up", "regex": "protocol is (up|down)"});
    let mut count = 0_u64;
    while !shared.has_ended() {
        pace.tick().await;
        count += 1;
        if count.is_multiple_of(CANCELLED) {
            let pause = shared.scenario("pause", &json!({"seconds": 600}));
            let job = shared.submit(&pause).await?;
            shared.client.delete(&format!("/api/v1/jobs/{job}")).await?;
        } else {
            shared
                .submit(&shared.scenario("evaluate.regex", &look))
                .await?;
        }
    }
    Ok(())
}

/// One job after the other on the devices.
async fn on_devices(shared: Arc<Shared>) -> Result<(), Failure> {
    let (mut all, mut well) = (0, 0);
    while !shared.has_ended() {
        all += 1;
        well += u32::from(shared.phase("grade").await?);
        tokio::time::sleep(DEVICES).await;
    }
    say(&format!("{well} of {all} jobs on devices ended well"));
    Ok(())
}
