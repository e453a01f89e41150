//! Loops and composites: what runs, in which order, what is captured, and what a failure in them means.

use std::sync::Arc;
use std::time::Duration;

use se_dsl::expr::Root;
use se_runtime::{Drive, Fault, FaultKind, JobStatus, Outcome, Plan};
use serde_json::{Value, json};

use crate::world::{Run, Script, echo, package_with, plan};

/// Calls that take a second; those on `down` fail.
fn script(down: &'static [&'static str]) -> Box<Script> {
    Box::new(move |call| {
        let step = call.step.as_str();
        let outcome: Outcome = if down.contains(&step) {
            Err(Fault::new(FaultKind::Communication, "nobody answers"))
        } else {
            echo(call)
        };
        (Duration::from_secs(1), outcome)
    })
}

fn driven(plan: Plan, down: &'static [&'static str]) -> Run {
    let run = Run::new(plan, script(down));
    assert!(matches!(run.drive(vec![]), Some(Ok(Drive::Ended(_)))));
    run
}

fn vars(run: &Run) -> Value {
    run.state().scopes().get(Root::Vars)
}

fn calls(run: &Run) -> Vec<String> {
    let calls = run.actions.calls.lock().unwrap();
    calls.iter().map(|(step, _)| step.clone()).collect()
}

fn seconds(run: &Run) -> f64 {
    let state = run.state();
    let (from, to) = (state.accepted_at(), state.completed_at().unwrap());
    to.since(from).as_secs_f64()
}

const OVER_DEVICES: &str = "    - id: look
      uses: collect@v1
      target: '@dev'
      for_each: { var: dev, in: [a, b, c] }
      with: { command: 'show ${ vars.dev_index }' }
      capture: { output: '@dev.text' }
";

