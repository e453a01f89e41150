//! Reports of logs written by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq};
use se_dsl::Checked;
use se_dsl::catalog::Action;
use se_dsl::checked::{ProcessType, ReportClass};
use se_runtime::grade::{self, Evidence, GradedItem};
use se_runtime::report::{self, Check, Head, ReadinessReport, Report, ScoreReport, Status};
use se_runtime::{Node, Plan, Secret, Vault};
use serde_json::{Value, json};

use crate::log::{self, Fate, nothing_special};

/// What the pod of the example package answers: items 4 and 8 are not done.
const ANSWERS: &[(&str, &str)] = &[
    ("sw01.show_vlan_brief", "VLAN Name\n80   LAB80   active"),
    ("sw02.show_vlan_brief", "VLAN Name\n80   LAB80   active"),
    (
        "rtr01.show_access_list",
        "Standard IP access list MGMTOPS\n    10 permit any",
    ),
    ("rtr02.show_access_list", ""),
    ("rtr01.show_int_gi01", "  Description: to-rtr02"),
    ("rtr02.show_int_gi01", "  Description: to-rtr01"),
    (
        "rtr01.show_int_loop0",
        "Loopback0 is up, line protocol is up\n  Internet address is 10.255.81.1/32",
    ),
    (
        "rtr02.show_int_loop0",
        "Loopback0 is up, line protocol is up\n  Internet address is 10.255.81.2/32",
    ),
    (
        "rtr01.show_ip_ospf_nei",
        "10.255.81.2  1  EXSTART/BDR  GigabitEthernet0/1",
    ),
    ("rtr01.show_ntp_assoc", "*~192.168.10.254  .LOCL."),
    ("rtr02.show_ntp_assoc", "*~192.168.10.254  .LOCL."),
];

/// Lets a grading job run over a pod that gives these answers; one that is `None` faults.
fn graded(
    package: &Arc<Checked>,
    vault: &Vault,
    answer: &dyn Fn(&str) -> Option<String>,
) -> (Plan, Vec<Report>) {
    let plan = Plan::of_phase(Arc::clone(package), "grade").unwrap();
    let mut known: BTreeMap<String, Evidence> = BTreeMap::new();
    let mut fate = |node: &Node| {
        let step = node.step();
        if step.uses.action() == Some(Action::Collect) {
            let source = step.capture[0].path.to_string();
            let given = answer(&source);
            let evidence = match &given {
                Some(text) => Evidence::Text(text.clone()),
                None => Evidence::NotCollected {
                    step: node.key.clone(),
                    detail: "rtr02: connection refused".into(),
                },
            };
            known.insert(source, evidence);
            let given = given.map(|text| Fate::Gives(json!({"output": text})));
            return given.or(Some(Fate::Faults("rtr02: connection refused")));
        }
        let Some(rubric) = &step.rubric else {
            return Some(nothing_special(node));
        };
        let look = |source: &[String]| {
            let found = known.get(&source.join(".")).cloned();
            found.unwrap_or(Evidence::Absent)
        };
        let items = grade::rubric(rubric, &look);
        let passed = items.iter().all(|item| item.passed);
        Some(Fate::Gives(json!({"passed": passed, "items": items})))
    };
    let log = log::write(&plan, "grade", vault, &mut fate);
    let reports = report::of(&plan, &log::fold(&plan, &log));
    (plan, reports)
}

fn answer(source: &str) -> Option<String> {
    let found = ANSWERS.iter().find(|(name, _)| *name == source);
    found.map(|(_, text)| (*text).to_owned())
}

fn only(reports: Vec<Report>) -> Report {
    let [report]: [Report; 1] = reports.try_into().unwrap();
    report
}

fn pretty(report: &Report) -> String {
    serde_json::to_string_pretty(&report.to_json()).unwrap()
}

