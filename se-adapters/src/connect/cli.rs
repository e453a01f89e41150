//! A network device's command line: Cisco-like, or any with a prompt that can be learned.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use se_runtime::{Endpoint, Fault, FaultKind};
use tokio::time::Instant;

use super::console::{Console, Look};
use super::files;
use super::line::{Ended, Line, QUIET_KNOWN, QUIET_LIKELY};
use super::login::{self, Entered};
use super::output;
use super::prompt::{Cue, Mode, Prompt, Shown, Style, cue};
use super::screen::Screen;
use super::ssh::Connection;
use crate::device::{Answer, Device, Fetched, Payload, Reply, Stored, Task, Wanted};

/// How long the prompt after a line vouches for the session: within that time the next line needs no look first.
const FRESH: Duration = Duration::from_millis(500);

/// What makes a session fit for scripts: of each row the first command that the device does not reject.
const PREPARATIONS: [&[&str]; 2] = [
    &["terminal length 0", "terminal pager 0"],
    &["terminal width 511"],
];

/// A session at a command line.
pub(crate) struct Cli {
    console: Console,
    prompt: Prompt,
    style: Style,
    endpoint: Arc<Endpoint>,
    logged_in: bool,
    /// When the session last stood at its prompt, fit for the next step and with nothing under way.
    stood: Option<Instant>,
    /// What the shell is a channel of, for files.
    connection: Option<Connection>,
}

impl Cli {
    /// Logs in and makes the session fit for scripts.
    pub(crate) async fn open(
        mut console: Console,
        style: Style,
        endpoint: Arc<Endpoint>,
        deadline: Instant,
    ) -> Result<Self, Fault> {
        let mut prompt = Prompt::new(style, endpoint.prompt.as_deref());
        let Entered { shown, logged_in } =
            login::reach_prompt(&mut console, &mut prompt, &endpoint, deadline).await?;
        let mut cli = Self {
            console,
            prompt,
            style,
            endpoint,
            logged_in,
            stood: None,
            connection: None,
        };
        cli.become_privileged(shown, deadline).await?;
        if style == Style::Cisco {
            cli.prepare(deadline).await?;
        }
        cli.console.set_busy(false);
        Ok(cli)
    }

    /// Files go over the connection whose shell this is.
    pub(crate) fn with_files_over(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// No pager, and lines that are not broken.
    async fn prepare(&mut self, deadline: Instant) -> Result<(), Fault> {
        for alternatives in PREPARATIONS {
            self.first_accepted(alternatives, deadline).await?;
        }
        Ok(())
    }

    async fn first_accepted(&mut self, lines: &[&str], deadline: Instant) -> Result<(), Fault> {
        for line in lines {
            let (said, _) = self.line(line, &mut [].iter(), deadline).await?;
            if output::device_error(&said).is_none() {
                break;
            }
        }
        Ok(())
    }

    fn prompt_deadline(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.endpoint.timeout)
    }

    /// Out of configuration mode, and through `enable`.
    async fn become_privileged(&mut self, shown: Shown, deadline: Instant) -> Result<(), Fault> {
        if self.style == Style::Any {
            return Ok(());
        }
        let mut mode = shown.mode;
        if mode == Mode::Config {
            let until = self.prompt_deadline(deadline);
            mode = self.line("end", &mut [].iter(), until).await?.1.mode;
        }
        match mode {
            Mode::User => self.enable(deadline).await,
            Mode::Privileged | Mode::Config => Ok(()),
        }
    }

    async fn enable(&mut self, deadline: Instant) -> Result<(), Fault> {
        let until = self.prompt_deadline(deadline);
        self.console.screen.clear();
        self.console.type_line("enable", until).await?;
        let asked = self
            .console
            .wait(until, password_or_prompt(&self.prompt))
            .await?;
        let shown = match asked {
            Some(EnableSeen::Prompt(shown)) => shown,
            Some(EnableSeen::Password) => match self.endpoint.enable_password.clone() {
                Some(secret) => {
                    self.console.screen.clear();
                    self.console.type_secret(&secret, until).await?;
                    match self
                        .console
                        .wait(until, password_or_prompt(&self.prompt))
                        .await?
                    {
                        Some(EnableSeen::Prompt(shown)) if shown.mode != Mode::User => shown,
                        Some(EnableSeen::Prompt(_) | EnableSeen::Password) => {
                            return Err(self.enable_refused());
                        }
                        None => return Err(self.no_prompt("enable")),
                    }
                }
                None => return self.give_up_enable(until).await,
            },
            None => return Err(self.no_prompt("enable")),
        };
        self.prompt.learn(&shown);
        Ok(())
    }

