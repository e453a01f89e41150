//! The findings that a generated package must bring: none but what the generator knows that it made.

use std::collections::{BTreeMap, BTreeSet};

use se_dsl::checked::OnError;
use se_dsl::expr::Root;

use crate::generated::model::{ELEMENT, Expr, Input, Package, Place, Step, Uses};

/// How many findings of a code a document has.
pub(super) type Findings = BTreeMap<(&'static str, String), usize>;

pub(super) fn of(package: &Package) -> Findings {
    let mut findings = Findings::new();
    let mut add = |code, path: &str, count: usize| {
        if count > 0 {
            *findings.entry((code, path.to_owned())).or_default() += count;
        }
    };
    let folders = package
        .parts
        .iter()
        .map(|it| format!("PAv1/parts/{}", it.folder));
    let roots = std::iter::once("PAv1".to_owned()).chain(folders);
    for (root, place) in roots.zip(package.places()) {
        for (path, steps) in lists(place) {
            let path = format!("{root}/{path}.yaml");
            let captures = || steps.iter().flat_map(|it| &it.capture);
            add("SE1208", &path, captures().filter(|it| it.reversed).count());
            add("SE1302", &path, maybe(steps));
            add("SE1304", &path, shadowed(steps));
            add(
                "SE1311",
                &path,
                steps.iter().filter(|it| lasts_too_long(it)).count(),
            );
        }
        add("SE1217", &format!("{root}/connectors.yaml"), unused(place));
    }
    add("SE1307", "PAv1/lifecycle.yaml", types_differ(package));
    findings
}

fn lists(place: &Place) -> Vec<(String, &Vec<Step>)> {
    let jobs = place.jobs.iter();
    let jobs = jobs.map(|it| (format!("jobs/{}", it.name), &it.steps));
    let composites = place.composites.iter();
    let composites = composites.map(|it| (format!("composites/{}", it.name), &it.steps));
    jobs.chain(composites).collect()
}

/// Whether it is a pause that its timeout ends.
fn lasts_too_long(step: &Step) -> bool {
    let timeout = step.timeout.map(|it| it.as_secs_f64());
    let mut with = step.with.iter();
    step.uses == Uses::Pause
        && with.any(|(_, it)| matches!(it, Input::Literal(it) if it.as_f64() > timeout))
        && timeout.is_some()
}

/// Whether one path is, holds or lies in the other; `@` may be any name.
pub(super) fn meet(one: &[String], other: &[String]) -> bool {
    let mut pairs = one.iter().zip(other);
    pairs.all(|(a, b)| a == b || a == ELEMENT || b == ELEMENT)
}

/// Paths that a step writes, under its own name too.
pub(super) fn written(step: &Step) -> Vec<Vec<String>> {
    let own = |path: &Vec<String>| {
        let path = std::iter::once(&step.id).chain(path);
        path.cloned().collect::<Vec<_>>()
    };
    let captures = step.capture.iter();
    captures
        .flat_map(|it| [it.path.clone(), own(&it.path)])
        .collect()
}

/// Reads of variables that are null if every step that captures them is skipped.
fn maybe(steps: &[Step]) -> usize {
    let mut count = 0;
    for (at, step) in steps.iter().enumerate() {
        let inputs = step.with.iter().map(|(_, it)| it);
        let list = step.each.iter().map(|it| &it.list);
        for input in inputs.chain(&step.target).chain(list) {
            let reads: BTreeSet<(Root, Vec<String>)> =
                input.exprs().into_iter().filter_map(Expr::reads).collect();
            let free = reads.iter().filter(|it| !step.binds(it));
            let free = free.filter(|(root, path)| *root == Root::Vars && !path.is_empty());
            count += free
                .filter(|(_, path)| all_maybe(&steps[..at], path))
                .count();
        }
    }
    count
}

fn all_maybe(earlier: &[Step], path: &[String]) -> bool {
    earlier.iter().all(|step| {
        let error = [step.id.clone(), "error".to_owned()];
        let leaves_error = step.on_error == OnError::Continue && meet(&error, path);
        let writes = written(step).iter().any(|it| meet(it, path));
        !leaves_error && (!writes || step.when.is_some())
    })
}

/// Captures of a name that another has, or that is a step's; and loops that bind one.
fn shadowed(steps: &[Step]) -> usize {
    let capturing = steps.iter().filter(|it| !it.capture.is_empty());
    let ids: BTreeSet<&String> = capturing.map(|it| &it.id).collect();
    let paths: Vec<&Vec<String>> = steps
        .iter()
        .flat_map(|it| &it.capture)
        .map(|it| &it.path)
        .collect();
    let twice = paths
        .iter()
        .enumerate()
        .filter(|(at, path)| ids.contains(&path[0]) || paths[..*at].contains(path));
    let bound = steps
        .iter()
        .filter_map(|it| it.each.as_ref())
        .filter(|it| ids.contains(&it.var) || paths.iter().any(|path| path[0] == it.var));
    twice.count() + bound.count()
}

/// Connectors that no step targets, as far as that can be told.
fn unused(place: &Place) -> usize {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for target in lists(place)
        .iter()
        .flat_map(|(_, it)| *it)
        .filter_map(|it| it.target.as_ref())
    {
        match target {
            Input::Literal(name) => drop(name.as_str().map(|it| used.insert(it))),
            Input::Expr(_) | Input::Text(_) | Input::List(_) | Input::Map(_) => return 0,
        }
    }
    let collected = place.scenarios.iter().flat_map(|it| &it.collect);
    used.extend(collected.map(|(device, _, _)| device.as_str()));
    let unused = place
        .connectors
        .iter()
        .filter(|it| !used.contains(it.name.as_str()));
    unused.count()
}

/// References that say another process type than their job.
fn types_differ(package: &Package) -> usize {
    let references = package.phases.iter().flat_map(|it| &it.jobs);
    references
        .map(|reference| {
            let name = reference.definition.split('@').next();
            let jobs = package.places().flat_map(|it| &it.jobs);
            let own = jobs.filter(|it| Some(it.name.as_str()) == name);
            let own = own.filter_map(|it| it.process_type);
            let other = own.filter(|own| reference.process_type.is_some_and(|it| it != *own));
            other.collect::<BTreeSet<_>>().len()
        })
        .sum()
}
