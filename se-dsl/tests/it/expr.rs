//! Expressions: what they compute, what stops them, what they read.

mod conformance;
mod hostile;
mod jq;
mod messages;
mod reads;
mod scopes;
mod templates;

use se_dsl::expr::{Expr, ExprError, Limits, Root, Scopes};
use serde_json::{Value, json};

/// Compiles and evaluates `source`.
fn eval(source: &str, scopes: &Scopes) -> Result<Value, ExprError> {
    let expr = Expr::compile(source).map_err(|mut errors| errors.remove(0))?;
    expr.eval(scopes, &Limits::default())
}

/// Evaluates with `input` as `vars`.
fn eval_on(source: &str, input: &Value) -> Result<Value, ExprError> {
    let mut scopes = Scopes::new();
    scopes.set(Root::Vars, input);
    eval(source, &scopes)
}

fn pod() -> Scopes {
    let mut scopes = Scopes::new();
    scopes.set(Root::Session, &json!({"track": "ccnp", "candidate_id": 7}));
    scopes.set(
        Root::RuntimeEnv,
        &json!({"devices": {"rtr01": {"serial_port": 2001}, "sw-01": {"serial_port": 2002}}}),
    );
    scopes.set(
        Root::Vars,
        &json!({"ok": true, "list": [3, 1, 2], "a": {"b": null}}),
    );
    scopes
}

#[test]
fn scopes_are_filters_and_keys_of_the_input() {
    let cases = [
        ("session.track", json!("ccnp")),
        (".session.track", json!("ccnp")),
        ("runtime_env.devices.rtr01.serial_port", json!(2001)),
        ("runtime_env.devices[\"sw-01\"].serial_port", json!(2002)),
        ("vars.list | sort | first", json!(1)),
        ("vars.nothing.below", json!(null)),
        ("parameters", json!({})),
        (
            "keys",
            json!(["content", "parameters", "runtime_env", "session", "vars"]),
        ),
        (
            "if vars.ok then session.candidate_id + 1 else 0 end",
            json!(8),
        ),
        ("[vars.list[] | . * 2]", json!([6, 2, 4])),
        ("\"\\(session.track)-\\(vars.list)\"", json!("ccnp-[3,1,2]")),
    ];
    for (source, expected) in cases {
        assert_eq!(eval(source, &pod()), Ok(expected), "{source}");
    }
}

#[test]
fn outputs_become_null_one_value_or_an_array() {
    let cases = [
        ("empty", json!(null)),
        ("1", json!(1)),
        ("1, 2", json!([1, 2])),
        ("vars.list[]", json!([3, 1, 2])),
    ];
    for (source, expected) in cases {
        assert_eq!(eval(source, &pod()), Ok(expected), "{source}");
    }
}

#[test]
fn compiled_expressions_and_scopes_go_between_threads() {
    fn shareable<T: Send + Sync + Clone + 'static>() {}
    shareable::<Expr>();
    shareable::<Scopes>();
    shareable::<se_dsl::expr::Template>();
    let (expr, scopes) = (Expr::compile("vars.list | add").unwrap(), pod());
    let threads = (0..4).map(|_| {
        let (expr, scopes) = (expr.clone(), scopes.clone());
        std::thread::spawn(move || expr.eval(&scopes, &Limits::default()))
    });
    for thread in threads.collect::<Vec<_>>() {
        assert_eq!(thread.join().unwrap(), Ok(json!(6)));
    }
}
