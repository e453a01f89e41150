//! Values with expressions in their strings.

use se_dsl::expr::{ExprError, Limits, Root, Template};
use serde_json::{Value, json};

use super::pod;

fn rendered(text: &str) -> Result<Value, ExprError> {
    Template::parse(text)
        .unwrap()
        .eval(&pod(), &Limits::default())
}

#[test]
fn one_expression_keeps_its_type_and_text_does_not() {
    let cases = [
        ("plain", json!("plain")),
        ("", json!("")),
        ("${vars.list}", json!([3, 1, 2])),
        ("${ vars.list }", json!([3, 1, 2])),
        (" ${ vars.list }", json!(" [3,1,2]")),
        ("${session.track}!", json!("ccnp!")),
        ("${session.track}${session.candidate_id}", json!("ccnp7")),
        ("$${session.track}", json!("${session.track}")),
        ("$${x} ${1}", json!("${x} 1")),
        (
            "a ${ {a: {b: \"}\"}} } z",
            json!("a {\"a\":{\"b\":\"}\"}} z"),
        ),
        ("${ {a: {b: \"}\"}} }", json!({"a": {"b": "}"}})),
        (
            "${ \"\\(vars.list | map(\"}\\(.)\") | join(\"{\"))\" }",
            json!("}3{}1{}2"),
        ),
        (
            "x=${null} ${true} ${1.5} ${\"s\"} ${[\"s\"]}",
            json!("x=null true 1.5 s [\"s\"]"),
        ),
        ("${ vars.ok # a } in a comment\n}", json!(true)),
        ("é ${ \"ü}\" } é", json!("é ü} é")),
        ("${1, 2}", json!([1, 2])),
        ("<${empty}>", json!("<null>")),
        ("100 $ {x}", json!("100 $ {x}")),
    ];
    for (text, expected) in cases {
        assert_eq!(rendered(text), Ok(expected), "{text}");
    }
}

#[test]
fn errors_are_placed_in_the_string() {
    let text = "a ${ lenght } b ${ vars | nope_at_all } ${ open";
    let errors = Template::parse(text).unwrap_err();
    let shown: Vec<(&str, String)> = errors
        .into_iter()
        .map(|it| (&text[it.at], it.error.to_string()))
        .collect();
    assert_eq!(
        shown,
        [
            ("lenght", "there is no filter `lenght`".to_owned()),
            ("nope_at_all", "there is no filter `nope_at_all`".to_owned()),
            (
                "${ open",
                "`${` is never closed; add `}`, or write `$${` for a literal `${`".to_owned()
            ),
        ]
    );
}

#[test]
fn a_failing_expression_fails_the_text() {
    assert_eq!(
        rendered("x ${ vars.list.a } y"),
        Err(ExprError::Failed("Cannot index array with \"a\"".into()))
    );
    let huge = rendered("${\"x\" * 5e6} ${\"x\" * 5e6}");
    assert!(
        matches!(huge, Err(ExprError::Exceeded(_))),
        "too long a text"
    );
}

#[test]
fn literals_are_known_without_scopes() {
    let parse = |text: &str| Template::parse(text).unwrap();
    assert_eq!(parse("$${a}").literal(), Some(json!("${a}")));
    assert_eq!(parse("${1}").literal(), None);
    let array = Template::array(vec![parse("a"), Template::Literal(json!(1))]);
    assert_eq!(array.literal(), Some(json!(["a", 1])));
    let object = [
        ("k".to_owned(), parse("${vars.ok}")),
        ("l".to_owned(), array),
    ];
    let object = Template::object(object.into_iter().collect());
    assert_eq!(object.literal(), None);
    let value = object.eval(&pod(), &Limits::default());
    assert_eq!(value, Ok(json!({"k": true, "l": ["a", 1]})));
    assert_eq!(
        object.reads().vars().collect::<Vec<_>>(),
        [["ok".to_owned()]]
    );
}

#[test]
fn many_expressions_do_not_add_up_to_more_than_a_few_may_make() {
    let one = || Template::parse("${ \"x\" * 3000000 }").unwrap();
    let all = |items| Template::array(items).eval(&pod(), &Limits::default());
    let many = |count| std::iter::repeat_with(one).take(count).collect::<Vec<_>>();
    assert!(all(many(11)).is_ok());
    let nested = Template::object([("a".to_owned(), Template::array(many(6)))].into());
    let six = many(6).into_iter().chain([nested]).collect();
    let error = all(six).unwrap_err().to_string();
    assert!(error.contains("of more than 33554432 bytes"), "{error}");
    // What the scopes hold may be larger, and is there as one value.
    let mut scopes = pod();
    scopes.set(Root::Vars, &json!({"big": "x".repeat(33 << 20)}));
    let big = || Template::parse("${vars.big}").unwrap();
    let text = || Template::parse("text").unwrap();
    let of = |items| Template::array(items).eval(&scopes, &Limits::default());
    assert!(of(vec![text(), big(), text()]).is_ok());
    assert!(of(vec![big(), one()]).is_err());
}
