//! Facts of the worker: from the request, the configuration and the session's earlier jobs.

use se_adapters::{CONSOLE_PORT, ConsoleWay, Trust, Worker};
use se_runtime::Secret;
use serde_json::{Map, Value, json};

use super::JobRequest;
use crate::config;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::fields::Fields;

/// Entry of the configuration that fits any worker.
const ANY: &str = "default";

const WORKER: &[&str] = &[
    "ip",
    "name",
    "cml_username",
    "cml_password",
    "region",
    "adapter",
    "cml_url",
    "tls",
    "capabilities",
    "consoles",
    "console_port",
];

/// Facts of the worker, as a request gives them.
pub(super) fn read(fields: &mut Fields, body: &Map<String, Value>) -> Map<String, Value> {
    let worker = fields.object(body, "", "worker");
    fields.known(&worker, "/worker", WORKER);
    for key in ["ip", "name"] {
        fields.name(&worker, "/worker", key);
    }
    for key in [
        "cml_username",
        "cml_password",
        "region",
        "adapter",
        "cml_url",
    ] {
        fields.text(&worker, "/worker", key);
    }
    if text(&worker, "cml_url").is_some_and(|it| !config::is_http(it)) {
        fields.wrong(
            "/worker/cml_url",
            "is no address of a controller; give one that begins with https://, without a user or password",
        );
    }
    fields.texts(&worker, "/worker", "capabilities");
    fields.texts(&worker, "/worker", "consoles");
    if let Err(why) = consoles(&worker) {
        fields.wrong("/worker/consoles", &why);
    }
    if let Err(why) = console_port(&worker) {
        fields.wrong("/worker/console_port", &why);
    }
    let tls = fields.object(&worker, "/worker", "tls");
    fields.known(&tls, "/worker/tls", &["verify", "ca_file", "fingerprint"]);
    fields.boolean(&tls, "/worker/tls", "verify");
    for key in ["ca_file", "fingerprint"] {
        fields.text(&tls, "/worker/tls", key);
    }
    worker
}

/// What is known about the worker of a request: what it leaves out comes from the configuration.
pub(super) async fn known(engine: &Engine, request: &JobRequest) -> Result<Map<String, Value>> {
    let mut worker = request.worker.clone();
    if key(&worker).is_none()
        && let Some(session) = &request.session_id
        && let Some(ip) = engine.store.session_worker(session).await?
    {
        worker.insert("ip".to_owned(), Value::from(ip));
    }
    configured(&engine.config, &mut worker);
    Ok(worker)
}

/// Adds what the configuration knows about a worker and nobody gave.
pub(super) fn configured(config: &config::Config, worker: &mut Map<String, Value>) {
    let ip = text(worker, "ip");
    let name = text(worker, "name");
    let configured = config
        .workers
        .iter()
        .find(|(key, it)| {
            name == Some(key) || (ip.is_some() && (it.ip.as_deref() == ip || ip == Some(key)))
        })
        .or_else(|| config.workers.get_key_value(ANY));
    if let Some((_, configured)) = configured {
        for (key, value) in facts(configured) {
            let missing = worker.get(&key).is_none_or(Value::is_null);
            if missing && !value.is_null() {
                worker.insert(key, value);
            }
        }
    }
}

