//! Connectors with their expressions evaluated.

use std::sync::Arc;
use std::time::Duration;

use se_dsl::checked::{Connector, Content, FINGERPRINT, Transport, UnknownHostKey, is_fingerprint};
use se_dsl::expr::{Root, Scopes, Template};
use serde_json::Value;

use crate::attempt::Evaluation;
use crate::fault::{Fault, FaultKind};
use crate::port::{Endpoint, Endpoints, SshPolicy};
use crate::secret::Secret;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Endpoints {
    /// Evaluates every connector of a package or part. One that cannot be evaluated keeps the reason: only the
    /// steps that use it fail.
    #[must_use]
    pub fn evaluate(content: &Content, scopes: &Scopes) -> Self {
        let read = Evaluation::new(scopes);
        let by_name = content
            .connectors
            .iter()
            .map(|it| (it.name.clone(), endpoint(it, &read).map(Arc::new)))
            .collect();
        Self { by_name }
    }
}

fn endpoint(connector: &Connector, evaluation: &Evaluation<'_>) -> Result<Endpoint, Fault> {
    let read = Reader {
        connector,
        evaluation,
    };
    Ok(Endpoint {
        name: connector.name.clone(),
        device: connector.device.clone(),
        class: connector.class,
        transport: connector.transport,
        host: read.host()?,
        port: read.port()?,
        timeout: connector.timeout.unwrap_or(DEFAULT_TIMEOUT),
        idle_timeout: connector.idle_timeout,
        typing_delay: connector.typing_delay,
        ssh: read.ssh()?,
        prompt: read.text("prompt", connector.prompt.as_ref())?,
        username: read.text("username", connector.username.as_ref())?,
        password: read
            .text("password", connector.password.as_ref())?
            .map(Secret::new),
        enable_password: read
            .text("enable_password", connector.enable_password.as_ref())?
            .map(Secret::new),
    })
}

struct Reader<'a> {
    connector: &'a Connector,
    evaluation: &'a Evaluation<'a>,
}

impl Reader<'_> {
    fn value(&self, key: &str, template: Option<&Template>) -> Result<Value, Fault> {
        let Some(template) = template else {
            return Ok(Value::Null);
        };
        self.evaluation.value(template, &key).map_err(|fault| {
            let detail = format!("connector `{}`: {}", self.connector.name, fault.detail);
            Fault { detail, ..fault }
        })
    }

    fn text(&self, key: &str, template: Option<&Template>) -> Result<Option<String>, Fault> {
        match self.value(key, template)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            number @ Value::Number(_) => Ok(Some(number.to_string())),
            _ => Err(self.wrong(key, "text")),
        }
    }

    fn port(&self) -> Result<u16, Fault> {
        for (key, template) in [
            ("via_port", &self.connector.via_port),
            ("port", &self.connector.port),
        ] {
            let value = self.value(key, template.as_ref())?;
            let number = match &value {
                Value::Null => continue,
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_u64().and_then(|it| u16::try_from(it).ok()),
            };
            return number
                .filter(|it| *it != 0)
                .ok_or_else(|| self.wrong(key, "a TCP port"));
        }
        match self.connector.transport {
            Transport::Ssh => Ok(22),
            Transport::Console => Ok(Endpoint::NO_PORT),
            Transport::Telnet => {
                let Connector { name, device, .. } = self.connector;
                let detail = format!(
                    "connector `{name}` has no port: runtime_env.devices.{device} holds none; give \
                     it in topology/ports.json, in a node tag (serial:<port>) or in the job's \
                     runtime_env"
                );
                Err(Fault::new(FaultKind::Validation, detail))
            }
        }
    }

    /// What the connector says of SSH, and for what it leaves out the device's facts.
    fn ssh(&self) -> Result<SshPolicy, Fault> {
        let Connector {
            name, device, ssh, ..
        } = self.connector;
        let fact = |key| match self.fact(&["devices", name, key]) {
            Value::Null => self.fact(&["devices", device, key]),
            known => known,
        };
        let legacy = match (ssh.legacy, fact("ssh_legacy")) {
            (Some(legacy), _) | (None, Value::Bool(legacy)) => legacy,
            (None, Value::Null) => false,
            (None, _) => return Err(self.wrong("ssh_legacy", "true or false")),
        };
        let mut host_key = self.value("host_key", ssh.host_key.as_ref())?;
        if host_key.is_null() {
            host_key = fact("host_key");
        }
        let host_key = match host_key {
            Value::Null => None,
            Value::String(text) if is_fingerprint(text.trim()) => Some(text.trim().to_owned()),
            _ => return Err(self.wrong("host_key", FINGERPRINT)),
        };
        Ok(SshPolicy {
            legacy,
            host_key,
            refuse_unknown: ssh.unknown_host_key == UnknownHostKey::Refuse,
        })
    }

    fn fact(&self, path: &[&str]) -> Value {
        let path: Vec<String> = path.iter().map(|it| (*it).to_owned()).collect();
        self.evaluation.scopes.at(Root::RuntimeEnv, &path)
    }

    /// The device's own host where the pod's facts name one, else the worker.
    fn host(&self) -> Result<String, Fault> {
        let fact = |path: &[&str]| self.fact(path).as_str().map(str::to_owned);
        let Connector { name, device, .. } = self.connector;
        fact(&["devices", name, "host"])
            .or_else(|| fact(&["devices", device, "host"]))
            .or_else(|| fact(&["worker_ip"]))
            .ok_or_else(|| {
                let detail = format!(
                    "connector `{name}` has no host: neither runtime_env.devices.{device}.host nor \
                     the worker's ip is known; give worker.ip in the job"
                );
                Fault::new(FaultKind::Validation, detail)
            })
    }

    fn wrong(&self, key: &str, wanted: &str) -> Fault {
        let detail = format!(
            "connector `{}`: `{key}` must be {wanted}; look at runtime_env.devices.{}",
            self.connector.name, self.connector.device
        );
        Fault::new(FaultKind::Validation, detail)
    }
}
