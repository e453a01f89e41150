//! No expression hangs, eats the memory or overflows the stack.

use std::time::Duration;

use se_dsl::expr::{Expr, ExprError, Limits, Root, Scopes, Template};
use serde_json::{Value, json};

use super::eval_on;

#[path = "../../hostile/cases.rs"]
mod cases;

fn patient() -> Limits {
    Limits {
        time: Duration::from_secs(20),
        ..Limits::default()
    }
}

#[test]
fn what_is_hostile_is_stopped_by_the_work_it_does() {
    // Without a clock: the same on any machine. How long it takes is measured by `tests/bounds.rs`.
    for case in cases::expressions() {
        let result = worked(&case.source);
        match &result {
            Err(ExprError::Exceeded(why)) => assert!(!why.starts_with("ran for"), "{why}"),
            Err(ExprError::Failed(_)) => {}
            Ok(_) if !case.stopped => {}
            other => panic!("{} gave {:.200}", case.source, format!("{other:?}")),
        }
    }
}

#[test]
fn sources_that_are_hard_to_compile_are_answered() {
    for source in cases::sources() {
        let errors = Expr::compile(&source).err().unwrap_or_default();
        assert!(errors.len() <= 10, "{} errors: {source:.60}", errors.len());
        for error in errors {
            assert!(error.to_string().len() < 1_000, "{error}");
        }
    }
}

/// Evaluates with no bound on time.
fn worked(source: &str) -> Result<Value, ExprError> {
    let expr = Expr::compile(source).map_err(|mut errors| errors.remove(0))?;
    let limits = Limits {
        time: Duration::from_secs(3_600),
        ..Limits::default()
    };
    expr.eval(&Scopes::new(), &limits)
}

#[test]
fn regular_expressions_are_bounded() {
    let cases = [
        ("\"a\" * 50 + \"!\" | test(\"(a+)+$\")", "false"),
        ("\"a\" * 50 + \"!\" | test(\"^(a|a)*$\")", "false"),
        ("\"a\" * 100000 | test(\"(a{1,100}){1,100}b\")", "failed"),
        ("\"a\" * 100000 | test(\"(a{1,30}){1,30}b\")", "exceeded"),
        ("\"a\" * 20000 | test(\"(a{1,30}){1,30}b\")", "exceeded"),
        ("\"a\" * 1000 | test(\"(a{1,30}){1,30}b\")", "false"),
        (
            "\"ab\" * 500000 | [scan(\"(a.*c|a)\")] | length",
            "exceeded",
        ),
        (
            "\"a\" * 16000 | [match(\"(?=a.*b)c|a\"; \"g\")] | length",
            "exceeded",
        ),
        ("\"a\" | test(\"((a{1,100}){1,100}){1,100}\")", "failed"),
        ("\"a\" * 1000000 | [scan(\"a(?=a)\")] | length", "exceeded"),
        ("\"a\" * 4000000 | test(\"(a|b)*a(a|b){12}\")", "exceeded"),
        ("\"b\" * 1000000 | test(\"a\")", "false"),
        (
            "[range(100)] | map(\"b\" * 1000000 | test(\"abcdefgh\"))",
            "exceeded",
        ),
        ("\"abab\" | test(\"(ab)\\\\1\")", "true"),
    ];
    for (source, expected) in cases {
        let got = // The clock ends searches that look far ahead at each match.
        match eval_on(source, &json!({})) {
            Ok(value) => value.to_string(),
            Err(ExprError::Exceeded(_)) => "exceeded".into(),
            Err(ExprError::Failed(_)) => "failed".into(),
            Err(other) => panic!("{source}: {other:?}"),
        };
        assert_eq!(got, expected, "{source}");
    }
}

