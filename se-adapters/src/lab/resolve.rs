//! Finding the lab of a package on its worker.

use std::fmt;

use se_dsl::checked::Topology;
use se_runtime::{Call, Fault, FaultKind};
use sha2::{Digest as _, Sha256};

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
        self.title_before("")
    }

    /// What the lab is called until its import is done: no other import's is.
    fn title_while(&self, import: Import) -> String {
        self.title_before(&import.to_string())
    }

    /// The title with the session and this behind it.
    fn title_before(&self, end: &str) -> String {
        let title = self.title.as_deref().map_or("lab", str::trim);
        let session = self.session_id.as_deref().map_or("", str::trim);
        let end = format!("{session} {end}");
        let end = end.trim();
        // The end of an id tells more than its start.
        let skip = end.chars().count().saturating_sub(LONGEST_TITLE);
        let end: String = end.chars().skip(skip).collect();
        let room = match end.chars().count() {
            0 => LONGEST_TITLE,
            length => LONGEST_TITLE.saturating_sub(length + 1),
        };
        let title: String = title.chars().take(room).collect();
        format!("{} {end}", title.trim_end()).trim().to_owned()
    }

    fn shape(&self) -> Result<Shape, Fault> {
        shape_of_document(&self.document()?).map_err(unreadable)
    }

    /// What the topology says about the lab.
    fn notes(&self) -> Result<String, Fault> {
        let document = self.document()?;
        let notes = document.pointer("/lab/notes");
        Ok(notes
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned())
    }

    fn document(&self) -> Result<serde_json::Value, Fault> {
        serde_saphyr::from_str(&self.topology).map_err(|it| unreadable(it.to_string()))
    }
}

fn unreadable(reason: impl fmt::Display) -> Fault {
    let detail = format!("the package's topology cannot be read: {reason}");
    Fault::new(FaultKind::Validation, detail)
}

/// The import that one step of one job makes, however often it is attempted; written `#` and eight digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Import(u32);

impl Import {
    /// Of the step that a call attempts.
    pub(crate) fn by(call: &Call) -> Self {
        let digest = Sha256::digest(format!("{} {}", call.job, call.step));
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest);
        Self(u32::from_be_bytes([a, b, c, d]))
    }

    /// Whether the notes of a lab say that it is of this import.
    fn is_noted(self, notes: &str) -> bool {
        notes.lines().any(|it| it == self.note())
    }

    /// Notes that say so, besides what they say.
    fn noted(self, notes: &str) -> String {
        format!("{}\n{}", notes.trim_end(), self.note())
            .trim_start()
            .to_owned()
    }

    fn note(self) -> String {
        format!("Imported by ScenarioEngine, {self}")
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}", self.0)
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

/// What a step wants of the session's labs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// What the package's lab is made of.
    pub(crate) source: Option<&'a LabSource>,
    /// The lab that the session knows.
    pub(crate) known: Option<&'a LabId>,
    /// The import that the step makes, if it makes one.
    pub(crate) import: Import,
    /// Whether it makes one whatever labs there are.
    pub(crate) force: bool,
}

/// Finds the lab: by id where one is known, else by title and shape; imports it where there is none, or where that is
/// wanted. However often a step is attempted it imports one lab: what an attempt before this one has imported, though
/// nobody heard of it, is found, and is as fresh as it was then.
///
/// # Errors
/// `validation` if the package has no topology; whatever the controller says.
pub(crate) async fn resolve(attempt: Attempt<'_>, wanted: Wanted<'_>) -> Result<Resolved, Fault> {
    if let Some(status) = known(attempt, wanted).await? {
        return Ok(Resolved::known(status));
    }
    let source = wanted.source.ok_or_else(no_topology)?;
    let labs = attempt.adapter.list_labs(attempt.deadline).await?;
    let begun = source.title_while(wanted.import);
    if let Some(lab) = labs.iter().find(|it| it.title == begun) {
        return conclude(attempt, (source, wanted.import), &lab.id, &lab.notes).await;
    }
    let is_own = |it: &LabSummary| wanted.import.is_noted(&it.notes);
    let found = match wanted.force {
        true => labs.into_iter().find(is_own),
        false => newest(attempt, source, labs).await?,
    };
    match found {
        Some(lab) => Ok(Resolved {
            is_fresh: is_own(&lab),
            ..Resolved::known(
                attempt
                    .adapter
                    .lab_status(&lab.id, attempt.deadline)
                    .await?,
            )
        }),
        None => import(attempt, source, wanted.import).await,
    }
}

