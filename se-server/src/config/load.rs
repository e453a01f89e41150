//! From file, environment and flags to a [`Config`].

use std::path::{Path, PathBuf};

use se_runtime::Secret;
use toml::{Table, Value};

use super::Config;
use super::keys::{DEPLOYMENT, KEYS, Kind, NAMED, kind, nearest, of_entries};

/// The file that is read where none is named and it exists.
const DEFAULT_FILE: &str = "se.toml";
const PREFIX: &str = "SE_";
/// Variables that hold a secret; `__` stands for a dot in its name.
const SECRET: &str = "SE_SECRET_";

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The file; default: `se.toml` in the current folder, if it is there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Section, key and value of each flag that was said.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

/// Why there is no configuration: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The variables of this process that are text.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Puts it together and checks it.
///
/// # Errors
/// [`ConfigError`] for a file that cannot be read, an unknown key (with the nearest known one), a
/// value that does not fit, and options that do not go together.
pub fn load(given: &Given) -> Result<Config, ConfigError> {
    let mut table = file(given.file.as_deref())?;
    for (name, value) in &given.environment {
        if let Some((_, section, key)) = DEPLOYMENT.iter().find(|it| it.0 == name) {
            set(&mut table, &[section, key], value, name)?;
        }
    }
    for (name, value) in &given.environment {
        if name.starts_with(SECRET) {
            continue;
        }
        let Some((section, key)) = name.strip_prefix(PREFIX).and_then(|it| it.split_once("__"))
        else {
            continue;
        };
        let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
        let path: Vec<&str> = std::iter::once(section.as_str())
            .chain(key.split("__"))
            .collect();
        known(&path, name)?;
        set(&mut table, &path, value, name)?;
    }
    for (section, key, value) in &given.flags {
        set(
            &mut table,
            &[section, key],
            value,
            &format!("--{}", key.replace('_', "-")),
        )?;
    }
    let mut config: Config = table
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::new(error.to_string().trim_end()))?;
    let secrets = given.environment.iter().filter_map(|(name, value)| {
        let name = name
            .strip_prefix(SECRET)?
            .to_ascii_lowercase()
            .replace("__", ".");
        Some((name, Secret::new(value.as_str())))
    });
    config.secrets.environment = secrets.collect();
    config.check()
}

fn file(path: Option<&Path>) -> Result<Table, ConfigError> {
    let default = Path::new(DEFAULT_FILE);
    let path = match path {
        Some(path) => path,
        None if default.is_file() => default,
        None => return Ok(Table::new()),
    };
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(format!(
            "cannot read {shown}: {error}; name another file with --config"
        ))
    })?;
    let table: Table = toml::from_str(&text)
        .map_err(|error| ConfigError::new(format!("{shown} is no TOML: {error}")))?;
    for (section, value) in &table {
        let Value::Table(keys) = value else {
            let known = sections();
            let text = unknown(section, &known, &format!("{shown}: `{section}`"));
            return Err(ConfigError::new(text));
        };
        for (key, value) in keys {
            known_in_file(section, key, value, &shown.to_string())?;
        }
    }
    Ok(table)
}

fn known_in_file(section: &str, key: &str, value: &Value, file: &str) -> Result<(), ConfigError> {
    if of_entries(section).is_some()
        && let Value::Table(entry) = value
    {
        for fact in entry.keys() {
            known(
                &[section, key, fact],
                &format!("{file}: `{section}.{key}.{fact}`"),
            )?;
        }
        return Ok(());
    }
    known(&[section, key], &format!("{file}: `{section}.{key}`"))
}

