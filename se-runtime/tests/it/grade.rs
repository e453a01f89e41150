//! What evidence earns.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof};
use se_dsl::checked::{CheckMode, Rubric};
use se_dsl::expr::{Limits, Scopes, Template};
use se_runtime::FaultKind;
use se_runtime::grade::{self, Evidence, GradedItem, ItemStatus};
use se_runtime::report::Totals;
use serde_json::{Value, json};

use crate::log::{self, object};

/// The fixture's rubric, read once.
static RUBRIC: LazyLock<Rubric> =
    LazyLock::new(|| Rubric::clone(&log::lab(&[]).content.rubrics["rubric"]));

fn rubric() -> Rubric {
    RUBRIC.clone()
}

/// Grades the access list of rtr02 (item 4) and gives the item.
fn fourth(evidence: &Evidence) -> GradedItem {
    grade::rubric(&rubric(), &|_| evidence.clone()).swap_remove(3)
}

#[test]
fn an_item_is_passed_failed_or_not_collected() {
    let text = |text: &str| Evidence::Text(text.to_owned());
    let broken = Evidence::NotCollected {
        step: "c_rtr02_acl".into(),
        detail: "no route to rtr02".into(),
    };
    let lost =
        "rtr02.show_access_list was not collected: step `c_rtr02_acl` failed: no route to rtr02";
    let cases = [
        (text("list MGMTOPS"), ItemStatus::Passed, 100, vec![]),
        (
            text(""),
            ItemStatus::Failed,
            0,
            vec!["MGMTOPS ACL not found"],
        ),
        (
            Evidence::Absent,
            ItemStatus::Failed,
            0,
            vec!["MGMTOPS ACL not found"],
        ),
        (broken, ItemStatus::NotCollected, 0, vec![lost]),
    ];
    for (evidence, status, hundredths, issues) in cases {
        let item = fourth(&evidence);
        assert_eq!(item.status, status, "{evidence:?}");
        assert_eq!(item.points_awarded.hundredths(), hundredths);
        assert_eq!(item.issues, issues);
        assert_eq!(item.passed, status == ItemStatus::Passed);
    }
    let absent = &fourth(&Evidence::Absent).checks[0];
    assert_eq!(
        absent.issue.as_deref(),
        Some("rtr02.show_access_list was not captured")
    );
}

#[test]
fn a_check_without_a_text_of_its_own_says_what_it_looked_for() {
    let items = grade::rubric(&rubric(), &|_| Evidence::Text("nothing".into()));
    assert_eq!(
        items[0].issues,
        [r"sw01.show_vlan_brief does not match `^80\s+LAB80`"]
    );
    assert_eq!(items[4].issues.len(), 2);
}

#[test]
fn a_match_is_told_in_characters_and_cut() {
    let found = fourth(&Evidence::Text("é: MGMTOPS".into()));
    let found = found.checks[0].matched.as_ref().unwrap();
    assert_eq!(
        (found.start, found.end, found.text.as_str()),
        (3, 10, "MGMTOPS")
    );
    let lab = log::lab(&[("regex: 'MGMTOPS'", "regex: 'M+'")]);
    let long = Evidence::Text("M".repeat(2000));
    let items = grade::rubric(&lab.content.rubrics["rubric"], &|_| long.clone());
    let found = items[3].checks[0].matched.as_ref().unwrap();
    assert_eq!((found.end, found.text.len()), (2000, 500));
}

#[test]
fn a_pattern_that_gives_up_leaves_the_points_undetermined() {
    let lab = log::lab(&[("regex: 'MGMTOPS'", r"regex: '(?=((a+)+))\1b|(a|aa)+(?!a)c'")]);
    let text = Evidence::Text("a".repeat(5000));
    let items = grade::rubric(&lab.content.rubrics["rubric"], &|_| text.clone());
    assert_eq!(items[3].status, ItemStatus::NotCollected);
    assert!(
        items[3].issues[0].contains("too much backtracking"),
        "{:?}",
        items[3].issues
    );
    assert_eq!(Totals::of(&items).points_undetermined.hundredths(), 200);
}

#[test]
fn one_text_is_matched_with_or_without_an_issue() {
    let cases = [
        (
            json!({"source": "abc", "regex": "b"}),
            json!({"passed": true}),
        ),
        (
            json!({"source": "abc", "regex": "x"}),
            json!({"passed": false, "issue": "the text does not match `x`"}),
        ),
        (
            json!({"source": "abc", "regex": "b", "mode": "negative", "issue": "b is there"}),
            json!({"passed": false, "issue": "b is there"}),
        ),
        (
            json!({"source": "", "regex": "^$"}),
            json!({"passed": true}),
        ),
        (
            json!({"source": null, "regex": ".*"}),
            json!({"passed": false, "issue": "the text was not captured"}),
        ),
        (
            json!({"source": null, "regex": "x", "mode": "negative"}),
            json!({"passed": false, "issue": "the text was not captured"}),
        ),
        (
            json!({"source": {"a": 1}, "regex": "\"a\":1"}),
            json!({"passed": true}),
        ),
        (
            json!({"source": "a\nB", "regex": "^b", "flags": ["i", "m"]}),
            json!({"passed": true}),
        ),
        (
            json!({"source": "a\nb", "regex": "^b", "flags": []}),
            json!({"passed": false, "issue": "the text does not match `^b`"}),
        ),
    ];
    for (inputs, output) in cases {
        assert_eq!(
            grade::regex(&object(inputs.clone())).map(Value::Object),
            Ok(output),
            "{inputs}"
        );
    }
}

