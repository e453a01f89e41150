//! The filters of the language that are written in Rust.

mod basic;
mod encoding;
mod regexp;
mod sorting;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jaq_core::native::Fun;
use jaq_core::{DataT, Lut, data::HasLut};

use super::scopes::Scopes;
use super::value::Val;

pub(super) use basic::{DEEP_TICK, TICK};

/// What the interpreter is instantiated with.
pub(super) struct Engine;

/// What native filters can reach while a program runs.
#[derive(Clone)]
pub(super) struct Data<'a> {
    lut: &'a Lut<Engine>,
    scopes: &'a Scopes,
}

impl<'a> Data<'a> {
    pub(super) fn new(lut: &'a Lut<Engine>, scopes: &'a Scopes) -> Self {
        Self { lut, scopes }
    }
}

impl<'a> HasLut<'a, Engine> for Data<'a> {
    fn lut(&self) -> &'a Lut<Engine> {
        self.lut
    }
}

impl DataT for Engine {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

/// The natives of the engine's own libraries that content may call: they depend on nothing but
/// their input, and take work in proportion to it.
pub(super) const TRUSTED: &[&str] = &[
    "error_empty",
    "path",
    "key_values",
    "first",
    "last",
    "limit",
    "skip",
    "floor",
    "round",
    "ceil",
    "utf8bytelength",
    "explode",
    "implode",
    "ascii_downcase",
    "ascii_upcase",
    "reverse",
    "min_by_or_empty",
    "max_by_or_empty",
    "startswith",
    "endswith",
    "trim",
    "ltrim",
    "rtrim",
    "encode_uri",
    "decode_uri",
    "encode_base64",
    "decode_base64",
    "fromdateiso8601",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "exp",
    "exp10",
    "exp2",
    "expm1",
    "fabs",
    "frexp",
    "ilogb",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "modf",
    "nearbyint",
    "rint",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "tgamma",
    "trunc",
    "atan2",
    "copysign",
    "fdim",
    "fmax",
    "fmin",
    "fmod",
    "hypot",
    "ldexp",
    "nextafter",
    "pow",
    "remainder",
    "scalbln",
    "fma",
];

/// Filters of the libraries that the prelude wraps: by themselves they overflow on times that are
/// none, and format without bound.
const WRAPPED: &[(&str, &str)] = &[
    ("gmtime", "_gmtime"),
    ("mktime", "_mktime"),
    ("strftime", "_strftime"),
    ("strptime", "_strptime"),
];

type Signature<'s> = (&'s str, usize);

/// A library of natives. Their pointers cannot be copied, so each program has them made anew; which
/// names a library has is asked once.
struct Library {
    make: fn() -> Vec<Fun<Engine>>,
    names: BTreeSet<Signature<'static>>,
}

static LIBRARIES: LazyLock<Vec<Library>> = LazyLock::new(|| {
    let makers: [fn() -> Vec<Fun<Engine>>; 6] = [
        || basic::filters().collect(),
        || sorting::filters().collect(),
        || encoding::filters().collect(),
        || regexp::filters().collect(),
        || jaq_core::funs().filter_map(trusted).collect(),
        || jaq_std::funs().filter_map(trusted).collect(),
    ];
    let library = |make: fn() -> Vec<Fun<Engine>>| {
        let names = make().into_iter().map(|(name, args, _)| (name, args.len()));
        let names = names.collect();
        Library { make, names }
    };
    makers.into_iter().map(library).collect()
});

fn trusted((name, args, native): Fun<Engine>) -> Option<Fun<Engine>> {
    if let Some((_, renamed)) = WRAPPED.iter().find(|(it, _)| *it == name) {
        return Some((*renamed, args, native));
    }
    TRUSTED.contains(&name).then_some((name, args, native))
}

/// The names and arities of all native filters.
pub(super) fn names() -> impl Iterator<Item = Signature<'static>> {
    LIBRARIES.iter().flat_map(|it| it.names.iter().copied())
}

/// The native filters among `needed`.
pub(super) fn among(needed: &BTreeSet<Signature<'_>>) -> impl Iterator<Item = Fun<Engine>> {
    let has_any = |library: &&Library| needed.iter().any(|it| library.names.contains(it));
    LIBRARIES
        .iter()
        .filter(has_any)
        .flat_map(|library| (library.make)())
        .filter(|(name, args, _)| needed.contains(&(*name, args.len())))
}