#[test]
fn a_candidate_who_did_not_do_two_items_has_7_of_10() {
    let (plan, reports) = graded(&log::lab(&[]), &Vault::default(), &answer);
    let report = only(reports);
    assert!(report.to_text().contains("\n7 of 10 points (70.00 %)\n"));
    insta::assert_snapshot!("score_json", pretty(&report));
    insta::assert_snapshot!("score_text", report.to_text());
    let spec = report::spec(&plan, &report);
    assert_eq!(spec.unwrap().name, "score_report");
    insta::assert_snapshot!("score_markdown", report.to_markdown(spec));
    insta::assert_snapshot!("score_html", report.to_html(spec));
    insta::assert_snapshot!("score_html_in_full", report.to_html(None));
}

#[test]
fn what_could_not_be_collected_is_undetermined_and_not_failed() {
    let lost = |source: &str| answer(source).filter(|_| source != "rtr02.show_access_list");
    let (_, reports) = graded(&log::lab(&[]), &Vault::default(), &lost);
    let report = only(reports);
    let json = report.to_json();
    assert_eq!(json["status"], "incomplete");
    assert_eq!(json["items"][3]["status"], "not_collected");
    assert_eq!(
        json["totals"],
        json!({"points_awarded": 7, "points_max": 10, "percentage": 70.0, "points_undetermined": 1})
    );
    insta::assert_snapshot!("score_incomplete_text", report.to_text());
}

#[test]
fn the_same_log_gives_the_same_bytes() {
    let lab = log::lab(&[]);
    let once = || only(graded(&lab, &Vault::default(), &answer).1);
    let (one, other) = (once(), once());
    assert_eq!(pretty(&one), pretty(&other));
    assert_eq!(one.to_html(None), other.to_html(None));
}

