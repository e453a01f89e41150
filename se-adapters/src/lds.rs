//! LDS: where a candidate finds the devices of a pod. A step makes a session there, tells it the devices, and gets
//! the address that opens it; another one releases it.
//!
//! What is made is released again if what has to follow fails, or if the step is dropped.

mod client;
mod devices;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use se_runtime::event::Map;
use se_runtime::port::Progress;
use se_runtime::{Call, Done, Fault, FaultKind, Outcome, Secret, Vault};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use self::client::{Client, Session};
use self::devices::Device;
use crate::deadline::Deadline;

/// The entry of the configuration that fits any region.
const ANY: &str = "default";
/// What is left of a step's time to release what it has made.
const RESERVE: Duration = Duration::from_secs(5);
/// How long a release may take that nobody waits for.
const GOODBYE: Duration = Duration::from_secs(2);

/// An LDS, and how to log in there.
#[derive(Clone, PartialEq, Eq)]
pub struct LdsService {
    /// Where it is: `https://lds.example`, without `/reservations`.
    pub url: String,
    /// Login.
    pub username: String,
    /// Password, where it is known.
    pub password: Option<Secret>,
    /// PEM file of the authority that vouches for its certificate; default: the machine's own authorities.
    pub ca_file: Option<PathBuf>,
}

/// Those that are configured, by region, and what a job knows for them.
#[derive(Clone, Debug, Default)]
pub struct Lds {
    /// By region; `default` fits any.
    pub services: Arc<BTreeMap<String, LdsService>>,
    /// The form that the content is for, where it says so.
    pub form: Option<String>,
    /// The session's metadata.
    pub session: Map,
    /// The caller's session.
    pub session_id: Option<String>,
    /// The worker's address: devices are there, unless their facts say otherwise.
    pub host: String,
    /// The worker's region.
    pub region: Option<String>,
}

impl fmt::Debug for LdsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LdsService")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Lds {
    /// `lds_provision@v1`.
    ///
    /// # Errors
    /// `validation` if no LDS is configured or something that it needs is not known, and what LDS refuses;
    /// `authentication`, `timeout`, `communication` as they happen.
    pub(crate) async fn provision(
        &self,
        call: &Call,
        progress: &dyn Progress,
        deadline: &Deadline,
    ) -> Outcome {
        let devices = devices::of(call, &self.host)?;
        let secrets = devices.iter().filter_map(|it| it.password.as_deref());
        let client = self.client(call, secrets.map(Secret::new))?;
        let known = self.known(call, &client, deadline).await?;
        let reused = known.is_some();
        progress.report(10, "looking for the LDS session");
        let session = match known {
            Some(session) => session,
            None => client.make(&self.wanted(call)?, deadline).await?,
        };
        progress.report(40, &format!("LDS session {session}"));
        let made = Made::new(&client, &session, !reused);
        let work = deadline.earlier_by(RESERVE.min(deadline.left() / 4));
        let url = match hand_over(&client, &session, &devices, &work).await {
            Ok(url) => url,
            Err(fault) => return Err(made.undo(fault, deadline).await),
        };
        made.keep();
        let output = json!({
            "ok": true,
            "lds_session_id": session.as_str(),
            "launch_url": url,
            "devices": devices.len(),
            "reused": reused,
        });
        let learned = json!({ "lds_session_id": session.as_str(), "lds_registered": true });
        Ok(done(output, learned))
    }

    /// `lds_deregister@v1`. A session that is not there any more is as good as released.
    ///
    /// # Errors
    /// As for [`Lds::provision`].
    pub(crate) async fn deregister(&self, call: &Call, deadline: &Deadline) -> Outcome {
        let released = match known_id(call)? {
            None => false,
            Some(session) => {
                let client = self.client(call, std::iter::empty())?;
                client.release(&session, deadline).await?
            }
        };
        let learned = json!({ "lds_session_id": null, "lds_registered": false });
        Ok(done(json!({ "ok": true, "released": released }), learned))
    }

    fn client(&self, call: &Call, secrets: impl Iterator<Item = Secret>) -> Result<Client, Fault> {
        let region = text(call, "region").or(self.region.as_deref());
        let named = region.and_then(|it| self.services.get_key_value(it));
        let Some((section, service)) = named.or_else(|| self.services.get_key_value(ANY)) else {
            let known: Vec<&str> = self.services.keys().map(String::as_str).collect();
            let section = region.unwrap_or(ANY);
            let known = match known.as_slice() {
                [] => "none is configured".to_owned(),
                known => format!("there are: {}", known.join(", ")),
            };
            return Err(invalid(&format!(
                "no LDS for region `{section}` ({known}): set url, username and password in [lds.{section}] or \
                 [lds.{ANY}] of the engine's configuration"
            )));
        };
        let Some(password) = &service.password else {
            return Err(invalid(&format!(
                "the password of the LDS in [lds.{section}] is not known: set lds.{section}.password in the engine's \
                 configuration, or give it a secret of that name"
            )));
        };
        // An answer may repeat the header, in which both stand in base64.
        let login = STANDARD.encode(format!("{}:{}", service.username, password.expose()));
        let mask = Vault::new(secrets.chain([password.clone(), Secret::new(login)]));
        Client::new(service, password, mask)
    }

    /// The session that is known from before, if LDS still has it.
    async fn known(
        &self,
        call: &Call,
        client: &Client,
        deadline: &Deadline,
    ) -> Result<Option<Session>, Fault> {
        match known_id(call)? {
            Some(session) if client.is_live(&session, deadline).await? => Ok(Some(session)),
            Some(_) | None => Ok(None),
        }
    }

    /// What a new session is asked for with: inputs first, then what is known of the job's session.
    fn wanted(&self, call: &Call) -> Result<Value, Fault> {
        let known = |name: &str| {
            let given = call.inputs.get(name).filter(|it| !it.is_null());
            given.or_else(|| self.session.get(name)).cloned()
        };
        let form = known("form_qualified_name").and_then(|it| it.as_str().map(str::to_owned));
        let Some(form) = form.or_else(|| self.form.clone()) else {
            return Err(invalid(
                "`lds_provision` does not know which form to show: give `with.form_qualified_name`, or \
                 `form_qualified_name` in the job's session",
            ));
        };
        let mut part = json!({ "repository_type": "minio", "form_qualified_name": form });
        if let Some(variables) = known("variables") {
            part["variables"] = variables;
        }
        let id = self.session_id.as_deref().map(Value::from);
        let own = [
            ("auth_id", known("auth_id").or_else(|| id.clone())),
            ("candidate_id", known("candidate_id").or(id)),
        ];
        let others = [
            "first_name",
            "last_name",
            "rack_group",
            "rack_number",
            "scheduled_date",
            "timezone_offset",
        ];
        let mut wanted = json!({
            "origin": "scenario-engine",
            "auth_id_type": "ordered_session",
            "location": "cloud",
            "session_parts": [part],
        });
        let others = others.into_iter().map(|name| (name, known(name)));
        for (name, value) in own.into_iter().chain(others) {
            if let Some(value) = value {
                wanted[name] = value;
            }
        }
        Ok(wanted)
    }
}

