//! What the tests of connectors share: endpoints, calls and a clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use se_adapters::connect::{Connectors, Sessions};
use se_adapters::device;
use se_dsl::catalog;
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Call, Clock, Endpoint, Endpoints, Fault, Outcome, Secret, SshPolicy, Timestamp};
use serde_json::{Value, json};

pub(crate) struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let wait = at.since(self.now());
        Box::pin(tokio::time::sleep(wait))
    }
}

pub(crate) fn connectors() -> Arc<Connectors> {
    Arc::new(Connectors::new(Arc::new(Wall)))
}

pub(crate) fn sessions() -> Sessions {
    Sessions::new(connectors())
}

/// A connector on 127.0.0.1.
pub(crate) fn endpoint(class: ConnectorClass, transport: Transport, port: u16) -> Endpoint {
    Endpoint {
        name: "r1".to_owned(),
        device: "r1".to_owned(),
        class,
        transport,
        host: "127.0.0.1".to_owned(),
        port,
        timeout: Duration::from_secs(10),
        idle_timeout: None,
        typing_delay: Duration::ZERO,
        ssh: SshPolicy::default(),
        prompt: None,
        username: None,
        password: None,
        enable_password: None,
    }
}

pub(crate) fn router(port: u16) -> Endpoint {
    endpoint(ConnectorClass::CiscoCommon, Transport::Telnet, port)
}

pub(crate) fn with_passwords(endpoint: Endpoint, password: &str, enable: &str) -> Endpoint {
    Endpoint {
        password: Some(Secret::new(password)),
        enable_password: Some(Secret::new(enable)),
        ..endpoint
    }
}

pub(crate) fn call(primitive: &str, endpoint: &Endpoint, inputs: Value) -> Call {
    let Value::Object(inputs) = inputs else {
        panic!("inputs are an object");
    };
    Call {
        job: "job".to_owned(),
        step: "step".to_owned(),
        attempt: 1,
        part: None,
        primitive: catalog::find(primitive, "v1").unwrap(),
        inputs,
        target: Some(Arc::new(endpoint.clone())),
        endpoints: Arc::new(Endpoints::new([endpoint.clone()])),
        runtime_env: Arc::new(json!({})),
        timeout: Duration::from_secs(30),
    }
}

pub(crate) async fn exec(sessions: &Sessions, endpoint: &Endpoint, inputs: Value) -> Outcome {
    device::exec(sessions, &call("exec", endpoint, inputs)).await
}

/// What `collect` keeps of `command`.
pub(crate) async fn collect(
    sessions: &Sessions,
    endpoint: &Endpoint,
    command: &str,
) -> Result<String, Fault> {
    let call = call("collect", endpoint, json!({ "command": command }));
    let done = device::collect(sessions, &call).await?;
    Ok(done
        .output
        .get("output")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned())
}
