//! What a device has been configured to be.

/// A configuration: sections of lines, in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    hostname: String,
    global: Vec<String>,
    sections: Vec<(String, Vec<String>)>,
}

/// Interface types with their shortest usual names.
const INTERFACES: [(&str, &str); 10] = [
    ("GigabitEthernet", "g"),
    ("FastEthernet", "f"),
    ("TenGigabitEthernet", "te"),
    ("Ethernet", "e"),
    ("Loopback", "lo"),
    ("Vlan", "vl"),
    ("Port-channel", "po"),
    ("Tunnel", "tu"),
    ("Serial", "se"),
    ("Management", "ma"),
];

impl Config {
    pub(super) fn new(hostname: String) -> Self {
        Self {
            hostname,
            global: Vec::new(),
            sections: Vec::new(),
        }
    }

    pub(super) fn hostname(&self) -> &str {
        &self.hostname
    }

    pub(super) fn rename(&mut self, hostname: &str) {
        hostname.clone_into(&mut self.hostname);
    }

    /// Makes the section, if it is not there.
    pub(super) fn open(&mut self, header: &str) {
        if !self.sections.iter().any(|(it, _)| it == header) {
            self.sections.push((header.to_owned(), Vec::new()));
        }
    }

    /// Adds a line, or takes away what `no` names; within a section or not.
    pub(super) fn set(&mut self, header: Option<&str>, line: &str) {
        let lines = match header {
            None => &mut self.global,
            Some(header) => match self.sections.iter_mut().find(|(it, _)| it == header) {
                Some((_, lines)) => lines,
                None => return,
            },
        };
        let negated = line.strip_prefix("no ");
        let subject = negated.unwrap_or(line);
        lines.retain(|it| {
            it != subject && !(negated.is_some() && it.starts_with(&format!("{subject} ")))
        });
        if negated.is_none() {
            lines.push(line.to_owned());
        } else if header.is_none() {
            self.sections.retain(|(it, _)| it != subject);
        }
    }

    /// As `show running-config` prints it.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut body = vec![
            "!".to_owned(),
            format!("hostname {}", self.hostname),
            "!".to_owned(),
        ];
        body.extend(self.global.iter().cloned());
        for (header, lines) in &self.sections {
            body.push(header.clone());
            body.extend(lines.iter().map(|it| format!(" {it}")));
            body.push("!".to_owned());
        }
        body.push("end".to_owned());
        let size: usize = body.iter().map(|it| it.len() + 1).sum();
        let mut all = vec!["Building configuration...".to_owned(), String::new()];
        all.push(format!("Current configuration : {size} bytes"));
        all.append(&mut body);
        all.push(String::new());
        all
    }
}

/// The full name of an interface that may be written short: `Vl99` is `Vlan99`.
pub(super) fn interface(text: &str) -> Option<String> {
    let at = text.find(|it: char| it.is_ascii_digit())?;
    let (kind, number) = text.split_at(at);
    let kind = kind.trim().to_ascii_lowercase();
    let numeric = number
        .chars()
        .all(|it| it.is_ascii_digit() || "/.:".contains(it));
    let (full, _) = INTERFACES.iter().find(|(full, short)| {
        kind.starts_with(short) && full.to_ascii_lowercase().starts_with(&kind)
    })?;
    numeric.then(|| format!("{full}{number}"))
}

#[cfg(test)]
mod tests {
    use super::{Config, interface};

    #[test]
    fn interfaces_may_be_written_short() {
        for (short, full) in [
            ("Vl99", Some("Vlan99")),
            ("vlan 99", Some("Vlan99")),
            ("gi0/1", Some("GigabitEthernet0/1")),
            ("Loopback0", Some("Loopback0")),
            ("te1/0/1", Some("TenGigabitEthernet1/0/1")),
            ("Wonder0", None),
            ("Gi", None),
        ] {
            assert_eq!(interface(short).as_deref(), full, "{short}");
        }
    }

    #[test]
    fn no_takes_away() {
        let mut config = Config::new("r1".to_owned());
        config.open("interface Vlan99");
        config.set(Some("interface Vlan99"), "shutdown");
        assert!(config.lines().contains(&" shutdown".to_owned()));
        config.set(Some("interface Vlan99"), "no shutdown");
        assert!(!config.lines().contains(&" shutdown".to_owned()));
        config.set(None, "no interface Vlan99");
        assert!(!config.lines().contains(&"interface Vlan99".to_owned()));
    }
}
