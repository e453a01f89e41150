//! Which crate may know which.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Complaints;
use crate::command::{Failure, command, output};

/// Our crates and those of ours they may use, tests aside.
const EDGES: &[(&str, &[&str])] = &[
    ("se-dsl", &[]),
    ("se-runtime", &["se-dsl"]),
    ("se-content", &["se-dsl"]),
    ("se-store", &["se-dsl", "se-runtime"]),
    ("se-adapters", &["se-dsl", "se-runtime"]),
    (
        "se-testkit",
        &["se-dsl", "se-runtime", "se-content", "se-adapters"],
    ),
    (
        "se-server",
        &[
            "se-dsl",
            "se-runtime",
            "se-content",
            "se-store",
            "se-adapters",
        ],
    ),
    ("se-simulation", &["se-dsl", "se-runtime"]),
    (
        "se-benches",
        &[
            "se-adapters",
            "se-dsl",
            "se-runtime",
            "se-store",
            "se-testkit",
        ],
    ),
    ("xtask", &[]),
];

/// The pure core, and what may not be anywhere below it.
const PURE: &[&str] = &["se-dsl", "se-runtime"];
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "reqwest",
    "axum",
    "sqlx",
    "sqlx-core",
    "rusqlite",
    "russh",
    "object_store",
    "rustls",
];

pub(super) fn check() -> Result<Complaints, Failure> {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline"];
    let text = output(command("cargo", &arguments))
        .or_else(|_| output(command("cargo", &["metadata", "--format-version", "1"])))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let mut complaints = edges(&metadata);
    complaints.extend(planted(&metadata));
    for pure in PURE {
        let below = reachable(&metadata, pure);
        let found = IMPURE.iter().filter(|name| below.contains(**name));
        complaints.extend(found.map(|name| format!("{pure}: depends on {name}; the core is pure")));
    }
    Ok(complaints)
}

fn edges(metadata: &Value) -> Complaints {
    let mut complaints = Complaints::new();
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        if package["source"].is_string() {
            continue;
        }
        let Some((_, allowed)) = EDGES.iter().find(|(it, _)| *it == name) else {
            complaints.push(format!(
                "{name}: not in the table of crates (tidy/dependencies.rs)"
            ));
            continue;
        };
        let normal = list(&package["dependencies"]).filter(|it| it["kind"].is_null());
        for dependency in normal.map(|it| text(&it["name"])) {
            if EDGES.iter().any(|(it, _)| *it == dependency) && !allowed.contains(&dependency) {
                complaints.push(format!("{name}: may not depend on {dependency}"));
            }
        }
    }
    complaints
}

/// Who may ask for bugs in the core: the simulation, and only where it is asked for them itself.
fn planted(metadata: &Value) -> Complaints {
    let mut complaints = Complaints::new();
    for package in list(&metadata["packages"]).filter(|it| !it["source"].is_string()) {
        let name = text(&package["name"]);
        let asked = list(&package["dependencies"]).flat_map(|it| list(&it["features"]));
        let mut asked = asked.map(text);
        let features = package["features"].as_object().into_iter().flatten();
        let mut on = features.filter(|(key, _)| *key != "planted" || name != "se-simulation");
        let by_feature = on.any(|(_, it)| list(it).map(text).any(|it| it.ends_with("planted")));
        if by_feature || asked.any(|it| it == "planted") {
            complaints.push(format!("{name}: plants bugs in what it builds"));
        }
    }
    complaints
}

/// Names of everything a crate is built from, tests aside.
fn reachable(metadata: &Value, name: &str) -> BTreeSet<String> {
    let id_of = |wanted: &str| {
        let mut packages = list(&metadata["packages"]);
        packages
            .find(|it| text(&it["name"]) == wanted)
            .map(|it| text(&it["id"]).to_owned())
    };
    let mut todo: Vec<String> = id_of(name).into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let node = list(&metadata["resolve"]["nodes"]).find(|it| text(&it["id"]) == id);
        for dependency in node.map(|it| list(&it["deps"])).into_iter().flatten() {
            if list(&dependency["dep_kinds"]).any(|it| it["kind"].is_null()) {
                todo.push(text(&dependency["pkg"]).to_owned());
            }
        }
    }
    list(&metadata["packages"])
        .filter(|it| seen.contains(text(&it["id"])))
        .map(|it| text(&it["name"]).to_owned())
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
