//! From an unknown state to a command prompt.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use se_runtime::{Endpoint, Fault, FaultKind, Secret};
use tokio::time::Instant;

use super::console::{Console, Look, stops};
use super::prompt::{Cue, Prompt, Shown, cue, pattern};
use super::screen::Screen;

/// A prompt of this session is taken after so much silence, one that only looks like a prompt after more.
const QUIET_KNOWN: Duration = Duration::from_millis(50);
const QUIET_LIKELY: Duration = Duration::from_millis(200);
/// How long to let a banner come before the first key.
const BANNER: Duration = Duration::from_millis(250);

/// Keys that wake a console, each with the silence it may be followed by. Ctrl-U first: a line that
/// somebody has half typed must not be run by our Return. Ctrl-C and Ctrl-^ stop what runs.
const WAKE: [(&[u8], Duration); 7] = [
    (b"\x15\r", Duration::from_millis(500)),
    (b"\r", Duration::from_millis(1000)),
    (b"\x03\r", Duration::from_millis(1500)),
    (b"\x1e\r", Duration::from_millis(2000)),
    (b"\x03\x15\r", Duration::from_millis(2500)),
    (b"\r", Duration::from_millis(3000)),
    (b"\r", Duration::from_millis(3500)),
];

/// A console that is never silent gets a key after so much time.
const NOISE: Duration = Duration::from_millis(1000);
/// How often that is Return: log messages pass, and while a device boots, Ctrl-C could stop it.
const NOISY_RETURNS: usize = 3;
const LAST_WAKE: (&[u8], Duration) = (b"\r", Duration::from_secs(4));
/// A login may take long to be checked; a key in between would answer what is asked next.
const AFTER_ANSWER: Duration = Duration::from_secs(2);

static REFUSED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?im)^.*(% ?bad (passwords|secrets)|login invalid|authentication fail|login incorrect|login failed|access denied|permission denied|password required, but none set).*$",
    )
});
static ASKS_FOR_A_SECRET: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(passcode|token|pin|otp|code|secret|user|login|pass).*[:?]\s*$")
});

/// How the console was entered.
#[derive(Clone, Debug)]
pub(crate) struct Entered {
    pub(crate) shown: Shown,
    /// A login was asked for and given: leaving logs out.
    pub(crate) logged_in: bool,
}

/// What was seen while looking for the prompt.
#[derive(Clone)]
enum Seen {
    Cue(Cue),
    Prompt(Shown),
    Refused,
    /// Nothing that says what to do.
    Silence,
}

/// Answers whatever the device asks until it shows a prompt.
///
/// Every answer gets the connector's timeout; `deadline` ends it all.
pub(crate) async fn reach_prompt(
    console: &mut Console,
    prompt: &mut Prompt,
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<Entered, Fault> {
    let mut login = Login {
        endpoint,
        answered: 0,
        passwords: 0,
        woken: 0,
        secrets: 0,
        noisy: 0,
    };
    let mut silence = BANNER;
    let mut until = deadline.min(Instant::now() + endpoint.timeout);
    loop {
        let seen = console
            .wait(until.min(Instant::now() + silence + NOISE), |screen| {
                look(screen, prompt, &login, silence)
            })
            .await
            .map_err(|fault| login.at_end(console, fault))?;
        match seen {
            Some(Seen::Prompt(shown)) => {
                prompt.learn(&shown);
                let logged_in = login.answered > 0;
                return Ok(Entered { shown, logged_in });
            }
            Some(Seen::Refused) => return Err(login.refused(console)),
            Some(Seen::Cue(cue)) => {
                login.answer(console, cue, until).await?;
                until = deadline.min(Instant::now() + endpoint.timeout);
                silence = AFTER_ANSWER;
            }
            Some(Seen::Silence) => {
                let keys;
                (keys, silence) = WAKE.get(login.woken).copied().unwrap_or(LAST_WAKE);
                login.woken += 1;
                console.press(keys, until).await?;
            }
            None if Instant::now() >= until => return Err(login.no_prompt(console)),
            // Something prints without end.
            None => {
                login.woken += 1;
                login.noisy += 1;
                let key = if login.noisy > NOISY_RETURNS {
                    stops(endpoint.class)
                } else {
                    b"\r"
                };
                console.press(key, until).await?;
                silence = BANNER;
            }
        }
    }
}

fn look(screen: &Screen, prompt: &Prompt, login: &Login<'_>, silence: Duration) -> Look<Seen> {
    let line = screen.line();
    if login.passwords > 0 && (REFUSED.is_match(screen.recent()) || REFUSED.is_match(&line)) {
        return Look::Found(Seen::Refused);
    }
    // Some devices end the line after asking for Return.
    let last = if line.trim().is_empty() {
        screen.tail(1)
    } else {
        line
    };
    match cue(&last) {
        Some(Cue::PressReturn) => return Look::After(QUIET_LIKELY, Seen::Cue(Cue::PressReturn)),
        Some(cue) if !screen.line().trim().is_empty() => {
            return Look::After(QUIET_LIKELY, Seen::Cue(cue));
        }
        Some(_) | None => {}
    }
    match prompt.read(&screen.line()) {
        Some(shown) if prompt.is_known(&shown) => Look::After(QUIET_KNOWN, Seen::Prompt(shown)),
        Some(shown) => Look::After(QUIET_LIKELY, Seen::Prompt(shown)),
        None => Look::After(silence, Seen::Silence),
    }
}

struct Login<'a> {
    endpoint: &'a Endpoint,
    /// Login prompts answered.
    answered: usize,
    passwords: usize,
    woken: usize,
    /// How often an enable secret was chosen.
    secrets: usize,
    /// Keys pressed while something printed without end.
    noisy: usize,
}

