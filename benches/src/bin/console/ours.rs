//! The same through the connectors, as steps of a job use them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join_all};
use se_adapters::connect::{Connectors, Sessions};
use se_adapters::device;
use se_dsl::catalog;
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Call, Clock, Endpoint, Endpoints, Secret, SshPolicy, Timestamp};
use se_testkit::testbed::ROUTER_PASSWORD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::since;

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_micros(i64::try_from(since.unwrap().as_micros()).unwrap())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(at.since(self.now())))
    }
}

fn sessions() -> Sessions {
    Sessions::new(Arc::new(Connectors::new(Arc::new(Wall))))
}

fn endpoint(name: &str, port: u16) -> Endpoint {
    Endpoint {
        ssh: SshPolicy::default(),
        typing_delay: Duration::ZERO,
        idle_timeout: None,
        name: name.to_owned(),
        device: name.to_owned(),
        class: ConnectorClass::CiscoCommon,
        transport: Transport::Telnet,
        host: "127.0.0.1".to_owned(),
        port,
        timeout: Duration::from_secs(30),
        prompt: None,
        username: None,
        password: Some(Secret::new(ROUTER_PASSWORD)),
        enable_password: Some(Secret::new(ROUTER_PASSWORD)),
    }
}

async fn collect(sessions: &Sessions, endpoint: &Endpoint, command: &str) {
    let Value::Object(inputs) = json!({ "command": command }) else {
        return;
    };
    let call = Call {
        job: "job".to_owned(),
        step: "step".to_owned(),
        attempt: 1,
        part: None,
        primitive: catalog::find("collect", "v1").unwrap(),
        inputs,
        target: Some(Arc::new(endpoint.clone())),
        endpoints: Arc::new(Endpoints::new([endpoint.clone()])),
        runtime_env: Arc::new(json!({})),
        timeout: Duration::from_secs(60),
    };
    let done = device::collect(sessions, &call).await.unwrap();
    assert!(done.output.contains_key("output"), "nothing was captured");
}

async fn close(sessions: &Sessions) {
    let until = tokio::time::Instant::now() + Duration::from_secs(3);
    sessions.close_all(until).await;
}

/// `count` commands one after the other, logged in.
pub(super) async fn one(port: u16, command: &str, count: usize) -> f64 {
    let sessions = sessions();
    let endpoint = endpoint("r1", port);
    collect(&sessions, &endpoint, command).await;
    let start = Instant::now();
    for _ in 0..count {
        collect(&sessions, &endpoint, command).await;
    }
    let seconds = since(start);
    close(&sessions).await;
    seconds
}

/// The commands in turn on each of the devices, all devices at once, with logging in.
pub(super) async fn many(ports: &[u16], commands: &[&str]) -> f64 {
    let sessions = sessions();
    let start = Instant::now();
    let devices = ports.iter().enumerate().map(|(at, port)| {
        let commands = commands.iter().skip(at).step_by(ports.len());
        visit(&sessions, endpoint(&format!("r{at}"), *port), commands)
    });
    join_all(devices).await;
    let seconds = since(start);
    close(&sessions).await;
    seconds
}

async fn visit<'a>(
    sessions: &Sessions,
    endpoint: Endpoint,
    commands: impl Iterator<Item = &'a &'a str>,
) {
    for command in commands {
        collect(sessions, &endpoint, command).await;
    }
}

/// By how many bytes each session that stands at its prompt makes this process larger, the device's end of its
/// connection included.
pub(super) async fn held(count: usize) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let devices = async {
        let mut users = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            users.spawn(device(stream));
        }
    };
    let hold = async {
        let jobs: Vec<Sessions> = (0..count).map(|_| sessions()).collect();
        let endpoint = endpoint("r1", port);
        let before = resident();
        join_all(jobs.iter().map(|it| collect(it, &endpoint, "show version"))).await;
        let grown = resident() - before;
        grown / u64::try_from(count.max(1)).unwrap()
    };
    tokio::select! {
        // Neither holds anything that a drop would lose.
        () = devices => unreachable!("the listener lives"),
        grown = hold => grown,
    }
}

/// Shows its prompt after every line.
async fn device(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(b"R1#").await?;
    let mut buffer = [0; 256];
    loop {
        let read = stream.read(&mut buffer).await?;
        let typed = buffer.get(..read).unwrap_or_default();
        for key in typed {
            match key {
                b'\r' => stream.write_all(b"\r\nR1#").await?,
                0x15 => {}
                other => stream.write_all(&[*other]).await?,
            }
        }
        if typed.is_empty() {
            return Ok(());
        }
    }
}

/// What of this process is in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|it| it.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
