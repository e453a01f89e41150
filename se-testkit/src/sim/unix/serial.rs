//! A host's serial console: getty, login, and a shell that stays when its client leaves.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::process::Group;
use super::{Host, Shell};
use crate::sim::console::{Act, Terminal};
use crate::sim::profile::{DeviceFaultKind, FaultPoint};
use crate::sim::task::{Task, start};

/// Pieces of output on their way; a shell that prints more than is read waits.
const PIECES: usize = 64;

/// What is behind the console port.
#[derive(Debug)]
pub(crate) struct Serial {
    host: Host,
    state: State,
    typed: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Username,
    Password { username: String },
    Shell(Box<Session>),
}

/// A shell whose output is one stream, prompts included.
#[derive(Debug)]
pub(super) struct Session {
    group: Group,
    input: mpsc::UnboundedSender<Vec<u8>>,
    output: mpsc::Receiver<Vec<u8>>,
    _tasks: [Task; 2],
}

impl Session {
    pub(super) fn start(host: &Host) -> std::io::Result<Self> {
        let mut group = host.shell(Shell::Interactive)?;
        let (mut stdin, stdout, _) = group
            .pipes()
            .ok_or_else(|| std::io::Error::other("the shell has no pipes"))?;
        let (input, mut typed) = mpsc::unbounded_channel::<Vec<u8>>();
        let (printed, output) = mpsc::channel(PIECES);
        let write = start(async move {
            while let Some(bytes) = typed.recv().await
                && stdin.write_all(&bytes).await.is_ok()
            {}
        });
        let print = start(copy(stdout, printed));
        Ok(Self {
            group,
            input,
            output,
            _tasks: [write, print],
        })
    }

    /// A line that was typed, with its end.
    pub(super) fn line(&self, line: Vec<u8>) {
        // A shell that has ended reads nothing; its end is seen at its output.
        drop(self.input.send(line));
    }

    pub(super) fn interrupt(&self) {
        self.group.interrupt();
    }

    /// What the shell prints, as a terminal gets it; nothing when it has ended.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        Some(terminal(&self.output.recv().await?))
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; 8192];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer.get(..read).unwrap_or_default().to_vec();
        if to.send(bytes).await.is_err() {
            return;
        }
    }
}

/// Line ends as a terminal driver makes them.
pub(super) fn terminal(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    for byte in bytes {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

impl Serial {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            state: State::Username,
            typed: Vec::new(),
        }
    }

    fn greet(&mut self, acts: &mut Vec<Act>) {
        self.typed.clear();
        if self.host.profile().credentials().is_none() {
            self.open("user", acts);
            return;
        }
        self.state = State::Username;
        let name = &self.host.place().device;
        say(
            acts,
            &format!("\r\nUbuntu 22.04.5 LTS {name} ttyS0\r\n\r\n{name} login: "),
        );
    }

    fn open(&mut self, username: &str, acts: &mut Vec<Act>) {
        match Session::start(&self.host) {
            Ok(session) => {
                self.host.journal("login", username);
                self.state = State::Shell(Box::new(session));
            }
            Err(error) => say(acts, &format!("no shell: {error}\r\n")),
        }
    }

    fn line(&mut self, acts: &mut Vec<Act>) {
        let mut typed = std::mem::take(&mut self.typed);
        let line = String::from_utf8_lossy(&typed).into_owned();
        say(acts, "\r\n");
        match &self.state {
            State::Username if line.trim().is_empty() => self.greet(acts),
            State::Username => {
                let username = line.trim().to_owned();
                self.state = State::Password { username };
                say(acts, "Password: ");
            }
            State::Password { username } => {
                let username = username.clone();
                self.log_in(&username, &line, acts);
            }
            State::Shell(session) => {
                let script = &self.host.place().script;
                if !line.trim().is_empty() {
                    self.host.journal("command", &line);
                    acts.extend(script.fault(FaultPoint::Command, &line).map(Act::Fail));
                }
                typed.push(b'\n');
                session.line(typed);
            }
        }
    }

    fn log_in(&mut self, username: &str, password: &str, acts: &mut Vec<Act>) {
        let fault = self.host.place().script.fault(FaultPoint::Login, username);
        let refused = fault == Some(DeviceFaultKind::Refuse);
        if let Some(fault) = fault.filter(|_| !refused) {
            acts.push(Act::Fail(fault));
        }
        if self.host.knows(username, password) && !refused {
            say(
                acts,
                &format!("Welcome to {}\r\n\r\n", self.host.place().device),
            );
            return self.open(username, acts);
        }
        self.host.journal("login", &format!("{username} refused"));
        say(acts, "\r\nLogin incorrect\r\n");
        self.state = State::Username;
        say(acts, &format!("{} login: ", self.host.place().device));
    }

    fn edit(&mut self, key: u8, acts: &mut Vec<Act>) {
        let shown = !matches!(self.state, State::Password { .. });
        let erased = match key {
            0x08 | 0x7f => usize::from(self.typed.pop().is_some()),
            0x15 => std::mem::take(&mut self.typed).len(),
            b'\t' | b' '..=0x7e | 0x80.. => {
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

    fn interrupt(&mut self, acts: &mut Vec<Act>) {
        self.typed.clear();
        match &self.state {
            State::Username | State::Password { .. } => self.greet(acts),
            State::Shell(session) => {
                say(acts, "^C");
                session.interrupt();
            }
        }
    }
}

impl Terminal for Serial {
    fn key(&mut self, key: u8, acts: &mut Vec<Act>) {
        match key {
            b'\r' => self.line(acts),
            0x03 => self.interrupt(acts),
            _ => self.edit(key, acts),
        }
    }

    async fn output(&mut self) -> Vec<Act> {
        let State::Shell(session) = &mut self.state else {
            return std::future::pending().await;
        };
        match session.next().await {
            Some(bytes) => vec![Act::Say(bytes)],
            None => {
                let mut acts = Vec::new();
                self.host.journal("logout", "serial");
                self.state = State::Username;
                self.greet(&mut acts);
                acts
            }
        }
    }

    fn boot(&mut self, acts: &mut Vec<Act>) {
        self.greet(acts);
    }

    fn forget(&mut self) {
        self.state = State::Username;
        self.host.wipe();
    }
}

fn say(acts: &mut Vec<Act>, text: &str) {
    acts.push(Act::Say(text.as_bytes().to_vec()));
}
