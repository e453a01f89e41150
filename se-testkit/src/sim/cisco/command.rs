//! What a device does with a command.

use std::time::Duration;

use super::config::interface;
use super::noise::Landing;
use super::{Cisco, Mode, State, say, wait};
use crate::sim::console::Act;
use crate::sim::profile::{DeviceFaultKind, FaultPoint, words};
use crate::sim::script::{begins, is_short_for};

/// Commands at `>` and `#`.
const LOOKING: [&str; 7] = [
    "enable",
    "exit",
    "logout",
    "quit",
    "terminal length",
    "terminal width",
    "show privilege",
];
/// Commands at `#` only.
const CHANGING: [&str; 9] = [
    "disable",
    "end",
    "configure terminal",
    "write memory",
    "write",
    "copy running-config startup-config",
    "show running-config",
    "terminal monitor",
    "terminal no",
];
/// Words that begin a line of configuration.
const GLOBAL: [&str; 25] = [
    "aaa",
    "access-list",
    "banner",
    "cdp",
    "clock",
    "crypto",
    "enable",
    "interface",
    "ip",
    "ipv6",
    "key",
    "line",
    "lldp",
    "logging",
    "no",
    "ntp",
    "policy-map",
    "class-map",
    "route-map",
    "router",
    "snmp-server",
    "spanning-tree",
    "username",
    "vlan",
    "service",
];

impl Cisco {
    pub(super) fn command(&mut self, line: &str, acts: &mut Vec<Act>) {
        if line.trim().is_empty() {
            return self.ready(acts);
        }
        self.journal("command", line.trim());
        let mut slow = false;
        match self.place.script.fault(FaultPoint::Command, line) {
            Some(DeviceFaultKind::Refuse) => {
                say(acts, "Command authorization failed.\r\n\r\n");
                return self.ready(acts);
            }
            Some(DeviceFaultKind::Slow) => slow = true,
            Some(fault) => acts.push(Act::Fail(fault)),
            None => {}
        }
        wait(
            acts,
            Duration::from_millis(self.profile.latency_ms.unwrap_or(0)),
        );
        let before = acts.len();
        let noise = self.noise.next();
        self.answer(line, noise.as_ref(), acts);
        if let Some((Landing::AfterPrompt, line)) = noise {
            say(acts, &format!("\r\n{line}\r\n"));
        }
        if slow {
            trickle(acts, before);
        }
    }

    fn answer(&mut self, line: &str, noise: Option<&(Landing, String)>, acts: &mut Vec<Act>) {
        let configures = matches!(self.mode, Mode::Config | Mode::Section { .. });
        let asked = line.trim();
        let asked = match asked.split_once(' ') {
            Some(("do", rest)) if configures => rest,
            _ => asked,
        };
        if let Some(answer) = self.place.script.answer(asked, true) {
            wait(acts, answer.delay);
            let mut lines: Vec<String> = answer.output.lines().map(str::to_owned).collect();
            if let Some((Landing::Within(share), text)) = noise {
                let at = (0..=lines.len())
                    .rev()
                    .find(|at| fraction(*at, lines.len()) <= *share)
                    .unwrap_or(0);
                lines.insert(at, text.clone());
            }
            return self.show(lines, acts);
        }
        if configures && asked == line.trim() {
            self.configure(line, acts);
        } else {
            self.execute(line, asked, acts);
        }
    }

    fn execute(&mut self, line: &str, asked: &str, acts: &mut Vec<Act>) {
        let typed = words(asked);
        if let ["ping", .., "repeat", _] = typed.as_slice() {
            return self.ping(acts);
        }
        let Some(meant) = self.meant(&typed) else {
            return self.invalid(line, asked, acts);
        };
        match meant {
            "enable" => return self.want_privileges(acts),
            "disable" => self.enter(Mode::User),
            "exit" | "logout" | "quit" => return self.log_out(acts),
            "terminal length" => match typed.get(2).and_then(|it| it.parse().ok()) {
                Some(lines) => self.page = lines,
                None => say(acts, "% Incomplete command.\r\n\r\n"),
            },
            "configure terminal" => {
                say(
                    acts,
                    "Enter configuration commands, one per line.  End with CNTL/Z.\r\n",
                );
                self.enter(Mode::Config);
            }
            "write memory" | "write" => {
                self.startup = self.running.clone();
                say(acts, "Building configuration...\r\n[OK]\r\n");
            }
            "copy running-config startup-config" => {
                return self.ask(
                    State::Destination,
                    "Destination filename [startup-config]? ",
                    acts,
                );
            }
            "show running-config" => return self.show(self.running.lines(), acts),
            "show privilege" => {
                let level = if self.mode == Mode::User { 1 } else { 15 };
                say(acts, &format!("Current privilege level is {level}\r\n"));
            }
            // `terminal width`, `terminal monitor`: taken, and nothing to see.
            _ => {}
        }
        self.ready(acts);
    }

