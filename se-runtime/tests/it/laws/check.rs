//! Any package that can be generated is a good one: it checks, and all of it can be planned.

use std::sync::Arc;

use proptest::prelude::proptest;
use proptest::prop_assert_eq;
use se_dsl::Options;
use se_runtime::Plan;
use serde_json::Value;

use super::expected::{self, Findings};
use super::{config, said, told};
use crate::generated::{Wanted, a_sample};

/// Notes on rubrics that read less, or more, than is surely there: nothing of what a package means.
const HINTS: [&str; 2] = ["SE1309", "SE1511"];

/// Where two values first differ, and how.
fn difference(one: &Value, other: &Value, at: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if one.len() == other.len() => {
            let mut keys = one.iter();
            keys.find_map(|(key, it)| {
                let other = other.get(key).unwrap_or(&Value::Null);
                difference(it, other, &format!("{at}.{key}"))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(index, (a, b))| difference(a, b, &format!("{at}[{index}]")))
        }
        (one, other) => (one != other).then(|| format!("{at} is {one}, and was {other}")),
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_package_checks_and_plans(sample in a_sample(Wanted::EVERYTHING)) {
        let sources = sample.sources();
        let outcome = se_dsl::check(&sources, Options::default());
        let found = outcome.diagnostics.located(&sources);
        let mut counted = Findings::new();
        for it in found.iter().filter(|it| !HINTS.contains(&it.code)) {
            *counted.entry((it.code, it.file.clone())).or_default() += 1;
        }
        prop_assert_eq!(counted, expected::of(&sample.package), "{:#?}", found);
        let package = Arc::new(outcome.checked.unwrap());
        let (told, said) = (told::package(&package), said::package(&sample.package));
        prop_assert_eq!(difference(&told, &said, "package"), None);
        for phase in &package.phases {
            prop_assert_eq!(Plan::of_phase(Arc::clone(&package), &phase.name).err(), None);
        }
        for job in package.content.jobs.keys() {
            prop_assert_eq!(Plan::of_job(Arc::clone(&package), job).err(), None);
        }
    }
}
