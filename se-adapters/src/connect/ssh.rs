//! SSH connections, and logging in.

use std::sync::Arc;
use std::time::Duration;

use russh::Channel;
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use se_dsl::checked::ConnectorClass;
use se_runtime::{Endpoint, Fault, FaultKind};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::algorithms;
use super::host_key::Client;
use super::place::{Came, Place};
use crate::transcript::Transcript;

/// An idle connection is kept alive this often: address translations forget what is silent.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// No server asks in more rounds than this.
const MOST_ROUNDS: usize = 8;

/// A connection that is logged in. Clones share it; it ends with the last one.
#[derive(Clone)]
pub(crate) struct Connection {
    handle: Arc<Handle<Client>>,
    place: Place,
    host_key: String,
    origin: Arc<Origin>,
}

/// How a connection was made.
struct Origin {
    endpoint: Arc<Endpoint>,
    identity: Option<Arc<PrivateKey>>,
}

impl Connection {
    /// Agrees on algorithms and logs in: with `identity` if there is one, then with the password.
    pub(crate) async fn open(
        stream: TcpStream,
        endpoint: &Arc<Endpoint>,
        identity: Option<&Arc<PrivateKey>>,
        deadline: Instant,
    ) -> Result<Self, Fault> {
        let place = Place::new(endpoint);
        let until = deadline.min(Instant::now() + endpoint.timeout);
        let config = Arc::new(config(endpoint.ssh.legacy));
        let client = Client::new(&endpoint.ssh);
        let verdict = client.verdict();
        let handle = client::connect_stream(config, stream, client);
        let mut handle = match timeout_at(until, handle).await {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => {
                let refused = verdict.get().and_then(|it| it.fault(&place, endpoint));
                return Err(refused.unwrap_or_else(|| handshake_failed(&place, &error)));
            }
            Err(_) => {
                return Err(place.fault(
                    FaultKind::Timeout,
                    "agreeing on SSH algorithms",
                    &Came::Nothing,
                    "check that the port leads to an SSH server and raise the connector's `timeout` if it is slow",
                ));
            }
        };
        let until = deadline.min(Instant::now() + endpoint.timeout);
        match timeout_at(until, log_in(&mut handle, endpoint, identity, &place)).await {
            Ok(result) => result?,
            Err(_) => {
                return Err(place.fault(
                    FaultKind::Timeout,
                    "logging in",
                    &Came::Nothing,
                    "raise the connector's `timeout` if the device is slow",
                ));
            }
        }
        let host_key = verdict.get().map(|it| it.found().to_owned());
        Ok(Self {
            handle: Arc::new(handle),
            place,
            host_key: host_key.unwrap_or_default(),
            origin: Arc::new(Origin {
                endpoint: Arc::clone(endpoint),
                identity: identity.cloned(),
            }),
        })
    }

    /// What answers at its end.
    pub(crate) fn class(&self) -> ConnectorClass {
        self.origin.endpoint.class
    }

    /// Another one to the same server, which is told by its key.
    pub(crate) async fn another(
        &self,
        transcript: &Transcript,
        deadline: Instant,
    ) -> Result<Self, Fault> {
        let Origin { endpoint, identity } = self.origin.as_ref();
        let mut endpoint = Arc::clone(endpoint);
        Arc::make_mut(&mut endpoint).ssh.host_key = Some(self.host_key.clone());
        super::connect_ssh(&endpoint, transcript, identity.as_ref(), deadline).await
    }

    /// The fingerprint of the server's key.
    pub(crate) fn host_key(&self) -> &str {
        &self.host_key
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// A channel for one command, shell or subsystem.
    pub(crate) async fn channel(&self, deadline: Instant) -> Result<Channel<client::Msg>, Fault> {
        match timeout_at(deadline, self.handle.channel_open_session()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(self.broken("opening a channel", &error)),
            Err(_) => Err(self.timed_out("opening a channel")),
        }
    }

    /// The connection, or this use of it, has failed.
    pub(crate) fn broken(&self, doing: &str, error: &russh::Error) -> Fault {
        self.place.fault(
            FaultKind::Communication,
            doing,
            &Came::Reason(&error.to_string()),
            "check that the device is still up; SSH servers also limit channels and logins",
        )
    }

    pub(crate) fn timed_out(&self, doing: &str) -> Fault {
        self.place.fault(
            FaultKind::Timeout,
            doing,
            &Came::Nothing,
            "raise the step's `timeout` if the device is slow",
        )
    }

    /// Says good-bye.
    pub(crate) async fn close(&self, deadline: Instant) {
        let bye = self
            .handle
            .disconnect(russh::Disconnect::ByApplication, "", "");
        match timeout_at(deadline, bye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "closing an SSH connection"),
            Err(_) => tracing::debug!("an SSH connection was closed without good-bye"),
        }
    }
}

