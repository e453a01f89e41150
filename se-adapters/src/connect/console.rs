//! One end of a console: types, waits, remembers what the screen shows.

use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use se_dsl::checked::ConnectorClass;
use se_runtime::{Endpoint, Fault, FaultKind, Secret};
use tokio::time::{Instant, timeout_at};

use super::place::{Came, Place};
use super::screen::Screen;
use super::wire::Wire;
use crate::device::Answer;
use crate::transcript::Transcript;

/// A command that prints more than this is stopped.
const LONGEST_OUTPUT: usize = 16 * 1024 * 1024;
/// How many lines a fault shows.
const LINES_SHOWN: usize = 5;

/// The last line of a session has taken effect after this much silence.
const GOODBYE: Duration = Duration::from_millis(150);
const LONGEST_GOODBYE: Duration = Duration::from_secs(1);

/// Ctrl-C, and where a network device may be behind it Ctrl-^: on IOS nothing else stops `ping` and `traceroute`. To a
/// shell that is text.
pub(crate) fn stops(class: ConnectorClass) -> &'static [u8] {
    match class {
        ConnectorClass::CiscoCommon => b"\x03\x1e",
        ConnectorClass::Unix | ConnectorClass::Control => b"\x03",
    }
}

/// What a look at the screen says.
pub(crate) enum Look<T> {
    /// This is it.
    Found(T),
    /// This is it if nothing else comes for that long after the last byte.
    After(Duration, T),
    /// Not yet.
    More,
}

pub(crate) struct Console {
    wire: Wire,
    pub(crate) screen: Screen,
    place: Place,
    transcript: Transcript,
    /// The keys that stop what runs.
    stop: &'static [u8],
    /// Something may be running: closing needs those keys.
    busy: bool,
}

impl Console {
    pub(crate) fn new(wire: Wire, endpoint: &Endpoint, transcript: Transcript) -> Self {
        Self {
            wire,
            screen: Screen::default(),
            place: Place::new(endpoint),
            transcript,
            stop: stops(endpoint.class),
            busy: true,
        }
    }

    /// Whether a command runs, or may run.
    pub(crate) fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Whether nothing has come, not even an end, as far as that can be told without waiting.
    pub(crate) fn is_silent(&mut self) -> bool {
        match self.wire.receive().now_or_never() {
            None => true,
            Some(Ok(Some(bytes))) => {
                self.transcript.received(&bytes);
                self.screen.feed(&bytes);
                false
            }
            Some(Ok(None) | Err(_)) => false,
        }
    }

    pub(crate) fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    pub(crate) async fn type_line(&mut self, line: &str, until: Instant) -> Result<(), Fault> {
        self.transcript.sent(line);
        self.send(format!("{line}\r").as_bytes(), until).await
    }

    /// Types the reply to what the device asks, if there is one.
    pub(crate) async fn reply(
        &mut self,
        answer: Option<&Answer>,
        until: Instant,
    ) -> Result<(), Fault> {
        match answer {
            Some(answer) => self.type_line(&answer.reply, until).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn type_secret(
        &mut self,
        secret: &Secret,
        until: Instant,
    ) -> Result<(), Fault> {
        self.transcript.sent_secret();
        self.send(format!("{}\r", secret.expose()).as_bytes(), until)
            .await
    }

    pub(crate) async fn press(&mut self, keys: &[u8], until: Instant) -> Result<(), Fault> {
        self.transcript.sent(&keys.escape_ascii().to_string());
        self.send(keys, until).await
    }

    async fn send(&mut self, bytes: &[u8], until: Instant) -> Result<(), Fault> {
        match timeout_at(until, self.wire.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broken("sending", &error)),
            Err(_) => Err(self.fault(
                FaultKind::Timeout,
                "the other side takes no more input",
                "check whether the device or its console server hangs",
            )),
        }
    }

    /// Reads until `look` finds something, or nothing if `until` comes first.
    ///
    /// `look` is asked at the start and after everything that came.
    pub(crate) async fn wait<T>(
        &mut self,
        until: Instant,
        mut look: impl FnMut(&Screen) -> Look<T>,
    ) -> Result<Option<T>, Fault> {
        let mut last = Instant::now();
        loop {
            let (wake, found) = match look(&self.screen) {
                Look::Found(it) => return Ok(Some(it)),
                Look::After(quiet, it) => (last + quiet, Some(it)),
                Look::More => (until, None),
            };
            if self.screen.len() > LONGEST_OUTPUT {
                return Err(self.fault(
                    FaultKind::Validation,
                    &format!("it printed more than {} MiB", LONGEST_OUTPUT >> 20),
                    "narrow the command (`| include …`, `head`)",
                ));
            }
            match timeout_at(wake.min(until), self.wire.receive()).await {
                Ok(Ok(Some(bytes))) => {
                    self.transcript.received(&bytes);
                    self.screen.feed(&bytes);
                    last = Instant::now();
                }
                Ok(Ok(None)) => {
                    let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up");
                    return Err(self.broken("reading", &closed));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(self.fault(
                        FaultKind::Timeout,
                        &error.to_string(),
                        "raise the connector's `idle_timeout` if the device is slow",
                    ));
                }
                Ok(Err(error)) => return Err(self.broken("reading", &error)),
                Err(_) if wake <= until => return Ok(found),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Types `line`, the last thing to do here, and lets it take effect: bytes that are unread when the
    /// connection closes would turn the close into a reset, and the line could be lost with it.
    pub(crate) async fn type_last_line(
        &mut self,
        line: &str,
        deadline: Instant,
    ) -> Result<(), Fault> {
        self.screen.clear();
        self.type_line(line, deadline).await?;
        let until = deadline.min(Instant::now() + LONGEST_GOODBYE);
        let silence = |_: &Screen| Look::After(GOODBYE, ());
        if let Err(fault) = self.wait(until, silence).await {
            tracing::debug!(%fault, "hung up after the last line, as many devices do");
        }
        self.busy = false;
        Ok(())
    }

    /// Stops what runs, and reads what that comes to before hanging up.
    pub(crate) async fn abandon(mut self, deadline: Instant) {
        self.stop(deadline).await;
    }

    /// Stops what runs, and reads what that comes to.
    pub(crate) async fn stop(&mut self, deadline: Instant) {
        self.wire.interrupt(self.stop);
        let until = deadline.min(Instant::now() + LONGEST_GOODBYE);
        let silence = |_: &Screen| Look::After(GOODBYE, ());
        self.screen.clear();
        if let Err(fault) = self.wait(until, silence).await {
            tracing::debug!(%fault, "hung up after Ctrl-C");
        }
        self.busy = false;
    }

    /// A fault that shows the last lines.
    pub(crate) fn fault(&self, kind: FaultKind, tried: &str, check: &str) -> Fault {
        let lines = self.screen.tail(LINES_SHOWN);
        let fault = self.place.fault(kind, tried, &Came::Lines(&lines), check);
        self.transcript.note(&fault.to_string());
        fault
    }

    /// A serial line takes and gives no files.
    pub(crate) fn no_files(&self, path: &str) -> Fault {
        self.fault(
            FaultKind::Validation,
            &format!("moving the file `{path}`: a console takes and gives no files"),
            "target a connector with `transport: ssh`",
        )
    }

    fn broken(&self, doing: &str, error: &io::Error) -> Fault {
        self.fault(
            FaultKind::Communication,
            &format!("{doing} failed: {error}"),
            "check whether the device is up and whether somebody else uses its console",
        )
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if self.busy {
            self.wire.interrupt(self.stop);
        }
        self.transcript.note("closed");
    }
}
