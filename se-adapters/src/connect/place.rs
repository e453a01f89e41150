//! Where a session is, and faults that say so.

use std::fmt;
use std::sync::Arc;

use se_dsl::checked::Transport;
use se_runtime::{Endpoint, Fault, FaultKind, Secret, Vault};

/// How much of a line a fault shows, from its end and in characters.
const LONGEST_SHOWN: usize = 500;

/// A connector as messages name it, with what must not be shown in them.
#[derive(Clone)]
pub(crate) struct Place {
    name: String,
    address: String,
    mask: Arc<Vault>,
}

impl Place {
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        let transport = match endpoint.transport {
            Transport::Telnet => "telnet",
            Transport::Console => "console",
            Transport::Ssh => "ssh",
        };
        let address = match endpoint.port {
            Endpoint::NO_PORT => format!("{transport} of {} at {}", endpoint.device, endpoint.host),
            port => format!("{transport} {}:{port}", endpoint.host),
        };
        let secrets = [&endpoint.password, &endpoint.enable_password];
        let secrets = secrets.into_iter().flatten().cloned();
        let username = endpoint.username.iter().map(Secret::new);
        Self {
            name: endpoint.name.clone(),
            address,
            mask: Arc::new(Vault::new(secrets.chain(username))),
        }
    }

    /// What a transcript must not show.
    pub(crate) fn mask(&self) -> Arc<Vault> {
        Arc::clone(&self.mask)
    }

    /// A fault that says what was tried, what came back, and what to check.
    pub(crate) fn fault(
        &self,
        kind: FaultKind,
        tried: &str,
        came: &Came<'_>,
        check: &str,
    ) -> Fault {
        let came = match came {
            Came::Nothing => "nothing came back".to_owned(),
            Came::Reason(reason) => self.mask.mask_text(reason),
            Came::Lines(lines) if lines.trim().is_empty() => "nothing came back".to_owned(),
            Came::Lines(lines) => {
                format!("it said last:\n{}", indented(&self.mask.mask_text(lines)))
            }
        };
        let tried = self.mask.mask_text(tried);
        let end = if came.contains('\n') { "\n" } else { "; " };
        Fault::new(kind, format!("{self}: {tried}: {came}{end}{check}"))
    }
}

/// What came back.
pub(crate) enum Came<'a> {
    Nothing,
    /// A reason in one line.
    Reason(&'a str),
    /// The device's last lines.
    Lines(&'a str),
}

/// Of each line no more than a fault shows. Cut only here, where it is masked: half a secret would not be found.
fn indented(lines: &str) -> String {
    let shown = lines
        .lines()
        .map(|line| match line.char_indices().nth_back(LONGEST_SHOWN) {
            Some((at, _)) => format!("  …{}", line.get(at..).unwrap_or_default()),
            None => format!("  {line}"),
        });
    shown.collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connector `{}` ({})", self.name, self.address)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
