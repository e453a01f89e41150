//! What the last line of a screen asks for.

use std::sync::LazyLock;

use regex::Regex;

/// A regular expression of our own.
pub(crate) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this crate compile")
}

/// Which shape prompts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `R1>`, `R1#`, `R1(config-if)#`, `RP/0/RP0/CPU0:R1#`.
    Cisco,
    /// Anything that ends in `$`, `#`, `%` or `>`.
    Any,
}

/// Where a command line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `>`: may look.
    User,
    /// `#`: may change.
    Privileged,
    /// Within the configuration.
    Config,
}

/// A prompt that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The part that stays the same.
    pub(crate) base: String,
    pub(crate) mode: Mode,
}

/// The prompt of a session.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    style: Style,
    base: Option<String>,
}

/// A banner without a line end may stand before it. Modes are in parentheses: `R1(config-if)#`,
/// `R1(maint-mode)(config)#`; a pair of them before the name belongs to it: `(unlicensed)R1#`.
static CISCO: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s*(?:[#*=!]{3,}\s*)?((?:\([\w\-]+\))?[\w.\-@/:+~]{1,63})((?:\([\w.\-@/:+ ]*\))*)([>#])\s*$",
    )
});
static ANY: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(\S.{0,200}?|)[$#%>]\s*$"));

impl Prompt {
    /// Of a device whose prompt begins with `hint`, if that is known.
    pub(crate) fn new(style: Style, hint: Option<&str>) -> Self {
        let base = hint
            .map(|it| it.trim().trim_end_matches(['>', '#', '$']).to_owned())
            .filter(|it| !it.is_empty());
        Self { style, base }
    }

    /// The prompt that `line` is, if it is one.
    pub(crate) fn read(&self, line: &str) -> Option<Shown> {
        match self.style {
            Style::Cisco => {
                let found = CISCO.captures(line)?;
                let within = found.get(2).is_some_and(|it| !it.is_empty());
                let mode = match (within, found.get(3).map(|it| it.as_str())) {
                    (true, _) => Mode::Config,
                    (false, Some(">")) => Mode::User,
                    (false, _) => Mode::Privileged,
                };
                let base = found.get(1)?.as_str().to_owned();
                Some(Shown { base, mode })
            }
            Style::Any => {
                let base = ANY.captures(line)?.get(1)?.as_str().to_owned();
                let mode = Mode::Privileged;
                Some(Shown { base, mode })
            }
        }
    }

    /// Whether it is this session's, and not a line of output that looks like one.
    pub(crate) fn is_known(&self, shown: &Shown) -> bool {
        self.base.as_ref().is_some_and(|base| {
            // IOS cuts the host name to 20 characters in configuration prompts.
            *base == shown.base
                || (shown.mode == Mode::Config
                    && shown.base.len() >= 20
                    && base.starts_with(&shown.base))
        })
    }

    /// Whether `line` is this session's prompt, at which a command was typed or a message has landed: what
    /// stands behind it.
    pub(crate) fn behind<'a>(&self, line: &'a str) -> Option<&'a str> {
        let (_, rest) = line.split_once(['>', '#'])?;
        let shown = self.read(line.strip_suffix(rest)?)?;
        self.is_known(&shown).then_some(rest)
    }

    /// From here on, this is the session's prompt.
    pub(crate) fn learn(&mut self, shown: &Shown) {
        if !self.is_known(shown) {
            self.base = Some(shown.base.clone());
        }
    }
}

/// What a device waits for, other than a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cue {
    /// A pager holds the output.
    Pager,
    /// `Press RETURN to get started.`
    PressReturn,
    /// `Would you like to enter the initial configuration dialog? [yes/no]:`
    InitialDialog,
    /// `Would you like to terminate autoinstall? [yes]:`
    Autoinstall,
    /// The dialog of a first boot wants an enable secret, twice.
    EnableSecret,
    /// What that dialog has made is to be kept or not.
    Selection,
    Username,
    Password,
    /// The boot loader's prompt: no operating system runs.
    Loader,
}

