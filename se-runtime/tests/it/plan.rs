//! What waits for what, and why.

use std::sync::Arc;

use se_runtime::{Accepted, Event, Plan, Plans};
use serde_json::json;

use crate::world::{accepted, package, plan};

/// `step <- predecessor: reasons`, one line an edge.
fn edges(steps: &str) -> Vec<String> {
    let plan = plan(steps);
    let mut lines = Vec::new();
    for (_, node) in plan.steps() {
        for edge in node.predecessors() {
            let why: Vec<String> = edge.why.iter().map(ToString::to_string).collect();
            lines.push(format!(
                "{} <- {}: {}",
                node.key,
                plan.node(edge.from).key,
                why.join("; ")
            ));
        }
    }
    lines
}

const READS: &str = r#"
    - { id: a1, uses: collect@v1, target: a, with: { command: show a }, capture: { output: a.one } }
    - { id: b1, uses: collect@v1, target: b, with: { command: show b }, capture: { output: b.one } }
    - { id: a2, uses: collect@v1, target: a, with: { command: show c }, capture: { output: a.two } }
"#;

#[test]
fn reads_run_together_and_keep_their_order_on_one_connector() {
    assert_eq!(edges(READS), ["a2 <- a1: same connector a"]);
}

#[test]
fn a_change_waits_for_everything_and_everything_for_it() {
    let steps = format!(
        "{READS}    - {{ id: w, uses: exec@v1, target: c, with: {{ command: x }} }}\n    - {{ id: b2, uses: collect@v1, target: b, with: {{ command: y }} }}\n"
    );
    let expected = [
        "a2 <- a1: same connector a",
        "w <- a1: keeps the order of changes",
        "w <- b1: keeps the order of changes",
        "w <- a2: keeps the order of changes",
        "b2 <- w: keeps the order of changes",
    ];
    assert_eq!(edges(&steps), expected);
}

#[test]
fn pure_steps_follow_their_data_alone() {
    let steps = format!(
        "{READS}    - {{ id: w, uses: exec@v1, target: c, with: {{ command: x }} }}\n    - {{ id: e, uses: evaluate.regex@v1, with: {{ source: \"${{ vars.b.one }}\", regex: x }}, capture: {{ passed: ok }} }}\n"
    );
    let of_e: Vec<String> = edges(&steps)
        .into_iter()
        .filter(|it| it.starts_with("e <-"))
        .collect();
    assert_eq!(of_e, ["e <- b1: reads vars.b.one"]);
}

#[test]
fn an_expression_over_all_vars_waits_for_every_capture() {
    let steps = format!(
        "{READS}    - {{ id: e, uses: evaluate.regex@v1, with: {{ source: \"${{ vars | tojson }}\", regex: x }} }}\n"
    );
    let of_e = edges(&steps)
        .into_iter()
        .filter(|it| it.starts_with("e <-"))
        .count();
    assert_eq!(of_e, 3);
}

#[test]
fn two_captures_of_one_name_keep_their_order() {
    let steps = r#"
    - { id: one, uses: collect@v1, target: a, with: { command: x }, capture: { output: same } }
    - { id: two, uses: collect@v1, target: b, with: { command: x }, capture: { output: same.deeper } }
"#;
    assert_eq!(edges(steps), ["two <- one: captures vars.same too"]);
}

#[test]
fn a_read_waits_for_what_makes_its_parent_an_object() {
    let steps = r#"
    - { id: one, uses: collect@v1, target: a, with: { command: x }, capture: { output: same } }
    - { id: two, uses: collect@v1, target: b, with: { command: x }, capture: { output: same.deeper } }
    - { id: eye, uses: evaluate.regex@v1, with: { source: "${ vars.same.other }", regex: x } }
"#;
    let expected = [
        "two <- one: captures vars.same too",
        "eye <- one: reads vars.same",
        "eye <- two: reads vars.same.deeper",
    ];
    assert_eq!(edges(steps), expected);
}