impl Login<'_> {
    async fn answer(
        &mut self,
        console: &mut Console,
        cue: Cue,
        until: Instant,
    ) -> Result<(), Fault> {
        match cue {
            Cue::Username if self.passwords > 0 => return Err(self.refused(console)),
            Cue::Username => {
                let Some(username) = &self.endpoint.username else {
                    return Err(self.not_given(console, "user name", "`username` and `password`"));
                };
                self.answered += 1;
                console.screen.clear();
                return console.type_secret(&Secret::new(username), until).await;
            }
            Cue::Password => {
                let Some(password) = &self.endpoint.password else {
                    return Err(self.not_given(console, "password", "`password`"));
                };
                if self.must_ask_for_username_again() {
                    self.answered += 1;
                    console.screen.clear();
                    return console.press(b"\r", until).await;
                }
                // A Return sent to wake the console may have been taken for an empty password.
                if self.passwords > usize::from(self.woken > 0) {
                    return Err(self.refused(console));
                }
                self.answered += 1;
                self.passwords += 1;
                console.screen.clear();
                return console.type_secret(password, until).await;
            }
            Cue::EnableSecret => return self.choose_secret(console, until).await,
            Cue::Loader => {
                return Err(console.fault(
                    FaultKind::Conflict,
                    "the device stands in its boot loader",
                    "boot its operating system, or wipe the node, then try again",
                ));
            }
            Cue::Pager
            | Cue::PressReturn
            | Cue::InitialDialog
            | Cue::Autoinstall
            | Cue::Selection => {}
        }
        console.screen.clear();
        match cue {
            Cue::Pager => console.press(b"q", until).await,
            Cue::InitialDialog => console.type_line("no", until).await,
            Cue::Autoinstall => console.type_line("yes", until).await,
            // To the prompt without saving what the dialog has made.
            Cue::Selection => console.type_line("0", until).await,
            Cue::PressReturn | Cue::Username | Cue::Password | Cue::EnableSecret | Cue::Loader => {
                console.press(b"\r", until).await
            }
        }
    }

    /// A device that was never configured lets nobody pass without an enable secret. It is not saved.
    async fn choose_secret(&mut self, console: &mut Console, until: Instant) -> Result<(), Fault> {
        let Some(secret) = &self.endpoint.enable_password else {
            return Err(self.not_given(console, "new enable secret", "`enable_password`"));
        };
        self.secrets += 1;
        if self.secrets > 2 {
            return Err(console.fault(
                FaultKind::Authentication,
                "the device does not take the connector's `enable_password` as its new enable secret",
                "choose one that fits what the device asks of it, or configure the device first",
            ));
        }
        console.screen.clear();
        console.type_secret(secret, until).await
    }

    /// A Return sent to wake the console was taken for an empty user name: an empty password brings the
    /// question back.
    fn must_ask_for_username_again(&self) -> bool {
        self.woken > 0 && self.answered == 0 && self.endpoint.username.is_some()
    }

    fn not_given(&self, console: &Console, what: &str, keys: &str) -> Fault {
        console.fault(
            FaultKind::Authentication,
            &format!("the device asks for a {what} and the connector gives none"),
            &format!(
                "set {keys} of connector `{}` in connectors.yaml",
                self.endpoint.name
            ),
        )
    }

    fn refused(&self, console: &Console) -> Fault {
        console.fault(
            FaultKind::Authentication,
            "the login was refused",
            &format!(
                "check `username` and `password` of connector `{}` and what they read from runtime_env",
                self.endpoint.name
            ),
        )
    }

    fn no_prompt(&self, console: &Console) -> Fault {
        let line = console.screen.line();
        if ASKS_FOR_A_SECRET.is_match(&line) {
            return console.fault(
                FaultKind::Authentication,
                "the device asks for something that no connector key answers",
                "remove that login step from the device, or use another connector",
            );
        }
        let seconds = self.endpoint.timeout.as_secs_f64();
        console.fault(
            FaultKind::Timeout,
            &format!(
                "no command prompt within {seconds} s, after {} keys to wake it",
                self.woken
            ),
            "check that the device has booted, that the port is its console, and the connector's `prompt` and `timeout`",
        )
    }

    /// A device that hangs up after refusing a login has refused it.
    fn at_end(&self, console: &Console, fault: Fault) -> Fault {
        let refused =
            REFUSED.is_match(console.screen.recent()) || REFUSED.is_match(&console.screen.line());
        if fault.kind == FaultKind::Communication && (refused || self.passwords > 0) {
            self.refused(console)
        } else {
            fault
        }
    }
}
