//! What takes long inside the engine holds nothing up, and comes to its end.

use std::time::Duration;

use se_runtime::{Control, Drive, JobStatus, Plan};
use serde_json::{Value, json};

use super::SECOND;
use crate::world::{Run, echo, package_with, plan};

#[test]
fn a_job_that_computes_for_long_hears_a_cancel_meanwhile() {
    let step = |at| {
        format!("    - {{ id: s{at}, uses: evaluate.regex@v1, with: {{ source: x, regex: x }} }}\n")
    };
    let steps: String = (0..200).map(step).collect();
    let run = Run::new(plan(&steps), Box::new(|call| (SECOND, echo(call))));
    run.clock.costs(SECOND / 200);
    let cancel = Control::Cancel {
        reason: "enough".to_owned(),
    };
    let ended = run.drive_until(9, cancel);
    assert!(matches!(
        ended,
        Some(Ok(Drive::Ended(JobStatus::Cancelled)))
    ));
    let state = run.state();
    let done = state.ended();
    assert!((10..100).contains(&done), "{done} steps were computed");
}

/// Grades with a rubric of so many checks, two for each item; half of them hold.
fn judged(checks: usize) -> Plan {
    let item = |at: usize| {
        let check = |regex: &str| format!("{{ source: shown, regex: '{regex} c1' }}");
        let checks = [check("says"), check("sings")].join(", ");
        format!("    - {{ id: {at}, points: 1, description: x, checks: [{checks}] }}\n")
    };
    let items: String = (0..checks / 2).map(item).collect();
    let head = "apiVersion: pav1\nkind: EvaluationRuleset\nmetadata: { name: r }\nspec:\n";
    let rubric = format!("{head}  max_points: {}\n  items:\n{items}", checks / 2);
    let job = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  process_type: Grading\n  steps:\n    \
               - { id: c1, uses: collect@v1, target: a, with: { command: show }, capture: { output: shown } }\n    \
               - { id: judge, uses: evaluate.regex@v1, with: { ruleset: r }, capture: { passed: good, items: items } }\n";
    let files = [
        ("PAv1/grading/r.yaml", &*rubric),
        ("PAv1/jobs/job.yaml", job),
    ];
    Plan::of_phase(package_with(&files), "main").unwrap()
}

#[test]
fn a_cancel_is_heard_while_a_rubric_is_judged() {
    let run = Run::new(judged(400), Box::new(|call| (SECOND, echo(call))));
    // Four checks of it are a burst.
    run.clock.costs(SECOND / 200);
    let cancel = Control::Cancel {
        reason: "enough".to_owned(),
    };
    let ended = run.drive_until(20, cancel);
    assert!(
        matches!(ended, Some(Ok(Drive::Ended(JobStatus::Cancelled)))),
        "{ended:?}"
    );
    let story = run.story();
    let begun = story.contains(&"step_started judge".to_owned());
    let stopped = story.contains(&"step_cancelled judge".to_owned());
    assert!(begun && stopped, "{story:?}");
}

#[test]
fn a_rubric_that_is_judged_in_pieces_comes_to_the_same() {
    let judged = |costs| {
        let run = Run::new(judged(50), Box::new(|call| (SECOND, echo(call))));
        run.clock.costs(costs);
        let ended = run.drive(vec![]);
        let is_done = matches!(ended, Some(Ok(Drive::Ended(JobStatus::Completed))));
        assert!(is_done, "{ended:?}");
        Value::Object(run.state().results(&run.plan))
    };
    let whole = judged(Duration::ZERO);
    assert_eq!(whole["judge"]["passed"], json!(false));
    assert_eq!(whole["judge"]["items"].as_array().unwrap().len(), 25);
    for costs in [SECOND / 200, SECOND / 50, SECOND] {
        assert_eq!(judged(costs), whole);
    }
}

#[test]
fn all_expressions_of_a_step_together_have_one_second() {
    // Each is well within what one may take.
    let each = "${ reduce range(10000) as $i (0; . + $i) }";
    let list = vec![each; 3_000].join("', '");
    let step = format!(
        "    - {{ id: s, uses: evaluate.regex@v1, with: {{ source: ['{list}'], regex: x }} }}\n"
    );
    let run = Run::new(plan(&step), Box::new(|call| (SECOND, echo(call))));
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Faulted)))
    ));
    let error = run.state().error().unwrap().detail.clone();
    assert!(
        error.starts_with("`with.source:") && error.contains("that belong together"),
        "{error}"
    );
}
