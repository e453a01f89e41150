//! A package, or one part of it, while it is checked: what its documents may name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::composite;
use super::devices;
use super::job::Drafted;
use crate::checked::{Composite, Connector, PodType};
use crate::decode::Sink;
use crate::diagnostic::codes::{composites, names};
use crate::diagnostic::nearest;
use crate::document::{self, Documents, Input, Named, ScenarioDoc, StepDoc, Tree};

/// Where documents lie beside each other.
pub(super) struct Place<'p, 's> {
    pub(super) sink: &'p Sink<'s>,
    pub(super) tree: &'p Tree,
    /// Which part it is; none for the package itself.
    pub(super) part: Option<usize>,
    /// What its metadata calls it.
    pub(super) name: Option<&'p str>,
    /// None if that cannot be told.
    pub(super) pod_type: Option<PodType>,
    /// Whether its evidence is what the candidate handed in.
    pub(super) from_submission: bool,
    /// Written in connectors.yaml, or implied by the devices where there is no such file.
    pub(super) connectors: Vec<Arc<Connector>>,
    /// What steps may use; a part sees those of the package too. `None` is one that cannot be used.
    pub(super) composites: BTreeMap<String, Option<Arc<Composite>>>,
    pub(super) jobs: Named<Drafted>,
}

impl<'p, 's> Place<'p, 's> {
    pub(super) fn of_package(sink: &'p Sink<'s>, documents: &'p Documents) -> Self {
        let tree = &documents.tree;
        let manifest = documents.manifest.as_ref();
        let is_session = documents.requirements.is_some();
        Self {
            sink,
            tree,
            part: None,
            name: None,
            pod_type: manifest.filter(|_| !is_session).map(|it| it.pod_type),
            from_submission: false,
            connectors: devices::connectors(tree, None),
            composites: BTreeMap::new(),
            jobs: BTreeMap::new(),
        }
        .drafted()
    }

    pub(super) fn of_part(
        sink: &'p Sink<'s>,
        at: usize,
        part: &'p document::Part,
        package: &Self,
    ) -> Self {
        let doc = part.doc.as_ref();
        devices::reachable(sink, doc);
        let composites = part.tree.composites.iter();
        for (name, doc) in composites.filter_map(|(name, doc)| Some((name, doc.as_ref()?))) {
            if let Some(Some(other)) = package.composites.get(name) {
                let found = composites::hides(doc.span, name).related(other.span, "this one");
                sink.push(found);
            }
        }
        Self {
            sink,
            tree: &part.tree,
            part: Some(at),
            name: doc.map(|it| it.name.value.as_str()),
            pod_type: doc.map(|it| it.pod_type.value),
            from_submission: part.is_from_submission(),
            connectors: devices::connectors(&part.tree, doc),
            composites: package.composites.clone(),
            jobs: BTreeMap::new(),
        }
        .drafted()
    }

    /// Composites first: jobs use them.
    fn drafted(mut self) -> Self {
        let composites = composite::all(&self);
        self.composites.extend(composites);
        let jobs = self.tree.jobs.iter();
        let jobs = jobs.map(|(name, doc)| (name.clone(), doc.as_ref().map(|it| self.draft(it))));
        self.jobs = jobs.collect();
        self
    }

    /// The same place, with no composites and jobs known yet.
    pub(super) fn bare(&self) -> Self {
        Self {
            connectors: self.connectors.clone(),
            composites: BTreeMap::new(),
            jobs: BTreeMap::new(),
            ..*self
        }
    }

    /// The path of the place in JSON Pointers.
    pub(super) fn pointer(&self) -> String {
        self.name
            .filter(|_| self.part.is_some())
            .map_or_else(String::new, |name| format!("/parts/{name}"))
    }

    /// Names of connectors, or `None` if they cannot be known.
    pub(super) fn connector_names(&self) -> Option<Vec<&str>> {
        let docs = self.tree.connectors.as_ref()?;
        let written = docs.iter().map(|doc| doc.name.value.as_str());
        let implied = self.connectors.iter().map(|it| it.name.as_str());
        let all: BTreeSet<&str> = written.chain(implied).collect();
        Some(all.into_iter().collect())
    }

    /// Every step that is written down here.
    fn steps(&self) -> impl Iterator<Item = &'p StepDoc> {
        let jobs = self.tree.jobs.values().flatten();
        let composites = self.tree.composites.values().flatten();
        jobs.flat_map(|it| &it.steps)
            .chain(composites.flat_map(|it| &it.steps))
    }

    /// Whether some document of those that target connectors cannot be read.
    fn hides_targets(&self) -> bool {
        let Tree {
            jobs,
            composites,
            scenarios,
            ..
        } = self.tree;
        jobs.values().any(Option::is_none)
            || composites.values().any(Option::is_none)
            || scenarios
                .values()
                .any(|it| it.as_ref().is_none_or(ScenarioDoc::is_legacy))
    }

    /// Connectors that nobody targets.
    pub(super) fn connectors_used(&self) {
        if self.hides_targets() {
            return;
        }
        let inputs = self.steps().flat_map(|step| {
            let device = step.with.iter().find(|input| input.key == "device");
            step.target.as_deref().into_iter().chain(device)
        });
        let name = |input: &Input| {
            let literal = input.template.as_ref()?.literal()?;
            literal.as_str().map(str::to_owned)
        };
        // An expression may name any of them; then none is known to be unused.
        let Some(mut used) = inputs.map(name).collect::<Option<BTreeSet<String>>>() else {
            return;
        };
        let scenarios = self.tree.scenarios.values().flatten();
        used.extend(
            scenarios
                .flat_map(|it| &it.collect)
                .map(|it| it.device.value.clone()),
        );
        let docs = || self.tree.connectors.iter().flatten();
        let is_known = |name: &str| docs().any(|doc| doc.name.value == name);
        // A slip of its name is told where it stands.
        let slips: Vec<&str> = used
            .iter()
            .map(String::as_str)
            .filter(|it| !is_known(it))
            .collect();
        let is_meant = |name: &str| {
            let mut slips = slips.iter();
            slips.any(|slip| nearest(slip, std::iter::once(name)).is_some())
        };
        for doc in docs() {
            if !used.contains(&doc.name.value) && !is_meant(&doc.name.value) {
                self.sink.push(names::unused_connector(&doc.name));
            }
        }
    }

    /// Facts that connectors read.
    pub(super) fn connector_facts(&self) {
        let docs = self.tree.connectors.iter().flatten();
        for (node, template) in docs.flat_map(|doc| &doc.values) {
            self.facts(node, template);
            self.never_there_in(node, template);
        }
    }
}
