//! What a simulated pod answers: the profile that a package's author or a test writes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use regex::Regex;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::cml::CmlOptions;

/// A whole profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// The controller.
    pub cml: CmlOptions,
    /// What holds for every device that does not say otherwise.
    pub defaults: DeviceProfile,
    /// Device name → what is special about it.
    pub devices: BTreeMap<String, DeviceProfile>,
}

/// How a device behaves. What is not said comes from the profile's `defaults`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceProfile {
    /// What it is.
    pub kind: Option<DeviceKind>,
    /// What it asks for at the door.
    pub login: Option<Login>,
    /// Password of `enable`.
    pub enable_password: Option<String>,
    /// Its host name; default: the device's name.
    pub prompt: Option<String>,
    /// Lines per page, 0 for no pager.
    pub paging: Option<usize>,
    /// Chance that a log line lands in an answer, from 0 to 1.
    pub syslog_noise: Option<f64>,
    /// How long each answer takes.
    pub latency_ms: Option<u64>,
    /// How long its console stays silent after the node is up.
    pub boot_seconds: Option<f64>,
    /// What it answers.
    pub commands: Commands,
    /// What goes wrong.
    pub faults: Vec<DeviceFault>,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A router or switch with a Cisco-like command line.
    Cisco,
    /// A host with a POSIX shell.
    Unix,
}

/// What a device asks for at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nothing.
    None,
    /// A name and a password.
    Required {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
}

/// Scripted answers, in the order of the profile.
#[derive(Clone, Debug, Default)]
pub struct Commands(pub Vec<(Pattern, Answer)>);

/// Which commands an answer is for.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// This one.
    Exact(String),
    /// Every one in which this is found (`~ regex`).
    Like(Regex),
}

/// What a device answers to a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What it prints.
    pub output: String,
    /// How long that takes.
    pub delay: Duration,
    /// Exit code, where there is one.
    pub exit_code: u8,
    /// How often this answer is given; default: always.
    pub times: Option<u32>,
    /// The answer after that.
    pub then: Option<Box<Self>>,
}

/// One thing that goes wrong on a device.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceFault {
    /// At what.
    pub on: FaultPoint,
    /// Only where this is found in the command; for logins, in the user name.
    #[serde(default, rename = "match")]
    pub pattern: Option<Expression>,
    /// What happens.
    pub kind: DeviceFaultKind,
    /// How often; default: always.
    #[serde(default)]
    pub times: Option<u32>,
}

/// A regular expression.
#[derive(Clone, Debug)]
pub struct Expression(pub Regex);

/// Where a device goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPoint {
    /// When somebody connects.
    Connect,
    /// When a password has been typed.
    Login,
    /// When a command has been typed.
    Command,
}

/// What a device does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceFaultKind {
    /// Says no: closes the connection, refuses the login, does not authorize the command.
    Refuse,
    /// Says nothing more on this connection.
    Hang,
    /// Closes the connection.
    Drop,
    /// Prints bytes that mean nothing, then goes on.
    Garbage,
    /// Prints at the speed of an old serial line.
    Slow,
    /// Closes its half of the connection and goes on listening.
    HalfClose,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// With line and column: text that is no YAML, unknown keys, bad regular expressions.
    pub fn read(yaml: &str) -> Result<Self, String> {
        if yaml.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(yaml).map_err(|error| format!("the profile cannot be read: {error}"))
    }

    /// What holds for a device: its own part over the defaults.
    #[must_use]
    pub fn device(&self, name: &str) -> DeviceProfile {
        let own = self.devices.get(name).cloned().unwrap_or_default();
        let all = self.defaults.clone();
        let mut commands = own.commands;
        commands.0.extend(all.commands.0);
        let mut faults = own.faults;
        faults.extend(all.faults);
        DeviceProfile {
            kind: own.kind.or(all.kind),
            login: own.login.or(all.login),
            enable_password: own.enable_password.or(all.enable_password),
            prompt: own.prompt.or(all.prompt),
            paging: own.paging.or(all.paging),
            syslog_noise: own.syslog_noise.or(all.syslog_noise),
            latency_ms: own.latency_ms.or(all.latency_ms),
            boot_seconds: own.boot_seconds.or(all.boot_seconds),
            commands,
            faults,
        }
    }
}

