//! Finding the lab of a package on its worker.

use se_dsl::checked::Topology;
use se_runtime::{Fault, FaultKind};

use super::watch::Attempt;
use super::{LabId, LabStatus, LabSummary, Shape};
use crate::cml::shape_of_document;

/// The longest title a controller takes, in characters.
const LONGEST_TITLE: usize = 64;

/// What a package's lab is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabSource {
    /// The topology file as it is.
    pub topology: String,
    /// Its `lab.title`, where it has one.
    pub title: Option<String>,
    /// Whose lab it is: sessions on one worker do not share labs.
    pub session_id: Option<String>,
}

impl LabSource {
    /// Of a package's topology, for a session.
    #[must_use]
    pub fn new(topology: &Topology, session_id: Option<&str>) -> Self {
        Self {
            topology: topology.text.clone(),
            title: topology.title.clone(),
            session_id: session_id.map(str::to_owned),
        }
    }

    /// The title the lab has on the controller: the topology's with the session behind it, cut where the
    /// controller cuts, the session whole.
    #[must_use]
    pub fn lab_title(&self) -> String {
        let title = self.title.as_deref().map_or("lab", str::trim);
        let session = self.session_id.as_deref().map_or("", str::trim);
        let session: String = match session.chars().count() {
            0 => String::new(),
            length => {
                // The end of an id tells more than its start.
                let skip = length.saturating_sub(LONGEST_TITLE);
                session.chars().skip(skip).collect()
            }
        };
        let room = match session.chars().count() {
            0 => LONGEST_TITLE,
            length => LONGEST_TITLE.saturating_sub(length + 1),
        };
        let title: String = title.chars().take(room).collect();
        format!("{} {session}", title.trim_end()).trim().to_owned()
    }

    fn shape(&self) -> Result<Shape, Fault> {
        let unreadable = |reason: String| {
            let detail = format!("the package's topology cannot be read: {reason}");
            Fault::new(FaultKind::Validation, detail)
        };
        let document: serde_json::Value =
            serde_saphyr::from_str(&self.topology).map_err(|it| unreadable(it.to_string()))?;
        shape_of_document(&document).map_err(unreadable)
    }
}

/// A lab that is there.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) status: LabStatus,
    /// Whether it was imported just now.
    pub(crate) is_fresh: bool,
    /// What the controller did not like about the topology.
    pub(crate) warnings: Vec<String>,
}

impl Resolved {
    /// It was there.
    pub(crate) fn known(status: LabStatus) -> Self {
        Self {
            status,
            is_fresh: false,
            warnings: Vec::new(),
        }
    }
}

/// Finds the lab: by id where one is known, else by title and shape; imports it where there is none, or
/// where `force_import` says so.
///
/// # Errors
/// `validation` if the package has no topology; whatever the controller says.
pub(crate) async fn resolve(
    attempt: Attempt<'_>,
    source: Option<&LabSource>,
    known: Option<&LabId>,
    force_import: bool,
) -> Result<Resolved, Fault> {
    if let Some(lab) = known.filter(|_| !force_import) {
        match attempt.adapter.lab_status(lab, attempt.deadline).await {
            Ok(status) => {
                return Ok(Resolved::known(status));
            }
            Err(fault) if fault.kind == FaultKind::NotFound => {
                let message = format!("lab {lab} is gone from the controller; looking by title");
                attempt.progress.report(5, &message);
            }
            Err(fault) => return Err(fault),
        }
    }
    let source = source.ok_or_else(no_topology)?;
    if !force_import && let Some(status) = find(attempt, source).await? {
        return Ok(Resolved::known(status));
    }
    let title = source.lab_title();
    attempt.progress.report(30, &format!("importing `{title}`"));
    let imported = attempt
        .adapter
        .import_lab(&source.topology, &title, attempt.deadline)
        .await?;
    for warning in &imported.warnings {
        let message = format!("the controller warns about the topology: {warning}");
        attempt.progress.report(60, &message);
    }
    let status = attempt
        .adapter
        .lab_status(&imported.id, attempt.deadline)
        .await?;
    Ok(Resolved {
        status,
        is_fresh: true,
        warnings: imported.warnings,
    })
}

/// The newest lab of the package's title and shape, if there is one.
///
/// # Errors
/// Whatever the controller says.
pub(crate) async fn find(
    attempt: Attempt<'_>,
    source: &LabSource,
) -> Result<Option<LabStatus>, Fault> {
    let Attempt {
        adapter,
        progress,
        deadline,
    } = attempt;
    let title = source.lab_title();
    let shape = source.shape()?;
    progress.report(10, &format!("looking for `{title}`"));
    let mut labs: Vec<LabSummary> = adapter.list_labs(deadline).await?;
    labs.retain(|it| it.title == title);
    labs.sort_by(|a, b| (&b.created, &b.id).cmp(&(&a.created, &a.id)));
    for lab in &labs {
        if adapter.lab_shape(&lab.id, deadline).await? == shape {
            return adapter.lab_status(&lab.id, deadline).await.map(Some);
        }
        let message = format!(
            "lab {} is called `{title}` but has other nodes or links than the package",
            lab.id
        );
        progress.report(20, &message);
    }
    Ok(None)
}

pub(crate) fn no_topology() -> Fault {
    Fault::new(
        FaultKind::Validation,
        "no lab is known to this session and the package has no topology to make one of: add \
         PAv1/topology/cml.yaml, or give `lab_id`",
    )
}

#[cfg(test)]
mod tests {
    use super::LabSource;

    fn title(title: &str, session: Option<&str>) -> String {
        let source = LabSource {
            topology: String::new(),
            title: Some(title.to_owned()),
            session_id: session.map(str::to_owned),
        };
        source.lab_title()
    }

    #[test]
    fn a_title_keeps_the_session_whole() {
        assert_eq!(title("LAB-0.1", None), "LAB-0.1");
        assert_eq!(title("LAB-0.1", Some("s1")), "LAB-0.1 s1");
        let long = "ä".repeat(100);
        assert_eq!(title(&long, None).chars().count(), 64);
        let session = "0190b2f4-7c1e-7d3a-9a55-0c8a1f2e3d4c";
        let cut = title(&long, Some(session));
        assert_eq!(cut.chars().count(), 64);
        assert!(cut.ends_with(session), "{cut}");
        let whole = title("t", Some(&"x".repeat(80)));
        assert_eq!(whole.chars().count(), 64);
    }
}
