//! One line at a command line: typed, answered, and where its output ends.
//!
//! Nothing marks the end of what a device prints but its prompt, and what it prints may hold that prompt as
//! well. Silence would tell them apart, at the price of waiting after every line, and wrongly where a device
//! pauses. So Return is pressed at what looks like the end: there, and only there, another prompt follows
//! with nothing in between.

use std::slice::Iter;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use se_runtime::Fault;
use tokio::time::Instant;

use super::console::{Console, Look};
use super::output;
use super::prompt::{Prompt, Shown, Style, is_pager, pattern};
use super::screen::Screen;
use crate::device::Answer;

/// A prompt that nothing can be asked of, a pager, or a question is taken after so much silence.
pub(super) const QUIET_KNOWN: Duration = Duration::from_millis(40);
/// Before the echo's line end has come, a prompt may be the one before the command.
const QUIET_NO_ECHO: Duration = Duration::from_millis(400);
/// A line that only looks like a prompt is tested with a Return after so much silence; a Return that
/// nothing follows has been swallowed.
pub(super) const QUIET_LIKELY: Duration = Duration::from_millis(300);
/// The device wrote a log line over its prompt: it shows another one after Return.
const QUIET_NOISE: Duration = Duration::from_millis(1000);
/// A question that nobody answers is reported after so much silence.
const QUIET_QUESTION: Duration = Duration::from_secs(3);

static QUESTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(\[confirm\]|\[(yes/no|y/n)\]\s*:?|\((yes/no|y/n)\)\s*[:?]?|\?\s*(\[[^\]]*\])?\s*:?|\bpassword:|\]:)\s*$",
    )
});

/// A line that runs.
pub(super) struct Line<'a> {
    command: &'a str,
    style: Style,
    /// What was shown before the screen was cleared.
    shown: String,
    /// A prompt that is not the session's, at which Return was pressed.
    tested: Option<Shown>,
    /// How much text there was when Return was pressed at the session's prompt.
    asked_at: Option<usize>,
    /// How much text there was at each page that was turned.
    turned_at: Vec<usize>,
}

/// How it ended.
pub(super) enum Ended {
    /// With what it printed, and the prompt after it.
    Prompt { text: String, shown: Shown },
    /// It asks for something, and there is no reply.
    Question,
    /// Not in time.
    Deadline,
}

/// What was seen while it runs.
enum Seen {
    /// The session's prompt: Return will tell.
    Prompt,
    /// The end of the output, which is this much of the text.
    End(Shown, usize),
    /// It looks like a prompt, but is not the one this session knows.
    Likely(Shown),
    Pager,
    Asked,
    /// A question for which there is no answer.
    Question,
    /// Something stands where the prompt should be.
    Noise,
}

impl<'a> Line<'a> {
    pub(super) fn new(command: &'a str, style: Style) -> Self {
        Self {
            command,
            style,
            shown: String::new(),
            tested: None,
            asked_at: None,
            turned_at: Vec::new(),
        }
    }

    /// Types it and reads what it prints.
    pub(super) async fn run(
        &mut self,
        console: &mut Console,
        prompt: &mut Prompt,
        answers: &mut Iter<'_, Answer>,
        deadline: Instant,
    ) -> Result<Ended, Fault> {
        console.screen.clear();
        console.type_line(self.command, deadline).await?;
        loop {
            let next = answers.as_slice().first();
            let seen = console
                .wait(deadline, |screen| self.look(screen, prompt, next))
                .await?;
            match seen {
                Some(Seen::End(shown, length)) => {
                    prompt.learn(&shown);
                    let text = console.screen.text();
                    self.keep(text.get(..length).unwrap_or(text));
                    let text = output::answer(&self.shown, self.command, prompt);
                    return Ok(Ended::Prompt { text, shown });
                }
                Some(Seen::Prompt) => {
                    self.asked_at = Some(console.screen.text().len());
                    console.press(b"\r", deadline).await?;
                }
                Some(Seen::Likely(shown)) => {
                    self.asked_at = Some(console.screen.text().len());
                    self.tested = Some(shown);
                    console.press(b"\r", deadline).await?;
                }
                Some(Seen::Pager) => {
                    self.turned_at.push(console.screen.text().len());
                    console.screen.clear_line();
                    console.press(b" ", deadline).await?;
                }
                Some(Seen::Asked) => {
                    self.keep(console.screen.text());
                    self.shown.push_str(&console.screen.line());
                    self.asked_at = None;
                    console.screen.clear();
                    console.reply(answers.next(), deadline).await?;
                }
                Some(Seen::Noise) => console.press(b"\r", deadline).await?,
                Some(Seen::Question) => return Ok(Ended::Question),
                None => return Ok(Ended::Deadline),
            }
        }
    }