static PAGER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(^\s*-{2,}\s?\(?more\)?\b.{0,30}$|<-{2,}\s?more\s?-{2,}>|\(END\)\s*$|^\s*lines \d+-\d+|press any key to continue|^:\s*$)",
    )
});
static CUES: LazyLock<[(Cue, Regex); 8]> = LazyLock::new(|| {
    [
        (
            Cue::InitialDialog,
            pattern(r"(?i)(initial configuration dialog|basic management setup).*\?.*[:\]?]\s*$"),
        ),
        (
            Cue::Autoinstall,
            pattern(r"(?i)terminate autoinstall\?.*[:\]?]\s*$"),
        ),
        (
            Cue::EnableSecret,
            pattern(r"(?i)^\s*(enter|confirm) enable secret:\s*$"),
        ),
        (
            Cue::Selection,
            pattern(r"(?i)^\s*enter your selection( \[\d\])?:\s*$"),
        ),
        (
            Cue::PressReturn,
            pattern(r"(?i)(press return to get started|hit enter to proceed|press enter to)"),
        ),
        (
            Cue::Username,
            pattern(r"(?i)\b(user ?name|login)( as)?\s*:\s*$"),
        ),
        (Cue::Password, pattern(r"(?i)\bpassword\b[^:]{0,60}:\s*$")),
        (
            Cue::Loader,
            pattern(r"(?i)^\s*(rommon( \d+)? ?>|loader>|switch:|grub>|grub rescue>)\s*$"),
        ),
    ]
});

/// Whether a pager waits at this line.
pub(crate) fn is_pager(line: &str) -> bool {
    PAGER.is_match(line)
}

/// What the line the cursor is in waits for.
pub(crate) fn cue(line: &str) -> Option<Cue> {
    if is_pager(line) {
        return Some(Cue::Pager);
    }
    let found = CUES.iter().find(|(_, pattern)| pattern.is_match(line));
    found.map(|(cue, _)| *cue)
}

#[cfg(test)]
mod tests {
    use super::{Cue, Mode, Prompt, Style, cue};

    #[test]
    fn cisco_prompts() {
        let prompt = Prompt::new(Style::Cisco, None);
        for (line, expect) in [
            ("R1>", Some(("R1", Mode::User))),
            ("R1# ", Some(("R1", Mode::Privileged))),
            ("R1(config)# ", Some(("R1", Mode::Config))),
            ("R1(config-if)#", Some(("R1", Mode::Config))),
            (
                "RP/0/RP0/CPU0:xr1#",
                Some(("RP/0/RP0/CPU0:xr1", Mode::Privileged)),
            ),
            ("asa/pri/act#", Some(("asa/pri/act", Mode::Privileged))),
            ("R1#show version", None),
            ("interface eth0 #", None),
            ("", None),
            ("% Invalid input>", None),
        ] {
            let shown = prompt.read(line);
            let shown = shown.as_ref().map(|it| (it.base.as_str(), it.mode));
            assert_eq!(shown, expect, "{line}");
        }
    }

    #[test]
    fn a_hint_and_a_cut_host_name_are_known() {
        let known = |hint, line| {
            let prompt = Prompt::new(Style::Cisco, Some(hint));
            prompt.is_known(&prompt.read(line).unwrap())
        };
        assert!(known("R1", "R1#"));
        assert!(known("R1#", "R1>"));
        assert!(!known("R1", "R2#"));
        assert!(known(
            "a-very-long-host-name-of-a-router",
            "a-very-long-host-nam(config)#"
        ));
        assert!(!known(
            "a-very-long-host-name-of-a-router",
            "a-very(config)#"
        ));
    }

    #[test]
    fn cues() {
        for (line, expect) in [
            (" --More-- ", Some(Cue::Pager)),
            ("<--- More --->", Some(Cue::Pager)),
            ("--More--(12%)", Some(Cue::Pager)),
            ("lines 1-24", Some(Cue::Pager)),
            ("(END)", Some(Cue::Pager)),
            ("Press RETURN to get started.", Some(Cue::PressReturn)),
            (
                "Would you like to enter the initial configuration dialog? [yes/no]: ",
                Some(Cue::InitialDialog),
            ),
            (
                "Would you like to terminate autoinstall? [yes]: ",
                Some(Cue::Autoinstall),
            ),
            ("  Enter enable secret: ", Some(Cue::EnableSecret)),
            ("  Confirm enable secret: ", Some(Cue::EnableSecret)),
            ("Enter your selection [2]: ", Some(Cue::Selection)),
            ("Username: ", Some(Cue::Username)),
            ("linux-1 login: ", Some(Cue::Username)),
            ("Password: ", Some(Cue::Password)),
            ("cisco's password: ", Some(Cue::Password)),
            ("rommon 1 > ", Some(Cue::Loader)),
            ("Last login: Mon Nov 23 on ttyS0", None),
            ("R1#", None),
        ] {
            assert_eq!(cue(line), expect, "{line}");
        }
    }
}