#[test]
fn a_loop_runs_once_for_each_element_and_captures_under_its_name() {
    let run = driven(plan(OVER_DEVICES), &[]);
    assert_eq!(calls(&run), ["look[0]", "look[1]", "look[2]"]);
    assert_eq!(seconds(&run), 3.0);
    let text = |name: &str, at: usize| json!({"text": format!("{name} says look[{at}]")});
    let own = json!({"a": text("a", 0), "b": text("b", 1), "c": text("c", 2)});
    let mut all = own.clone();
    all["look"] = own;
    assert_eq!(vars(&run), all);
    let state = run.state();
    let second = state.find("look[1]").unwrap();
    assert_eq!(state.step(second).inputs["command"], "show 1");
    assert_eq!(state.step(second).target.as_deref(), Some("b"));
    let results = state.results(&run.plan);
    let texts: Vec<Value> = ["a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(at, name)| text(name, at)["text"].clone())
        .collect();
    assert_eq!(results["look"], json!({"output": texts}));
}

#[test]
fn a_concurrent_loop_takes_its_elements_together_unless_the_job_is_sequential() {
    let together = OVER_DEVICES.replace("[a, b, c] }", "[a, b, c], mode: concurrent }");
    let run = driven(plan(&together), &[]);
    assert_eq!(seconds(&run), 1.0);
    assert_eq!(vars(&run), vars(&driven(plan(OVER_DEVICES), &[])));
    let steps = format!("  execution: sequential\n  steps:\n{together}");
    let sequential = Plan::of_phase(
        package_with(&[("PAv1/jobs/job.yaml", &job(&steps))]),
        "main",
    );
    assert_eq!(seconds(&driven(sequential.unwrap(), &[])), 3.0);
}

fn job(spec: &str) -> String {
    format!("apiVersion: pav1\nkind: JobDefinition\nspec:\n{spec}")
}

#[test]
fn many_elements_are_taken_in_turns() {
    let names: Vec<String> = (0..70).map(|at| format!("n{at}")).collect();
    let steps = format!(
        "    - {{ id: look, uses: collect@v1, target: a, for_each: {{ var: it, in: [{}], mode: concurrent }}, \
         with: {{ command: '@it' }}, capture: {{ output: texts }} }}\n",
        names.join(", ")
    );
    let run = driven(plan(&steps), &[]);
    assert_eq!(run.actions.most.lock().unwrap().1, 32);
    assert_eq!(vars(&run)["texts"].as_array().unwrap().len(), 70);
}

#[test]
fn an_empty_list_skips_the_step_and_what_is_no_list_fails_it() {
    let over = |list: &str| {
        format!(
            "    - {{ id: look, uses: collect@v1, target: a, for_each: {{ var: it, in: '{list}' }}, \
             with: {{ command: '@it' }}, capture: {{ output: texts }} }}\n"
        )
    };
    let run = driven(plan(&over("${ [] }")), &[]);
    assert_eq!(run.story()[2..], ["step_skipped look", "job_completed"]);
    assert_eq!(vars(&run)["texts"], Value::Null);
    let run = driven(plan(&over("${ runtime_env.nothing }")), &[]);
    let error = run.state().error().unwrap().clone();
    assert_eq!(
        error.detail,
        "`for_each.in: ${ runtime_env.nothing }` must give a list, and gave null"
    );
    assert_eq!(error.status, 422);
    let run = driven(plan(&over("${ [range(1001)] }")), &[]);
    let detail = run.state().error().unwrap().detail.clone();
    assert!(detail.ends_with("gave 1001 elements, and a loop takes 1000 at most"));
}

#[test]
fn a_failed_element_ends_the_loop_unless_it_says_otherwise() {
    let run = driven(plan(OVER_DEVICES), &["look[1]"]);
    assert_eq!(calls(&run), ["look[0]", "look[1]"]);
    let state = run.state();
    assert_eq!(state.status(), JobStatus::Faulted);
    let error = state.error().unwrap();
    assert_eq!(error.detail, "look[1]: nobody answers");
    assert_eq!(error.instance, "/jobs/job/steps/0");
    let goes_on = OVER_DEVICES.replace("[a, b, c] }", "[a, b, c], stop_on_fail: false }");
    let run = driven(plan(&goes_on), &["look[1]"]);
    assert_eq!(calls(&run), ["look[0]", "look[1]", "look[2]"]);
    assert_eq!(run.state().status(), JobStatus::Faulted);
}

#[test]
fn a_loop_that_may_fail_keeps_what_its_elements_gave() {
    let may_fail = format!(
        "{}      on_error: {{ action: continue }}\n",
        OVER_DEVICES.replace("[a, b, c] }", "[a, b, c], stop_on_fail: false }")
    );
    let run = driven(plan(&may_fail), &["look[1]"]);
    assert_eq!(run.state().status(), JobStatus::Completed);
    let vars = vars(&run);
    assert_eq!(vars["a"]["text"], "a says look[0]");
    assert_eq!(vars["b"], Value::Null);
    assert_eq!(vars["c"]["text"], "c says look[2]");
    assert_eq!(vars["look"]["error"]["detail"], "look[1]: nobody answers");
}

#[test]
fn an_element_is_tried_again_by_itself() {
    let steps =
        format!("{OVER_DEVICES}      on_error: {{ action: retry, retries: 1, backoff: 10 }}\n");
    let run = driven(plan(&steps), &["look[1]"]);
    assert_eq!(calls(&run), ["look[0]", "look[1]", "look[1]"]);
    assert_eq!(run.state().error().unwrap().attempt, 1);
}

#[test]
fn when_is_asked_by_each_element_if_it_reads_the_element() {
    let steps =
        format!("{OVER_DEVICES}      when: \"${{ vars.dev != 'b' }}\"\n").replace('\'', "\"");
    let steps = steps.replace("\"${ vars.dev != \"b\" }\"", "'${ vars.dev != \"b\" }'");
    let run = driven(plan(&steps), &[]);
    assert_eq!(calls(&run), ["look[0]", "look[2]"]);
    let once = format!("{OVER_DEVICES}      when: '${{ false }}'\n");
    let run = driven(plan(&once), &[]);
    assert_eq!(run.story()[2..], ["step_skipped look", "job_completed"]);
}

const READ: &str = "apiVersion: pav1
kind: CompositeScenario
spec:
  parameters:
    command: string
    times: { type: integer, default: 2, enum: [2, 3] }
  export: [first, twice]
  steps:
    - id: one
      uses: collect@v1
      with: { command: '${ parameters.command }' }
      capture: { output: first }
    - id: two
      uses: exec@v1
      with: { command: 'again ${ vars.first } ${ parameters.times }' }
      capture: { stdout: twice, ok: hidden }
";

fn with_read(steps: &str) -> Plan {
    let text = job(&format!("  steps:\n{steps}"));
    let files = [
        ("PAv1/composites/read.yaml", READ),
        ("PAv1/jobs/job.yaml", text.as_str()),
    ];
    Plan::of_phase(package_with(&files), "main").unwrap()
}

const CALL: &str = "    - id: go
      uses: composite:read@v1
      target: b
      with: { command: show }
      capture: { first: seen, twice: done }
";

#[test]
fn a_composite_has_parameters_and_variables_of_its_own_and_gives_its_exports() {
    let run = driven(with_read(CALL), &[]);
    assert_eq!(calls(&run), ["go/one", "go/two"]);
    let both = json!({"seen": "b says go/one", "done": "b says go/two"});
    let mut all = both.clone();
    all["go"] = both;
    assert_eq!(vars(&run), all);
    let state = run.state();
    let two = state.step(state.find("go/two").unwrap());
    assert_eq!(two.inputs["command"], "again b says go/one 2");
    assert_eq!(two.target.as_deref(), Some("b"));
    let go = state.step(state.find("go").unwrap());
    assert_eq!(
        Value::Object(go.inputs.clone()),
        json!({"command": "show", "times": 2})
    );
    assert_eq!(
        run.story(),
        [
            "job_accepted",
            "job_started",
            "step_started go",
            "step_started go/one",
            "step_completed go/one",
            "step_started go/two",
            "step_completed go/two",
            "step_completed go",
            "job_completed",
        ]
    );
}

#[test]
fn a_composite_fails_with_the_error_of_its_step_and_may_be_tried_again() {
    let run = driven(with_read(CALL), &["go/two"]);
    let error = run.state().error().unwrap().clone();
    assert_eq!(error.detail, "go/two: nobody answers");
    assert_eq!(error.instance, "/composites/read/steps/1");
    let again = format!("{CALL}      on_error: {{ action: retry, retries: 1, backoff: 5 }}\n");
    let run = driven(with_read(&again), &["go/two"]);
    assert_eq!(run.state().status(), JobStatus::Completed);
    assert_eq!(calls(&run), ["go/one", "go/two", "go#2/one", "go#2/two"]);
    assert_eq!(vars(&run)["done"], "b says go#2/two");
    let goes_on = format!("{CALL}      on_error: {{ action: continue }}\n");
    let run = driven(with_read(&goes_on), &["go/one"]);
    assert_eq!(run.state().status(), JobStatus::Completed);
    assert_eq!(calls(&run), ["go/one"]);
    assert_eq!(
        vars(&run),
        json!({"go": {"error": vars(&run)["go"]["error"]}})
    );
}

#[test]
fn a_job_that_would_have_too_many_steps_fails_where_that_shows() {
    let step = |at| {
        format!("    - {{ id: s{at}, uses: evaluate.regex@v1, with: {{ source: x, regex: x }} }}\n")
    };
    let steps: String = (0..20).map(step).collect();
    let many = format!("apiVersion: pav1\nkind: CompositeScenario\nspec:\n  steps:\n{steps}");
    let text = job("  steps:
    - id: all
      uses: composite:many@v1
      for_each: { var: it, in: '${ [range(1000)] }' }
      on_error: { action: continue }
    - { id: last, uses: collect@v1, target: a, with: { command: x } }
");
    let files = [
        ("PAv1/composites/many.yaml", many.as_str()),
        ("PAv1/jobs/job.yaml", text.as_str()),
    ];
    let plan = Plan::of_phase(package_with(&files), "main").unwrap();
    let run = driven(plan, &[]);
    let state = run.state();
    assert_eq!(state.status(), JobStatus::Completed);
    let error = state
        .step(state.find("all").unwrap())
        .error
        .clone()
        .unwrap();
    assert_eq!(error.status, 422);
    assert!(error.detail.contains("more than 20000"), "{error:?}");
    assert_eq!(calls(&run), ["last"]);
}

#[test]
fn a_composite_that_takes_too_long_is_stopped() {
    let run = driven(with_read(&format!("{CALL}      timeout: 1.5\n")), &[]);
    let error = run.state().error().unwrap().clone();
    assert_eq!((error.status, error.attempt), (408, 1));
    assert_eq!(
        run.story()[6..8],
        ["step_cancelled go/two", "step_faulted go"]
    );
}

#[test]
fn a_loop_over_a_composite_gives_each_element_its_own() {
    let steps = "    - id: all
      uses: composite:read@v1
      for_each: { var: dev, in: [{ name: a }, { name: c }] }
      target: '@dev.name'
      with: { command: '@dev.name' }
      capture: { first: '@dev.seen', twice: done }
";
    let run = driven(with_read(steps), &[]);
    assert_eq!(
        calls(&run),
        ["all[0]/one", "all[0]/two", "all[1]/one", "all[1]/two"]
    );
    assert_eq!(vars(&run)["c"]["seen"], "c says all[1]/one");
    assert_eq!(
        vars(&run)["done"],
        json!(["a says all[0]/two", "c says all[1]/two"])
    );
}

#[test]
fn parameters_are_checked_when_they_are_known() {
    let steps = CALL.replace("command: show", "command: '${ 1 + 1 }'");
    let run = driven(with_read(&steps), &[]);
    let detail = run.state().error().unwrap().detail.clone();
    assert_eq!(
        detail,
        "parameter `command` of composite:read@v1 must be text, and is 2"
    );
    let steps = CALL.replace("command: show", "command: show, times: '${ 1 + 3 }'");
    let run = driven(with_read(&steps), &[]);
    let detail = run.state().error().unwrap().detail.clone();
    assert_eq!(
        detail,
        "parameter `times` of composite:read@v1 must be one of 2, 3, and is 4"
    );
}

#[test]
fn a_failure_elsewhere_lets_changes_end_and_begins_nothing_in_a_composite() {
    // `bad` fails after a second; `go` is in its change then.
    let steps = "    - { id: bad, uses: collect@v1, target: a, with: { command: x }, needs: [] }
    - { id: go, uses: 'composite:read@v1', target: b, with: { command: x }, needs: [] }
";
    let plan = with_read(steps);
    let clock_script: Box<Script> = Box::new(|call| match call.step.as_str() {
        "bad" => (
            Duration::from_millis(1500),
            Err(Fault::new(FaultKind::Communication, "down")),
        ),
        _ => (Duration::from_secs(1), echo(call)),
    });
    let run = Run::new(plan, clock_script);
    assert!(matches!(
        run.drive(vec![]),
        Some(Ok(Drive::Ended(JobStatus::Faulted)))
    ));
    let story = run.story();
    let tail = &story[story.len() - 4..];
    assert_eq!(
        tail,
        [
            "step_faulted bad",
            "step_completed go/two",
            "step_completed go",
            "job_faulted"
        ]
    );
}

#[test]
fn loops_over_different_devices_run_together_and_over_the_same_one_after_the_other() {
    let look = |id: &str, list: &str, what: &str| {
        format!(
            "    - {{ id: {id}, uses: collect@v1, target: '@dev', for_each: {{ var: dev, in: {list} }}, \
             with: {{ command: show }}, capture: {{ output: '@dev.{what}' }} }}\n"
        )
    };
    let apart = look("one", "[a, b]", "x") + &look("two", "[c]", "y");
    assert_eq!(seconds(&driven(plan(&apart), &[])), 2.0);
    let meeting = look("one", "[a, b]", "x") + &look("two", "[b]", "y");
    assert_eq!(seconds(&driven(plan(&meeting), &[])), 3.0);
    let unknown =
        look("one", "'${ [\"a\"] }'", "x") + &look("two", "'${ vars.none // [\"b\"] }'", "y");
    let unknown = format!(
        "    - {{ id: n, uses: collect@v1, target: c, with: {{ command: n }}, capture: {{ output: none }}, when: '${{ false }}' }}\n{unknown}"
    );
    assert_eq!(seconds(&driven(plan(&unknown), &[])), 2.0);
}

#[test]
fn an_element_may_not_be_called_as_a_step_or_variable_is() {
    let steps = "    - { id: one, uses: collect@v1, target: a, with: { command: x }, capture: { output: seen } }
    - id: two
      uses: collect@v1
      target: a
      for_each: { var: it, in: '${ [\"fine\", \"seen\"] }' }
      with: { command: '@it' }
      capture: { output: '@it.text' }
";
    let run = driven(plan(steps), &[]);
    assert_eq!(calls(&run), ["one"]);
    let detail = run.state().error().unwrap().detail.clone();
    assert!(
        detail.starts_with("an element of the loop is called `seen`, and so is"),
        "{detail}"
    );
}

#[test]
fn parts_of_a_plan_share_nothing_but_their_order() {
    let plan = with_read(CALL);
    let body = plan.node(plan.find("go").unwrap()).body().unwrap();
    let again = with_read(CALL);
    let other = again.node(again.find("go").unwrap()).body().unwrap();
    assert!(!Arc::ptr_eq(body, other));
    let keys = |block: &se_runtime::Block| -> Vec<String> {
        block.steps().map(|(_, node)| node.key.clone()).collect()
    };
    assert_eq!(keys(body), keys(other));
}
