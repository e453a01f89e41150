//! What authors are told about an expression that does not compile or fails.

use se_dsl::expr::{Expr, ExprError};
use serde_json::json;

use super::eval_on;

/// `bytes at fault: message (suggestion)`, one line per error.
fn diagnosis(source: &str) -> String {
    let errors = Expr::compile(source).err().unwrap_or_default();
    let lines = errors.into_iter().map(|error| match error {
        ExprError::Invalid {
            at,
            message,
            suggestion,
        } => {
            let at = &source[at];
            match suggestion {
                Some(suggestion) => format!("[{at}] {message} ({suggestion})"),
                None => format!("[{at}] {message}"),
            }
        }
        other => panic!("{source}: {other:?}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

const SANDBOX: &str =
    "expressions have no environment, clock, files, input, modules or debug output";

#[test]
fn errors_name_the_place_and_what_is_near() {
    let cases = [
        ("vars.x |", "[] expected term, found the end"),
        ("", "[] the expression is empty"),
        (" # only a comment", "[] expected term, found the end"),
        (
            "(1",
            "[] expected a closing parenthesis, found the end of the expression",
        ),
        (
            "\"abc",
            "[] expected a closing quote, found the end of the expression",
        ),
        (
            "\"a\\q\"",
            "[q] expected a string escape sequence, found `q`",
        ),
        ("vars & 1", "[&] `&` has no meaning here"),
        (
            "1 2",
            "[2] `2` does not belong here; is an operator missing before it?",
        ),
        ("if 1 then 2", "[] expected else or end, found the end"),
        (
            "vars.list | lenght",
            "[lenght] there is no filter `lenght` (length)",
        ),
        ("var.x", "[var] there is no filter `var` (vars)"),
        (
            "$vars.x",
            "[$vars] there is no variable `$vars`; scopes are written without `$` (vars)",
        ),
        (
            "$x",
            "[$x] there is no variable `$x`; bind it with `… as $x | …`",
        ),
        (
            "frobnicate(1)",
            "[frobnicate] there is no filter `frobnicate`",
        ),
        ("vars | test", "[test] `test` takes 1 or 2 arguments, not 0"),
        (
            "vars.collect-it.x",
            "[collect-it] `collect-it` reads as a subtraction; write .[\"collect-it\"] ([\"collect-it\"])",
        ),
        (
            "vars.a-b-c",
            "[a-b-c] `a-b-c` reads as a subtraction; write .[\"a-b-c\"] ([\"a-b-c\"])\n[a-b-c] `a-b-c` reads as a subtraction; write .[\"a-b-c\"] ([\"a-b-c\"])",
        ),
        (
            "nope1, nope2",
            "[nope1] there is no filter `nope1`\n[nope2] there is no filter `nope2`",
        ),
        (
            "_match(\"a\"; null)",
            "[_match] there is no filter `_match` (match)",
        ),
        ("break $out", "[$out] there is no label `$out`"),
    ];
    for (source, expected) in cases {
        assert_eq!(diagnosis(source), expected, "{source}");
    }
}

#[test]
fn the_world_is_not_there() {
    for name in [
        "env",
        "input",
        "inputs",
        "debug",
        "stderr",
        "halt",
        "halt_error",
        "now",
        "localtime",
        "strflocaltime",
        "input_filename",
        "input_line_number",
        "$ENV",
        "$__loc__",
        "$__prog_args",
        "get_search_list",
        "modulemeta",
        "builtins",
    ] {
        assert_eq!(
            diagnosis(name),
            format!("[{name}] there is no `{name}`: {SANDBOX}")
        );
    }
    for name in ["import", "include"] {
        let source = format!("{name} \"a\" as a; 1");
        assert_eq!(
            diagnosis(&source),
            format!("[{name}] there is no `{name}`: {SANDBOX}")
        );
    }
}

#[test]
fn long_and_deep_sources_are_refused() {
    let long = format!("\"{}\"", "x".repeat(9_000));
    let deep = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
    for (source, expected) in [
        (
            long,
            "the expression is longer than 8192 bytes; split it over several steps",
        ),
        (
            deep,
            "the expression is nested or chained more than 1000 levels deep",
        ),
    ] {
        let errors = Expr::compile(&source).unwrap_err();
        assert_eq!(errors[0].to_string(), expected);
    }
}

#[test]
fn failures_read_as_in_jq() {
    let cases = [
        (json!(1), "vars.a", "Cannot index number with \"a\""),
        (json!([1]), "vars.a", "Cannot index array with \"a\""),
        (json!({}), "vars[0]", "Cannot index object with number"),
        (json!(1), "vars[]", "Cannot iterate over number (1)"),
        (json!(null), "vars[]", "Cannot iterate over null"),
        (
            json!({}),
            "vars + 1",
            "object ({}) and number (1) cannot be added",
        ),
        (
            json!(1),
            "vars / 0",
            "number (1) and number (0) cannot be divided because the divisor is zero",
        ),
        (json!("a"), "vars | error", "a"),
        (json!({"a": 1}), "error(vars)", "(not a string): {\"a\":1}"),
        (
            json!("x"),
            "vars | tonumber",
            "Cannot parse \"x\" as a number",
        ),
        (
            json!(1),
            "{(vars): 1}",
            "Object keys must be strings, not number (1)",
        ),
        (
            json!("a"),
            "vars | test(\"(\")",
            "( (at offset 0) is not a valid regex: unclosed group",
        ),
    ];
    for (input, source, expected) in cases {
        let error = eval_on(source, &input).unwrap_err();
        assert_eq!(error, ExprError::Failed(expected.into()), "{source}");
    }
}
