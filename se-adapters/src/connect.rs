//! Device connectors: telnet consoles, SSH shells and commands, files over SFTP.

mod cli;
mod console;
mod login;
mod output;
mod place;
mod prompt;
mod screen;
mod sessions;
mod ssh;
pub mod telnet;
mod wire;

use std::sync::Arc;

use se_dsl::checked::{ConnectorClass, Transport};
use se_runtime::{Endpoint, Fault, FaultKind};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

pub(crate) use place::{Came, Place};
pub use sessions::{Connectors, Lease, Sessions};

use self::cli::Cli;
use self::console::Console;
use self::prompt::Style;
use self::wire::Wire;
use crate::device::Device;
use crate::transcript::Transcript;

/// Connects and logs in.
async fn open(
    endpoint: &Arc<Endpoint>,
    transcript: &Transcript,
    deadline: Instant,
) -> Result<Box<dyn Device>, Fault> {
    let place = Place::new(endpoint);
    let stream = connect(endpoint, &place, transcript, deadline).await?;
    let console = Console::new(Wire::telnet(stream), place, transcript.clone());
    let style = style(endpoint.class);
    let cli = Cli::open(console, style, Arc::clone(endpoint), deadline).await?;
    Ok(Box::new(cli))
}

fn style(class: ConnectorClass) -> Style {
    match class {
        ConnectorClass::CiscoCommon => Style::Cisco,
        ConnectorClass::Unix | ConnectorClass::Control => Style::Any,
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