fn facts(it: &config::Worker) -> Map<String, Value> {
    let tls = it.tls_verify.is_some() || it.tls_ca_file.is_some() || it.tls_fingerprint.is_some();
    let tls = tls.then(|| {
        json!({"verify": it.tls_verify, "ca_file": it.tls_ca_file, "fingerprint": it.tls_fingerprint})
    });
    [
        ("ip", Value::from(it.ip.clone())),
        ("region", Value::from(it.region.clone())),
        ("cml_url", Value::from(it.cml_url.clone())),
        ("cml_username", Value::from(it.cml_username.clone())),
        (
            "cml_password",
            Value::from(it.cml_password.as_ref().map(|it| it.expose().to_owned())),
        ),
        ("tls", tls.unwrap_or(Value::Null)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// What facts of a session are kept under.
pub(super) fn key(worker: &Map<String, Value>) -> Option<&str> {
    text(worker, "ip").or_else(|| text(worker, "name"))
}

/// As `runtime_env` has it.
pub(super) fn runtime_env(worker: &Map<String, Value>) -> Map<String, Value> {
    let mut env = Map::new();
    for (from, to) in [
        ("ip", "worker_ip"),
        ("region", "region"),
        ("cml_username", "cml_username"),
        ("cml_password", "cml_password"),
        ("cml_url", "cml_url"),
    ] {
        if let Some(value) = worker.get(from).filter(|it| !it.is_null()) {
            env.insert(to.to_owned(), value.clone());
        }
    }
    if !worker.is_empty() {
        env.insert("worker".to_owned(), Value::Object(worker.clone()));
    }
    env
}

/// The worker of a job, from its opened `runtime_env`.
pub(crate) fn of(runtime_env: &Value) -> Result<Worker> {
    let mut facts = runtime_env
        .get("worker")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for (from, to) in [
        ("worker_ip", "ip"),
        ("region", "region"),
        ("cml_username", "cml_username"),
        ("cml_password", "cml_password"),
        ("cml_url", "cml_url"),
    ] {
        if let Some(value) = runtime_env.get(from).filter(|it| it.is_string()) {
            facts.insert(to.to_owned(), value.clone());
        }
    }
    of_facts(&facts)
}

/// The worker of a request.
pub(super) fn of_facts(facts: &Map<String, Value>) -> Result<Worker> {
    let own = |key: &str| text(facts, key).map(str::to_owned);
    let none = Map::new();
    let tls = facts.get("tls").and_then(Value::as_object).unwrap_or(&none);
    let trust = Trust::new(
        tls.get("verify").and_then(Value::as_bool),
        text(tls, "ca_file").map(Into::into),
        text(tls, "fingerprint"),
    );
    let capabilities = facts.get("capabilities").and_then(Value::as_array);
    let capabilities = capabilities.into_iter().flatten().filter_map(Value::as_str);
    Ok(Worker {
        ip: own("ip").unwrap_or_default(),
        cml_url: own("cml_url"),
        cml_username: own("cml_username").unwrap_or_default(),
        cml_password: Secret::new(own("cml_password").unwrap_or_default()),
        region: own("region"),
        adapter: own("adapter"),
        trust: trust.map_err(|fault| Error::field("/worker/tls/fingerprint", fault.detail))?,
        capabilities: capabilities.map(str::to_owned).collect(),
        consoles: consoles(facts).map_err(|why| Error::field("/worker/consoles", why))?,
        console_port: console_port(facts)
            .map_err(|why| Error::field("/worker/console_port", why))?,
    })
}

/// How consoles can be reached, best first; every way where nothing is said.
fn consoles(facts: &Map<String, Value>) -> Result<Vec<ConsoleWay>, String> {
    let Some(words) = facts.get("consoles").and_then(Value::as_array) else {
        return Ok(ConsoleWay::ALL.to_vec());
    };
    let way = |word: &Value| {
        let word = word.as_str().unwrap_or_default();
        ConsoleWay::parse(word).ok_or_else(|| {
            let all: Vec<&str> = ConsoleWay::ALL.iter().map(|it| it.as_str()).collect();
            format!(
                "holds `{word}`, which is no way to a console; there are {}",
                all.join(", ")
            )
        })
    };
    words.iter().map(way).collect()
}

fn console_port(facts: &Map<String, Value>) -> Result<u16, String> {
    let Some(value) = facts.get("console_port").filter(|it| !it.is_null()) else {
        return Ok(CONSOLE_PORT);
    };
    let port = value.as_u64().and_then(|it| u16::try_from(it).ok());
    port.filter(|it| *it != 0)
        .ok_or_else(|| format!("is {value}, which is no TCP port"))
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object
        .get(key)
        .and_then(Value::as_str)
        .filter(|it| !it.is_empty())
}
