//! The engine alone: no store, no devices.

use std::time::Instant;

use se_benches::run_on;
use se_runtime::Plan;

use crate::engine::{Immediate, acting, first, plan_of, pure};
use crate::work::Workload;

const ROUNDS: usize = 21;

pub(crate) fn run(runtime: &tokio::runtime::Runtime) {
    let shape = Workload::W1.shape();
    let no_op = plan_of(shape.width, &acting(shape));
    let computing = plan_of(1, &pure(shape.rounds));
    println!("in memory, one job of 1,000 steps one after the other, {ROUNDS} rounds:");
    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (plan, all) in [&no_op, &computing].into_iter().zip(&mut figures) {
            all.push(once(runtime, plan));
        }
    }
    let names = ["a step that does nothing", "a step with an expression"];
    for (name, mut all) in names.into_iter().zip(figures) {
        all.sort_by(f64::total_cmp);
        let median = all[ROUNDS / 2];
        println!(
            "  {name}: {:.2} µs ({:.2}-{:.2}), {:.0} steps/s",
            median,
            all[0],
            all[ROUNDS - 1],
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
