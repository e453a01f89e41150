//! Consoles through the controller: its console server over SSH, and its web console.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Endpoint, Fault, FaultKind, SshPolicy};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use super::client::{Client, Request};
use super::{tls, trouble};
use crate::connect::{COLUMNS, Connection, ROWS};
use crate::deadline::Deadline;
use crate::lab::{ConsoleStream, NodeAt};

/// The first serial line of a node is its console.
const LINE: &str = "0";
/// How long connecting may take: another way may do.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest message of a web console, in bytes.
const LARGEST: usize = 1 << 20;

/// The console server: a login at the controller, and a command that says which node.
pub(super) async fn over_ssh(
    client: &Client,
    at: NodeAt<'_>,
    deadline: &Deadline,
) -> Result<ConsoleStream, Fault> {
    let endpoint = Arc::new(server(client));
    let until = Instant::now() + deadline.left().min(PATIENCE);
    let refused = |reason: &str| {
        let Endpoint { host, port, .. } = endpoint.as_ref();
        let detail = format!(
            "the controller's console server at {host}:{port}: {reason}; check that the port is open, or leave \
             `ssh` out of `worker.consoles`"
        );
        Fault::new(FaultKind::Communication, detail)
    };
    let connecting = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
    let stream = match timeout_at(until, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(refused(&error.to_string())),
        Err(_) => return Err(refused("no answer")),
    };
    let connection = Connection::open(stream, &endpoint, None, until).await?;
    let channel = connection.channel(until).await?;
    let asked = async {
        channel
            .request_pty(false, "vt100", COLUMNS, ROWS, 0, 0, &[])
            .await?;
        let command = format!("open /{}/{}/{LINE}", at.lab, at.node);
        channel.exec(false, command).await
    };
    match timeout_at(until, asked).await {
        Ok(Ok(())) => Ok(ConsoleStream::new(channel.into_stream()).holding(connection)),
        Ok(Err(error)) => Err(refused(&error.to_string())),
        Err(_) => Err(refused("no answer")),
    }
}

fn server(client: &Client) -> Endpoint {
    let config = &client.config;
    Endpoint {
        name: "console server".to_owned(),
        device: String::new(),
        class: ConnectorClass::Control,
        transport: Transport::Ssh,
        host: config.console_host.clone(),
        port: config.console_port,
        timeout: PATIENCE,
        prompt: None,
        username: Some(config.username.clone()),
        password: Some(config.password.clone()),
        enable_password: None,
        ssh: SshPolicy::default(),
        typing_delay: Duration::ZERO,
        idle_timeout: None,
    }
}

/// The web console: a key that the controller gives for the node, and a websocket of that key.
pub(super) async fn over_websocket(
    client: &Client,
    at: NodeAt<'_>,
    deadline: &Deadline,
) -> Result<ConsoleStream, Fault> {
    let path = format!("labs/{}/nodes/{}/keys/console", at.lab, at.node);
    let request = Request::get(path).with("line", LINE);
    let key: String = client.fetch(&request, deadline).await?;
    let refused = |reason: &str| {
        let origin = client.config.api.origin().ascii_serialization();
        let detail = format!(
            "the web console of node {} of lab {} at {origin}: {reason}; leave `websocket` out of \
             `worker.consoles` if this controller has none",
            at.node, at.lab
        );
        Fault::new(FaultKind::Communication, detail)
    };
    let left = deadline.left().min(PATIENCE);
    let stream = match timeout(left, upgrade(client, &key)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(reason)) => return Err(refused(&reason)),
        Err(_) => return Err(refused("no answer")),
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
    let (sink, stream) = socket.split();
    let bytes = stream.filter_map(|it| std::future::ready(received(it)));
    let typed = sink
        .sink_map_err(io::Error::other)
        .with(|it: Bytes| std::future::ready(Ok::<_, io::Error>(sent(&it))));
    let (reader, writer) = (
        StreamReader::new(bytes),
        SinkWriter::new(CopyToBytes::new(typed)),
    );
    Ok(ConsoleStream::new(tokio::io::join(reader, writer)))
}

/// Nodes say bytes or text; anything else is of the protocol.
fn received(message: Result<Message, SocketError>) -> Option<io::Result<Bytes>> {
    match message {
        Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
        Ok(Message::Text(text)) => Some(Ok(Bytes::from(text))),
        Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => None,
        Err(error) => Some(Err(io::Error::other(error))),
    }
}

/// The controller takes text.
fn sent(bytes: &Bytes) -> Message {
    Message::text(String::from_utf8_lossy(bytes).into_owned())
}

/// The connection of a websocket, once the controller has agreed to it.
async fn upgrade(client: &Client, key: &str) -> Result<reqwest::Upgraded, String> {
    // The key in the URL opens the console: no error shows it.
    let told = |error: reqwest::Error| trouble::chain(&error.without_url());
    let config = &client.config;
    // An upgrade is of HTTP/1.1.
    let builder = reqwest::Client::builder().no_proxy().http1_only();
    let http = tls::apply(&config.trust, builder).map_err(|it| it.detail)?;
    let mut url = config.api.clone();
    url.set_path("/ws/dispatch/frontend/console");
    url.query_pairs_mut().append_pair("uuid", key);
    let asking = http.build().map_err(told)?.get(url);
    let answer = asking
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key())
        .send()
        .await
        .map_err(told)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("it answered {}", answer.status()));
    }
    answer.upgrade().await.map_err(told)
}
