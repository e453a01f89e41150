//! No expression hangs, eats the memory or overflows the stack.

use std::time::{Duration, Instant};

use se_dsl::expr::{Expr, ExprError, Limits, Root, Scopes};
use serde_json::json;

use super::eval_on;

/// What an expression may do is bounded far below this; a busy machine is not.
const GENEROUS: Duration = Duration::from_secs(10);

fn patient() -> Limits {
    Limits {
        time: Duration::from_secs(20),
        ..Limits::default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test is about how long it takes"
)]
fn bounded(source: &str) -> Result<serde_json::Value, ExprError> {
    let start = Instant::now();
    let result = eval_on(source, &json!({}));
    assert!(
        start.elapsed() < GENEROUS,
        "{source} took {:?}",
        start.elapsed()
    );
    result
}

#[test]
fn what_never_ends_is_stopped() {
    let cases = [
        "repeat(1)",
        "[repeat(1)]",
        "[repeat(1)] | length",
        "last(repeat(1))",
        "[range(1e12)] | length",
        "last(range(1e12))",
        "[range(0; infinite)]",
        "reduce range(1e12) as $i (0; . + 1)",
        "foreach range(1e12) as $i (0; . + 1; empty)",
        "def f: f; f",
        "def f: f | f; f",
        "def f: [f]; f",
        "def f: 1 + f; f",
        "def f: f + 1; f",
        "def f: {a: f}; f",
        "def f: \"\\(f)\"; f",
        "def f: try f catch f; f",
        "def f: try error(f) catch f; f",
        "def f: f // f; f",
        "def f: (f, f) // 1; f",
        "def f: if f then f else f end; f",
        "def f: . as $x | f; f",
        "def f: label $x | f; f",
        "def f: reduce f as $x (0; 1); f",
        "def f: .a |= f; f",
        "def f: .[f]; f",
        "def f(g): f(g | .); f(1)",
        "def f(g): f(g + 1); f(1)",
        "def f(g): g | f(f(g)); f(1)",
        "def f(g): def h: f(g | h); h; f(.)",
        "def f($n): f($n + 1); f(1)",
        "def a: def b: a; b; a",
        "def f: recurse(f); f",
        "recurse([.])",
        "[recurse(.; true)]",
        "path(recurse(.a))",
        "[path(repeat(.a))]",
        "def f: .a | f; path(f)",
        "path(reduce range(1e9) as $i (.; .a))",
        "(reduce range(1e9) as $i (.; .a)) |= 1",
        "while(true; . )",
        "until(false; .)",
        "(1 | while(true; . + 1))",
        "limit(1e9; repeat(1))",
        "first(repeat(.) | empty)",
        "isempty(repeat(.) | empty)",
        "any(repeat(false); . and false)",
        "[limit(5; def f: f; f)]",
    ];
    for source in cases {
        match bounded(source) {
            Err(ExprError::Exceeded(_)) => {}
            other => panic!("{source} gave {other:?}"),
        }
    }
}

#[test]
fn what_grows_without_end_is_stopped() {
    let doubled = "(.,.)|".repeat(60) + ".";
    let product = (0..12).map(|_| "range(9)").collect::<Vec<_>>().join(" + ");
    let cases = [
        "\"x\" * 1e9",
        "\"x\" * 1e300 | length",
        "[\"x\" * 1e6 | ., ., ., ., ., ., ., ., ., .]",
        "reduce range(60) as $i (\"x\"; . + .)",
        "reduce range(60) as $i ([1]; . + .)",
        "reduce range(60) as $i (1; [., .])",
        "reduce range(60) as $i (1; {a: ., b: .})",
        "reduce range(40) as $i (1; [., .]) | tojson",
        "reduce range(40) as $i (1; [., .]) | . == .",
        "reduce range(40) as $i (1; [., .]) | \"\\(.)\"",
        "reduce range(40) as $i (1; [., .]) | flatten",
        "try (reduce range(40) as $i (1; [., .]) | .a) catch .",
        "reduce range(1e5) as $i (1; [.])",
        "reduce range(1e5) as $i (null; .a |= {a: .})",
        "reduce range(300) as $i (null; {a: .}) | tojson",
        "[range(1e9)] | combinations",
        "[range(20) | [range(20)]] | [combinations]",
        ".[1e9] = 1",
        "null | .[1e15] = 1",
        "[limit(1e7; range(1e8))] | sort",
        "\"[\" * 100000 | fromjson",
        "(\"[\" * 1000000 + \"]\" * 1000000) | fromjson",
        "\"[\" + (\"1,\" * 1000000) + \"1]\" | fromjson | length",
        "[range(100000) | tostring] | join(\",\") | [splits(\"\")] | combinations",
        "\"a\" * 1000000 | [match(\"\"; \"g\")] | length",
        "\"a\" * 1000000 | gsub(\"\"; \"b\" * 1000)",
        "\"a\" * 1000000 | explode | implode | explode | map([., .]) | length",
        "[range(1000)] | [.[] as $a | .[] as $b | .[] as $c | $a] | length",
        "[range(1000)] | .[] as $a | .[] as $b | .[] as $c | empty",
        "[range(300)] | map(tojson) | [.[] as $a | .[] as $b | $a + $b] | [.[] as $a | .[] as $b | $a]",
        &doubled,
        &product,
    ];
    for source in cases {
        match bounded(source) {
            Err(ExprError::Exceeded(_) | ExprError::Failed(_)) => {}
            other => panic!("{source} gave {:.200}", format!("{other:?}")),
        }
    }
}

#[test]
fn regular_expressions_are_bounded() {
    let cases = [
        ("\"a\" * 50 + \"!\" | test(\"(a+)+$\")", "false"),
        ("\"a\" * 50 + \"!\" | test(\"^(a|a)*$\")", "false"),
        ("\"a\" * 100000 | test(\"(a{1,100}){1,100}b\")", "failed"),
        ("\"a\" * 100000 | test(\"(a{1,30}){1,30}b\")", "exceeded"),
        ("\"a\" * 20000 | test(\"(a{1,30}){1,30}b\")", "false"),
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
        let got = match bounded(source) {
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
        let result = bounded(source);
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