#[test]
fn secrets_are_not_in_a_report() {
    let vault = Vault::new([Secret::new("s3cret"), Secret::new("MGMTOPS-key")]);
    let lab = log::lab(&[("regex: 'MGMTOPS'", "regex: 'MGMTOPS.*'")]);
    let leaky = |source: &str| {
        let text = answer(source)?;
        Some(text.replace("MGMTOPS", "MGMTOPS password s3cret"))
    };
    let (_, reports) = graded(&lab, &vault, &leaky);
    let report = only(reports);
    let shown = [
        pretty(&report),
        report.to_text(),
        report.to_markdown(None),
        report.to_html(None),
    ];
    for text in &shown {
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert!(shown[0].contains("MGMTOPS password ***"), "{}", shown[0]);
    assert!(shown[3].contains("MGMTOPS password ***"), "{}", shown[3]);
}

#[test]
fn a_score_by_part_has_a_sum_for_each() {
    let rubric = |name: &str, regex: &str, points: u32| {
        format!(
            "apiVersion: pav1\nkind: EvaluationRuleset\nmetadata: {{ name: {name} }}\nspec:\n  max_points: {points}\n  items:\n    - id: {name}-1\n      points: {points}\n      description: \"{name} | done\"\n      checks: [{{ source: shown, regex: '{regex}' }}]\n"
        )
    };
    let spec = "apiVersion: pav1\nkind: ProcessReportSpec\nmetadata: { name: parts }\nspec:\n  process_type: Grading\n  report_class: ScoreReport\n  aggregate: by_part\n  include:\n    - per_part: [part, points_awarded, points_max, percentage]\n    - per_item: [id, passed]\n    - totals: [percentage]\n";
    let job = "  process_type: Grading\n  steps:\n    - { id: show, uses: collect@v1, target: a, with: { command: show }, capture: { output: shown } }\n    - { id: design, uses: evaluate.regex@v1, with: { ruleset: design } }\n    - { id: deploy, uses: evaluate.regex@v1, with: { ruleset: deploy } }\n";
    let package = log::small(
        job,
        "definition: job@v1, report: parts",
        &[
            ("PAv1/grading/design.yaml", &rubric("design", "done", 3)),
            ("PAv1/grading/deploy.yaml", &rubric("deploy", "never", 1)),
            ("PAv1/reports/parts.yaml", spec),
        ],
    );
    let plan = Plan::of_phase(package, "main").unwrap();
    let mut fate = |node: &Node| {
        let Some(rubric) = &node.step().rubric else {
            return Some(nothing_special(node));
        };
        let items = grade::rubric(rubric, &|_| Evidence::Text("done".into()));
        Some(Fate::Gives(json!({"passed": true, "items": items})))
    };
    let log = log::write(&plan, "main", &Vault::default(), &mut fate);
    let report = only(report::of(&plan, &log::fold(&plan, &log)));
    insta::assert_snapshot!("parts_json", pretty(&report));
    insta::assert_snapshot!("parts_text", report.to_text());
    let spec = report::spec(&plan, &report);
    insta::assert_snapshot!("parts_markdown", report.to_markdown(spec));
}

#[test]
fn readiness_is_what_was_evaluated() {
    let cases = [
        (json!({"passed": true}), true, "as it should be"),
        (
            json!({"passed": false, "issue": "package missing"}),
            false,
            "package missing",
        ),
    ];
    let plan = Plan::of_phase(log::lab(&[]), "post_init").unwrap();
    for (output, ready, detail) in cases {
        let mut fate = |node: &Node| match node.key.as_str() {
            "verify_package" => Some(Fate::Gives(output.clone())),
            _ => Some(nothing_special(node)),
        };
        let log = log::write(&plan, "post_init", &Vault::default(), &mut fate);
        let json = only(report::of(&plan, &log::fold(&plan, &log))).to_json();
        assert_eq!(json["ready"], ready);
        assert_eq!(
            json["checks"],
            json!([{"name": "verify_package", "passed": ready, "detail": detail}])
        );
    }
    let mut fate = |node: &Node| match node.key.as_str() {
        "verify_package" => Some(Fate::Skipped),
        _ => Some(nothing_special(node)),
    };
    let log = log::write(&plan, "post_init", &Vault::default(), &mut fate);
    let json = only(report::of(&plan, &log::fold(&plan, &log))).to_json();
    assert_eq!(
        json["ready"], false,
        "a check that was not reached is not passed"
    );
}

#[test]
fn a_pod_is_ready_when_it_has_converged_and_each_connector_answers() {
    let plan = Plan::of_phase(log::lab(&[]), "ready").unwrap();
    let mut fate = |node: &Node| match (node.step().uses.action(), node.key.as_str()) {
        (Some(Action::LabCheckConvergence), _) => Some(Fate::Gives(json!({"converged": true}))),
        (_, "prompt_rtr02") => Some(Fate::Faults("rtr02: no prompt within 3 s")),
        _ => Some(nothing_special(node)),
    };
    let log = log::write(&plan, "ready", &Vault::default(), &mut fate);
    let report = only(report::of(&plan, &log::fold(&plan, &log)));
    insta::assert_snapshot!("readiness_json", pretty(&report));
    insta::assert_snapshot!("readiness_text", report.to_text());
    insta::assert_snapshot!("readiness_html", report.to_html(None));
}

/// The reports of one small job in which each step meets its fate.
fn told(steps: &str, fate: &mut dyn FnMut(&Node) -> Option<Fate>) -> Vec<Report> {
    let plan = Plan::of_phase(log::small(steps, "definition: job@v1", &[]), "main").unwrap();
    let log = log::write(&plan, "main", &Vault::default(), fate);
    report::of(&plan, &log::fold(&plan, &log))
}

const STEPS: &str = "  steps:
    - { id: change, uses: exec@v1, target: a, with: { command: conf t } }
    - { id: broken, uses: exec@v1, target: a, with: { command: bad }, on_error: { action: continue } }
    - { id: refused, uses: exec@v1, target: a, with: { command: no } }
    - { id: not_now, uses: exec@v1, target: a, with: { command: later }, when: \"${ session.later }\" }
    - { id: show, uses: collect@v1, target: a, with: { command: show run }, capture: { output: a.run } }
    - { id: lost, uses: collect@v1, target: a, with: { command: show ver }, capture: { output: a.ver }, on_error: { action: continue } }
";

fn mixed(node: &Node) -> Option<Fate> {
    Some(match node.key.as_str() {
        "broken" | "lost" => Fate::Faults("a: connection reset"),
        "refused" => Fate::Gives(json!({"ok": false})),
        "not_now" => Fate::Skipped,
        "show" => Fate::Gives(json!({"output": "hostname a\n"})),
        _ => nothing_special(node),
    })
}

#[test]
fn changes_evidence_and_actions_are_told_as_they_went() {
    let of = |process: &str| {
        only(told(
            &format!("  process_type: {process}\n{STEPS}"),
            &mut mixed,
        ))
    };
    let change = of("Change");
    insta::assert_snapshot!("change_json", pretty(&change));
    insta::assert_snapshot!("change_text", change.to_text());
    let submission = of("Submission");
    assert_eq!(submission.head().status, Status::Incomplete);
    insta::assert_snapshot!("submission_json", pretty(&submission));
    insta::assert_snapshot!("submission_markdown", submission.to_markdown(None));
    let archive = of("Archive");
    insta::assert_snapshot!("archive_json", pretty(&archive));
    insta::assert_snapshot!("archive_text", archive.to_text());
}

#[test]
fn a_job_that_has_not_come_to_its_report_has_none() {
    let reports = told(&format!("  process_type: Change\n{STEPS}"), &mut |node| {
        (node.key != "refused").then(|| mixed(node)).flatten()
    });
    assert_eq!(reports, []);
}

fn head(class: ReportClass) -> Head {
    Head {
        report_id: "j:report".into(),
        report_class: class,
        process_type: ProcessType::Grading,
        job_id: "j".into(),
        session_id: None,
        phase: None,
        definition_id: "d".into(),
        version: "1".into(),
        content_hash: "0".into(),
        engine_version: "0".into(),
        started_at: None,
        completed_at: None,
        duration_seconds: None,
        status: Status::Completed,
    }
}

/// A score whose every free text is this one.
fn score(text: &str) -> Report {
    let check = json!({
        "source": text, "regex": text, "mode": "positive", "flags": [text], "passed": false, "issue": text,
        "matched": {"start": 0, "end": 1, "text": text},
    });
    let item = json!({
        "id": text, "description": text, "points_awarded": 0, "points_max": 1, "passed": false,
        "status": "failed", "issues": [text], "checks": [check],
    });
    let items: Vec<GradedItem> = serde_json::from_value(Value::Array(vec![item])).unwrap();
    let mut head = head(ReportClass::ScoreReport);
    head.definition_id = text.to_owned();
    Report::Score(ScoreReport::new(head, None, items))
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

proptest::proptest! {
    #[test]
    fn no_text_becomes_markup(text in prop_text()) {
        let (hostile, tame) = (score(&text), score("x"));
        let (page, model) = (hostile.to_html(None), tame.to_html(None));
        for sign in ["<", ">", "\"", "'"] {
            prop_assert_eq!(count(&page, sign), count(&model, sign));
        }
        let (page, model) = (hostile.to_markdown(None), tame.to_markdown(None));
        prop_assert_eq!(page.lines().count(), model.lines().count());
        prop_assert_eq!(count(&page, "<"), count(&model, "<"));
        let text = hostile.to_text();
        prop_assert!(!text.chars().any(|it| it.is_control() && it != '\n'), "{:?}", text);
    }

    #[test]
    fn a_pod_is_ready_exactly_when_every_check_passed(passed in prop::collection::vec(any::<bool>(), 0..6)) {
        let ready = passed.iter().all(|it| *it);
        let check = |passed| Check { name: "c".into(), passed, detail: String::new() };
        let checks = passed.into_iter().map(check).collect();
        prop_assert_eq!(ReadinessReport::new(head(ReportClass::ReadinessReport), checks).ready, ready);
    }
}

fn prop_text() -> impl proptest::prelude::Strategy<Value = String> {
    proptest::string::string_regex(
        "([<>&\"'`|*\\\\\n\r\u{1b}\u{9b}\u{2028}é#!-]|<script>|</pre>|-->|[a-z ]){1,24}",
    )
    .unwrap()
}
