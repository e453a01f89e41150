//! A package of 1,000 steps: parse, check and plan, beside parsing the same YAML alone with the parser
//! that `se-dsl` uses, and with the usual way from YAML to a value.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use granit_parser::Parser;
use se_benches::{checked, elapsed, job, package};
use se_dsl::Options;
use se_runtime::Plan;

const ROUNDS: u32 = 20;
const TIMES: u32 = 10;

fn main() {
    let text = job(10, 100);
    let sources = package(10, 100);
    let done = checked(&sources);
    let measured: [(&str, &dyn Fn()); 4] = [
        ("events of the same parser", &|| events(black_box(&text))),
        ("a value, by serde-saphyr", &|| value(black_box(&text))),
        ("parse and check", &|| {
            drop(black_box(se_dsl::check(
                black_box(&sources),
                Options::default(),
            )));
        }),
        ("plan", &|| {
            drop(black_box(Plan::of_phase(Arc::clone(&done), "main")));
        }),
    ];
    let mut sums = [Duration::ZERO; 4];
    for _ in 0..ROUNDS {
        for ((_, call), sum) in measured.iter().zip(&mut sums) {
            *sum += elapsed(TIMES, call);
        }
    }
    println!(
        "1,000 steps, {} kB; {ROUNDS} rounds of {TIMES} by turns: ms each, ratio to the events",
        text.len() / 1000
    );
    for ((name, _), sum) in measured.iter().zip(sums) {
        let each = sum.as_secs_f64() * 1e3 / f64::from(ROUNDS * TIMES);
        let ratio = sum.as_secs_f64() / sums[0].as_secs_f64();
        println!("  {name:<26} {each:>7.2} {ratio:>6.2}x");
    }
}

fn events(text: &str) {
    for event in Parser::new_from_str(text) {
        black_box(event.expect("generated YAML is valid"));
    }
}

fn value(text: &str) {
    let value: serde_json::Value = serde_saphyr::from_str(text).expect("generated YAML is valid");
    black_box(value);
}