    /// Which built-in command this is; arguments may follow only `terminal …`.
    fn meant(&self, typed: &[&str]) -> Option<&'static str> {
        let mut all = self.built_in();
        all.find(|it| {
            let meant = words(it);
            match typed.get(..meant.len()) {
                Some(head) if it.starts_with("terminal") => is_short_for(head, &meant),
                _ => is_short_for(typed, &meant),
            }
        })
    }

    /// The built-in commands of this mode.
    fn built_in(&self) -> impl Iterator<Item = &'static str> {
        let changing: &[&str] = match self.mode {
            Mode::User => &[],
            Mode::Privileged | Mode::Config | Mode::Section { .. } => &CHANGING,
        };
        LOOKING.iter().chain(changing).copied()
    }

    fn want_privileges(&mut self, acts: &mut Vec<Act>) {
        if self.mode != Mode::User {
            return self.ready(acts);
        }
        match self.profile.enable_password {
            Some(_) => self.ask(State::Enable { refused: 0 }, "Password: ", acts),
            None => {
                self.enter(Mode::Privileged);
                self.ready(acts);
            }
        }
    }

    fn configure(&mut self, line: &str, acts: &mut Vec<Act>) {
        let typed = words(line);
        let header = match &self.mode {
            Mode::Section { header, .. } => Some(header.clone()),
            Mode::User | Mode::Privileged | Mode::Config => None,
        };
        match typed.as_slice() {
            ["end"] => self.enter(Mode::Privileged),
            ["exit"] if header.is_some() => self.enter(Mode::Config),
            ["exit"] => self.enter(Mode::Privileged),
            ["hostname", name] => {
                self.running.rename(name);
                self.journal("hostname", name);
            }
            ["no", "hostname"] => self.running.rename("Router"),
            [word, rest @ ..] if word.len() > 2 && begins("interface", word) => {
                match interface(&rest.concat()) {
                    Some(name) => self.section(format!("interface {name}"), "config-if"),
                    None => return self.invalid(line, line, acts),
                }
            }
            _ => match (section(&typed), &header) {
                (Some((header, prompt)), _) => self.section(header, prompt),
                (None, Some(header)) => self.set(header, &typed),
                (None, None) if typed.first().is_some_and(|it| GLOBAL.contains(it)) => {
                    self.running.set(None, &typed.join(" "));
                }
                (None, None) => return self.invalid(line, line, acts),
            },
        }
        self.ready(acts);
    }

    fn section(&mut self, header: String, prompt: &'static str) {
        self.running.open(&header);
        self.enter(Mode::Section { header, prompt });
    }

    /// A line within a section; `shut` and `no shut` are what tests ask for.
    fn set(&mut self, header: &str, typed: &[&str]) {
        let line = match typed {
            [it] if it.len() > 3 && begins("shutdown", it) => "shutdown".to_owned(),
            ["no", it] if it.len() > 3 && begins("shutdown", it) => "no shutdown".to_owned(),
            _ => typed.join(" "),
        };
        self.running.set(Some(header), &line);
        if line.ends_with("shutdown") {
            self.journal("interface", &format!("{header}: {line}"));
        }
    }

    /// The caret stands under the first word that means nothing here.
    fn invalid(&mut self, line: &str, asked: &str, acts: &mut Vec<Act>) {
        let typed = words(asked);
        let mut known = self.place.script.exact();
        known.extend(self.built_in().map(str::to_owned));
        let matched = known
            .iter()
            .map(|it| agreeing(&words(it), &typed))
            .max()
            .unwrap_or(0);
        match typed.get(matched) {
            None => say(acts, "% Incomplete command.\r\n\r\n"),
            Some(word) => {
                let at = (word.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
                let column = self.prompt().len() + at;
                say(acts, &format!("{}^\r\n", " ".repeat(column)));
                say(acts, "% Invalid input detected at '^' marker.\r\n\r\n");
            }
        }
        self.ready(acts);
    }
}

/// How many of the first words typed may stand for those meant.
fn agreeing(meant: &[&str], typed: &[&str]) -> usize {
    let pairs = meant.iter().zip(typed);
    pairs.take_while(|(it, typed)| begins(it, typed)).count()
}

/// Sections other than interfaces: the header, and what the prompt calls it.
fn section(typed: &[&str]) -> Option<(String, &'static str)> {
    let prompt = match typed {
        ["router", _, ..] => "config-router",
        ["line", _, ..] => "config-line",
        ["vlan", it] if it.chars().all(|it| it.is_ascii_digit()) => "config-vlan",
        ["ip", "access-list", "standard", _] => "config-std-nacl",
        ["ip", "access-list", "extended", _] => "config-ext-nacl",
        _ => return None,
    };
    Some((typed.join(" "), prompt))
}

/// Which share of `of` is before `at`.
fn fraction(at: usize, of: usize) -> f64 {
    let small = |it: usize| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    small(at) / small(of.max(1))
}

fn trickle(acts: &mut [Act], from: usize) {
    for act in acts.iter_mut().skip(from) {
        if let Act::Say(bytes) = act {
            *act = Act::Trickle(std::mem::take(bytes));
        }
    }
}
