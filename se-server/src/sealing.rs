//! Where the keys of secrets at rest come from, and what is done at a start when one follows another.

use std::process::Stdio;
use std::time::Duration;

use se_runtime::Secret;
use se_store::{KeyFile, Keyring, Randomness, Resealed, Store};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::config::Config;
use crate::error::{Error, Result};

/// The keys' file in the data folder.
const KEY_FILE: &str = "sealing.key";
/// How long the program that gives the keys may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that it may print: sixty keys.
const OUTPUT: u64 = 4096;

/// Where they come from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// A file in the data folder; where there is none, it is made.
    Own(KeyFile),
    /// A file that somebody else makes.
    File(KeyFile),
    /// The configuration or the environment.
    Given(&'a Secret),
    /// What a program prints.
    Printed(&'a str, &'a [String]),
}

impl<'a> Source<'a> {
    pub(crate) fn of(config: &'a Config) -> Self {
        let it = &config.sealing;
        match (&it.file, &it.key, it.command.split_first()) {
            (Some(path), ..) => Self::File(KeyFile::at(path)),
            (_, Some(key), _) => Self::Given(key),
            (.., Some((program, arguments))) => Self::Printed(program, arguments),
            _ => Self::Own(KeyFile::at(config.store.data_dir.join(KEY_FILE))),
        }
    }

    /// The keys. None of them is ever in the error.
    pub(crate) async fn keys(&self, random: &dyn Randomness) -> Result<Keyring> {
        match self {
            Self::Own(file) => Ok(file.read_or_make(random)?),
            Self::File(file) => Ok(file.read()?),
            Self::Given(text) => Keyring::parse(text.expose())
                .map_err(|error| Error::Internal(format!("sealing.key: {error}"))),
            Self::Printed(program, arguments) => printed(program, arguments, PATIENCE).await,
        }
    }
}

/// Seals what another key has sealed again with the first of `keys`, and says what came of it.
pub(crate) async fn reseal(store: &Store, keys: &Keyring) -> Result<Resealed> {
    let done = store.reseal(keys).await?;
    if done.jobs > 0 {
        tracing::info!(jobs = done.jobs, key = keys.id(), "secrets sealed again");
    }
    done.locked
        .iter()
        .for_each(|(key, jobs)| locked(key, *jobs));
    let others: Vec<&str> = keys.others().collect();
    if !others.is_empty() {
        let others = others.join(", ");
        tracing::info!(
            key = keys.id(),
            others,
            "nothing is sealed with the others any more"
        );
    }
    Ok(done)
}

fn locked(needed: &str, jobs: u64) {
    tracing::error!(
        jobs,
        needed,
        "no key at hand opens the secrets of these jobs; put that key back, behind the one that seals, or \
         cancel them"
    );
}

/// Runs a program to its end. What it prints is never shown: it holds keys, or nobody knows what.
async fn printed(program: &str, arguments: &[String], patience: Duration) -> Result<Keyring> {
    let failed = |why: String| {
        Error::Internal(format!(
            "sealing.command ({program}) gave no key: {why}; run it by hand as this user: it must end \
             well within {} s and print keys of 64 hexadecimal digits",
            patience.as_secs()
        ))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("it cannot be run ({error})")))?;
    let output = child.stdout.take();
    let running = async {
        let text = match output {
            Some(output) => bounded(output).await?,
            None => Secret::new(""),
        };
        Ok((text, child.wait().await?))
    };
    let ended = tokio::time::timeout(patience, running).await;
    let ended: std::io::Result<_> =
        ended.map_err(|_| failed("it did not end in time".to_owned()))?;
    let (text, status) = ended.map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(format!("it ended with {status}")));
    }
    Keyring::parse(text.expose()).map_err(|error| failed(format!("in its output, {error}")))
}

async fn bounded(output: impl AsyncRead + Unpin) -> std::io::Result<Secret> {
    let mut text = String::new();
    output.take(OUTPUT + 1).read_to_string(&mut text).await?;
    if text.len() as u64 > OUTPUT {
        let message = format!("it printed more than {OUTPUT} bytes");
        return Err(std::io::Error::other(message));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::printed;

    const KEY: &str = "5ea1ed00";

    async fn shell(script: &str, patience: Duration) -> Result<Vec<String>, String> {
        let arguments = ["-c".to_owned(), script.replace("KEY", &KEY.repeat(8))];
        let keys = printed("sh", &arguments, patience).await;
        let keys = keys.map_err(|error| error.to_string())?;
        let first = std::iter::once(keys.id());
        Ok(first.chain(keys.others()).map(str::to_owned).collect())
    }

    #[tokio::test]
    async fn a_program_prints_the_keys() {
        let patience = Duration::from_secs(30);
        let one = shell("echo KEY", patience).await.unwrap();
        let two = shell("echo KEY; echo noise >&2; echo; printf KEY", patience).await;
        assert_eq!(two.unwrap(), [one[0].as_str(), one[0].as_str()]);
    }

    #[tokio::test]
    async fn one_that_does_not_is_told_what_is_wrong_and_never_what_it_said() {
        let long = Duration::from_secs(30);
        for (script, patience, expected) in [
            ("echo KEY; exit 3", long, "exit status: 3"),
            ("echo KEYKEY", long, "key 1 in it is not exactly 64"),
            ("echo KEY KEYx", long, "key 2 in it is not exactly 64"),
            ("exit 0", long, "it holds no key"),
            ("yes KEY", long, "more than 4096 bytes"),
            ("printf '\\377'", long, "utf-8"),
            ("exec sleep 600", Duration::from_millis(50), "in time"),
            (
                "echo KEY; exec sleep 600",
                Duration::from_millis(50),
                "in time",
            ),
        ] {
            let error = shell(script, patience).await.unwrap_err();
            assert!(error.contains(expected), "{script}: {error}");
            assert!(error.contains("sealing.command (sh)"), "{error}");
            assert!(error.contains("by hand"), "{error}");
            assert!(!error.contains(KEY), "{script}: {error}");
        }
        let missing = printed("/nowhere/at-all", &[], long).await.unwrap_err();
        assert!(missing.to_string().contains("cannot be run"), "{missing}");
    }
}