fn known(path: &[&str], said: &str) -> Result<(), ConfigError> {
    if let [section, name, fact] = path
        && let Some(keys) = of_entries(section)
    {
        if keys.contains(fact) {
            return Ok(());
        }
        let all = keys.iter().map(|it| format!("{section}.{name}.{it}"));
        let all: Vec<String> = all.collect();
        let wanted = format!("{section}.{name}.{fact}");
        return Err(ConfigError::new(unknown(&wanted, &all, said)));
    }
    match path {
        [section, key] if kind(section, key).is_some() => Ok(()),
        _ => {
            let known: Vec<String> = KEYS.iter().map(|it| format!("{}.{}", it.0, it.1)).collect();
            Err(ConfigError::new(unknown(&path.join("."), &known, said)))
        }
    }
}

fn unknown(name: &str, known: &[String], said: &str) -> String {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("{said} is no option; did you mean `{near}`?"),
        None => format!("{said} is no option; there are: {}", known.join(", ")),
    }
}

fn sections() -> Vec<String> {
    let mut all: Vec<String> = KEYS.iter().map(|it| it.0.to_owned()).collect();
    all.extend(NAMED.iter().map(|it| it.0.to_owned()));
    all.dedup();
    all
}

fn set(table: &mut Table, path: &[&str], text: &str, said: &str) -> Result<(), ConfigError> {
    let kind = match path {
        [section, key] => kind(section, key).unwrap_or(Kind::Text),
        [.., "tls_verify"] => Kind::Boolean,
        _ => Kind::Text,
    };
    let wrong = |wanted: &str| ConfigError::new(format!("{said} is `{text}`; give {wanted}"));
    let value = match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Number => Value::Float(text.trim().parse().map_err(|_| wrong("a number"))?),
        Kind::Integer => Value::Integer(text.trim().parse().map_err(|_| wrong("a whole number"))?),
        Kind::Boolean => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Value::Boolean(true),
            "false" | "0" | "no" => Value::Boolean(false),
            _ => return Err(wrong("true or false")),
        },
        Kind::List => {
            let texts: Vec<String> = serde_json::from_str(text)
                .map_err(|_| wrong("a list of texts, such as [\"program\", \"argument\"]"))?;
            Value::Array(texts.into_iter().map(Value::String).collect())
        }
    };
    put(table, path, value);
    Ok(())
}

