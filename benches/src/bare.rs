//! jaq alone, with its own values and no bounds: what the expressions of SE are measured against.

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::Val;

/// A program of jaq.
pub type Bare = jaq_core::Filter<JustLut<Val>>;

/// Compiles it.
///
/// # Panics
/// If it does not compile: then there is nothing to measure.
#[must_use]
pub fn bare(source: &str) -> Bare {
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

/// Its outputs for an input.
///
/// # Panics
/// If one of them is an error.
#[must_use]
pub fn run_bare(filter: &Bare, input: &Val) -> Vec<Val> {
    let context = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    filter
        .id
        .run((context, input.clone()))
        .map(|output| unwrap_valr(output).expect("the program of the benchmark gives values"))
        .collect()
}
