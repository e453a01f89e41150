//! The engine alone: no store, no devices.

use std::time::Instant;

use se_benches::run_on;
use se_runtime::Plan;

use crate::engine::{Immediate, acting, first, plan_of, pure};
use crate::work::Workload;

const EXPRESSION: &str = "${ runtime_env.worker_ip | ascii_upcase }";
const ROUNDS: usize = 21;

pub(crate) fn run(runtime: &tokio::runtime::Runtime, only: Option<usize>) {
    let shape = Workload::W1.shape();
    let plans = [
        (
            "a step that does nothing",
            plan_of(1, &acting(shape, "show")),
        ),
        (
            "a step with an expression",
            plan_of(1, &acting(shape, EXPRESSION)),
        ),
        ("a step that judges a text", plan_of(1, &pure(shape.rounds))),
    ];
    println!("in memory, one job of 1,000 steps one after the other, {ROUNDS} rounds:");
    let mut figures: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (at, (_, plan)) in plans.iter().enumerate() {
            if only.is_none_or(|it| it == at) {
                figures[at].push(once(runtime, plan));
            }
        }
    }
    for ((name, _), mut all) in plans.into_iter().zip(figures) {
        all.sort_by(f64::total_cmp);
        let [least, .., most] = all.as_slice() else {
            continue;
        };
        let median = all[all.len() / 2];
        println!(
            "  {name}: {median:.2} µs ({least:.2}-{most:.2}), {:.0} steps/s",
            1e6 / median
        );
    }
}

/// Microseconds a step.
fn once(runtime: &tokio::runtime::Runtime, plan: &Plan) -> f64 {
    let first = first("job", 1);
    let began = Instant::now();
    let log = runtime.block_on(run_on(plan, first, &Immediate));
    let took = began.elapsed().as_secs_f64() * 1e6;
    assert!(log.len() > 2 * plan.len(), "every step is in the log");
    took / plan.len() as f64
}
