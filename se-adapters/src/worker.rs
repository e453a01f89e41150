//! Where a pod is and how to log in there.

use std::fmt;
use std::path::PathBuf;

use se_runtime::{Fault, FaultKind, Secret};

/// The worker that carries a pod.
#[derive(Clone, PartialEq, Eq)]
pub struct Worker {
    /// Its address: consoles are here, and the controller unless `cml_url` says otherwise.
    pub ip: String,
    /// The controller; default: `https://<ip>`.
    pub cml_url: Option<String>,
    /// Login of the controller.
    pub cml_username: String,
    /// Password of the controller.
    pub cml_password: Secret,
    /// Where it is, for people.
    pub region: Option<String>,
    /// Which adapter the caller wants; default: the one of the content's pod type.
    pub adapter: Option<String>,
    /// Which certificate of the controller is believed.
    pub trust: Trust,
    /// What the worker can carry, by pod type; empty: not stated.
    pub capabilities: Vec<String>,
    /// How consoles can be reached, best first.
    pub consoles: Vec<ConsoleWay>,
    /// The port of the controller's console server.
    pub console_port: u16,
}

/// How one gets to the console of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleWay {
    /// A telnet port of the worker leads to it.
    Telnet,
    /// The controller's console server, over SSH.
    Ssh,
    /// The controller's web console.
    Websocket,
}

impl ConsoleWay {
    /// Every way, in the order in which they are tried where nobody says otherwise.
    pub const ALL: [Self; 3] = [Self::Telnet, Self::Ssh, Self::Websocket];

    /// As `worker.consoles` names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telnet => "telnet",
            Self::Ssh => "ssh",
            Self::Websocket => "websocket",
        }
    }

    /// Reads such a name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// The port of the controller's console server, where nobody says otherwise.
pub const CONSOLE_PORT: u16 = 22;

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Somebody may have put a login into the URL.
        let url = self.cml_url.as_deref();
        let url = url.map(|it| it.rsplit_once('@').map_or(it, |(_, host)| host));
        f.debug_struct("Worker")
            .field("ip", &self.ip)
            .field("cml_url", &url)
            .field("cml_username", &self.cml_username)
            .field("region", &self.region)
            .field("adapter", &self.adapter)
            .field("trust", &self.trust)
            .field("capabilities", &self.capabilities)
            .field("consoles", &self.consoles)
            .field("console_port", &self.console_port)
            .finish_non_exhaustive()
    }
}

/// Which TLS certificate is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// One that the machine's own authorities vouch for.
    #[default]
    System,
    /// One that an authority in this PEM file vouches for.
    CaFile(PathBuf),
    /// Exactly this one, whoever signed it and whatever name it bears.
    Fingerprint(Fingerprint),
    /// Any: whoever sits between can read the password.
    Anything,
}

impl Trust {
    /// From `tls {verify, ca_file, fingerprint}`. A fingerprint wins over `ca_file`, both over
    /// `verify: false`.
    ///
    /// # Errors
    /// `validation` if the fingerprint is none.
    pub fn new(
        verify: Option<bool>,
        ca_file: Option<PathBuf>,
        fingerprint: Option<&str>,
    ) -> Result<Self, Fault> {
        if let Some(text) = fingerprint {
            return Fingerprint::parse(text).map(Self::Fingerprint);
        }
        Ok(match (ca_file, verify) {
            (Some(path), _) => Self::CaFile(path),
            (None, Some(false)) => Self::Anything,
            (None, Some(true) | None) => Self::System,
        })
    }
}

/// SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Reads 64 hexadecimal digits; colons, blanks and a leading `sha256:` do not count.
    ///
    /// # Errors
    /// `validation` for anything else.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let lower = text.trim().to_ascii_lowercase();
        let digits: Vec<u8> = lower
            .trim_start_matches("sha256")
            .chars()
            .filter(|it| !matches!(it, ':' | ' ' | '='))
            .map(|it| it.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .unwrap_or_default();
        let bytes: Vec<u8> = digits
            .chunks(2)
            .filter_map(|pair| match pair {
                [high, low] => Some(high << 4 | low),
                _ => None,
            })
            .collect();
        match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) if digits.len() == 64 => Ok(Self(bytes)),
            _ => Err(Fault::new(
                FaultKind::Validation,
                format!(
                    "`worker.tls.fingerprint` is `{text}`, which is no SHA-256 fingerprint: 64 \
                     hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints them"
                ),
            )),
        }
    }

    /// Of a certificate.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Fingerprint, Trust};

    #[test]
    fn fingerprints_read_as_tools_print_them() {
        let print = Fingerprint::of(b"certificate");
        let text = print.to_string();
        for spelling in [
            text.clone(),
            text.replace(':', ""),
            text.to_lowercase(),
            format!("sha256:{}", text.replace(':', "")),
            format!("SHA256={text}"),
        ] {
            assert_eq!(Fingerprint::parse(&spelling), Ok(print), "{spelling}");
        }
        for bad in ["", "AB:CD", &text[3..], &format!("{text}:00"), "zz"] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_narrowest_trust_wins() {
        let print = Fingerprint::of(b"x");
        let file = Some(PathBuf::from("ca.pem"));
        let text = print.to_string();
        let of = |verify, file, print| Trust::new(verify, file, print).unwrap();
        assert_eq!(of(None, None, None), Trust::System);
        assert_eq!(of(Some(false), None, None), Trust::Anything);
        assert_eq!(
            of(Some(false), file.clone(), None),
            Trust::CaFile("ca.pem".into())
        );
        assert_eq!(
            of(Some(false), file, Some(&text)),
            Trust::Fingerprint(print)
        );
    }
}
