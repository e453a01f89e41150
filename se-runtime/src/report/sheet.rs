//! What is shown of a report, in which order: the one model behind text, Markdown and HTML.
//!
//! A report spec names fields by their JSON keys, so a sheet is made from the report's JSON: every field
//! that the JSON has can be shown.

mod cell;

use se_dsl::checked::{ReportClass, ReportSpec};
use serde_json::{Map, Value};

use super::{Report, Status, shown};
pub(super) use cell::{Cell, Tone};

/// A report ready to be written down.
pub(super) struct Sheet {
    /// What it is.
    pub(super) title: &'static str,
    /// Of which content and phase.
    pub(super) about: String,
    /// Why it must not be relied on as it is.
    pub(super) warning: Option<&'static str>,
    /// The result in one line, where the fields it needs are shown.
    pub(super) verdict: Option<Cell>,
    /// The rest, in order.
    pub(super) blocks: Vec<Block>,
}

/// A piece of a [`Sheet`].
pub(super) enum Block {
    /// Names and values.
    Pairs {
        title: &'static str,
        pairs: Vec<(String, Cell)>,
    },
    /// A table.
    Table(Table),
}

/// Rows with the same columns.
pub(super) struct Table {
    pub(super) title: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

/// A column of a [`Table`].
pub(super) struct Column {
    pub(super) title: String,
    pub(super) numeric: bool,
}

/// A row of a [`Table`].
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// What is said under it.
    pub(super) notes: Vec<String>,
    /// How it was judged.
    pub(super) proofs: Vec<Proof>,
}

/// One check of an item.
pub(super) struct Proof {
    pub(super) asked: String,
    pub(super) regex: String,
    pub(super) flags: String,
    pub(super) outcome: Cell,
    pub(super) issue: Option<String>,
    pub(super) matched: Option<String>,
}

/// How much is shown where nothing was chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Results and what is said about them.
    Summary,
    /// And how they came about.
    Proof,
}

/// Group of a report spec, key of its rows in the JSON, title.
const TABLES: [(&str, &str, &str); 6] = [
    ("per_item", "items", "Items"),
    ("per_part", "parts", "Parts"),
    ("per_check", "checks", "Checks"),
    ("per_change", "changes", "Changes"),
    ("per_evidence", "evidence", "Evidence"),
    ("per_action", "actions", "Actions"),
];

type Groups<'a> = Vec<(&'a str, Vec<&'a str>)>;

impl Sheet {
    pub(super) fn of(report: &Report, spec: Option<&ReportSpec>, depth: Depth) -> Self {
        let class = report.head().report_class;
        let spec = spec.filter(|it| !it.include.is_empty());
        let groups = spec.map_or_else(|| default_groups(class, depth), chosen);
        let json = report.to_json();
        let head = report.head();
        let mut about = format!("{} {}", head.definition_id, head.version);
        if let Some(phase) = &head.phase {
            about.push_str(", phase ");
            about.push_str(phase);
        }
        Self {
            title: title(class),
            about: shown::line(&about),
            warning: warning(head.status),
            verdict: verdict(report, &groups),
            blocks: groups
                .iter()
                // Where nobody chose them, the verdict says the totals.
                .filter(|(group, _)| spec.is_some() || *group != "totals")
                .flat_map(|(group, fields)| blocks(&json, group, fields))
                .collect(),
        }
    }
}

fn chosen(spec: &ReportSpec) -> Groups<'_> {
    let groups = spec.include.iter();
    let groups = groups.map(|(group, fields)| {
        let fields = fields.iter().map(String::as_str).collect();
        (group.as_str(), fields)
    });
    groups.collect()
}

