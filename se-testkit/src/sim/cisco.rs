//! A Cisco-like command line: keys in, bytes out, nothing else. Its state outlives its clients, as on
//! a serial line.

mod command;
mod config;
mod noise;
mod pager;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::config::Config;
use self::noise::Noise;
use self::pager::{ERASE, MORE, Pager};
use super::console::{Act, Place, Terminal};
use super::profile::{DeviceFaultKind, DeviceProfile, FaultPoint};

/// A router or switch.
#[derive(Debug)]
pub(super) struct Cisco {
    place: Place,
    profile: DeviceProfile,
    /// What runs, and what is there after the next boot.
    running: Config,
    startup: Config,
    factory: Config,
    state: State,
    mode: Mode,
    typed: Vec<u8>,
    /// Lines per page, 0 for no pager.
    page: usize,
    noise: Noise,
}

/// What a line means when Return is pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nobody is logged in.
    Idle,
    Username,
    Password {
        username: String,
    },
    Enable {
        refused: usize,
    },
    Command,
    More(Pager),
    /// `copy running-config startup-config` asks where to.
    Destination,
    /// `ping` with a count that it does not come to, and when its next answer comes. Only Ctrl-^ stops it.
    Pinging(Instant),
}

/// Between two answers to a `ping`.
const ANSWERED: Duration = Duration::from_millis(50);

/// Where in the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    User,
    Privileged,
    Config,
    /// The section's first line, and what the prompt calls it.
    Section {
        header: String,
        prompt: &'static str,
    },
}

impl Cisco {
    pub(super) fn new(place: Place, profile: DeviceProfile) -> Self {
        let hostname = profile
            .prompt
            .clone()
            .unwrap_or_else(|| place.device.clone());
        let config = Config::new(hostname);
        Self {
            noise: Noise::new(&place.device, profile.syslog_noise.unwrap_or(0.0)),
            page: profile.paging.unwrap_or(0),
            running: config.clone(),
            startup: config.clone(),
            factory: config,
            state: State::Idle,
            mode: Mode::User,
            typed: Vec::new(),
            place,
            profile,
        }
    }

    fn prompt(&self) -> String {
        let name = self.running.hostname();
        match &self.mode {
            Mode::User => format!("{name}>"),
            Mode::Privileged => format!("{name}#"),
            // As the real one does: 20 characters, then the mode.
            Mode::Config => format!("{name:.20}(config)#"),
            Mode::Section { prompt, .. } => format!("{name:.20}({prompt})#"),
        }
    }

    fn enter(&mut self, mode: Mode) {
        if self.mode != mode {
            self.mode = mode;
            self.journal("mode", &self.prompt());
        }
    }

    fn journal(&self, action: &str, detail: &str) {
        self.place.journal.add(&self.place.device, action, detail);
    }

    fn ask(&mut self, state: State, question: &str, acts: &mut Vec<Act>) {
        self.state = state;
        say(acts, question);
    }

    fn ready(&mut self, acts: &mut Vec<Act>) {
        self.state = State::Command;
        say(acts, &self.prompt());
    }

    fn wake(&mut self, acts: &mut Vec<Act>) {
        self.page = self.profile.paging.unwrap_or(0);
        match self.profile.credentials() {
            Some(_) => {
                say(acts, "\r\n\r\nUser Access Verification\r\n\r\n");
                self.ask(State::Username, "Username: ", acts);
            }
            None => {
                say(acts, "\r\n");
                self.ready(acts);
            }
        }
    }

    fn log_out(&mut self, acts: &mut Vec<Act>) {
        self.state = State::Idle;
        self.enter(Mode::User);
        let name = self.running.hostname();
        say(
            acts,
            &format!(
                "\r\n\r\n\r\n{name} con0 is now available\r\n\r\n\r\n\r\n\r\nPress RETURN to get started.\r\n\r\n\r\n"
            ),
        );
    }

    fn line(&mut self, acts: &mut Vec<Act>) {
        let typed = std::mem::take(&mut self.typed);
        let line = String::from_utf8_lossy(&typed).into_owned();
        say(acts, "\r\n");
        match self.state.clone() {
            State::Idle | State::More(_) | State::Pinging(_) => {}
            State::Username if line.trim().is_empty() => say(acts, "Username: "),
            State::Username => {
                let username = line.trim().to_owned();
                self.ask(State::Password { username }, "Password: ", acts);
            }
            State::Password { username } => self.log_in(&username, &line, acts),
            State::Enable { refused } => self.enable(refused, &line, acts),
            State::Command => self.command(&line, acts),
            State::Destination => {
                self.startup = self.running.clone();
                say(acts, "Building configuration...\r\n[OK]\r\n");
                self.ready(acts);
            }
        }
    }

    fn log_in(&mut self, username: &str, password: &str, acts: &mut Vec<Act>) {
        let fault = self.place.script.fault(FaultPoint::Login, username);
        let refused = fault == Some(DeviceFaultKind::Refuse);
        if let Some(fault) = fault.filter(|_| !refused) {
            acts.push(Act::Fail(fault));
        }
        let known = self.profile.credentials() == Some((username, password));
        if known && !refused {
            self.journal("login", username);
            say(acts, "\r\n");
            return self.ready(acts);
        }
        self.journal("login", &format!("{username} refused"));
        say(acts, "% Login invalid\r\n\r\n");
        self.ask(State::Username, "Username: ", acts);
    }

