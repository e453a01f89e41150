//! What holds across documents: names answer, what is read was captured, and phases become jobs.

mod built_in;
mod captured;
mod composite;
mod devices;
mod flow;
mod inputs;
mod job;
mod lint;
mod lower;
mod parameters;
mod phases;
mod place;
mod resolve;
mod scenario;
mod spelled;
mod step;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checked::{Checked, Content, Part};
use crate::decode::Sink;
use crate::document::{self, Documents, Named, Tree};
use place::Place;

/// Checks everything. `None` if a document that nothing works without cannot be read; the caller
/// looks at the diagnostics for the rest.
pub(crate) fn package(sink: &Sink<'_>, documents: Documents) -> Option<Checked> {
    let parts = in_order(&documents);
    let package = Place::of_package(sink, &documents);
    let places: Vec<Place<'_, '_>> = parts
        .iter()
        .enumerate()
        .map(|(at, part)| Place::of_part(sink, at, part, &package))
        .collect();
    let phases = phases::of(&package, &places, &documents);
    for place in std::iter::once(&package).chain(&places) {
        place.connectors_used();
        place.connector_facts();
        place.lint_evidence(documents.lifecycle.as_ref());
    }
    package.lint_phases(documents.lifecycle.as_ref());
    let content = package.content();
    let parts = places.iter().zip(&parts).map(|(place, part)| {
        let doc = part.doc.as_ref()?;
        Some(Part {
            name: doc.name.value.clone(),
            pod_type: doc.pod_type.value,
            pod_type_signals: part.pod_type_signals.clone(),
            host_type: doc.host_type.as_ref().map(|it| it.value.clone()),
            form_pattern: doc.fqn_pattern.value.clone(),
            inventory: doc.devices.as_ref().map(|it| it.inventory.value.clone()),
            from_submission: part.is_from_submission(),
            content: place.content(),
        })
    });
    let parts: Option<Vec<Part>> = parts.collect();
    Some(Checked {
        phases: phases?,
        content,
        parts: parts?,
        manifest: documents.manifest?,
        session: documents.session,
    })
}

/// The parts in the order that the manifest gives them; those it does not name come last.
fn in_order(documents: &Documents) -> Vec<&document::Part> {
    let orders: BTreeMap<&str, u64> = documents
        .requirements
        .iter()
        .flat_map(|it| &it.parts)
        .map(|it| (it.requirement.value.as_str(), it.order.value))
        .collect();
    let mut parts: Vec<&document::Part> = documents.parts.iter().collect();
    parts.sort_by_key(|part| {
        let name = part.doc.as_ref().map(|doc| doc.name.value.as_str());
        name.and_then(|name| orders.get(name).copied())
            .unwrap_or(u64::MAX)
    });
    parts
}

impl Place<'_, '_> {
    /// What was found good.
    fn content(&self) -> Content {
        let Tree {
            rubrics,
            reports,
            topology,
            pod_facts,
            files,
            ..
        } = self.tree;
        let jobs = self.jobs.iter().filter_map(|(name, drafted)| {
            let job = drafted.as_ref()?.job.as_ref()?;
            Some((name.clone(), Arc::new(job.clone())))
        });
        Content {
            jobs: jobs.collect(),
            connectors: self.connectors.clone(),
            rubrics: all(rubrics, |doc| Arc::clone(&doc.rubric)),
            reports: all(reports, Arc::clone),
            topology: topology.clone(),
            pod_facts: pod_facts.clone(),
            files: files.clone(),
        }
    }
}

fn all<T, U>(named: &Named<T>, value: impl Fn(&T) -> U) -> BTreeMap<String, U> {
    named
        .iter()
        .filter_map(|(name, doc)| Some((name.clone(), value(doc.as_ref()?))))
        .collect()
}
