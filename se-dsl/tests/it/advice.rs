//! What findings tell to do, where a first guess would send the author astray.

use se_dsl::{Located, Options, check};

use crate::pages::{Files, sound, sources};

fn found(files: &Files) -> Vec<Located> {
    let sources = sources(files);
    check(&sources, Options::default())
        .diagnostics
        .located(&sources)
}

/// The sound package with these steps in a job of their own.
fn with_steps(steps: &str) -> Vec<Located> {
    let mut files = sound();
    let job = format!("apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n{steps}");
    files.insert("PAv1/jobs/tried.yaml".to_owned(), job);
    found(&files)
}

/// The only finding says this, and what to do.
fn says(found: &[Located], code: &str, message: &str, help: &str) {
    let [one] = found else {
        panic!("{found:#?}");
    };
    assert_eq!(one.code, code, "{one:#?}");
    assert!(one.message.contains(message), "{one:#?}");
    assert!(one.help.contains(help), "{one:#?}");
}

#[test]
fn a_backslash_in_double_quotes_wants_single_quotes() {
    let found = with_steps(
        "    - { id: a, uses: evaluate.regex@v1, with: { source: x, regex: \"^80\\s\" } }\n",
    );
    says(&found, "SE1001", "unknown escape", "in single quotes");
}

#[test]
fn an_input_under_another_name_is_one_mistake() {
    let step = |uses: &str, with: &str| {
        let target = if uses == "pause@v1" {
            ""
        } else {
            "target: sw01, "
        };
        with_steps(&format!(
            "    - {{ id: a, uses: {uses}, {target}with: {{ {with} }} }}\n"
        ))
    };
    let found = step("collect@v1", "cmd: show clock");
    says(
        &found,
        "SE1204",
        "takes no `cmd`",
        "did you mean `command`?",
    );
    // One of two is needed there.
    let found = step("exec@v1", "cmd: show clock");
    says(
        &found,
        "SE1204",
        "takes no `cmd`",
        "did you mean `command`?",
    );
    let found = step("exec@v1", "comand: show clock");
    says(&found, "SE1204", "takes no `comand`", "`command`");
    // A slip for something else leaves the input missing.
    let codes = |found: &[Located]| {
        let codes = found.iter().map(|it| it.code.to_owned());
        codes.collect::<Vec<_>>().join(" ")
    };
    let found = step("exec@v1", "scrpt_: x, other: y");
    assert!(codes(&found).contains("SE1204"), "{found:#?}");
    let found = step("pause@v1", "x: 1, y: 2");
    assert_eq!(codes(&found), "SE1205 SE1204 SE1204");
    let found = step("pause@v1", "seconds: null, x: 1");
    assert_eq!(codes(&found), "SE1205 SE1204");
}

#[test]
fn a_lonely_step_has_nobody_to_wait_for() {
    let found = with_steps("    - { id: a, uses: pause@v1, with: { seconds: 1 }, needs: [b] }\n");
    says(&found, "SE1305", "no step `b`", "there is no other step");
}

#[test]
fn a_step_that_reads_its_own_result_is_not_sent_up_or_down() {
    let found = with_steps(
        "    - { id: a, uses: exec@v1, target: sw01, with: { command: x }, when: \"${ vars.done }\", capture: { ok: done } }\n",
    );
    says(&found, "SE1303", "by this step itself", "an earlier step");
}

#[test]
fn a_source_with_vars_in_front_is_shown_without() {
    let mut files = sound();
    let rubric = files.get_mut("PAv1/grading/rubric.yaml").unwrap();
    *rubric = rubric.replace("source: sw01.vlans", "source: vars.sw01.vlans");
    let found = found(&files);
    says(
        &found,
        "SE1504",
        "below `vars` already",
        "write `sw01.vlans`",
    );
    assert_eq!(found[0].edits[0].text, "sw01.vlans");
}

#[test]
fn a_reference_to_no_job_blames_no_job_for_it() {
    let mut files = sound();
    let job = files.get_mut("PAv1/jobs/grade.yaml").unwrap();
    *job = job.replace("      with: { ruleset: rubric }\n", "");
    let lifecycle = |jobs: &str| {
        format!(
            "apiVersion: pav1\nkind: Lifecycle\nspec:\n  phases:\n    - name: grade\n      jobs: [{jobs}]\n"
        )
    };
    for (jobs, code) in [
        ("grade@v1", "SE1101"),
        ("{ definition: grading@v1, rubric: rubric }", "SE1201"),
    ] {
        files.insert("PAv1/lifecycle.yaml".to_owned(), lifecycle(jobs));
        says(&found(&files), code, "", "");
    }
}

#[test]
fn ports_that_nobody_can_give_are_found_before_a_job_asks_for_them() {
    let step = |with: &str| {
        with_steps(&format!(
            "    - {{ id: a, uses: ports_alloc@v1, with: {{ {with} }} }}\n"
        ))
    };
    for (with, message) in [
        (
            "template: [sw01]",
            "`sw01` is no port's name: <device>_<protocol>",
        ),
        ("template: { sw01: rdp }", "one of serial, vnc, ssh"),
        (
            "template: { sw01: { serial: 70000 } }",
            "70000 is no TCP port",
        ),
        (
            "range: 9-1",
            "is no range of ports: write {first: 2000, last: 7999}",
        ),
    ] {
        says(
            &step(with),
            "SE1206",
            message,
            "write it as the message says",
        );
    }
    for with in [
        "template: [sw01_serial, sw01_vnc], range: { first: 5000, last: 5999 }",
        "template: \"${ runtime_env.wanted }\"",
    ] {
        assert!(step(with).is_empty(), "{:#?}", step(with));
    }
}