fn put(table: &mut Table, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            table.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = table
                .entry(*first)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{KEYS, Kind, LDS_KEYS, WORKER_KEYS};
    use super::{Given, load};

    fn from(file: &str, environment: &[(&str, &str)]) -> Result<super::Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("se.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        load(&Given {
            file: Some(path),
            environment,
            flags: Vec::new(),
        })
        .map_err(|it| it.to_string())
    }

    #[test]
    fn a_sink_is_no_longer_than_databases_can_look_up() {
        let sink = |length: usize| {
            let path = "x".repeat(length - "http://x/".len());
            from(&format!("[events]\nsink = \"http://x/{path}\""), &[])
        };
        sink(2000).unwrap();
        let refused = sink(2001).unwrap_err();
        assert!(refused.contains("events.sink is 2001 bytes"), "{refused}");
    }

    #[test]
    fn mistakes_are_named_with_the_way_out() {
        for (file, environment, expected) in [
            (
                "[server]\nlisten = \"0.0.0.0:80\"",
                &[][..],
                "say --insecure",
            ),
            (
                "[server]\nlissten = \"x\"",
                &[],
                "did you mean `server.listen`?",
            ),
            (
                "[severs]\nlisten = \"x\"",
                &[],
                "did you mean `server.listen`?",
            ),
            (
                "[workers.a]\nipp = \"x\"",
                &[],
                "did you mean `workers.a.ip`?",
            ),
            (
                "",
                &[("SE_JOBS__MAX_CONCURENT", "1")],
                "did you mean `jobs.max_concurrent`?",
            ),
            (
                "",
                &[("MAX_CONCURRENT_JOBS", "many")],
                "MAX_CONCURRENT_JOBS is `many`",
            ),
            ("", &[("SE_JOBS__MAX_CONCURRENT", "0")], "at least 1"),
            ("[events]\nprofile = \"x\"", &[], "give seed or lcm"),
            ("[events]\nsink = \"ftp://x\"", &[], "http://"),
            (
                "[lds.eu]\nurl = \"http://user:pw@lds\"\nusername = \"se\"",
                &[],
                "lds.eu.url must be",
            ),
            (
                "[lds.eu]\nurl = \"http://lds\"",
                &[],
                "lds.eu.username is missing",
            ),
            (
                "[lds.eu]\nurll = \"http://lds\"",
                &[],
                "did you mean `lds.eu.url`?",
            ),
            ("[server", &[], "is no TOML"),
            ("[store]\nkeep_faulted_days = 100000", &[], "up to 36500"),
            ("[store]\nkeep_days = -1", &[], "keep_days"),
            ("", &[("SE_STORE__KEEP_DEAD_DAYS", "-1")], "keep_dead_days"),
            ("", &[("SE_STORE__KEEP_DEAD_DAYS", "ever")], "a number"),
            (
                "[sealing]\nfile = \"a\"",
                &[("SE_SEALING__COMMAND", "[\"b\"]")],
                "sealing.file and sealing.command all say",
            ),
            ("[sealing]\ncommand = [\"\"]", &[], "the program"),
            (
                "",
                &[("SE_SEALING__COMMAND", "vault read")],
                "a list of texts",
            ),
        ] {
            let error = from(file, environment).unwrap_err();
            assert!(error.contains(expected), "{file} {environment:?}: {error}");
        }
    }

    #[test]
    fn the_environment_wins_over_the_file_and_its_own_names_over_deployment_names() {
        let file = "[jobs]\nmax_concurrent = 1\n[workers.pod1]\nip = \"10.0.0.1\"";
        let config = from(file, &[("MAX_CONCURRENT_JOBS", "2")]).unwrap();
        assert_eq!(config.jobs.max_concurrent, 2);
        let both = [
            ("SE_JOBS__MAX_CONCURRENT", "3"),
            ("MAX_CONCURRENT_JOBS", "2"),
        ];
        assert_eq!(from(file, &both).unwrap().jobs.max_concurrent, 3);
        let worker = [
            ("SE_WORKERS__POD1__CML_PASSWORD", "hunter22"),
            ("SE_CML_URL", "ignored"),
        ];
        let config = from(file, &worker).unwrap();
        assert!(config.workers["pod1"].cml_password.is_some());
        assert!(!format!("{config:?}").contains("hunter22"));
    }

    #[test]
    fn every_key_in_the_table_is_an_option() {
        for (section, key, kind) in KEYS {
            let value = match (kind, *key) {
                (Kind::Integer | Kind::Number, _) => "1",
                (Kind::Boolean, _) => "false",
                (Kind::List, _) => "['x']",
                (Kind::Text, "listen") => "'127.0.0.1:1'",
                (Kind::Text, "profile") => "'lcm'",
                (Kind::Text, "format") => "'json'",
                (Kind::Text, "sink") => "'http://127.0.0.1/'",
                (Kind::Text, _) => "'x'",
            };
            let file = format!("[{section}]\n{key} = {value}");
            assert!(
                from(&file, &[]).is_ok(),
                "{file}: {:?}",
                from(&file, &[]).err()
            );
        }
        for key in LDS_KEYS {
            let url = if *key == "url" {
                ""
            } else {
                "url = 'http://lds'\n"
            };
            let username = if *key == "username" {
                ""
            } else {
                "username = 'se'\n"
            };
            let value = if *key == "url" { "'http://lds'" } else { "'x'" };
            let file = format!("[lds.eu-1]\n{url}{username}{key} = {value}");
            assert!(
                from(&file, &[]).is_ok(),
                "{file}: {:?}",
                from(&file, &[]).err()
            );
        }
        for key in WORKER_KEYS {
            let value = if *key == "tls_verify" { "true" } else { "'x'" };
            assert!(
                from(&format!("[workers.a]\n{key} = {value}"), &[]).is_ok(),
                "{key}"
            );
        }
    }
}
