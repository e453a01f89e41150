//! Expressions beside jaq alone, with its own values and no bounds: the price of the sandbox.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::Val;
use se_dsl::expr::{Expr, Limits, Root, Scopes};
use serde_json::{Value, json};

type Bare = jaq_core::Filter<JustLut<Val>>;

fn bare(source: &str) -> Bare {
    let arena = Arena::default();
    let defs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let file = File {
        code: source,
        path: (),
    };
    let modules = Loader::new(defs)
        .load(&arena, file)
        .expect("the program of the benchmark parses");
    let funs = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    Compiler::default()
        .with_funs(funs)
        .compile(modules)
        .expect("the program of the benchmark compiles")
}

fn run_bare(filter: &Bare, input: &Val) -> Vec<Val> {
    let context = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    filter
        .id
        .run((context, input.clone()))
        .map(|output| unwrap_valr(output).expect("the program of the benchmark gives values"))
        .collect()
}

/// A MiB of captured output.
fn vars() -> Value {
    json!({
        "rtr01": { "show": "GigabitEthernet0/1 is up, line protocol is up", "n": 1 },
        "large": "GigabitEthernet0/2 is down\n".repeat(40_000),
    })
}

fn programs() -> [(&'static str, String); 3] {
    let fields: Vec<_> = (0..20).map(|at| format!("f{at}: .vars.rtr01.n")).collect();
    [
        ("path", ".vars.rtr01.show".to_owned()),
        ("20 fields", format!("{{{}}}", fields.join(", "))),
        (
            "test",
            r#".vars.rtr01.show | test("line protocol is (up|down)")"#.to_owned(),
        ),
    ]
}

fn expr(criterion: &mut Criterion) {
    let vars = vars();
    let mut scopes = Scopes::new();
    scopes.set(Root::Vars, &vars);
    let text = json!({ "vars": vars }).to_string();
    let input: Val = serde_json::from_str(&text).expect("JSON is a value");
    let limits = Limits::default();
    for (name, source) in programs() {
        let mut compile = criterion.benchmark_group(format!("compile {name}"));
        compile.bench_function("jaq alone", |it| it.iter(|| bare(black_box(&source))));
        compile.bench_function("se-dsl", |it| it.iter(|| Expr::compile(black_box(&source))));
        compile.finish();

        let (alone, ours) = (bare(&source), Expr::compile(&source));
        let ours = ours.expect("the program of the benchmark compiles");
        let mut eval = criterion.benchmark_group(format!("eval {name}"));
        eval.bench_function("jaq alone", |it| {
            it.iter(|| run_bare(&alone, black_box(&input)))
        });
        eval.bench_function("se-dsl", |it| {
            it.iter(|| ours.eval(black_box(&scopes), &limits))
        });
        eval.finish();
    }
}

criterion_group!(benches, expr);
criterion_main!(benches);
