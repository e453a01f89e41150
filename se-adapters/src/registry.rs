//! Which adapter drives which pod.

use std::collections::BTreeMap;
use std::sync::Arc;

use se_dsl::catalog::Needs;
use se_dsl::checked::PodType;
use se_runtime::{Fault, FaultKind};

use crate::cml::Cml;
use crate::lab::PodAdapter;
use crate::worker::Worker;

type Build = fn(&Worker) -> Result<Arc<dyn PodAdapter>, Fault>;

/// The adapters of this version, by pod type.
#[derive(Clone, Debug)]
pub struct Registry {
    /// `None`: only devices, no controller.
    adapters: BTreeMap<PodType, Option<Build>>,
}

/// An adapter that fits content and worker.
#[derive(Clone, Copy, Debug)]
pub struct Selected {
    pod_type: PodType,
    build: Option<Build>,
}

/// Why content cannot run on a worker. Its text is fit for the caller who asked for both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The content wants a pod this version cannot drive.
    #[error(
        "the content is for `{content}`: no adapter for {content} in this version, which drives: \
         {known}"
    )]
    NoAdapter {
        /// The content's pod type.
        content: PodType,
        /// Those there are.
        known: String,
    },
    /// The worker names an adapter that nobody knows.
    #[error("`worker.adapter` is `{adapter}`, which is no adapter; this version drives: {known}")]
    Unknown {
        /// What the worker names.
        adapter: String,
        /// Those there are.
        known: String,
    },
    /// Content and worker want different adapters.
    #[error(
        "the content is for `{content}` but `worker.adapter` is `{worker}`: choose a worker with \
         `{content}`, or content made for `{worker}`"
    )]
    Different {
        /// The content's pod type.
        content: PodType,
        /// The worker's adapter.
        worker: PodType,
    },
    /// The worker states what it can carry, and it is not this.
    #[error(
        "the content is for `{content}` but `worker.capabilities` has only: {capabilities}; choose a \
         worker that can carry `{content}`"
    )]
    Incapable {
        /// The content's pod type.
        content: PodType,
        /// What the worker states.
        capabilities: String,
    },
}

impl Registry {
    /// The adapters that come with the engine.
    #[must_use]
    pub fn standard() -> Self {
        let cml: Build = |worker| Ok(Arc::new(Cml::new(worker)?));
        Self {
            adapters: BTreeMap::from([(PodType::CmlOnAws, Some(cml)), (PodType::None, None)]),
        }
    }

    /// Names of the pod types there are adapters for.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.adapters.keys().map(|it| it.as_str()).collect()
    }

    /// The adapter that both the content and the worker want. Content without a pod runs on any worker.
    ///
    /// # Errors
    /// Where they do not agree, or there is no such adapter.
    pub fn select(
        &self,
        content: PodType,
        worker_adapter: Option<&str>,
        worker_capabilities: &[String],
    ) -> Result<Selected, Mismatch> {
        let known = || self.names().join(", ");
        let build = *self
            .adapters
            .get(&content)
            .ok_or_else(|| Mismatch::NoAdapter {
                content,
                known: known(),
            })?;
        if let Some(adapter) = worker_adapter {
            let worker = pod_type(adapter).ok_or_else(|| Mismatch::Unknown {
                adapter: adapter.to_owned(),
                known: known(),
            })?;
            if content != PodType::None && worker != content {
                return Err(Mismatch::Different { content, worker });
            }
        }
        // Capabilities hold other words too (regions, sizes): those that name pods must name this one.
        let pods: Vec<PodType> = worker_capabilities
            .iter()
            .filter_map(|it| pod_type(it))
            .collect();
        if content != PodType::None && !pods.is_empty() && !pods.contains(&content) {
            return Err(Mismatch::Incapable {
                content,
                capabilities: worker_capabilities.join(", "),
            });
        }
        Ok(Selected {
            pod_type: content,
            build,
        })
    }
}

/// Reads `cml_on_aws` as well as `CmlOnAws` and `cml-on-aws`.
fn pod_type(name: &str) -> Option<PodType> {
    let bare = |it: &str| it.replace(['_', '-', ' '], "").to_ascii_lowercase();
    let name = bare(name);
    PodType::ALL
        .into_iter()
        .find(|it| bare(it.as_str()) == name)
}

impl Selected {
    /// Devices only: for tests and content without a pod.
    #[must_use]
    pub fn devices_only() -> Self {
        Self {
            pod_type: PodType::None,
            build: None,
        }
    }

    /// The pods it drives.
    #[must_use]
    pub fn pod_type(&self) -> PodType {
        self.pod_type
    }

    /// What a primitive can ask of it.
    #[must_use]
    pub fn provides(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing | Needs::Devices => true,
            Needs::Labs => self.build.is_some(),
        }
    }

    /// An adapter for this worker; contacts nothing.
    ///
    /// # Errors
    /// `validation` if the pod has no labs, or the worker's facts cannot be used.
    pub fn adapter(&self, worker: &Worker) -> Result<Arc<dyn PodAdapter>, Fault> {
        let build = self.build.ok_or_else(|| {
            let detail = format!(
                "the content's pod type is `{}`, which has no labs: remove the lab steps, or set \
                 `pod_type` in PAv1/manifest.yaml",
                self.pod_type
            );
            Fault::new(FaultKind::Validation, detail)
        })?;
        build(worker)
    }
}

#[cfg(test)]
mod tests {
    use se_dsl::checked::PodType;

    use super::Registry;

    fn select(content: PodType, adapter: Option<&str>, capabilities: &[&str]) -> String {
        let capabilities: Vec<String> = capabilities.iter().map(|it| (*it).to_owned()).collect();
        match Registry::standard().select(content, adapter, &capabilities) {
            Ok(selected) => selected.pod_type().to_string(),
            Err(mismatch) => mismatch.to_string(),
        }
    }

    #[test]
    fn content_and_worker_must_agree() {
        use PodType::{CmlOnAws, None as NoPod, RocRadkit};
        for (content, adapter, capabilities, expected) in [
            (CmlOnAws, None, &[][..], "cml_on_aws"),
            (
                CmlOnAws,
                Some("CmlOnAws"),
                &["eu-west-1", "cml_on_aws"],
                "cml_on_aws",
            ),
            (CmlOnAws, Some("CML_ON_AWS"), &["big"], "cml_on_aws"),
            (NoPod, Some("proxmox"), &["proxmox"], "none"),
            (
                RocRadkit,
                None,
                &[],
                "the content is for `roc_radkit`: no adapter for roc_radkit in this version, which \
                 drives: cml_on_aws, none",
            ),
            (
                CmlOnAws,
                Some("proxmox"),
                &[],
                "the content is for `cml_on_aws` but `worker.adapter` is `proxmox`: choose a worker \
                 with `cml_on_aws`, or content made for `proxmox`",
            ),
            (
                CmlOnAws,
                Some("vbox"),
                &[],
                "`worker.adapter` is `vbox`, which is no adapter; this version drives: cml_on_aws, \
                 none",
            ),
            (
                CmlOnAws,
                None,
                &["vmware", "big"],
                "the content is for `cml_on_aws` but `worker.capabilities` has only: vmware, big; \
                 choose a worker that can carry `cml_on_aws`",
            ),
        ] {
            assert_eq!(select(content, adapter, capabilities), expected);
        }
    }
}
