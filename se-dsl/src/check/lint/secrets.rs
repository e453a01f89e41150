//! Passwords and ports written out in steps.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::job::DraftedStep;
use super::super::place::Place;
use crate::catalog::Action;
use crate::diagnostic::Severity;
use crate::diagnostic::codes::style;
use crate::document::Input;
use crate::syntax::{Kind, Node, Text};

/// Last words of keys whose values are secrets.
const SECRET_KEYS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "community",
    "api_key",
    "private_key",
];

/// Inputs that are ports of the pod.
const PORT_KEYS: &[&str] = &["serial_port", "via_port"];

/// Commands with a secret in them, which is the first group. Digits before it are the kind of encryption.
const COMMANDS: &[&str] = &[
    r"\benable\s+(?:secret|password)\s+(?:level\s+\d+\s+)?(?:\d\s+)?(\S+)",
    r"\busername\s+\S+\s+(?:privilege\s+\d+\s+)?(?:secret|password)\s+(?:\d\s+)?(\S+)",
    r"^\s*password\s+(?:\d\s+)?(\S+)\s*$",
    r"\bsnmp-server\s+community\s+(\S+)",
    r"\b(?:tacacs|radius)-server\s+(?:\S+\s+\S+\s+)?key\s+(?:\d\s+)?(\S+)",
    r"\bkey-string\s+(?:\d\s+)?(\S+)",
    r"\bsshpass\s+-p\s*(\S+)",
    r"\bcurl\s(?:.*\s)?(?:-u|--user)[\s=]?[^\s:]+:(\S+)",
    r"\bhttps?://[^\s/:@]+:([^\s/@]+)@",
    r"\b\w*(?:PASSWORD|PASSWD|TOKEN|SECRET|API_KEY)=(\S+)",
];

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let compile = |(at, source): (usize, &&str)| {
        // Variables of a shell are written in capitals; all else in any case.
        let flags = if at + 1 == COMMANDS.len() { "" } else { "(?i)" };
        Regex::new(&format!("{flags}{source}")).expect("our own patterns compile")
    };
    COMMANDS.iter().enumerate().map(compile).collect()
});

/// Commands that only look: what follows is what they look for.
static LOOKS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^\s*(?:do\s+)?(?:sho?w?|more|cat|e?grep|ls)\b")
        .expect("our own patterns compile")
});

impl Place<'_, '_> {
    pub(super) fn secrets(&self, step: &DraftedStep<'_>) {
        let severity = self.sink.severity_of_literals();
        let runs = matches!(step.action(), Some(Action::Exec | Action::Collect));
        for input in &step.doc.with {
            match &input.node.kind {
                Kind::Str(text) if runs && matches!(input.key.as_str(), "command" | "script") => {
                    self.command(text, &input.node, severity);
                }
                Kind::Seq(items) if runs && input.key == "answers" => {
                    items.iter().for_each(|it| self.answer(it, severity));
                }
                _ => self.key(input, severity),
            }
        }
    }

    fn key(&self, input: &Input, severity: Severity) {
        let Some(literal) = input.template.as_ref().and_then(|it| it.literal()) else {
            return;
        };
        let (at, key) = (input.node.span, input.key.as_str());
        if PORT_KEYS.contains(&key) && literal.is_u64() {
            self.sink.push(style::literal_port(at, key, severity));
        }
        let is_secret = SECRET_KEYS.iter().any(|it| key.ends_with(it));
        if is_secret && literal.as_str().is_some_and(|it| !it.is_empty()) {
            self.sink.push(style::literal_secret(at, key, severity));
        }
    }

    fn command(&self, text: &Text, node: &Node, severity: Severity) {
        let mut start = 0;
        for line in text.value.split_inclusive('\n') {
            if let Some(secret) = secret_in(line) {
                let at = start + secret.start..start + secret.end;
                let at = text.span_of(&at, node.span);
                self.sink.push(style::secret_in_command(at, severity));
            }
            start += line.len();
        }
    }

    /// `{prompt, reply}`, where a password is asked for.
    fn answer(&self, node: &Node, severity: Severity) {
        let Kind::Map(map) = &node.kind else {
            return;
        };
        let text = |key: &str| match map.get(key).map(|it| &it.value.kind) {
            Some(Kind::Str(text)) => text.value.as_str(),
            _ => "",
        };
        let prompt = text("prompt").to_lowercase();
        let asks = ["password", "passphrase", "secret"]
            .iter()
            .any(|it| prompt.contains(it));
        if let Some(reply) = map.get("reply").filter(|_| asks)
            && is_written_out(text("reply"))
        {
            let at = reply.value.span;
            self.sink
                .push(style::literal_secret(at, "password", severity));
        }
    }
}

/// The bytes of the first secret that is written out in a line.
fn secret_in(line: &str) -> Option<Range<usize>> {
    if LOOKS.is_match(line) {
        return None;
    }
    let found = PATTERNS.iter().filter_map(|it| it.captures(line)?.get(1));
    let mut found = found.filter(|it| is_written_out(it.as_str()));
    found.next().map(|it| it.range())
}

/// Whether a word is a secret itself, and no expression, variable or placeholder.
fn is_written_out(word: &str) -> bool {
    let bare = word.trim_matches(['"', '\'', '`']);
    let stands_for_another = bare.starts_with(['$', '<', '%', '{', '*', '-', '|']);
    !bare.is_empty() && !stands_for_another && !bare.contains("${")
}

#[cfg(test)]
mod tests {
    use super::secret_in;

    fn secret(line: &str) -> Option<&str> {
        secret_in(line).map(|at| &line[at])
    }

    #[test]
    fn secrets_in_commands_are_found() {
        for (line, expected) in [
            ("enable secret 9 s3cret", "s3cret"),
            ("enable password s3cret", "s3cret"),
            ("username admin privilege 15 secret 0 s3cret", "s3cret"),
            ("username admin password s3cret", "s3cret"),
            (" password 7 0822455D0A16", "0822455D0A16"),
            ("snmp-server community s3cret RO", "s3cret"),
            ("radius-server host 10.0.0.1 key s3cret", "s3cret"),
            ("sshpass -ps3cret ssh a@b", "s3cret"),
            ("curl -s -u admin:s3cret https://h/", "s3cret"),
            ("wget https://admin:s3cret@h/x", "s3cret"),
            ("export API_TOKEN=s3cret", "s3cret"),
        ] {
            assert_eq!(secret(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_secret_is_left_alone() {
        for line in [
            "show run | include enable secret 5",
            "show running-config | section snmp-server community",
            "grep PASSWORD=hidden .env",
            "enable secret ${ runtime_env.devices.rtr01.enable_password }",
            "username admin secret $SECRET",
            "snmp-server community <community> RO",
            "sshpass -p \"$PASS\" ssh a@b",
            "curl -u \"$USER:$PASS\" https://h/",
            "curl https://10.0.0.1:8443/api/token",
            "export TOKEN=$(cat token)",
            "password=secret",
            "enable",
            "ip ssh password-auth",
        ] {
            assert_eq!(secret(line), None, "{line}");
        }
    }
}
