//! The steps that concern the worker's ports.

use std::collections::{BTreeMap, BTreeSet};

use se_dsl::catalog::Action;
use se_dsl::ports::{self, RANGE};
use se_runtime::event::Map;
use se_runtime::{Call, Done, Fault, FaultKind, Outcome};
use serde_json::{Value, json};

use super::unacceptable;
use crate::ports::{PodPorts, PortsWanted};

/// The ports that a session was given, in outputs and in `runtime_env`.
const ALLOCATED: &str = "allocated_ports";

/// A step that concerns ports.
pub(super) struct PortCall<'a> {
    pub(super) call: &'a Call,
    pub(super) ports: &'a PodPorts,
    /// The worker's address.
    pub(super) worker: &'a str,
}

impl PortCall<'_> {
    /// Does what the step's primitive says.
    pub(super) async fn run(&self) -> Outcome {
        match self.call.primitive.action {
            Action::PortsRelease => self.release().await,
            _ => self.allocate().await,
        }
    }

    async fn allocate(&self) -> Outcome {
        let PodPorts { book, holder } = self.ports;
        let wanted = PortsWanted {
            worker: self.worker.to_owned(),
            holder: holder.clone(),
            names: self.names()?,
            range: match self.input("range") {
                Some(range) => ports::range(range).map_err(|it| wrong(self.call, "range", &it))?,
                None => RANGE,
            },
        };
        let given = book.allocate(wanted).await?;
        let devices = ports::devices(&given);
        let output = json!({ALLOCATED: given, "devices": devices});
        Ok(Done {
            learned: object(output.clone()),
            output: object(output),
        })
    }

    fn names(&self) -> Result<BTreeMap<String, Option<u16>>, Fault> {
        if let Some(template) = self.input("template") {
            return ports::wanted(template).map_err(|it| wrong(self.call, "template", &it));
        }
        let devices = self.call.runtime_env.get("devices");
        let names = devices.map(ports::of_devices).unwrap_or_default();
        if names.is_empty() {
            let detail = "no device of runtime_env has a port, so it is not known what needs one: give \
                          `template`, or tag the nodes of PAv1/topology/cml.yaml (serial:5041)";
            return Err(Fault::new(FaultKind::Validation, detail));
        }
        Ok(names)
    }

    /// The tags that tell the controller of the ports, by the devices' names.
    pub(super) async fn tags(&self) -> Result<BTreeMap<String, Vec<String>>, Fault> {
        let ports = match self.input("ports") {
            Some(Value::Object(ports)) => ports.clone(),
            Some(_) => {
                return Err(unacceptable(
                    self.call,
                    "ports",
                    "a mapping of names to ports",
                ));
            }
            None => {
                let PodPorts { book, holder } = self.ports;
                object(json!(book.held(self.worker, holder).await?))
            }
        };
        if ports.is_empty() {
            let detail = "this session has no ports, so there are no tags to write: ports_alloc@v1 gives it \
                          some, or give `ports`";
            return Err(Fault::new(FaultKind::Validation, detail));
        }
        ports::tags(&ports).map_err(|it| wrong(self.call, "ports", &it))
    }

    async fn release(&self) -> Outcome {
        let names: Option<BTreeSet<String>> = match self.input("names") {
            None => None,
            Some(Value::Array(names)) => {
                let names = names.iter().map(|it| it.as_str().map(str::to_owned));
                let names = names.collect::<Option<_>>();
                Some(names.ok_or_else(|| unacceptable(self.call, "names", "a list of names"))?)
            }
            Some(_) => return Err(unacceptable(self.call, "names", "a list of names")),
        };
        let PodPorts { book, holder } = self.ports;
        let released = book.release(self.worker, holder, names).await?;
        Ok(Done {
            output: object(json!({"ok": true, "released": released})),
            ..Done::default()
        })
    }

    fn input(&self, name: &str) -> Option<&Value> {
        self.call.inputs.get(name).filter(|it| !it.is_null())
    }
}

/// Why an input cannot be used.
fn wrong(call: &Call, key: &str, why: &str) -> Fault {
    let detail = format!("`with.{key}` of {}: {why}", call.primitive.id());
    Fault::new(FaultKind::Validation, detail)
}

fn object(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