    /// Nobody gave an enable password: the session stays unprivileged, which is enough to look.
    async fn give_up_enable(&mut self, until: Instant) -> Result<(), Fault> {
        self.console.screen.clear();
        self.console.press(b"\x03", until).await?;
        for _ in 0..4 {
            let soon = until.min(Instant::now() + Duration::from_millis(1000));
            match self
                .console
                .wait(soon, password_or_prompt(&self.prompt))
                .await?
            {
                Some(EnableSeen::Prompt(_)) => return Ok(()),
                Some(EnableSeen::Password) | None => {
                    self.console.screen.clear();
                    self.console.press(b"\r", until).await?;
                }
            }
        }
        Err(self.enable_refused())
    }

    fn enable_refused(&self) -> Fault {
        self.console.fault(
            FaultKind::Authentication,
            "`enable` was refused",
            &format!(
                "check `enable_password` of connector `{}` and what it reads from runtime_env",
                self.endpoint.name
            ),
        )
    }

    fn no_prompt(&self, command: &str) -> Fault {
        self.console.fault(
            FaultKind::Timeout,
            &format!("no prompt came back after `{command}`"),
            "raise the step's `timeout` if the command is slow; check that it asks for nothing (`answers`) and that the device does not hang",
        )
    }

    /// Runs one line: what it printed, and the prompt after it.
    async fn line(
        &mut self,
        command: &str,
        answers: &mut std::slice::Iter<'_, Answer>,
        deadline: Instant,
    ) -> Result<(String, Shown), Fault> {
        self.stood = None;
        let mut line = Line::new(command, self.style);
        let ended = line
            .run(&mut self.console, &mut self.prompt, answers, deadline)
            .await?;
        match ended {
            Ended::Prompt { text, shown } => {
                // A script may have stopped within the configuration: the next step is not to begin there.
                self.stood = (shown.mode != Mode::Config).then(Instant::now);
                Ok((text, shown))
            }
            Ended::Question => Err(self.unanswered(command)),
            Ended::Deadline => Err(self.no_prompt(command)),
        }
    }

    fn unanswered(&self, command: &str) -> Fault {
        let line = self.console.screen.line();
        self.console.fault(
            FaultKind::Validation,
            &format!("`{command}` waits for a reply"),
            &format!("add {{prompt: {:?}, reply: …}} to `answers`", line.trim()),
        )
    }

    async fn run_lines(&mut self, task: &Task, deadline: Instant) -> Result<Reply, Fault> {
        self.console.set_busy(true);
        let mut answers = task.answers.iter();
        let mut reply = Reply::default();
        let mut printed = Vec::new();
        for line in task.text.lines().map(str::trim_end) {
            if line.trim().is_empty() {
                continue;
            }
            let (text, _) = self.line(line, &mut answers, deadline).await?;
            let error = match self.style {
                Style::Cisco => output::device_error(&text),
                Style::Any => None,
            };
            printed.push(text);
            let error = error.map(|it| format!("`{}`: {it}", line.trim()));
            reply.error = reply.error.or(error);
            if reply.error.is_some() && !task.keep_going {
                break;
            }
        }
        printed.retain(|it| !it.is_empty());
        reply.text = printed.join("\n");
        self.console.set_busy(false);
        Ok(reply)
    }

    async fn come_back(&mut self, deadline: Instant) -> Result<(), Fault> {
        let stands = self.stood.is_some_and(|it| it.elapsed() < FRESH);
        if stands && self.console.is_silent() {
            return Ok(());
        }
        self.console.set_busy(true);
        self.console.screen.clear();
        self.console.press(b"\r", deadline).await?;
        let entered = login::reach_prompt(
            &mut self.console,
            &mut self.prompt,
            &self.endpoint,
            deadline,
        )
        .await?;
        self.logged_in |= entered.logged_in;
        self.become_privileged(entered.shown, deadline).await?;
        self.console.set_busy(false);
        Ok(())
    }