#[test]
fn sources_that_nest_or_chain_do_not_overflow_the_stack() {
    let deep = |open: &str, middle: &str, close: &str, times: usize| {
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    for times in [20, 60, 120, 400, 900, 2_000, 4_000] {
        for source in [
            deep("(", "1", ")", times),
            deep("[", "1", "]", times),
            deep("{a:", "1", "}", times),
            deep("-", "1", "", times),
            deep("1+", "1", "", times),
            deep("1,", "1", "", times),
            deep(".|", "1", "", times),
            deep(".a", "", "", times),
            deep("try ", "1", "", times),
            deep("\"\\(", "1", ")\"", times),
            deep("1 as $x|", "1", "", times),
            deep("if 1 then ", "1", " end", times),
            deep("def f:1;", "1", "", times),
            deep("def f:", "1", ";1", times),
            deep("select(", "1", ")", times),
            deep("[.[] as [$x", "", "", times),
            deep("1//", "1", "", times),
            deep("1?//", "1", "", times),
            deep("reduce 1 as $x(1;", "1", ")", times),
            format!(
                "{{{}}}",
                (0..times)
                    .map(|it| format!("a{it}:1"))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
        ] {
            match Expr::compile(&source) {
                Ok(expr) => drop(expr.eval(&Scopes::new(), &Limits::default())),
                Err(errors) => assert!(!errors.is_empty()),
            }
        }
    }
}

#[test]
fn deep_values_in_the_scopes_do_not_overflow_the_stack() {
    let mut value = json!(1);
    for _ in 0..120 {
        value = json!([{ "a": value }]);
    }
    let mut scopes = Scopes::new();
    scopes.set(Root::Vars, &value);
    for source in [
        "[vars | ..] | length",
        "vars | tojson | length",
        "[vars | paths] | length",
        "vars | walk(.) == .",
        "vars | (.. |= .) | 1",
        "vars | [.. | scalars]",
        "vars | flatten | length",
        "[vars, vars] | unique | length",
        "vars | tostream | 1",
        "vars | del(.. | select(. == 1)) | 1",
    ] {
        let expr = Expr::compile(source).unwrap();
        let result = expr.eval(&scopes, &patient());
        assert!(result.is_ok(), "{source}: {result:?}");
    }
}

#[test]
fn recursion_that_ends_may_be_deep() {
    let cases = [
        (
            "def f: if . == 0 then 0 else 1 + (. - 1 | f) end; 500 | f",
            json!(500),
        ),
        (
            "def f($n): if $n == 0 then 0 else 1 + f($n - 1) end; f(500)",
            json!(500),
        ),
        ("last(range(50000))", json!(49_999)),
        ("reduce range(20000) as $i (0; . + 1)", json!(20_000)),
        ("[limit(1000; repeat(1))] | length", json!(1_000)),
        ("0 | until(. >= 20000; . + 1)", json!(20_000)),
    ];
    let patient = patient();
    for (source, expected) in cases {
        let expr = Expr::compile(source).unwrap();
        assert_eq!(
            expr.eval(&Scopes::new(), &patient),
            Ok(expected),
            "{source}"
        );
    }
}

#[test]
fn bounds_cannot_be_caught() {
    for source in [
        "try repeat(1) catch 1",
        "last(repeat(.))? // 1",
        "[.[]?, (try (\"x\" * 1e9) catch 1)]",
        "(\"x\" * 1e9)? // \"saved\"",
        "label $out | (\"x\" * 1e9 | ., break $out), 1",
        "isvalid(\"x\" * 1e9)",
        "first(1, (\"x\" * 1e9)), (try (\"x\" * 1e9) catch 2)",
    ] {
        let result = worked(source);
        assert!(
            matches!(result, Err(ExprError::Exceeded(_))),
            "{source}: {result:?}"
        );
    }
}

#[test]
fn each_limit_says_what_it_is() {
    let tight = Limits {
        fuel: 2_000,
        time: Duration::from_secs(20),
        outputs: 3,
        bytes: 1_000,
        ..Limits::default()
    };
    let cases = [
        ("range(5)", "the expression has more than 3 outputs"),
        (
            "\"x\" * 2000",
            "the expression made a value of more than 1000 bytes",
        ),
        (
            "last(range(1e6))",
            "the expression needed more than 2000 steps of work; does it loop forever?",
        ),
    ];
    for (source, expected) in cases {
        let error = Expr::compile(source)
            .unwrap()
            .eval(&Scopes::new(), &tight)
            .unwrap_err();
        assert_eq!(error.to_string(), expected, "{source}");
    }
    let late = Limits {
        fuel: 10_000_000,
        time: Duration::ZERO,
        ..Limits::default()
    };
    let error = Expr::compile("last(range(1e5))")
        .unwrap()
        .eval(&Scopes::new(), &late);
    assert_eq!(
        error.unwrap_err().to_string(),
        "the expression ran for more than 0 ms"
    );
    let over = patient().together(Duration::ZERO);
    let error = Expr::compile("last(range(1e4))")
        .unwrap()
        .eval(&Scopes::new(), &over);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("that belong together"), "{error}");
}

#[test]
fn messages_are_short_whatever_failed() {
    let mut scopes = Scopes::new();
    scopes.set(Root::Vars, &json!({"big": "x".repeat(1 << 20)}));
    for source in [
        "vars.big | .a",
        "vars.big | error",
        "error(vars)",
        "vars.big | tonumber",
        "{} | .[vars.big] | .x | error(vars.big)",
    ] {
        let error = super::eval(source, &scopes).unwrap_err();
        assert!(error.to_string().len() < 5_000, "{source}");
    }
}

/// Nested lists, as deep as the text of an expression says.
fn nested(levels: usize) -> String {
    format!("${{ reduce range({levels}) as $i (1; [.]) }}")
}

#[test]
fn what_is_made_can_be_read_again_from_where_it_is_stored() {
    let limits = patient();
    let made = |template: &Template| template.eval(&Scopes::new(), &limits);
    let deepest = Template::parse(&nested(100)).unwrap();
    // Some levels of a record around it.
    let record = json!({"a": [{"b": {"c": [{"d": made(&deepest).unwrap()}]}}]}).to_string();
    assert!(serde_json::from_str::<Value>(&record).is_ok());
    let with =
        |template| Template::object([("a".to_owned(), Template::array(vec![template]))].into());
    assert!(made(&with(Template::parse(&nested(98)).unwrap())).is_ok());
    let several = Template::parse("${ (1, 2) | reduce range(100) as $i (.; [.]) }").unwrap();
    let around = with(Template::parse(&nested(99)).unwrap());
    for over in [Template::parse(&nested(101)).unwrap(), several, around] {
        let error = made(&over).unwrap_err();
        assert!(matches!(error, ExprError::Exceeded(_)), "{error}");
        assert!(
            error.to_string().contains("more than 100 levels deep"),
            "{error}"
        );
    }
    // The name of a variable may make the scopes deeper.
    let mut scopes = Scopes::new();
    let path: Vec<String> = vec!["a".to_owned(); 120];
    scopes.write_var(&path, &json!(1));
    let read = |source: &str| Expr::compile(source).unwrap().eval(&scopes, &limits);
    assert!(matches!(read("vars"), Err(ExprError::Exceeded(_))));
    assert_eq!(read(&format!("vars.{}", path.join("."))), Ok(json!(1)));
}
