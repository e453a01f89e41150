//! From what a console showed to what a command printed.

use std::sync::LazyLock;

use regex::Regex;

use super::prompt::{Prompt, pattern};

/// A line that IOS writes on a console by itself: optional sequence number, time, `%FACILITY-n-MNEMONIC:`.
static SYSLOG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(\d+: )?[*.]?(([A-Z][a-z]{2} +\d{1,2}( \d{4})?|\d{4} [A-Z][a-z]{2} +\d{1,2}) [\d:.]+( [A-Z]{2,5})?: )?%[A-Z][A-Z0-9_]+(-[A-Z0-9_]+)?-[0-7]-[A-Z0-9_]+: ",
    )
});

/// Commands whose answers are syslog lines.
static ABOUT_LOGS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\blog"));

static ERRORS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?mi)^\s*(% ?(\[\w+\] )?(invalid|incomplete|ambiguous|unknown|unrecognized|unrecognised|bad (ip|mask|address|number|passwords|secrets)|command incomplete|there is no matched command|permission denied|command rejected|access denied).*|command authorization failed.*|% ?vrf .* not configured.*|% .*overlaps with .*|% ?failed to commit.*|failed to commit.*|%? ?error:.*|cmd exec error.*|syntax error.*)$",
    )
});

/// Whether a device wrote this line by itself.
pub(crate) fn is_syslog(line: &str) -> bool {
    SYSLOG.is_match(line.trim_start())
}

/// What the device says is wrong with the command.
pub(crate) fn device_error(output: &str) -> Option<String> {
    ERRORS.find(output).map(|it| it.as_str().trim().to_owned())
}

/// The lines of `shown` that answer `command`: without its echo, prompts around it, and lines that the
/// device wrote by itself.
pub(crate) fn answer(shown: &str, command: &str, prompt: &Prompt) -> String {
    let mut lines: Vec<&str> = shown.lines().collect();
    drop_echo(&mut lines, command, prompt);
    if !ABOUT_LOGS.is_match(command) {
        drop_syslog(&mut lines, prompt);
    }
    while lines.last().is_some_and(|it| it.trim().is_empty()) {
        lines.pop();
    }
    lines.join("\n")
}

/// The echo is among the first lines; before it, only noise and prompts.
fn drop_echo(lines: &mut Vec<&str>, command: &str, prompt: &Prompt) {
    let echo = lines
        .iter()
        .take(6)
        .position(|line| is_echo(line, command, prompt));
    if let Some(at) = echo {
        lines.drain(..=at);
        return;
    }
    // Wrapped over several lines.
    let command = squeezed(command);
    let mut joined = String::new();
    for (at, line) in lines.iter().enumerate().take(12) {
        joined.push_str(&squeezed(line));
        if !command.is_empty() && joined.ends_with(&command) {
            lines.drain(..=at);
            return;
        }
    }
}

fn is_echo(line: &str, command: &str, prompt: &Prompt) -> bool {
    let (line, command) = (line.trim(), command.trim());
    if line == command {
        return true;
    }
    // A line that is wider than the terminal scrolls: `$ip access-list extended VERY-LONG`.
    if let Some((before, scrolled)) = line.split_once('$') {
        let starts = before.is_empty() || prompt.read(before).is_some();
        if starts && scrolled.len() >= 8 && command.ends_with(scrolled) {
            return true;
        }
    }
    line.strip_suffix(command)
        .is_some_and(|before| !command.is_empty() && is_known_prompt(before, prompt))
}

fn is_known_prompt(line: &str, prompt: &Prompt) -> bool {
    prompt
        .read(line)
        .is_some_and(|shown| prompt.is_known(&shown))
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|it| !it.is_whitespace()).collect()
}

/// A log line that lands after the prompt leaves the prompt on a line of its own, or shares it.
fn drop_syslog(lines: &mut Vec<&str>, prompt: &Prompt) {
    let noise = |line: &str| {
        is_syslog(line)
            || line.split_once(['#', '>']).is_some_and(|(base, rest)| {
                is_syslog(rest) && is_known_prompt(&format!("{base}#"), prompt)
            })
    };
    let noisy: Vec<bool> = lines.iter().map(|it| noise(it)).collect();
    if !noisy.contains(&true) {
        return;
    }
    let mut noisy = noisy.into_iter();
    lines.retain(|line| !noisy.next().unwrap_or(false) && !is_known_prompt(line, prompt));
}

#[cfg(test)]
mod tests {
    use super::{answer, device_error, is_syslog};
    use crate::connect::prompt::{Prompt, Style};

    #[test]
    fn echo_prompts_and_noise_are_not_output() {
        let prompt = Prompt::new(Style::Cisco, Some("R1"));
        let log = "*Mar  1 00:01:02.003: %SYS-5-CONFIG_I: Configured from console by console";
        for (shown, command, expect) in [
            ("show clock\n12:00\n", "show clock", "12:00"),
            ("R1#show clock\n12:00\n", "show clock", "12:00"),
            ("12:00\n", "show clock", "12:00"),
            ("show clock\n\n a\n\n", "show clock", "\n a"),
            (
                "R1#$nded A-VERY-LONG-NAME\nok\n",
                "ip access-list extended A-VERY-LONG-NAME",
                "ok",
            ),
            (
                "show ip ospf nei\nghbor\nok\n",
                "show ip ospf neighbor",
                "ok",
            ),
            (
                &format!("\n{log}\nR1#show clock\n12:00\n"),
                "show clock",
                "12:00",
            ),
            (
                &format!("show clock\n12:{log}\n"),
                "show clock",
                &format!("12:{log}"),
            ),
            (
                &format!("show clock\n{log}\n12:00\nR1#\n{log}\n"),
                "show clock",
                "12:00",
            ),
            (
                &format!("show clock\n12:00\nR1#{log}\n"),
                "show clock",
                "12:00",
            ),
            (&format!("show logging\n{log}\n"), "show logging", log),
        ] {
            assert_eq!(answer(shown, command, &prompt), expect, "{shown:?}");
        }
    }

    #[test]
    fn syslog_lines_have_a_shape_of_their_own() {
        for (line, expect) in [
            (
                "*Nov 23 21:00:01.123: %LINK-3-UPDOWN: Interface Gi0/1, changed state to up",
                true,
            ),
            (
                "000123: Nov 23 21:00:01.123 UTC: %OSPF-5-ADJCHG: Process 1",
                true,
            ),
            (
                "%LINEPROTO-5-UPDOWN: Line protocol on Interface Gi0/1",
                true,
            ),
            ("2026 Nov 23 21:00:01 sw01 %ETHPORT-5-IF_UP: up", false),
            ("% Invalid input detected at '^' marker.", false),
            ("1  default  active", false),
        ] {
            assert_eq!(is_syslog(line), expect, "{line}");
        }
    }

    #[test]
    fn errors_are_read_at_line_start_only() {
        for (output, expect) in [
            (
                "  ^\n% Invalid input detected at '^' marker.\n",
                Some("% Invalid input detected at '^' marker."),
            ),
            (
                "% [OSPF] Unknown command: show bogus",
                Some("% [OSPF] Unknown command: show bogus"),
            ),
            ("% Command incomplete.", Some("% Command incomplete.")),
            (
                "% 10.0.0.0 overlaps with Loopback0",
                Some("% 10.0.0.0 overlaps with Loopback0"),
            ),
            ("description % Invalid input", None),
            ("% OSPF is not running", None),
            ("Error: no such thing", Some("Error: no such thing")),
            ("", None),
        ] {
            assert_eq!(device_error(output).as_deref(), expect);
        }
    }
}
