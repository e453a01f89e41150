//! Logs that released engines wrote: each is folded to what it meant then.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use se_dsl::{Options, check};
use se_runtime::{Event, Plan, Record, State};

use crate::examples::{entries, sources};

/// A job of a released version.
struct Released {
    name: String,
    plan: Plan,
    records: Vec<Record>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the logs of released versions"
)]
fn released() -> Vec<Released> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../se-server/tests/released");
    let versions = entries(&root);
    let logs = versions.iter().flat_map(|it| entries(&it.join("logs")));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let parse = |(n, line)| {
            Record::parse(line).unwrap_or_else(|it| panic!("{}:{n}: {it}", path.display()))
        };
        let records: Vec<Record> = (1..).zip(text.lines()).map(parse).collect();
        let Event::JobAccepted(accepted) = &records[0].event else {
            panic!("{}: no acceptance", path.display())
        };
        let packages = path.parent().unwrap().join("../data/packages");
        let sources = sources(&packages.join(&accepted.content_hash));
        let checked = check(&sources, Options::default()).checked;
        let checked = checked.unwrap_or_else(|| panic!("{}: its content", path.display()));
        let plan = Plan::build(Arc::new(checked), accepted).unwrap();
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        Released {
            name,
            plan,
            records,
        }
    };
    logs.map(read).collect()
}

#[test]
fn logs_of_former_versions_mean_what_they_meant() {
    let mut text = String::new();
    for it in released() {
        let state = State::fold(&it.plan, &it.records)
            .unwrap_or_else(|error| panic!("{}: {error}", it.name));
        let status = state.status().as_str();
        assert!(
            it.name.ends_with(&format!("-{status}.jsonl")),
            "{}",
            it.name
        );
        let results = serde_json::to_string_pretty(&state.results(&it.plan)).unwrap();
        text.push_str(&format!(
            "== {}\n{status} at {}, {} % in {} steps, failed at {:?}\n{results}\n",
            it.name,
            state.seq(),
            state.percentage(),
            state.ended(),
            state.error().map(|it| &it.detail),
        ));
    }
    insta::assert_snapshot!("released_logs", text);
}

/// So that the data does go on holding what it is there for.
#[test]
fn the_logs_hold_every_kind_of_event_and_every_end() {
    let all = released();
    let events = || all.iter().flat_map(|it| &it.records).map(|it| &it.event);
    for kind in Event::KINDS {
        assert!(events().any(|it| it.kind() == kind), "no {kind}");
    }
    let runs = ["[1]", "/", "."];
    for sign in runs {
        let named = events().any(|it| it.step().is_some_and(|step| step.contains(sign)));
        assert!(named, "no run with {sign}");
    }
    let resumed = |it: &Event| matches!(it, Event::JobAccepted(it) if it.origin.is_some());
    assert!(events().any(resumed));
    let cut = |it: &Released| !it.records.last().unwrap().event.is_last();
    assert!(all.iter().any(cut));
}

#[test]
fn what_is_read_is_written_the_same() {
    for it in released() {
        for record in &it.records {
            let text = serde_json::to_string(record).unwrap();
            assert_eq!(&Record::parse(&text).unwrap(), record, "{}", it.name);
        }
    }
}
