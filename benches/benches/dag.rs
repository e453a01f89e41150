//! The engine without disk and devices: steps per second.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use se_benches::{checked, package, run};
use se_runtime::Plan;

fn dag(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for one thread needs nothing");
    let mut group = criterion.benchmark_group("dag");
    group.sample_size(10);
    for (name, devices, rounds) in [("1000 in sequence", 1, 1000), ("1000 x 10", 10, 1000)] {
        let plan = Plan::of_phase(checked(&package(devices, rounds)), "main")
            .expect("generated packages have a plan");
        group.throughput(Throughput::Elements(plan.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(runtime.block_on(run(&plan, devices, Duration::ZERO))));
        });
    }
    group.finish();
}

criterion_group!(benches, dag);
criterion_main!(benches);
