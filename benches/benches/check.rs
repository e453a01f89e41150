//! A package of 1,000 steps: parse, check and plan, beside parsing the same YAML alone.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use se_benches::{checked, job, package};
use se_dsl::Options;
use se_runtime::Plan;

fn check(criterion: &mut Criterion) {
    let text = job(10, 100);
    let sources = package(10, 100);
    let done = checked(&sources);
    let mut group = criterion.benchmark_group("1000 steps");
    group.sample_size(20);
    group.bench_function("yaml alone", |bencher| {
        bencher.iter(|| {
            let value: serde_json::Value =
                serde_saphyr::from_str(black_box(&text)).expect("generated YAML is valid");
            black_box(value)
        });
    });
    group.bench_function("parse and check", |bencher| {
        bencher.iter(|| black_box(se_dsl::check(black_box(&sources), Options::default())));
    });
    group.bench_function("plan", |bencher| {
        bencher.iter(|| black_box(Plan::of_phase(std::sync::Arc::clone(&done), "main")));
    });
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