/// How the lab is that the session knows, if it is there.
async fn known(attempt: Attempt<'_>, wanted: Wanted<'_>) -> Result<Option<LabStatus>, Fault> {
    let Some(lab) = wanted.known.filter(|_| !wanted.force) else {
        return Ok(None);
    };
    match attempt.adapter.lab_status(lab, attempt.deadline).await {
        Ok(status) => Ok(Some(status)),
        Err(fault) if fault.kind == FaultKind::NotFound => {
            let message = format!("lab {lab} is gone from the controller; looking by title");
            attempt.progress.report(5, &message);
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Imports the lab under a title that only this import gives: should nobody hear of it, the next attempt finds it.
async fn import(
    attempt: Attempt<'_>,
    source: &LabSource,
    import: Import,
) -> Result<Resolved, Fault> {
    let message = format!("importing `{}`", source.lab_title());
    attempt.progress.report(30, &message);
    let title = source.title_while(import);
    let imported = attempt
        .adapter
        .import_lab(&source.topology, &title, attempt.deadline)
        .await?;
    for warning in &imported.warnings {
        let message = format!("the controller warns about the topology: {warning}");
        attempt.progress.report(60, &message);
    }
    let notes = source.notes()?;
    let resolved = conclude(attempt, (source, import), &imported.id, &notes).await?;
    Ok(Resolved {
        warnings: imported.warnings,
        ..resolved
    })
}

/// Gives a lab that was imported its title, and notes which import it is of.
async fn conclude(
    attempt: Attempt<'_>,
    (source, import): (&LabSource, Import),
    lab: &LabId,
    notes: &str,
) -> Result<Resolved, Fault> {
    let (title, notes) = (source.lab_title(), import.noted(notes));
    let described = attempt
        .adapter
        .describe_lab(lab, &title, &notes, attempt.deadline);
    described.await?;
    Ok(Resolved {
        is_fresh: true,
        ..Resolved::known(attempt.adapter.lab_status(lab, attempt.deadline).await?)
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
    let labs = attempt.adapter.list_labs(attempt.deadline).await?;
    match newest(attempt, source, labs).await? {
        Some(lab) => attempt
            .adapter
            .lab_status(&lab.id, attempt.deadline)
            .await
            .map(Some),
        None => Ok(None),
    }
}

/// Of these labs, the newest of the package's title and shape.
async fn newest(
    attempt: Attempt<'_>,
    source: &LabSource,
    mut labs: Vec<LabSummary>,
) -> Result<Option<LabSummary>, Fault> {
    let Attempt {
        adapter,
        progress,
        deadline,
    } = attempt;
    let title = source.lab_title();
    let shape = source.shape()?;
    progress.report(10, &format!("looking for `{title}`"));
    labs.retain(|it| it.title == title);
    labs.sort_by(|a, b| (&b.created, &b.id).cmp(&(&a.created, &a.id)));
    for lab in labs {
        if adapter.lab_shape(&lab.id, deadline).await? == shape {
            return Ok(Some(lab));
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
    use super::{Import, LabSource};

    fn source(title: &str, session: Option<&str>) -> LabSource {
        LabSource {
            topology: String::new(),
            title: Some(title.to_owned()),
            session_id: session.map(str::to_owned),
        }
    }

    fn title(title: &str, session: Option<&str>) -> String {
        source(title, session).lab_title()
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

    #[test]
    fn an_import_is_told_by_the_title_at_first_and_by_the_notes_in_the_end() {
        let import = Import(0x1a2b);
        let own = source("LAB-0.1", Some("s1"));
        assert_eq!(own.title_while(import), "LAB-0.1 s1 #00001a2b");
        for (session, length) in [(None, 5), (Some("s1"), 80), (Some(&*"x".repeat(80)), 80)] {
            let title = source(&"t".repeat(length), session).title_while(import);
            assert!(title.chars().count() <= 64, "{title}");
            assert!(title.ends_with(" #00001a2b"), "{title}");
        }
        for notes in ["", "made by hand\n"] {
            let noted = import.noted(notes);
            assert!(noted.starts_with(notes.trim_end()), "{noted}");
            assert!(import.is_noted(&noted) && !import.is_noted(notes));
            assert!(!Import(1).is_noted(&noted));
        }
    }
}
