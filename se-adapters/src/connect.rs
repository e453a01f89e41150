//! Device connectors: telnet consoles, SSH shells and commands, files over SFTP.

mod cli;
mod command;
mod console;
mod line;
mod login;
mod output;
mod place;
mod prompt;
mod screen;
mod sessions;
mod sftp;
mod shell;
mod ssh;
pub mod telnet;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Endpoint, Fault, FaultKind};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use place::{Came, Place};
pub use sessions::{Connectors, Lease, Sessions};

use self::cli::Cli;
use self::command::Commands;
use self::console::Console;
use self::prompt::Style;
use self::shell::Shell;
use self::ssh::Connection;
use self::wire::Wire;
use crate::device::Device;
use crate::transcript::Transcript;

/// Between two tries at a console; doubled each time.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// Connects and logs in.
async fn open(
    endpoint: &Arc<Endpoint>,
    transcript: &Transcript,
    identity: Option<&Arc<PrivateKey>>,
    deadline: Instant,
) -> Result<Box<dyn Device>, Fault> {
    match endpoint.transport {
        Transport::Telnet => open_console(endpoint, transcript, deadline).await,
        Transport::Ssh => open_ssh(endpoint, transcript, identity, deadline).await,
    }
}

/// A console server that has not finished with its last user hangs up on the next: that is tried again.
async fn open_console(
    endpoint: &Arc<Endpoint>,
    transcript: &Transcript,
    deadline: Instant,
) -> Result<Box<dyn Device>, Fault> {
    let until = deadline.min(Instant::now() + endpoint.timeout);
    let mut pause = SHORTEST_PAUSE;
    loop {
        let place = Place::new(endpoint);
        let stream = connect(endpoint, &place, transcript, deadline).await?;
        let console = Console::new(Wire::telnet(stream), place, transcript.clone());
        match log_in(console, endpoint, deadline).await {
            Err(fault)
                if fault.kind == FaultKind::Communication && Instant::now() + pause < until =>
            {
                sleep(pause).await;
                pause *= 2;
            }
            other => return other,
        }
    }
}

async fn log_in(
    console: Console,
    endpoint: &Arc<Endpoint>,
    deadline: Instant,
) -> Result<Box<dyn Device>, Fault> {
    let endpoint = Arc::clone(endpoint);
    Ok(match endpoint.class {
        ConnectorClass::Unix => Box::new(Shell::open(console, endpoint, deadline).await?),
        ConnectorClass::CiscoCommon => {
            Box::new(Cli::open(console, Style::Cisco, endpoint, deadline).await?)
        }
        ConnectorClass::Control => {
            Box::new(Cli::open(console, Style::Any, endpoint, deadline).await?)
        }
    })
}

async fn open_ssh(
    endpoint: &Arc<Endpoint>,
    transcript: &Transcript,
    identity: Option<&Arc<PrivateKey>>,
    deadline: Instant,
) -> Result<Box<dyn Device>, Fault> {
    let place = Place::new(endpoint);
    let stream = connect(endpoint, &place, transcript, deadline).await?;
    let connection = Connection::open(stream, endpoint, identity, deadline).await;
    let connection = connection.inspect_err(|fault| transcript.note(&fault.to_string()))?;
    match endpoint.class {
        ConnectorClass::Unix | ConnectorClass::Control => {
            Ok(Box::new(Commands::new(connection, transcript.clone())))
        }
        ConnectorClass::CiscoCommon => {
            let wire = Wire::shell(connection.clone(), deadline).await?;
            let console = Console::new(wire, place, transcript.clone());
            let cli = Cli::open(console, Style::Cisco, Arc::clone(endpoint), deadline).await?;
            Ok(Box::new(cli.with_files_over(connection)))
        }
    }
}

async fn connect(
    endpoint: &Endpoint,
    place: &Place,
    transcript: &Transcript,
    deadline: Instant,
) -> Result<TcpStream, Fault> {
    let address = (endpoint.host.as_str(), endpoint.port);
    let until = deadline.min(Instant::now() + endpoint.timeout);
    let check = match endpoint.transport {
        Transport::Telnet => "check that the node is up and that the port is its console",
        Transport::Ssh => "check that the node is up and that the port leads to its SSH server",
    };
    let fault = |kind, reason: &str| {
        let fault = place.fault(kind, "connecting", &Came::Reason(reason), check);
        transcript.note(&fault.to_string());
        fault
    };
    match timeout_at(until, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY");
            }
            transcript.note(&format!("connected to {place}"));
            Ok(stream)
        }
        Ok(Err(error)) => Err(fault(FaultKind::Communication, &error.to_string())),
        Err(_) => Err(fault(
            FaultKind::Timeout,
            &format!("no answer within {} s", endpoint.timeout.as_secs_f64()),
        )),
    }
}
