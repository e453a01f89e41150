//! A plan holds every step once, goes in no circle, waits for all that the language says, and for nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::{TestCaseError, proptest};
use proptest::{prop_assert, prop_assert_eq};
use se_runtime::{Block, Plan, StepIndex, Why};

use super::config;
use super::rules::Rules;
use crate::generated::model::{Package, Uses};
use crate::generated::resolve::{self, Resolved};
use crate::generated::{Wanted, a_plain_sample};

/// What each step of a block waits for, directly or not; `Err` says what is wrong with the block.
fn closure(block: &Block) -> Result<Vec<BTreeSet<usize>>, TestCaseError> {
    let mut closure: Vec<BTreeSet<usize>> = Vec::new();
    let place = |step: StepIndex| block.steps().position(|(it, _)| it == step);
    for (at, (index, node)) in block.steps().enumerate() {
        let mut all = BTreeSet::new();
        for edge in node.predecessors() {
            let from = place(edge.from).expect("an edge leads to a step of its block");
            prop_assert!(from < at, "{} waits for what comes after it", node.key);
            prop_assert!(block.node(edge.from).successors().contains(&index));
            prop_assert!(all.is_superset(&BTreeSet::new()) && !edge.why.is_empty());
            all.insert(from);
            all.extend(closure[from].iter().copied());
        }
        for next in node.successors() {
            let back = block.node(*next).predecessors();
            prop_assert!(back.iter().any(|it| it.from == index));
        }
        closure.push(all);
    }
    Ok(closure)
}

/// Every step stands in one wave, the first after those of all that it waits for.
fn waves(block: &Block) -> Result<(), TestCaseError> {
    let wave = |step: StepIndex| {
        let holding = block.waves().iter().enumerate();
        let holding: Vec<usize> = holding
            .filter(|(_, wave)| wave.contains(&step))
            .map(|(at, _)| at)
            .collect();
        prop_assert_eq!(holding.len(), 1);
        Ok(holding[0])
    };
    for (index, node) in block.steps() {
        let mut first = 0;
        for edge in node.predecessors() {
            first = first.max(wave(edge.from)? + 1);
        }
        prop_assert_eq!(wave(index)?, first, "{}", node.key);
    }
    let count: usize = block.waves().iter().map(Vec::len).sum();
    prop_assert_eq!(count, block.len());
    Ok(())
}

/// The steps of one list, from `start` on in its block.
fn obeys(rules: &Rules<'_>, block: &Block, start: usize) -> Result<(), TestCaseError> {
    let closure = closure(block)?;
    let nodes: Vec<_> = block.steps().collect();
    for (to, step) in rules.steps.iter().enumerate() {
        let (_, node) = nodes[start + to];
        prop_assert_eq!(node.step().id.as_str(), &step.id);
        for from in 0..to {
            let waits = closure[start + to].contains(&(start + from));
            let other = &rules.steps[from].id;
            let must = rules.must(from, to);
            prop_assert!(waits || !must, "{} does not wait for {other}", step.id);
        }
        for edge in node.predecessors() {
            let from = nodes.iter().position(|(it, _)| *it == edge.from);
            let from = from.expect("an edge leads to a step of its block");
            for why in &edge.why {
                let is_rule = match (from.checked_sub(start), why) {
                    (Some(from), why) => rules.may(from, to, why),
                    (None, why) => *why == Why::JobOrder,
                };
                prop_assert!(
                    is_rule,
                    "{} waits for {}: {why}",
                    node.key,
                    nodes[from].1.key
                );
            }
        }
    }
    Ok(())
}

/// The same of every composite that the steps call.
fn obeys_all(
    package: &Package,
    of: &Resolved,
    block: &Block,
    start: usize,
) -> Result<(), TestCaseError> {
    let steps = &of.job.steps;
    obeys(&Rules { package, of, steps }, block, start)?;
    let mut open: Vec<(&str, Arc<Block>)> = Vec::new();
    let nodes: Vec<_> = block.steps().skip(start).collect();
    let calls = |steps: &[crate::generated::model::Step]| -> Vec<Option<String>> {
        let name = |it: &crate::generated::model::Step| match &it.uses {
            Uses::Call { name, .. } => Some(name.clone()),
            _ => None,
        };
        steps.iter().map(name).collect()
    };
    for (name, (_, node)) in calls(steps).into_iter().zip(&nodes) {
        prop_assert_eq!(node.body().is_some(), name.is_some());
        if let (Some(name), Some(body)) = (name, node.body()) {
            open.push((&package.composite(of.part, &name).name, Arc::clone(body)));
        }
    }
    while let Some((name, body)) = open.pop() {
        let steps = &package.composite(of.part, name).steps;
        obeys(&Rules { package, of, steps }, &body, 0)?;
        waves(&body)?;
        for (name, (_, node)) in calls(steps).into_iter().zip(body.steps()) {
            if let (Some(name), Some(body)) = (name, node.body()) {
                open.push((&package.composite(of.part, &name).name, Arc::clone(body)));
            }
        }
    }
    Ok(())
}

/// A whole plan, against the jobs that it is of.
fn planned(package: &Package, plan: &Plan, jobs: &[Resolved]) -> Result<(), TestCaseError> {
    let steps: usize = jobs.iter().map(|it| it.job.steps.len()).sum();
    prop_assert_eq!(plan.len(), steps);
    let keys: BTreeSet<&str> = plan.steps().map(|(_, it)| it.key.as_str()).collect();
    prop_assert_eq!(keys.len(), steps);
    for (index, node) in plan.steps() {
        prop_assert_eq!(plan.find(&node.key), Some(index));
    }
    waves(plan.block())?;
    let closure = closure(plan.block())?;
    let mut start = 0;
    for job in jobs {
        obeys_all(package, job, plan.block(), start)?;
        for waits in &closure[start..start + job.job.steps.len()] {
            let all: BTreeSet<usize> = (0..start).collect();
            prop_assert!(
                waits.is_superset(&all),
                "a job waits for all of those before it"
            );
        }
        start += job.job.steps.len();
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn steps_wait_for_what_the_language_says_and_for_nothing_else(
        sample in a_plain_sample(Wanted::EVERYTHING),
    ) {
        let package = &sample.package;
        let checked = sample.checked();
        for phase in &package.phases {
            let plan = Plan::of_phase(Arc::clone(&checked), &phase.name).unwrap();
            planned(package, &plan, &resolve::jobs(package, phase))?;
        }
        for job in &package.place.jobs {
            let plan = Plan::of_job(Arc::clone(&checked), &job.name).unwrap();
            planned(package, &plan, &[resolve::alone(package, job)])?;
        }
    }
}
