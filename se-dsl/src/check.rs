//! What holds across documents: names answer, what is read was captured, and phases become jobs.

mod built_in;
mod flow;
mod inputs;
mod job;
mod phases;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::checked::{Checked, Connector};
use crate::decode::Sink;
use crate::diagnostic::codes::names;
use crate::document::{Documents, Input, Named};
use job::Drafted;

/// A package while it is checked.
struct Package<'p, 's> {
    sink: &'p Sink<'s>,
    documents: &'p Documents,
}

/// Checks everything. `None` if a document that nothing works without cannot be read; the caller
/// looks at the diagnostics for the rest.
pub(crate) fn package(sink: &Sink<'_>, documents: Documents) -> Option<Checked> {
    let package = Package {
        sink,
        documents: &documents,
    };
    let jobs: Named<Drafted> = documents
        .jobs
        .iter()
        .map(|(name, doc)| (name.clone(), doc.as_ref().map(|doc| package.draft(doc))))
        .collect();
    let phases = package.phases(&jobs);
    package.unused_connectors();
    for (node, template) in documents
        .connectors
        .iter()
        .flatten()
        .flat_map(|doc| &doc.values)
    {
        package.facts(node, template);
    }
    let jobs: BTreeMap<_, _> = jobs
        .into_iter()
        .filter_map(|(name, drafted)| Some((name, Arc::new(drafted?.job?))))
        .collect();
    Some(Checked {
        phases: phases?,
        jobs,
        connectors: package.connectors(),
        rubrics: all(&documents.rubrics, |doc| Arc::clone(&doc.rubric)),
        reports: all(&documents.reports, Arc::clone),
        manifest: documents.manifest?,
        topology: documents.topology,
        pod_facts: documents.pod_facts,
        files: documents.files,
        session: documents.session,
    })
}

fn all<T, U>(named: &Named<T>, value: impl Fn(&T) -> U) -> BTreeMap<String, U> {
    named
        .iter()
        .filter_map(|(name, doc)| Some((name.clone(), value(doc.as_ref()?))))
        .collect()
}

impl Package<'_, '_> {
    fn connectors(&self) -> Vec<Arc<Connector>> {
        let docs = self.documents.connectors.iter().flatten();
        docs.filter_map(|doc| doc.connector.clone()).collect()
    }

    /// Names of connectors, or `None` if they cannot be known.
    fn connector_names(&self) -> Option<Vec<&str>> {
        let docs = self.documents.connectors.as_ref()?;
        Some(docs.iter().map(|doc| doc.name.value.as_str()).collect())
    }

    fn unused_connectors(&self) {
        let jobs = self.documents.jobs.values();
        let steps = jobs.flatten().flat_map(|job| &job.steps);
        let inputs = steps.flat_map(|step| {
            let device = step.with.iter().find(|input| input.key == "device");
            step.target.iter().chain(device)
        });
        let name = |input: &Input| {
            let literal = input.template.as_ref()?.literal()?;
            literal.as_str().map(str::to_owned)
        };
        // An expression may name any of them; then none is known to be unused.
        let Some(used) = inputs.map(name).collect::<Option<BTreeSet<String>>>() else {
            return;
        };
        for doc in self.documents.connectors.iter().flatten() {
            if !used.contains(&doc.name.value) {
                self.sink.push(names::unused_connector(&doc.name));
            }
        }
    }
}