#[test]
fn a_capture_waits_for_those_that_read_it_before() {
    let steps = r#"
    - { id: one, uses: collect@v1, target: a, with: { command: x }, capture: { output: same } }
    - { id: eye, uses: evaluate.regex@v1, with: { source: "${ vars.same }", regex: x } }
    - { id: two, uses: collect@v1, target: b, with: { command: x }, capture: { output: same } }
"#;
    let expected = [
        "eye <- one: reads vars.same",
        "two <- one: captures vars.same too",
        "two <- eye: vars.same is read before it is written here",
    ];
    assert_eq!(edges(steps), expected);
}

#[test]
fn needs_stands_in_place_of_the_order_by_effect() {
    let steps = r#"
    - { id: w1, uses: exec@v1, target: a, with: { command: x } }
    - { id: w2, uses: exec@v1, target: b, with: { command: x } }
    - { id: r, uses: collect@v1, target: c, with: { command: x }, needs: [w1] }
    - { id: w3, uses: exec@v1, target: c, with: { command: x } }
"#;
    let expected = [
        "w2 <- w1: keeps the order of changes",
        "r <- w1: needs it",
        "w3 <- w2: keeps the order of changes",
        "w3 <- r: keeps the order of changes",
    ];
    assert_eq!(edges(steps), expected);
}

#[test]
fn the_text_of_a_plan_shows_waves_and_reasons() {
    insta::assert_snapshot!(plan(READS).to_text(), @r"
    wave 1: 2 steps, together
      a1  collect@v1 on a
      b1  collect@v1 on b
    wave 2: 1 step
      a2  collect@v1 on a
            after a1: same connector a
    ");
}

#[test]
fn the_picture_of_a_plan_shows_every_step_and_why_it_waits() {
    let svg = plan(READS).to_svg();
    for part in [
        "<title>a1: collect@v1 on a</title>",
        "wave 2",
        "a2 after a1: same connector a",
    ] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    assert_eq!(svg.matches("<rect class=\"box read\"").count(), 3);
}

/// What a job that runs phase `main` was taken in as.
fn taken_in(devices: &serde_json::Value) -> Accepted {
    let Event::JobAccepted(mut it) = accepted().event else {
        panic!("the first event of a job");
    };
    it.scopes.runtime_env = json!({"devices": devices});
    *it
}

#[test]
fn jobs_of_a_phase_share_its_plan_one_after_the_other_or_not() {
    let package = package(&[("job", &format!("  steps:\n{READS}"))]);
    let plans = Plans::new(Arc::clone(&package));
    let mut job = taken_in(&json!({}));
    let (one, two) = (plans.of(&job).unwrap(), plans.of(&job).unwrap());
    assert!(Arc::ptr_eq(one.block(), two.block()));
    job.sequential = true;
    let in_turns = plans.of(&job).unwrap();
    let alone = Plan::build(package, &job).unwrap();
    assert_eq!(in_turns.to_text(), alone.to_text());
    assert_ne!(in_turns.to_text(), one.to_text());
    job.phase = Some("none".to_owned());
    plans.of(&job).unwrap_err();
}

#[test]
fn a_job_whose_pod_decides_what_a_loop_runs_over_has_a_plan_of_its_own() {
    let steps = "
    - { id: on, uses: collect@v1, target: '@dev', for_each: { var: dev, in: '${ runtime_env.devices }' }, with: { command: x } }
    - { id: c, uses: collect@v1, target: c, with: { command: x } }
";
    let plans = Plans::new(package(&[("job", &format!("  steps:\n{steps}"))]));
    let waves = |devices| plans.of(&taken_in(&devices)).unwrap().waves().len();
    assert_eq!(waves(json!(["a", "b"])), 1);
    assert_eq!(waves(json!(["a", "c"])), 2);
    assert_eq!(waves(json!(["a", "b"])), 1);
}
