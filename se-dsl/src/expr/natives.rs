//! The filters of the language that are written in Rust.

mod basic;
mod encoding;
mod regexp;

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
    "sort",
    "sort_by",
    "group_by",
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
    "strftime",
    "gmtime",
    "strptime",
    "mktime",
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

/// Every native filter.
pub(super) fn all() -> impl Iterator<Item = Fun<Engine>> {
    let libraries = jaq_core::funs::<Engine>().chain(jaq_std::funs::<Engine>());
    libraries
        .filter(|(name, _, _)| TRUSTED.contains(name))
        .chain(basic::filters())
        .chain(encoding::filters())
        .chain(regexp::filters())
}
