//! A POSIX shell on a serial console: exit statuses without SSH.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use regex::Regex;
use se_runtime::{Endpoint, Fault, FaultKind};
use tokio::time::Instant;

use super::console::{Console, Look};
use super::login;
use super::prompt::{Prompt, Style, pattern};
use super::screen::Screen;
use crate::device::{Answer, Device, Fetched, Payload, Reply, Stored, Task, Wanted};

/// A question is one after this much silence.
const QUIET: Duration = Duration::from_millis(50);
/// A shell that somebody left within a here document or quotes needs these to come back.
const INTERRUPT: &[u8] = b"\x03";

/// Makes marks unlike any that were printed before.
static MARKS: AtomicU64 = AtomicU64::new(1);

static MARK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^SE(\w+)([:{])(\d*)$"));

/// A session at a shell.
///
/// The shell prints a mark before and after what it runs. The typed line spells marks in two words, so
/// that an echo is never taken for one.
pub(crate) struct Shell {
    console: Console,
    endpoint: Arc<Endpoint>,
    logged_in: bool,
}

enum Seen {
    /// The last mark, with its exit status.
    Ended(i32),
    Asked,
}

impl Shell {
    /// Logs in and makes the shell fit for scripts.
    pub(crate) async fn open(
        mut console: Console,
        endpoint: Arc<Endpoint>,
        deadline: Instant,
    ) -> Result<Self, Fault> {
        let mut prompt = Prompt::new(Style::Any, endpoint.prompt.as_deref());
        let entered = login::reach_prompt(&mut console, &mut prompt, &endpoint, deadline).await?;
        let mut shell = Self {
            console,
            endpoint,
            logged_in: entered.logged_in,
        };
        shell.prepare(deadline).await?;
        shell.console.set_busy(false);
        Ok(shell)
    }

    /// No echo, no prompts within scripts, no pagers, no history expansion.
    async fn prepare(&mut self, deadline: Instant) -> Result<(), Fault> {
        let until = deadline.min(Instant::now() + self.endpoint.timeout);
        let settings = " [ -n \"$BASH_VERSION\" ] && set +H; stty -echo cols 512 2>/dev/null; \
             [ -z \"$SE_PS1\" ] && SE_PS1=$PS1; PS1='$ '; PS2=; PROMPT_COMMAND=; \
             export TERM=dumb PAGER=cat GIT_PAGER=cat SYSTEMD_PAGER=cat";
        let mark = mark();
        self.console.screen.clear();
        let line = format!("{settings}; printf '%s%s:0\\n' SE {mark}");
        self.console.type_line(&line, until).await?;
        self.end_of(&mark, &mut [].iter(), until, "preparing the shell")
            .await?;
        Ok(())
    }

    async fn execute(&mut self, task: &Task, deadline: Instant) -> Result<Reply, Fault> {
        self.console.set_busy(true);
        let mark = mark();
        self.console.screen.clear();
        // The here document lets a script be anything, even unbalanced quotes; the parentheses keep its
        // `exit` and `cd` to itself, as over SSH.
        let typed = format!(
            " printf '%s%s{{\\n' SE {mark}; ( eval \"$(cat <<'SE-{mark}'\r{}\rSE-{mark}\r)\" ); printf '\\n%s%s:%s\\n' SE {mark} $?",
            task.text.trim_end_matches('\n').replace('\n', "\r")
        );
        self.console.type_line(&typed, deadline).await?;
        let mut answers = task.answers.iter();
        let code = self
            .end_of(
                &mark,
                &mut answers,
                deadline,
                &format!("`{}`", task.title()),
            )
            .await?;
        let text = between_marks(self.console.screen.text(), &mark);
        self.console.set_busy(false);
        let last = text.lines().rev().find(|it| !it.trim().is_empty());
        let said = last.map_or_else(String::new, |it| format!(": {}", it.trim()));
        Ok(Reply {
            exit_code: Some(code),
            error: (code != 0).then(|| format!("exit status {code}{said}")),
            text,
        })
    }

    /// Waits for the mark that follows a script.
    async fn end_of(
        &mut self,
        mark: &str,
        answers: &mut std::slice::Iter<'_, Answer>,
        deadline: Instant,
        what: &str,
    ) -> Result<i32, Fault> {
        loop {
            let next = answers.as_slice().first();
            let seen = self
                .console
                .wait(deadline, |screen| look(screen, mark, next));
            match seen.await? {
                Some(Seen::Ended(code)) => return Ok(code),
                Some(Seen::Asked) => {
                    self.console.screen.feed(b"\n");
                    self.console.reply(answers.next(), deadline).await?;
                }
                None => {
                    return Err(self.console.fault(
                        FaultKind::Timeout,
                        &format!("{what} did not end in time"),
                        "raise the step's `timeout` if it is slow; check that it waits for nothing (`answers`)",
                    ));
                }
            }
        }
    }

    async fn come_back(&mut self, deadline: Instant) -> Result<(), Fault> {
        self.console.set_busy(true);
        let soon = deadline.min(Instant::now() + self.endpoint.timeout / 2);
        match self.prepare(soon).await {
            Err(fault) if fault.kind == FaultKind::Timeout => {
                self.console.press(INTERRUPT, deadline).await?;
                self.prepare(deadline).await?;
            }
            other => other?,
        }
        self.console.set_busy(false);
        Ok(())
    }

    async fn leave(mut self: Box<Self>, deadline: Instant) {
        let line = if self.logged_in || self.endpoint.username.is_some() {
            "exit"
        } else {
            " PS1=$SE_PS1; unset SE_PS1; stty echo"
        };
        if let Err(fault) = self.console.type_last_line(line, deadline).await {
            tracing::debug!(%fault, "a shell was closed without `exit`");
        }
    }
}

fn mark() -> String {
    let number = MARKS.fetch_add(1, Ordering::Relaxed);
    format!("{:x}x{number:x}", std::process::id())
}

fn look(screen: &Screen, mark: &str, next: Option<&Answer>) -> Look<Seen> {
    let line = screen.line();
    // The mark is among the last lines: at most a prompt follows it.
    let from = screen
        .text()
        .char_indices()
        .rev()
        .map(|(at, _)| at)
        .nth(200);
    let end = screen.text().get(from.unwrap_or(0)..).unwrap_or_default();
    let ended = MARK.captures_iter(end).find_map(|it| {
        let is_end = it.get(1)?.as_str() == mark && it.get(2)?.as_str() == ":";
        is_end.then(|| it.get(3)?.as_str().parse().ok())?
    });
    match ended {
        Some(code) => Look::Found(Seen::Ended(code)),
        None if next.is_some_and(|it| it.prompt.is_asked(&line)) => Look::After(QUIET, Seen::Asked),
        None => Look::More,
    }
}

fn between_marks(text: &str, mark: &str) -> String {
    let begin = format!("SE{mark}{{\n");
    let text = text.split_once(&begin).map_or(text, |(_, after)| after);
    let end = format!("\nSE{mark}:");
    let text = text.rsplit_once(&end).map_or(text, |(before, _)| before);
    text.trim_end_matches('\n').to_owned()
}

impl Device for Shell {
    fn ready(&mut self, deadline: Instant) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.come_back(deadline))
    }

    fn run<'a>(
        &'a mut self,
        task: &'a Task,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Reply, Fault>> {
        Box::pin(self.execute(task, deadline))
    }

    fn put<'a>(
        &'a mut self,
        file: &'a Payload,
        _: Instant,
    ) -> BoxFuture<'a, Result<Stored, Fault>> {
        let fault = self.console.no_files(&file.dest);
        Box::pin(std::future::ready(Err(fault)))
    }

    fn get<'a>(
        &'a mut self,
        file: &'a Wanted,
        _: Instant,
    ) -> BoxFuture<'a, Result<Fetched, Fault>> {
        let fault = self.console.no_files(&file.source);
        Box::pin(std::future::ready(Err(fault)))
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
