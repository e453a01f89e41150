//! A simulated Cisco Modeling Labs controller: the REST API v0 as the adapter and Cisco's own client use
//! it, with the states, delays and refusals of the real one.

mod api;
mod auth;
mod bridge;
mod console_server;
mod document;
mod fault;
mod lab;
mod node;
mod view;
mod web_console;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::journal::Journal;
use super::power::Power;
use super::serve::{Identity, Serving, serve};
use console_server::ConsoleServer;
pub use fault::{CmlFault, CmlFaultKind};
use lab::Labs;

/// How a simulated controller behaves: the `cml` section of a profile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CmlOptions {
    /// How long a node takes from its start to its console.
    pub boot_seconds: f64,
    /// The one user.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// What it says it is.
    pub version: String,
    /// How long a token is good.
    pub token_seconds: f64,
    /// Labels of nodes that never get further than `STARTED`.
    pub stuck: Vec<String>,
    /// Labels of nodes that never get further than `QUEUED`.
    pub queued: Vec<String>,
    /// What it does not like about any topology.
    pub warnings: Vec<String>,
    /// What goes wrong.
    pub faults: Vec<CmlFault>,
    /// Speaks plain HTTP, for clients that cannot be told which certificate to believe.
    #[serde(skip)]
    pub plain_http: bool,
}

impl Default for CmlOptions {
    fn default() -> Self {
        Self {
            boot_seconds: 1.0,
            username: "admin".to_owned(),
            password: "admin".to_owned(),
            version: "2.9.0+build.3".to_owned(),
            token_seconds: 28_800.0,
            stuck: Vec::new(),
            queued: Vec::new(),
            warnings: Vec::new(),
            faults: Vec::new(),
            plain_http: false,
        }
    }
}

/// A running controller; stops when dropped.
#[derive(Debug)]
pub struct CmlSim {
    world: Arc<World>,
    serving: Serving,
    certificate: Option<(String, Vec<u8>)>,
    ticker: JoinHandle<()>,
    console_server: ConsoleServer,
}

/// What the handlers share.
#[derive(Debug)]
struct World {
    options: CmlOptions,
    journal: Journal,
    labs: Mutex<Labs>,
    sessions: auth::Sessions,
    faults: fault::Faults,
    /// Where the console of each node is, by label.
    consoles: Mutex<BTreeMap<String, SocketAddr>>,
}

impl World {
    /// The labs as they are now.
    fn labs<T>(&self, with: impl FnOnce(&mut Labs) -> T) -> T {
        let mut labs = self.labs.lock().unwrap_or_else(PoisonError::into_inner);
        labs.advance();
        with(&mut labs)
    }

    /// Where the console of a node is that runs.
    fn console(&self, lab: &str, node: &str) -> Option<SocketAddr> {
        let label = self.labs(|labs| labs.running_label(lab, node))?;
        let consoles = self.consoles.lock();
        let consoles = consoles.unwrap_or_else(PoisonError::into_inner);
        consoles.get(&label).copied()
    }
}

impl CmlSim {
    /// Starts one on a free port of `address`. Node states go to `power`, actions to `journal`.
    ///
    /// # Errors
    /// If it cannot listen, or a fault's path is no regular expression.
    pub async fn start(
        address: &str,
        options: CmlOptions,
        power: Power,
        journal: Journal,
    ) -> io::Result<Self> {
        Self::start_on((address, 0), options, power, journal).await
    }

    /// Starts one on this address and port.
    ///
    /// # Errors
    /// As [`CmlSim::start`].
    pub async fn start_on(
        at: (&str, u16),
        options: CmlOptions,
        power: Power,
        journal: Journal,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let identity = match options.plain_http {
            true => None,
            false => Some(Identity::new(at.0)?),
        };
        let world = Arc::new(World {
            faults: fault::Faults::new(&options.faults)?,
            sessions: auth::Sessions::new(&options),
            labs: Mutex::new(Labs::new(&options, power, journal.clone())),
            journal,
            options,
            consoles: Mutex::default(),
        });
        let serving = serve(listener, identity.as_ref(), api::router(&world))?;
        let ticking = Arc::clone(&world);
        #[expect(clippy::disallowed_methods, reason = "a simulator owns its tasks")]
        let ticker = tokio::spawn(async move {
            // Consoles feel a boot that nobody asks the controller about.
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                ticking.labs(|_| ());
            }
        });
        let certificate = identity.map(|it| (it.certificate_pem, it.certificate.to_vec()));
        let consoles = TcpListener::bind((at.0, 0)).await?;
        let console_server = ConsoleServer::start(consoles, Arc::clone(&world))?;
        Ok(Self {
            world,
            serving,
            certificate,
            ticker,
            console_server,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// Port of its console server, as `console_port` wants it.
    #[must_use]
    pub fn console_port(&self) -> u16 {
        self.console_server.address.port()
    }

    /// Tells it where the console of a node is, by the node's label.
    pub fn attach(&self, label: &str, console: SocketAddr) {
        let consoles = self.world.consoles.lock();
        let mut consoles = consoles.unwrap_or_else(PoisonError::into_inner);
        consoles.insert(label.to_owned(), console);
    }

    /// As `cml_url` wants it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.serving.address)
    }

    /// Its certificate as `tls.ca_file` wants it, if it speaks TLS.
    #[must_use]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate.as_ref().map(|it| it.0.as_str())
    }

    /// Its certificate's digest as `tls.fingerprint` wants it, if it speaks TLS.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        let (_, der) = self.certificate.as_ref()?;
        Some(se_adapters::Fingerprint::of(der).to_string())
    }

    /// Ends every session: the next request of each gets 401.
    pub fn revoke_tokens(&self) {
        self.world.sessions.revoke();
    }

    /// Adds something that goes wrong from now on.
    ///
    /// # Errors
    /// If the path is no regular expression.
    pub fn add_fault(&self, fault: &CmlFault) -> io::Result<()> {
        self.world.faults.add(fault)
    }

    /// Every request so far, as `METHOD path`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.world.faults.requests()
    }

    /// Id and title of each lab, in the order of their import.
    #[must_use]
    pub fn labs(&self) -> Vec<(String, String)> {
        self.world.labs(|labs| labs.titles())
    }
}

impl Drop for CmlSim {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}