fn default_groups(class: ReportClass, depth: Depth) -> Groups<'static> {
    let mut groups: Groups<'static> = match class {
        ReportClass::ScoreReport => {
            let mut item = vec![
                "id",
                "description",
                "points_awarded",
                "points_max",
                "status",
                "issues",
            ];
            if depth == Depth::Proof {
                item.push("checks");
            }
            let totals = vec![
                "points_awarded",
                "points_max",
                "percentage",
                "points_undetermined",
            ];
            vec![("per_item", item), ("totals", totals)]
        }
        ReportClass::ReadinessReport => vec![("per_check", vec!["name", "passed", "detail"])],
        ReportClass::ChangeReport => vec![
            ("per_change", vec!["step", "target", "action", "ok", "at"]),
            ("per_check", vec!["name", "passed", "detail"]),
        ],
        ReportClass::SubmissionReport => {
            let evidence = vec!["source", "step", "target", "bytes", "sha256", "at"];
            vec![("per_evidence", evidence)]
        }
        ReportClass::ArchiveReport => vec![("per_action", vec!["step", "action", "ok", "at"])],
    };
    let head = vec![
        "session_id",
        "job_id",
        "status",
        "started_at",
        "completed_at",
        "duration_seconds",
    ];
    groups.push(("head", head));
    groups
}

fn title(class: ReportClass) -> &'static str {
    match class {
        ReportClass::ScoreReport => "Score report",
        ReportClass::ReadinessReport => "Readiness report",
        ReportClass::ChangeReport => "Change report",
        ReportClass::SubmissionReport => "Submission report",
        ReportClass::ArchiveReport => "Archive report",
    }
}

fn warning(status: Status) -> Option<&'static str> {
    match status {
        Status::Completed => None,
        Status::Incomplete => Some("Incomplete: something could not be collected or judged."),
        Status::Running => Some("Not final: the job is still running."),
        Status::Faulted => Some("The job was ended by a failed step."),
        Status::Cancelled => Some("The job was cancelled."),
    }
}

fn verdict(report: &Report, groups: &Groups<'_>) -> Option<Cell> {
    match report {
        Report::Score(score) => {
            let (_, fields) = groups.iter().find(|(group, _)| *group == "totals")?;
            cell::score(&score.totals, fields)
        }
        Report::Readiness(it) if it.ready => Some(Cell::new("Ready", Tone::Good)),
        Report::Readiness(it) => {
            let passed = it.checks.iter().filter(|it| it.passed).count();
            let checks = cell::count("check", "passed", passed, it.checks.len());
            Some(Cell::new(format!("Not ready: {}", checks.text), Tone::Bad))
        }
        Report::Change(it) => {
            let made = it.changes.iter().filter(|it| it.ok).count();
            Some(cell::count("change", "made", made, it.changes.len()))
        }
        Report::Submission(it) => {
            let here = it.evidence.iter().filter(|it| it.content.is_some());
            let (here, all) = (here.count(), it.evidence.len());
            let tone = if here == all {
                Tone::Good
            } else {
                Tone::Unknown
            };
            let plural = if all == 1 { "" } else { "s" };
            Some(Cell::new(
                format!("{here} of {all} piece{plural} of evidence"),
                tone,
            ))
        }
        Report::Archive(it) => {
            let done = it.actions.iter().filter(|it| it.ok).count();
            Some(cell::count("action", "done", done, it.actions.len()))
        }
    }
}

fn blocks(json: &Value, group: &str, fields: &[&str]) -> Vec<Block> {
    match group {
        "head" => vec![pairs("Job", json, fields)],
        "totals" => vec![pairs(
            "Totals",
            json.get("totals").unwrap_or(&Value::Null),
            fields,
        )],
        "per_item" => items(json, fields),
        _ => {
            let known = TABLES.iter().find(|(name, _, _)| *name == group);
            let table = known.and_then(|(_, key, title)| table(json, key, title, fields));
            table.map(Block::Table).into_iter().collect()
        }
    }
}

