//! Device connectors: consoles over telnet or a controller, SSH shells and commands, files over SFTP and SCP.

mod algorithms;
mod cli;
mod command;
mod console;
mod files;
mod host_key;
mod line;
mod login;
mod output;
mod place;
mod prompt;
mod scp;
mod screen;
mod sessions;
mod sftp;
mod shell;
mod ssh;
pub mod telnet;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use russh::keys::PrivateKey;
use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Endpoint, Fault, FaultKind};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use place::{Came, Place};
pub use sessions::{Connectors, ConsoleLeases, Lease, Sessions};

use self::cli::Cli;
use self::command::Commands;
use self::console::Console;
use self::prompt::Style;
use self::shell::Shell;
pub(crate) use self::ssh::Connection;
pub(crate) use self::wire::{COLUMNS, ROWS};
use self::wire::{Pace, Wire};
use crate::device::Device;
use crate::lab::ConsoleStream;
use crate::transcript::Transcript;
use crate::worker::ConsoleWay;

/// Between two tries at a console; doubled each time.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// Leads to the consoles of a job's nodes through their controller.
pub trait NodeConsoles: std::fmt::Debug + Send + Sync {
    /// How consoles can be reached, best first.
    fn ways(&self) -> &[ConsoleWay];

    /// Connects with the console of the node of that label; never [`ConsoleWay::Telnet`].
    fn open<'a>(
        &'a self,
        label: &'a str,
        way: ConsoleWay,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<ConsoleStream, Fault>>;
}

/// A session that is to be opened.
#[derive(Clone, Copy)]
struct Opening<'a> {
    endpoint: &'a Arc<Endpoint>,
    transcript: &'a Transcript,
    identity: Option<&'a Arc<PrivateKey>>,
    nodes: Option<&'a dyn NodeConsoles>,
    deadline: Instant,
}

/// Connects and logs in.
async fn open(it: Opening<'_>) -> Result<Box<dyn Device>, Fault> {
    match it.endpoint.transport {
        Transport::Telnet => {
            let opened = open_console(it, ConsoleWay::Telnet).await;
            opened.map_err(Failed::into_fault)
        }
        Transport::Console => open_any_console(it).await,
        Transport::Ssh => open_ssh(it.endpoint, it.transcript, it.identity, it.deadline).await,
    }
}

/// What of opening a console has failed.
enum Failed {
    /// Nothing was there: another way may lead to it.
    Connecting(Fault),
    /// The device, or what was said to it.
    Speaking(Fault),
}

impl Failed {
    fn into_fault(self) -> Fault {
        match self {
            Self::Connecting(fault) | Self::Speaking(fault) => fault,
        }
    }
}

/// The first way that leads to the console.
async fn open_any_console(it: Opening<'_>) -> Result<Box<dyn Device>, Fault> {
    let ways = it
        .nodes
        .map_or(&[ConsoleWay::Telnet][..], NodeConsoles::ways);
    let mut failed = Vec::new();
    for way in ways {
        if *way == ConsoleWay::Telnet && it.endpoint.port == Endpoint::NO_PORT {
            failed.push("telnet: no serial port of the node is known".to_owned());
            continue;
        }
        match open_console(it, *way).await {
            Ok(device) => return Ok(device),
            Err(Failed::Connecting(fault)) => {
                failed.push(format!("{}: {}", way.as_str(), fault.detail));
            }
            Err(Failed::Speaking(fault)) => return Err(fault),
        }
    }
    let failed = failed.join("; ");
    Err(Place::new(it.endpoint).fault(
        FaultKind::Communication,
        "connecting with the console",
        &Came::Reason(&format!("no way leads to it: {failed}")),
        "check that the node is up, and what `worker.consoles` says of this worker",
    ))
}

/// A console server that has not finished with its last user hangs up on the next: that is tried again.
async fn open_console(it: Opening<'_>, way: ConsoleWay) -> Result<Box<dyn Device>, Failed> {
    let Opening {
        endpoint, deadline, ..
    } = it;
    let until = deadline.min(Instant::now() + endpoint.timeout);
    let mut pause = SHORTEST_PAUSE;
    let mut wire = console_wire(it, way).await.map_err(Failed::Connecting)?;
    loop {
        let console = Console::new(wire, endpoint, it.transcript.clone());
        match log_in(console, endpoint, deadline).await {
            Err(fault)
                if fault.kind == FaultKind::Communication && Instant::now() + pause < until =>
            {
                sleep(pause).await;
                pause *= 2;
            }
            other => return other.map_err(Failed::Speaking),
        }
        wire = console_wire(it, way).await.map_err(Failed::Speaking)?;
    }
}

/// Connects in this way.
async fn console_wire(it: Opening<'_>, way: ConsoleWay) -> Result<Wire, Fault> {
    let place = Place::new(it.endpoint);
    if way == ConsoleWay::Telnet {
        let stream = connect(it.endpoint, &place, it.transcript, it.deadline).await?;
        return Ok(Wire::telnet(stream, Pace::of(it.endpoint)));
    }
    let Some(nodes) = it.nodes else {
        let detail = format!("{place}: there is no controller that leads to it");
        return Err(Fault::new(FaultKind::Validation, detail));
    };
    let opened = nodes.open(&it.endpoint.device, way, it.deadline).await;
    let stream = opened.inspect_err(|fault| it.transcript.note(&fault.to_string()))?;
    it.transcript
        .note(&format!("connected to {place} over {}", way.as_str()));
    Ok(Wire::stream(stream, Pace::of(it.endpoint)))
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
    let connection = connect_ssh(endpoint, transcript, identity, deadline).await?;
    match endpoint.class {
        ConnectorClass::Unix | ConnectorClass::Control => Ok(Box::new(Commands::new(
            connection,
            transcript.clone(),
            endpoint.idle_timeout,
        ))),
        ConnectorClass::CiscoCommon => {
            let wire = Wire::shell(connection.clone(), Pace::of(endpoint), deadline).await?;
            let console = Console::new(wire, endpoint, transcript.clone());
            let cli = Cli::open(console, Style::Cisco, Arc::clone(endpoint), deadline).await?;
            Ok(Box::new(cli.with_files_over(connection)))
        }
    }
}

async fn connect_ssh(
    endpoint: &Arc<Endpoint>,
    transcript: &Transcript,
    identity: Option<&Arc<PrivateKey>>,
    deadline: Instant,
) -> Result<Connection, Fault> {
    let place = Place::new(endpoint);
    let stream = connect(endpoint, &place, transcript, deadline).await?;
    let connection = Connection::open(stream, endpoint, identity, deadline).await;
    let connection = connection.inspect_err(|fault| transcript.note(&fault.to_string()))?;
    transcript.note(&format!("the server's key is {}", connection.host_key()));
    Ok(connection)
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
        Transport::Telnet | Transport::Console => {
            "check that the node is up and that the port is its console"
        }
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
