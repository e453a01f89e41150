//! Logs: to stderr, as text or as JSON.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Whatever is asked for: in more detail it logs what is typed on consoles, passwords too.
const SAYS_TOO_MUCH: &str = "tungstenite=warn";

/// Sends everything that is logged to stderr. The first call counts.
pub(crate) fn start(log: &Log) {
    let asked = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = match SAYS_TOO_MUCH.parse() {
        Ok(bound) => asked.add_directive(bound),
        Err(_) => asked,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // A second engine in the same process shares the first one's log.
    started.ok();
}
