//! The answers of jq 1.7 to a list of cases, and where ours differ.

use se_dsl::expr::{Expr, ExprError};
use serde_json::Value;

use super::eval_on;

/// Every output as compact JSON, `error: ` and the message, or `none` if it does not compile.
fn outputs(input: &str, program: &str) -> String {
    let input: Value = serde_json::from_str(input).unwrap();
    let whole = format!("vars | [{program}] | map(tojson) | join(\" \")");
    if Expr::compile(&whole).is_err() {
        return "none".to_owned();
    }
    match eval_on(&whole, &input) {
        Ok(outputs) => outputs.as_str().unwrap_or_default().to_owned(),
        Err(ExprError::Exceeded(why)) => format!("exceeded: {why}"),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn answers_are_those_of_jq_or_differ_as_the_documents_say() {
    const PAGE: &str = include_str!("../../../../docs/expressions.md");
    let mut cases = 0;
    for line in include_str!("jq.txt")
        .lines()
        .filter(|it| !it.starts_with('#'))
    {
        let columns: Vec<_> = line.split('\t').collect();
        let [input, program, theirs, ours @ ..] = columns.as_slice() else {
            panic!("too few columns: {line}");
        };
        let got = outputs(input, program);
        match ours {
            [] => assert_eq!(got, *theirs, "{program}"),
            [ours] => {
                assert_eq!(got, *ours, "{program}");
                assert_ne!(ours, theirs, "{program} differs no more");
                assert!(
                    PAGE.contains(&format!("`{program}`")),
                    "{program} is not told"
                );
            }
            _ => panic!("too many columns: {line}"),
        }
        cases += 1;
    }
    assert!(cases > 150, "{cases}");
}

#[test]
fn what_the_page_lists_is_tested() {
    const PAGE: &str = include_str!("../../../../docs/expressions.md");
    let (_, list) = PAGE.split_once("## Where answers differ").unwrap();
    for line in list.lines().filter_map(|it| it.strip_prefix("- `")) {
        let program = line.split('`').next().unwrap();
        let told = include_str!("jq.txt")
            .lines()
            .any(|it| it.split('\t').nth(1) == Some(program) && it.split('\t').count() == 4);
        assert!(told, "{program}");
    }
}