    fn enable(&mut self, refused: usize, password: &str, acts: &mut Vec<Act>) {
        let right = self.profile.enable_password.as_deref() == Some(password);
        if right {
            self.enter(Mode::Privileged);
            return self.ready(acts);
        }
        self.journal("enable", "refused");
        if refused == 2 {
            say(acts, "% Bad secrets\r\n\r\n");
            return self.ready(acts);
        }
        let refused = refused + 1;
        self.ask(State::Enable { refused }, "Password: ", acts);
    }

    fn show(&mut self, lines: Vec<String>, acts: &mut Vec<Act>) {
        let mut pager = Pager::new(lines);
        let page = pager.next(self.page.checked_sub(1));
        say(acts, &page);
        self.more(pager, acts);
    }

    fn more(&mut self, pager: Pager, acts: &mut Vec<Act>) {
        if pager.is_at_end() {
            self.ready(acts);
        } else {
            self.ask(State::More(pager), MORE, acts);
        }
    }

    fn page_key(&mut self, key: u8, mut pager: Pager, acts: &mut Vec<Act>) {
        say(acts, ERASE);
        let lines = match key {
            b' ' => self.page.checked_sub(1),
            b'\r' => Some(1),
            _ => return self.ready(acts),
        };
        let page = pager.next(lines);
        say(acts, &page);
        self.more(pager, acts);
    }

    /// Ctrl-C and Ctrl-Z.
    fn interrupt(&mut self, key: u8, acts: &mut Vec<Act>) {
        self.typed.clear();
        let configures = matches!(self.mode, Mode::Config | Mode::Section { .. });
        match self.state {
            State::Idle | State::Pinging(_) => return,
            State::Username | State::Password { .. } => {
                say(acts, "\r\n");
                return self.ask(State::Username, "Username: ", acts);
            }
            State::Enable { .. } | State::Command | State::More(_) | State::Destination => {}
        }
        if configures {
            say(acts, if key == 0x1a { "^Z" } else { "^C" });
            self.enter(Mode::Privileged);
        }
        say(acts, "\r\n");
        self.ready(acts);
    }

    fn ping(&mut self, acts: &mut Vec<Act>) {
        self.state = State::Pinging(Instant::now());
        say(acts, "Type escape sequence to abort.\r\n");
    }

    fn pinging_key(&mut self, key: u8, acts: &mut Vec<Act>) {
        if key == 0x1e {
            self.journal("escape", "ping");
            say(acts, "\r\nSuccess rate is 100 percent\r\n");
            self.ready(acts);
        }
    }

    fn edit(&mut self, key: u8, acts: &mut Vec<Act>) {
        let shown = !matches!(self.state, State::Password { .. } | State::Enable { .. });
        let erased = match key {
            0x08 | 0x7f => usize::from(self.typed.pop().is_some()),
            0x15 => std::mem::take(&mut self.typed).len(),
            b' '..=0x7e | 0x80.. => {
                self.typed.push(key);
                if shown {
                    acts.push(Act::Say(vec![key]));
                }
                return;
            }
            _ => return,
        };
        if shown {
            say(acts, &"\x08 \x08".repeat(erased));
        }
    }
}

impl Terminal for Cisco {
    fn key(&mut self, key: u8, acts: &mut Vec<Act>) {
        match (self.state.clone(), key) {
            (State::Pinging(_), _) => self.pinging_key(key, acts),
            (State::More(pager), _) if key != 0x03 => self.page_key(key, pager, acts),
            (_, 0x03 | 0x1a) => self.interrupt(key, acts),
            (State::Idle, b'\r') => self.wake(acts),
            (State::Idle, _) => {}
            (_, b'\r') => self.line(acts),
            _ => self.edit(key, acts),
        }
    }

    async fn output(&mut self) -> Vec<Act> {
        let State::Pinging(next) = &mut self.state else {
            return std::future::pending().await;
        };
        sleep_until(*next).await;
        *next = Instant::now() + ANSWERED;
        vec![Act::Say(b"!".to_vec())]
    }

    fn boot(&mut self, acts: &mut Vec<Act>) {
        self.running = self.startup.clone();
        self.state = State::Idle;
        self.mode = Mode::User;
        self.typed.clear();
        say(acts, "\r\n\r\nPress RETURN to get started!\r\n\r\n\r\n");
    }

    fn forget(&mut self) {
        self.startup = self.factory.clone();
        self.running = self.factory.clone();
    }
}

fn say(acts: &mut Vec<Act>, text: &str) {
    if let Some(Act::Say(said)) = acts.last_mut() {
        said.extend(text.as_bytes());
    } else if !text.is_empty() {
        acts.push(Act::Say(text.as_bytes().to_vec()));
    }
}

fn wait(acts: &mut Vec<Act>, time: Duration) {
    if !time.is_zero() {
        acts.push(Act::Wait(time));
    }
}
