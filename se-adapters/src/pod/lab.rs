//! The steps that concern a lab.

use se_dsl::catalog::Action;
use se_runtime::event::Map;
use se_runtime::{Call, Done, Fault, FaultKind, Outcome};
use serde_json::Value;

use super::ports::PortCall;
use super::unacceptable;
use crate::lab::config;
use crate::lab::power::{self, Switch};
use crate::lab::resolve::{self, Import, LabSource, Resolved, Wanted};
use crate::lab::tags;
use crate::lab::watch::Attempt;
use crate::lab::{LabId, LabStatus};

/// A step that concerns a lab.
pub(super) struct LabCall<'a> {
    pub(super) call: &'a Call,
    pub(super) lab: Option<&'a LabSource>,
    pub(super) attempt: Attempt<'a>,
    pub(super) ports: PortCall<'a>,
}

impl LabCall<'_> {
    /// Does what the step's primitive says.
    pub(super) async fn run(&self) -> Outcome {
        match self.call.primitive.action {
            Action::LabResolve => self.resolve().await,
            Action::LabStart => self.start().await,
            Action::LabStop => self.stop().await,
            Action::Wipe => self.wipe().await,
            Action::Power => self.power().await,
            Action::LabCheckConvergence => self.check_convergence().await,
            Action::CaptureConfigs => self.capture_configs().await,
            Action::TagsSync => self.sync_tags().await,
            Action::Pause
            | Action::Exec
            | Action::Copy
            | Action::TransferFile
            | Action::LdsProvision
            | Action::LdsDeregister
            | Action::Collect
            | Action::BounceInterface
            | Action::PortsAlloc
            | Action::PortsRelease
            | Action::EvaluateRegex
            | Action::Report(_) => Err(Fault::new(
                FaultKind::Validation,
                format!("{} does not concern a lab", self.call.primitive.id()),
            )),
        }
    }

    async fn resolve(&self) -> Outcome {
        let force = self.call.inputs.get("force_import");
        let force = force.and_then(Value::as_bool).unwrap_or(false);
        let known = match self.named()? {
            Some(lab) => Some(lab),
            None => self.remembered()?,
        };
        let wanted = self.wanted(known.as_ref(), force);
        let resolved = resolve::resolve(self.attempt, wanted).await?;
        Ok(done(&resolved.status, |output| {
            insert(output, "freshly_imported", resolved.is_fresh);
            insert(output, "warnings", resolved.warnings.as_slice());
            output.insert("nodes".to_owned(), resolved.status.nodes_value());
        }))
    }

    fn wanted<'b>(&'b self, known: Option<&'b LabId>, force: bool) -> Wanted<'b> {
        Wanted {
            source: self.lab,
            known,
            import: Import::by(self.call),
            force,
        }
    }

    async fn start(&self) -> Outcome {
        let Resolved {
            status,
            is_fresh,
            warnings,
        } = match self.known().await? {
            Some(status) => Resolved::known(status),
            None => resolve::resolve(self.attempt, self.wanted(None, false)).await?,
        };
        let (status, polls) = power::start_lab(self.attempt, status).await?;
        Ok(done(&status, |output| {
            insert(output, "freshly_imported", is_fresh);
            insert(output, "warnings", warnings.as_slice());
            insert(output, "lab_state", status.state.as_str());
            insert(output, "poll_count", polls);
            insert(output, "converged", status.is_up());
            output.insert("nodes".to_owned(), status.nodes_value());
        }))
    }

    async fn stop(&self) -> Outcome {
        let status = self.existing().await?;
        let status = power::stop_lab(self.attempt, status).await?;
        Ok(done(&status, |output| insert(output, "ok", true)))
    }

    async fn wipe(&self) -> Outcome {
        let labels = self.devices()?;
        if !labels.is_empty() {
            let status = self.existing().await?;
            power::wipe_nodes(self.attempt, status.clone(), &labels).await?;
            return Ok(done(&status, |output| insert(output, "ok", true)));
        }
        match self.wipe_all().await {
            Ok(status) => Ok(done(&status, |output| insert(output, "ok", true))),
            // A lab that is gone needs no wiping: teardown may come twice.
            Err(fault) if fault.kind == FaultKind::NotFound => {
                self.attempt.progress.report(100, "there is no lab to wipe");
                let mut output = Map::new();
                insert(&mut output, "ok", true);
                Ok(Done {
                    output,
                    learned: Map::new(),
                })
            }
            Err(fault) => Err(fault),
        }
    }

    async fn wipe_all(&self) -> Result<LabStatus, Fault> {
        let status = match self.existing().await {
            // The session's lab may have been imported again since it was learned.
            Err(fault) if fault.kind == FaultKind::NotFound && self.named()?.is_none() => {
                self.by_title().await?
            }
            other => other?,
        };
        power::wipe_lab(self.attempt, status.clone()).await?;
        Ok(status)
    }

    async fn power(&self) -> Outcome {
        let node = self.text("node")?;
        let switch = match self.text("action")? {
            "start" => Switch::Start,
            "stop" => Switch::Stop,
            _ => return Err(unacceptable(self.call, "action", "`start` or `stop`")),
        };
        let status = self.existing().await?;
        power::switch_node(self.attempt, &status, node, switch).await?;
        Ok(done(&status, |output| insert(output, "ok", true)))
    }

    async fn check_convergence(&self) -> Outcome {
        let status = self.existing().await?;
        Ok(done(&status, |output| {
            insert(output, "converged", status.is_settled());
            insert(output, "lab_state", status.state.as_str());
            output.insert("nodes".to_owned(), status.nodes_value());
        }))
    }

    async fn capture_configs(&self) -> Outcome {
        let status = self.existing().await?;
        let labels = self.devices()?;
        let (configs, failed) = config::capture(self.attempt, &status, &labels).await?;
        Ok(done(&status, |output| {
            insert(output, "ok", failed.is_empty());
            insert(output, "configs", configs);
            insert(output, "failed", failed);
        }))
    }

    async fn sync_tags(&self) -> Outcome {
        let tags = self.ports.tags().await?;
        let status = self.existing().await?;
        let (written, failed) = tags::sync(self.attempt, &status, &tags).await?;
        Ok(done(&status, |output| {
            insert(output, "ok", failed.is_empty());
            insert(output, "tags", written);
            insert(output, "failed", failed);
        }))
    }

    /// The lab that the step or the session knows, else the one of the package's title.
    async fn existing(&self) -> Result<LabStatus, Fault> {
        match self.known().await? {
            Some(status) => Ok(status),
            None => self.by_title().await,
        }
    }

    /// The lab of the package's title and nodes.
    async fn by_title(&self) -> Result<LabStatus, Fault> {
        let source = self.lab.ok_or_else(resolve::no_topology)?;
        resolve::find(self.attempt, source).await?.ok_or_else(|| {
            let detail = format!(
                "the controller has no lab `{}` with the package's nodes: cml.lab_resolve@v1 imports \
                 it",
                source.lab_title()
            );
            Fault::new(FaultKind::NotFound, detail)
        })
    }

    /// The lab that the step or the session knows.
    async fn known(&self) -> Result<Option<LabStatus>, Fault> {
        let lab = match self.named()? {
            Some(lab) => lab,
            None => match self.remembered()? {
                Some(lab) => lab,
                None => return Ok(None),
            },
        };
        let Attempt {
            adapter, deadline, ..
        } = self.attempt;
        adapter.lab_status(&lab, deadline).await.map(Some)
    }

    /// `lab_id`, or `cml_lab_id` as the lablet-controller calls it.
    fn named(&self) -> Result<Option<LabId>, Fault> {
        let inputs = &self.call.inputs;
        let text = |key| inputs.get(key).filter(|it| !it.is_null());
        let Some(value) = text("lab_id").or_else(|| text("cml_lab_id")) else {
            return Ok(None);
        };
        let id = value.as_str().unwrap_or_default();
        LabId::parse(id).map(Some)
    }

    fn remembered(&self) -> Result<Option<LabId>, Fault> {
        let id = self.call.runtime_env.get("lab_id").and_then(Value::as_str);
        id.filter(|it| !it.is_empty()).map(LabId::parse).transpose()
    }

    fn devices(&self) -> Result<Vec<String>, Fault> {
        let labels = match self.call.inputs.get("devices") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(labels)) => labels.iter(),
            Some(_) => return Err(unacceptable(self.call, "devices", "a list of labels")),
        };
        labels
            .map(|it| it.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| unacceptable(self.call, "devices", "a list of labels"))
    }

    fn text(&self, key: &str) -> Result<&str, Fault> {
        let value = self.call.inputs.get(key).and_then(Value::as_str);
        value.ok_or_else(|| unacceptable(self.call, key, "text"))
    }
}

/// What every lab step gives: the lab under both its names, and what later steps shall know.
fn done(status: &LabStatus, more: impl FnOnce(&mut Map)) -> Done {
    let mut output = Map::new();
    for (key, value) in [
        ("lab_id", status.id.as_str()),
        ("title", &status.title),
        ("cml_lab_id", status.id.as_str()),
        ("cml_lab_title", &status.title),
    ] {
        insert(&mut output, key, value);
    }
    more(&mut output);
    let mut learned = Map::new();
    insert(&mut learned, "lab_id", status.id.as_str());
    insert(&mut learned, "lab_title", status.title.as_str());
    Done { output, learned }
}

fn insert(map: &mut Map, key: &str, value: impl Into<Value>) {
    map.insert(key.to_owned(), value.into());
}