/// One table, or one for each part.
fn items(json: &Value, fields: &[&str]) -> Vec<Block> {
    let parts = json.get("parts").and_then(Value::as_array);
    let Some(parts) = parts.filter(|it| !it.is_empty()) else {
        let table = table(json, "items", "Items", fields);
        return table.map(Block::Table).into_iter().collect();
    };
    let tables = parts.iter().filter_map(|part| {
        let name = part.get("part").and_then(Value::as_str).unwrap_or_default();
        table(
            part,
            "items",
            &format!("Part {}", shown::line(name)),
            fields,
        )
    });
    tables.map(Block::Table).collect()
}

fn pairs(title: &'static str, json: &Value, fields: &[&str]) -> Block {
    let pairs = fields.iter().filter_map(|field| {
        let value = json.get(field)?;
        Some((cell::label(field), Cell::of(field, value)))
    });
    Block::Pairs {
        title,
        pairs: pairs.collect(),
    }
}

fn table(json: &Value, key: &str, title: &str, fields: &[&str]) -> Option<Table> {
    let rows = json.get(key)?.as_array()?;
    let columns = columns(fields);
    let rows = rows.iter().filter_map(Value::as_object);
    let rows = rows.map(|row| self::row(row, &columns, fields)).collect();
    let columns = columns.iter().map(|fields| Column {
        title: match fields.as_slice() {
            // Of an item or check it is the outcome; of a job it is the status.
            ["status"] => "Outcome".to_owned(),
            [one] => cell::label(one),
            _ => "Points".to_owned(),
        },
        numeric: fields.iter().all(|it| cell::is_numeric(it)),
    });
    Some(Table {
        title: title.to_owned(),
        columns: columns.collect(),
        rows,
    })
}

/// The fields of each column: points awarded next to points possible share one; issues and checks stand
/// under their row.
fn columns<'a>(fields: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut columns: Vec<Vec<&'a str>> = Vec::new();
    for field in fields
        .iter()
        .filter(|it| !matches!(**it, "issues" | "checks"))
    {
        match columns.last_mut() {
            Some(last) if *field == "points_max" && last.as_slice() == ["points_awarded"] => {
                last.push(field);
            }
            _ => columns.push(vec![field]),
        }
    }
    columns
}

fn row(row: &Map<String, Value>, columns: &[Vec<&str>], fields: &[&str]) -> Row {
    // The sum of a part stands one level down.
    let totals = row.get("totals");
    let at = |field: &str| {
        let own = row.get(field).or_else(|| totals?.get(field));
        own.unwrap_or(&Value::Null)
    };
    let cells = columns.iter().map(|column| match column.as_slice() {
        [one] => Cell::of(one, at(one)),
        many => {
            let texts: Vec<String> = many.iter().map(|it| Cell::of(it, at(it)).text).collect();
            Cell::new(texts.join(" / "), Tone::Plain)
        }
    });
    let list = |field: &str| {
        let shown = fields.contains(&field);
        let list = row.get(field).and_then(Value::as_array);
        list.filter(|_| shown)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let notes = list("issues").iter().filter_map(Value::as_str);
    Row {
        cells: cells.collect(),
        notes: notes.map(shown::line).collect(),
        proofs: list("checks").iter().map(proof).collect(),
    }
}

fn proof(check: &Value) -> Proof {
    let text = |field: &str| check.get(field).and_then(Value::as_str).unwrap_or_default();
    let how = match text("mode") {
        "negative" => "must not match",
        _ => "must match",
    };
    let flags = check.get("flags").and_then(Value::as_array);
    let flags: Vec<&str> = flags
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let issue = check.get("issue").and_then(Value::as_str);
    let matched = check.pointer("/matched/text").and_then(Value::as_str);
    Proof {
        asked: format!("{} {how}", shown::line(text("source"))),
        regex: shown::line(text("regex")),
        flags: flags.join(", "),
        outcome: Cell::of("passed", check.get("passed").unwrap_or(&Value::Null)),
        issue: issue.map(shown::line),
        matched: matched.map(shown::block),
    }
}
