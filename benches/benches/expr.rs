//! Expressions beside jaq alone, with its own values and no bounds: the price of the sandbox.
//!
//! A million evaluations each, the two by turns, so that both see the same machine.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::time::Duration;

use jaq_json::Val;
use se_benches::{bare, elapsed, run_bare};
use se_dsl::expr::{Expr, Limits, Root, Scopes};
use serde_json::{Value, json};

const ROUNDS: u32 = 20;
const EVALUATIONS: u32 = 50_000;
const COMPILATIONS: u32 = 50;

/// A MiB of captured output, and a table.
fn vars() -> Value {
    let rows: Vec<Value> = (0..20)
        .map(|at| json!({ "name": format!("Gi0/{at}"), "up": at % 3 == 0 }))
        .collect();
    json!({
        "rtr01": { "show": "GigabitEthernet0/1 is up, line protocol is up", "n": 1 },
        "rows": rows,
        "large": "GigabitEthernet0/2 is down\n".repeat(40_000),
    })
}

fn programs() -> [(&'static str, String); 6] {
    let fields: Vec<_> = (0..20).map(|at| format!("f{at}: .vars.rtr01.n")).collect();
    let test = r#".vars.rtr01.show | test("line protocol is (up|down)")"#;
    let select = "[.vars.rows[] | select(.up) | .name]";
    [
        ("path", ".vars.rtr01.show".to_owned()),
        ("arithmetic", ".vars.rtr01.n + 1 > 1".to_owned()),
        (
            "contains",
            ".vars.rtr01.show | contains(\"protocol is up\")".to_owned(),
        ),
        ("select", select.to_owned()),
        ("20 fields", format!("{{{}}}", fields.join(", "))),
        ("test", test.to_owned()),
    ]
}

fn main() {
    let vars = vars();
    let mut scopes = Scopes::new();
    scopes.set(Root::Vars, &vars);
    let text = json!({ "vars": vars }).to_string();
    let input: Val = serde_json::from_str(&text).expect("JSON is a value");
    let limits = Limits::default();
    println!("microseconds each, {ROUNDS} rounds by turns: jaq alone, se-dsl, ratio");
    for (name, source) in programs() {
        let alone = || drop(black_box(bare(black_box(&source))));
        let ours = || drop(black_box(Expr::compile(black_box(&source))));
        compare(&format!("compile {name}"), COMPILATIONS, alone, ours);
        let (alone, ours) = (bare(&source), Expr::compile(&source));
        let ours = ours.expect("the program of the benchmark compiles");
        let alone = || drop(black_box(run_bare(&alone, black_box(&input))));
        let ours = || drop(black_box(ours.eval(black_box(&scopes), &limits)));
        compare(&format!("eval {name}"), EVALUATIONS, alone, ours);
    }
}

fn compare(what: &str, times: u32, alone: impl Fn(), ours: impl Fn()) {
    let (mut first, mut second) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        first += elapsed(times, &alone);
        second += elapsed(times, &ours);
    }
    let each = |all: Duration| all.as_secs_f64() * 1e6 / f64::from(ROUNDS * times);
    let ratio = second.as_secs_f64() / first.as_secs_f64();
    println!(
        "  {what:<18} {:>9.3} {:>9.3} {ratio:>6.2}x",
        each(first),
        each(second)
    );
}