fn config(legacy: bool) -> client::Config {
    client::Config {
        preferred: algorithms::offered(legacy),
        gex: algorithms::groups(legacy),
        keepalive_interval: Some(KEEPALIVE),
        nodelay: true,
        ..client::Config::default()
    }
}

fn handshake_failed(place: &Place, error: &russh::Error) -> Fault {
    let check = match error {
        russh::Error::NoCommonAlgo { theirs, .. } if algorithms::has_old(theirs) => {
            "the device knows only algorithms that are off because they are weak: write \
             `ssh: { legacy: true }` into its connector, or give the device's fact `ssh_legacy: true`"
        }
        russh::Error::NoCommonAlgo { .. } => {
            "the device knows none of these algorithms: enable one of them on it"
        }
        _ => "check that the port leads to an SSH server",
    };
    let reason = Came::Reason(&error.to_string());
    place.fault(
        FaultKind::Communication,
        "agreeing on SSH algorithms",
        &reason,
        check,
    )
}

async fn log_in(
    handle: &mut Handle<Client>,
    endpoint: &Endpoint,
    identity: Option<&Arc<PrivateKey>>,
    place: &Place,
) -> Result<(), Fault> {
    let Some(username) = &endpoint.username else {
        return Err(place.fault(
            FaultKind::Authentication,
            "logging in: SSH needs a user name and the connector gives none",
            &Came::Nothing,
            "set `username` and `password` of the connector",
        ));
    };
    let broken = |error: russh::Error| {
        let reason = Came::Reason(&error.to_string());
        let check = "check that the device is up and lets this user log in";
        place.fault(FaultKind::Communication, "logging in", &reason, check)
    };
    if let Some(identity) = identity {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(identity), None);
        let result = handle.authenticate_publickey(username, key).await;
        if result.map_err(broken)?.success() {
            return Ok(());
        }
    }
    let Some(password) = &endpoint.password else {
        return Err(refused(
            place,
            None,
            "and the connector gives no `password`",
        ));
    };
    let result = handle.authenticate_password(username, password.expose());
    let remaining = match result.await.map_err(broken)? {
        AuthResult::Success => return Ok(()),
        AuthResult::Failure {
            remaining_methods, ..
        } => remaining_methods,
    };
    if remaining.contains(&russh::MethodKind::KeyboardInteractive)
        && answer_questions(handle, username, password.expose())
            .await
            .map_err(broken)?
    {
        return Ok(());
    }
    let methods: Vec<&str> = remaining.iter().map(Into::into).collect();
    Err(refused(
        place,
        Some(&methods.join(", ")),
        "with this password",
    ))
}

fn refused(place: &Place, methods: Option<&str>, how: &str) -> Fault {
    let came = match methods {
        Some(methods) => format!("the server takes: {methods}"),
        None => "no key was accepted".to_owned(),
    };
    place.fault(
        FaultKind::Authentication,
        &format!("the login was refused {how}"),
        &Came::Reason(&came),
        "check `username` and `password` of the connector and what they read from runtime_env",
    )
}

/// Keyboard-interactive: hidden questions get the password, shown ones the user name.
async fn answer_questions(
    handle: &mut Handle<Client>,
    username: &str,
    password: &str,
) -> Result<bool, russh::Error> {
    let mut state = handle
        .authenticate_keyboard_interactive_start(username, None)
        .await?;
    for _ in 0..MOST_ROUNDS {
        let prompts = match state {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let answers = prompts
            .iter()
            .map(|it| if it.echo { username } else { password });
        let answers = answers.map(str::to_owned).collect();
        state = handle
            .authenticate_keyboard_interactive_respond(answers)
            .await?;
    }
    Ok(false)
}
