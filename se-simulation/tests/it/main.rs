//! Seeds that are always the same, as part of every test run.
#![cfg(test)]

use se_simulation::{Planted, run};

#[test]
fn no_promise_is_broken() {
    for seed in 0..150 {
        let report = run(seed, None, false);
        assert_eq!(report.broken, None, "cargo xtask simulate --seed {seed}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let (one, other) = (run(seed, None, true), run(seed, None, true));
        assert_eq!(one.trace, other.trace);
        assert_eq!(one.hash, other.hash);
    }
    assert_ne!(run(0, None, false).hash, run(1, None, false).hash);
}

#[test]
fn a_bug_is_found_and_its_trace_says_so() {
    let mut seeds = 0..200;
    let found = seeds.find_map(|seed| {
        let report = run(seed, Some(Planted::KeyIgnored), true);
        report.broken.map(|what| (what, report.trace))
    });
    let (what, trace) = found.expect("200 seeds find it");
    assert!(
        trace.last().is_some_and(|it| it.contains(&what)),
        "{trace:?}"
    );
}