    async fn leave(mut self: Box<Self>, deadline: Instant) {
        let until = self.prompt_deadline(deadline);
        let left = async {
            if self.style == Style::Cisco {
                self.console.set_busy(true);
                self.line("end", &mut [].iter(), until).await?;
            }
            let has_login = self.logged_in || self.endpoint.password.is_some();
            if self.style == Style::Cisco || has_login {
                self.console.type_last_line("exit", until).await?;
            }
            Ok::<(), Fault>(())
        };
        match left.await {
            Ok(()) => self.console.set_busy(false),
            Err(fault) => tracing::debug!(%fault, "a console was closed without `exit`"),
        }
    }
}

enum EnableSeen {
    Password,
    Prompt(Shown),
}

/// `enable` may rename nothing: whatever prompt comes is the session's. A log message may come right after
/// it: the device does not say it again.
fn password_or_prompt(prompt: &Prompt) -> impl Fn(&Screen) -> Look<EnableSeen> {
    move |screen| {
        let line = screen.line();
        if let Some(seen) = asked(&line, prompt) {
            return Look::After(QUIET_KNOWN, seen);
        }
        match before_noise(screen).and_then(|it| asked(&it, prompt)) {
            Some(seen) => Look::After(QUIET_LIKELY, seen),
            None => Look::More,
        }
    }
}

fn asked(line: &str, prompt: &Prompt) -> Option<EnableSeen> {
    if cue(line) == Some(Cue::Password) {
        return Some(EnableSeen::Password);
    }
    prompt.read(line).map(EnableSeen::Prompt)
}

/// The line after which nothing but log messages has come, if any has.
fn before_noise(screen: &Screen) -> Option<String> {
    let line = screen.line();
    let shown = std::iter::once(line.as_str()).chain(screen.text().lines().rev());
    let mut noisy = false;
    for line in shown.filter(|it| !it.trim().is_empty()) {
        if !output::is_syslog(line) {
            return noisy.then(|| line.to_owned());
        }
        noisy = true;
    }
    None
}

impl Device for Cli {
    fn ready(&mut self, deadline: Instant) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.come_back(deadline))
    }

    fn run<'a>(
        &'a mut self,
        task: &'a Task,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Reply, Fault>> {
        Box::pin(self.run_lines(task, deadline))
    }

    fn put<'a>(
        &'a mut self,
        file: &'a Payload,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Stored, Fault>> {
        match &self.connection {
            Some(connection) => Box::pin(files::put(
                connection,
                self.console.transcript(),
                file,
                deadline,
            )),
            None => {
                let fault = self.console.no_files(&file.dest);
                Box::pin(std::future::ready(Err(fault)))
            }
        }
    }

    fn get<'a>(
        &'a mut self,
        file: &'a Wanted,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Fetched, Fault>> {
        match &self.connection {
            Some(connection) => Box::pin(files::get(
                connection,
                self.console.transcript(),
                file,
                deadline,
            )),
            None => {
                let fault = self.console.no_files(&file.source);
                Box::pin(std::future::ready(Err(fault)))
            }
        }
    }

    fn close(self: Box<Self>, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(self.leave(deadline))
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.console.stop(deadline))
    }

    fn abandon(self: Box<Self>, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(self.console.abandon(deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::{Screen, before_noise};

    #[test]
    fn a_log_message_does_not_hide_what_was_asked() {
        let log = "*Mar  1 00:00:27.123: %SYS-5-CONFIG_I: Configured from console by console";
        for (shown, expect) in [
            (
                format!("R1>enable\r\nPassword: \r\n{log}\r\n"),
                Some("Password: "),
            ),
            (
                format!("Password: \r\n{log}\r\n\r\n{log}"),
                Some("Password: "),
            ),
            (format!("R1#\r\n{log}\r\n"), Some("R1#")),
            // Without one it is the line that the cursor is in that counts.
            ("R1>enable\r\nPassword: ".to_owned(), None),
            ("Password: \r\n".to_owned(), None),
            (log.to_owned(), None),
        ] {
            let mut screen = Screen::default();
            screen.feed(shown.as_bytes());
            assert_eq!(before_noise(&screen).as_deref(), expect, "{shown:?}");
        }
    }
}