#[test]
fn inputs_that_cannot_be_matched_say_why() {
    let cases = [
        (json!({"source": "a"}), "`regex` is missing"),
        (
            json!({"source": "a", "regex": "("}),
            "`regex`: `(` does not compile",
        ),
        (
            json!({"source": "a", "regex": 1}),
            "`regex` must be text, not 1",
        ),
        (
            json!({"source": "a", "regex": "a", "flags": ["x"]}),
            "no flag \"x\"; there are multiline",
        ),
        (
            json!({"source": "a", "regex": "a", "flags": "i"}),
            "`flags` must be a list",
        ),
        (
            json!({"source": "a", "regex": "a", "mode": "maybe"}),
            "positive or negative, not `maybe`",
        ),
    ];
    for (inputs, part) in cases {
        let fault = grade::regex(&object(inputs)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Validation);
        assert!(fault.detail.contains(part), "{}", fault.detail);
    }
}

#[test]
fn an_item_without_points_that_make_sense_is_no_item() {
    let item = |points: Value| {
        let item = json!({"id": 1, "points_awarded": points, "points_max": 1, "passed": true, "status": "passed"});
        serde_json::from_value::<GradedItem>(item)
    };
    assert!(item(json!(0.5)).is_ok());
    for points in [json!(-1), json!(0.001), json!("1")] {
        assert!(item(points).is_err());
    }
}

/// Evidence of any kind for each source of the fixture.
fn anything() -> impl Strategy<Value = Evidence> {
    let line = prop_oneof![
        Just("80   LAB80 active".to_owned()),
        Just("Standard IP access list MGMTOPS".to_owned()),
        Just("  Description: to-rtr02".to_owned()),
        Just("10.255.81.2 1 FULL/DR GigabitEthernet0/1".to_owned()),
        any::<String>(),
    ];
    let text = prop::collection::vec(line, 0..6).prop_map(|lines| Evidence::Text(lines.join("\n")));
    let lost = any::<String>().prop_map(|detail| Evidence::NotCollected {
        step: "s".into(),
        detail,
    });
    prop_oneof![6 => text, 1 => Just(Evidence::Absent), 1 => lost]
}

fn sources(rubric: &Rubric) -> Vec<Vec<String>> {
    let checks = rubric.items.iter().flat_map(|item| &item.checks);
    checks.map(|check| check.source.clone()).collect()
}

proptest::proptest! {
    #[test]
    fn grading_is_a_function_that_keeps_its_sums(evidence in prop::collection::vec(anything(), 14)) {
        let rubric = rubric();
        let known: BTreeMap<Vec<String>, Evidence> = sources(&rubric).into_iter().zip(evidence).collect();
        let look = |source: &[String]| known.get(source).cloned().unwrap_or(Evidence::Absent);
        let items = grade::rubric(&rubric, &look);
        let bytes = serde_json::to_string(&items).unwrap();
        prop_assert_eq!(&bytes, &serde_json::to_string(&grade::rubric(&rubric, &look)).unwrap());
        let back: Vec<GradedItem> = serde_json::from_str(&bytes).unwrap();
        prop_assert_eq!(&back, &items);

        let asked: Vec<&Value> = rubric.items.iter().map(|item| &item.id).collect();
        let graded: Vec<&Value> = items.iter().map(|item| &item.id).collect();
        prop_assert_eq!(asked, graded);

        let totals = Totals::of(&items);
        prop_assert_eq!(totals.points_max, rubric.max_points);
        prop_assert!(totals.points_awarded + totals.points_undetermined <= totals.points_max);
        let exact = totals.points_awarded.hundredths() * 10_000 / totals.points_max.hundredths();
        prop_assert!((i64::from(totals.percentage.hundredths()) - exact).abs() <= 1);
        for item in &items {
            prop_assert_eq!(item.passed, item.status == ItemStatus::Passed);
            prop_assert_eq!(item.passed, item.checks.iter().all(|check| check.passed));
            prop_assert_eq!(item.passed, item.issues.is_empty());
        }
    }

    #[test]
    fn asking_for_the_opposite_flips_a_check_of_evidence_that_is_there(evidence in anything()) {
        let rubric = rubric();
        let mut opposite = rubric.clone();
        for check in opposite.items.iter_mut().flat_map(|item| &mut item.checks) {
            check.mode = CheckMode::Negative;
        }
        let all = |rubric: &Rubric| {
            let items = grade::rubric(rubric, &|_| evidence.clone());
            let checks = items.into_iter().flat_map(|item| item.checks);
            checks.map(|check| check.passed).collect::<Vec<_>>()
        };
        let there = matches!(evidence, Evidence::Text(_));
        for (one, other) in all(&rubric).into_iter().zip(all(&opposite)) {
            prop_assert_eq!(one != other, there);
        }
    }
}

#[test]
fn items_travel_through_an_expression_unchanged() {
    let items = grade::rubric(&rubric(), &|_| Evidence::Text("MGMTOPS".into()));
    let mut scopes = Scopes::new();
    scopes.write_var(
        &["graded_items".into()],
        &serde_json::to_value(&items).unwrap(),
    );
    let template = Template::parse("${ vars.graded_items }").unwrap();
    let value = template.eval(&scopes, &Limits::default()).unwrap();
    assert_eq!(
        serde_json::from_value::<Vec<GradedItem>>(value).unwrap(),
        items
    );
    let some = Template::parse("${ vars.graded_items | map(select(.passed)) }").unwrap();
    let value = some.eval(&scopes, &Limits::default()).unwrap();
    let some: Vec<GradedItem> = serde_json::from_value(value).unwrap();
    assert_eq!(
        some.iter().map(|it| &it.id).collect::<Vec<_>>(),
        [&json!(3), &json!(4)]
    );
}