/// Tells a session its devices, and gets the address that opens it.
async fn hand_over(
    client: &Client,
    session: &Session,
    devices: &[Device],
    deadline: &Deadline,
) -> Result<String, Fault> {
    if !devices.is_empty() {
        client.set_devices(session, devices, deadline).await?;
    }
    client.launch_url(session, deadline).await
}

/// A session that this step has made, until it is sure that it is wanted. Dropped before that, it is released.
struct Made<'a> {
    client: &'a Client,
    session: Option<Session>,
}

impl<'a> Made<'a> {
    fn new(client: &'a Client, session: &Session, fresh: bool) -> Self {
        Self {
            client,
            session: fresh.then(|| session.clone()),
        }
    }

    fn keep(mut self) {
        self.session = None;
    }

    /// Releases it, and says so beside what went wrong.
    async fn undo(mut self, fault: Fault, deadline: &Deadline) -> Fault {
        let Some(session) = self.session.clone() else {
            return fault;
        };
        let released = self.client.release(&session, deadline).await;
        self.session = None;
        let then = match released {
            Ok(_) => format!("the LDS session {session} was released again"),
            Err(why) => format!(
                "the LDS session {session} that was made could not be released, release it by hand ({})",
                why.detail
            ),
        };
        let detail = format!("{}\n{then}", fault.detail);
        Fault { detail, ..fault }
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let (Some(session), Ok(runtime)) = (self.session.take(), Handle::try_current()) else {
            return;
        };
        let client = self.client.clone();
        let releasing = async move {
            match tokio::time::timeout(GOODBYE, client.let_go(&session)).await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => tracing::warn!(%fault, %session, "an LDS session stays behind"),
                Err(_) => tracing::warn!(%session, "an LDS session may stay behind"),
            }
        };
        // A drop cannot wait; the task ends by itself within `GOODBYE`.
        drop(runtime.spawn(releasing));
    }
}

/// The session that the step names, or that the caller's session has.
fn known_id(call: &Call) -> Result<Option<Session>, Fault> {
    let given = call.inputs.get("lds_session_id").filter(|it| !it.is_null());
    let known = given.or_else(|| call.runtime_env.get("lds_session_id"));
    match known {
        None | Some(Value::Null) => Ok(None),
        Some(id) => Session::read(id).map(Some).ok_or_else(|| {
            invalid(&format!(
                "`lds_session_id` is {id}, which is no id of a session"
            ))
        }),
    }
}

fn text<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.inputs.get(name).and_then(Value::as_str)
}

fn invalid(detail: &str) -> Fault {
    Fault::new(FaultKind::Validation, detail)
}

fn done(output: Value, learned: Value) -> Done {
    let map = |value| match value {
        Value::Object(map) => map.into_iter().collect(),
        _ => Map::default(),
    };
    Done {
        output: map(output),
        learned: map(learned),
    }
}
