//! SSH connections: which algorithms, and logging in.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, Preferred, cipher, kex, mac};
use se_runtime::{Endpoint, Fault, FaultKind};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::place::{Came, Place};

/// Key exchanges offered after the library's own: for devices that know nothing better.
const OLD_KEX: [kex::Name; 6] = [
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA1,
    kex::DH_GEX_SHA1,
    kex::DH_G1_SHA1,
];
/// Ciphers for devices that know nothing better.
const OLD_CIPHERS: [cipher::Name; 3] = [
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
];
/// Message digests for devices that know nothing better.
const OLD_MACS: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// An idle connection is kept alive this often: address translations forget what is silent.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// No server asks in more rounds than this.
const MOST_ROUNDS: usize = 8;

/// A connection that is logged in. Clones share it; it ends with the last one.
#[derive(Clone)]
pub(crate) struct Connection {
    handle: Arc<Handle<Client>>,
    place: Place,
}

/// Accepts every host key: lab nodes make theirs anew whenever they are wiped, and the port that leads to
/// one today leads to another one tomorrow, so that a remembered key would say nothing.
pub(crate) struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

impl Connection {
    /// Agrees on algorithms and logs in: with `identity` if there is one, then with the password.
    pub(crate) async fn open(
        stream: TcpStream,
        endpoint: &Endpoint,
        identity: Option<&Arc<PrivateKey>>,
        deadline: Instant,
    ) -> Result<Self, Fault> {
        let place = Place::new(endpoint);
        let until = deadline.min(Instant::now() + endpoint.timeout);
        let handle = client::connect_stream(Arc::new(config()), stream, Client);
        let mut handle = match timeout_at(until, handle).await {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => return Err(handshake_failed(&place, &error)),
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
        let handle = Arc::new(handle);
        Ok(Self { handle, place })
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

fn config() -> client::Config {
    let mut preferred = Preferred::DEFAULT;
    preferred.kex = with(&preferred.kex, &OLD_KEX);
    preferred.cipher = with(&preferred.cipher, &OLD_CIPHERS);
    preferred.mac = with(&preferred.mac, &OLD_MACS);
    client::Config {
        preferred,
        keepalive_interval: Some(KEEPALIVE),
        nodelay: true,
        ..client::Config::default()
    }
}

fn with<T: Copy>(first: &[T], then: &[T]) -> Cow<'static, [T]> {
    Cow::Owned([first, then].concat())
}

fn handshake_failed(place: &Place, error: &russh::Error) -> Fault {
    let check = match error {
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