impl DeviceProfile {
    /// What it is: a router unless said otherwise.
    #[must_use]
    pub fn kind(&self) -> DeviceKind {
        self.kind.unwrap_or(DeviceKind::Cisco)
    }

    /// Name and password, if it asks for them.
    #[must_use]
    pub fn credentials(&self) -> Option<(&str, &str)> {
        match self.login.as_ref()? {
            Login::None => None,
            Login::Required { username, password } => Some((username, password)),
        }
    }
}

impl<'de> Deserialize<'de> for Login {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Required {
            username: String,
            password: String,
        }
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Login;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none` or {username, password}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Login, E> {
                match text {
                    "none" => Ok(Login::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Login, M::Error> {
                let Required { username, password } =
                    Required::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Login::Required { username, password })
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Regex::new(&text).map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix('~') {
            Some(expression) => Regex::new(expression.trim())
                .map(Self::Like)
                .map_err(de::Error::custom),
            None => Ok(Self::Exact(words(&text).join(" "))),
        }
    }
}

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Commands;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from commands to answers")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Commands, M::Error> {
                let entries = std::iter::from_fn(|| map.next_entry().transpose());
                entries.collect::<Result<_, _>>().map(Commands)
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            output: String,
            #[serde(default)]
            delay_ms: u64,
            #[serde(default)]
            exit_code: u8,
            #[serde(default)]
            times: Option<u32>,
            #[serde(default)]
            then: Option<Box<Answer>>,
        }
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Answer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or {output, delay_ms, exit_code, times, then}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Answer, E> {
                Ok(Answer {
                    output: text.to_owned(),
                    ..Answer::default()
                })
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Answer, M::Error> {
                let full = Full::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Answer {
                    output: full.output,
                    delay: Duration::from_millis(full.delay_ms),
                    exit_code: full.exit_code,
                    times: full.times,
                    then: full.then,
                })
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// The words of a command.
pub(super) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::{DeviceKind, Profile};

    fn error(yaml: &str, holds: &[&str]) {
        let error = Profile::read(yaml).expect_err(yaml);
        for part in holds {
            assert!(error.contains(part), "{part:?} in {error}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        error("devices:\n  r1: {comands: {}}\n", &["comands", "line 2"]);
        error("devices:\n  r1: {login: never}\n", &["`none` or", "line 2"]);
        error("devices:\n  r1: {commands: {'~ (': x}}\n", &["line 2"]);
        error(
            "devices:\n  r1: {commands: {x: {outptu: y}}}\n",
            &["outptu", "line 2"],
        );
        error(
            "devices:\n  r1: {faults: [{on: lunch, kind: hang}]}\n",
            &["lunch", "line 2"],
        );
        error("cml: {bot_seconds: 1}\n", &["bot_seconds", "line 1"]);
    }

    #[test]
    fn a_device_is_its_own_part_over_the_defaults() {
        let profile = Profile::read(
            "defaults: {paging: 24, enable_password: a}\ndevices:\n  r1: &r {paging: 0}\n  r2: *r\n  h: {kind: unix}\n",
        )
        .unwrap();
        assert_eq!(profile.device("r2").paging, Some(0));
        assert_eq!(profile.device("r2").enable_password.as_deref(), Some("a"));
        assert_eq!(profile.device("other").paging, Some(24));
        assert_eq!(profile.device("h").kind(), DeviceKind::Unix);
        assert_eq!(profile.device("r1").kind(), DeviceKind::Cisco);
    }
}