    /// Keeps what was shown, without the blanks that turned its pages: some devices echo them.
    fn keep(&mut self, text: &str) {
        let mut from = 0;
        for at in self.turned_at.drain(..) {
            if text.get(at..).is_some_and(|it| it.starts_with(" \n")) {
                self.shown.push_str(text.get(from..at).unwrap_or_default());
                from = at + 2;
            }
        }
        self.shown.push_str(text.get(from..).unwrap_or_default());
    }

    fn look(&self, screen: &Screen, prompt: &Prompt, next: Option<&Answer>) -> Look<Seen> {
        let line = screen.line();
        if line.trim().is_empty() {
            let noisy = screen.text().lines().last().is_some_and(output::is_syslog);
            return if noisy {
                Look::After(QUIET_NOISE, Seen::Noise)
            } else {
                Look::More
            };
        }
        if next.is_some_and(|it| it.prompt.is_asked(&line)) {
            return Look::After(QUIET_KNOWN, Seen::Asked);
        }
        if is_pager(&line) {
            return Look::After(QUIET_KNOWN, Seen::Pager);
        }
        match prompt.read(&line) {
            Some(shown) if prompt.is_known(&shown) => self.at_prompt(screen, prompt, shown),
            Some(shown) if self.tested.as_ref() == Some(&shown) => {
                let mut changed = prompt.clone();
                changed.learn(&shown);
                self.at_prompt(screen, &changed, shown)
            }
            Some(shown) => Look::After(QUIET_LIKELY, Seen::Likely(shown)),
            None if QUESTION.is_match(&line) => Look::After(QUIET_QUESTION, Seen::Question),
            None => match prompt.behind(&line) {
                Some(rest) if !rest.trim_end().ends_with(self.command.trim()) => {
                    Look::After(QUIET_NOISE, Seen::Noise)
                }
                Some(_) | None => Look::More,
            },
        }
    }

    /// The session's prompt is shown: of the end, of the middle of the output, or from before the command.
    fn at_prompt(&self, screen: &Screen, prompt: &Prompt, shown: Shown) -> Look<Seen> {
        let text = screen.text();
        match (self.style, self.asked_at) {
            (_, Some(at)) => match last_prompt(text, at, prompt) {
                Some(length) => Look::Found(Seen::End(shown, length)),
                // Nothing came since: Return was swallowed.
                None if text.len() == at => Look::After(QUIET_LIKELY, Seen::End(shown, at)),
                None => Look::After(QUIET_LIKELY, Seen::Prompt),
            },
            // Of a command line of which nothing is known, Return might choose something.
            (Style::Any, None) => {
                let quiet = if text.is_empty() {
                    QUIET_NO_ECHO
                } else {
                    QUIET_KNOWN
                };
                Look::After(quiet, Seen::End(shown, text.len()))
            }
            (Style::Cisco, None) if text.trim().is_empty() => {
                Look::After(QUIET_NO_ECHO, Seen::Prompt)
            }
            (Style::Cisco, None) => Look::Found(Seen::Prompt),
        }
    }
}

/// Where the last line that is not empty begins, if it is the session's prompt and comes after `from`. What a
/// device logs by itself may follow it.
fn last_prompt(text: &str, from: usize, prompt: &Prompt) -> Option<usize> {
    let mut end = text.len();
    for line in text.get(from..)?.split_inclusive('\n').rev() {
        end -= line.len();
        let said = line.trim();
        if said.is_empty() || output::is_syslog(said) {
            continue;
        }
        let known = |line| prompt.read(line).is_some_and(|it| prompt.is_known(&it));
        let noise = || prompt.behind(said).is_some_and(output::is_syslog);
        return (known(said) || noise()).then_some(end);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::last_prompt;
    use crate::connect::prompt::{Prompt, Style};

    #[test]
    fn two_prompts_with_nothing_between_are_the_end() {
        let prompt = Prompt::new(Style::Cisco, Some("R1"));
        let log = "*Mar  1 00:01:02.003: %SYS-5-CONFIG_I: Configured from console by console";
        for (text, expect) in [
            ("a\nR1#\n".to_owned(), Some(2)),
            ("a\nR1#\n\n".to_owned(), Some(2)),
            ("a\nR1# \nR1(config)#\n".to_owned(), Some(7)),
            (format!("a\nR1#\n{log}\n\n"), Some(2)),
            (format!("a\nR1#{log}\n"), Some(2)),
            ("a\nR1#\n\ntail\n".to_owned(), None),
            ("a\nR2#\n".to_owned(), None),
            ("a\n".to_owned(), None),
        ] {
            assert_eq!(last_prompt(&text, 2, &prompt), expect, "{text:?}");
        }
        assert_eq!(last_prompt("R1#\na\n", 4, &prompt), None);
    }
}
