//! From the text of an expression to a program that can be run.

mod errors;
mod prelude;
mod term;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jaq_core::load::{Arena, File, Lexer, Loader, Parser};
use jaq_core::{Compiler, Filter};

use self::errors::Diagnoses;
use self::prelude::Prelude;
pub(super) use self::term::{Def, Term};
use super::eval::ExprError;
use super::natives::{self, Engine};
use super::reads::plain::{self, Plain};
use super::{Reads, reads, stack};

/// Longest source, in bytes.
const MAX_SOURCE: usize = 8 << 10;
/// Sources up to this length are parsed on the caller's stack, whatever they nest.
const INLINE_SOURCE: usize = 256;
/// Terms nested up to this level are compiled and run on the caller's stack.
pub(super) const INLINE_DEPTH: usize = 24;
/// Terms nested more are refused.
const MAX_DEPTH: usize = 1_000;

/// A compiled expression.
pub(super) struct Program {
    pub(super) source: String,
    pub(super) filter: Filter<Engine>,
    pub(super) reads: Reads,
    /// The path that it is, if it is nothing else.
    pub(super) plain: Option<Plain>,
    /// Whether running it needs a large stack for certain.
    pub(super) deep: bool,
}

/// Compiles `source`.
pub(super) fn compile(source: &str) -> Result<Program, Vec<ExprError>> {
    let invalid = |message: String| {
        vec![ExprError::Invalid {
            at: 0..source.len(),
            message,
            suggestion: None,
        }]
    };
    if source.len() > MAX_SOURCE {
        return Err(invalid(format!(
            "the expression is longer than {MAX_SOURCE} bytes; split it over several steps"
        )));
    }
    if source.len() <= INLINE_SOURCE {
        let term = parse(source)?;
        if term::depth(&term) <= INLINE_DEPTH {
            return build(source, term, false);
        }
    }
    let compiled = stack::on_large(|| {
        let term = parse(source)?;
        let depth = term::depth(&term);
        if depth > MAX_DEPTH {
            return Err(invalid(format!(
                "the expression is nested or chained more than {MAX_DEPTH} levels deep"
            )));
        }
        build(source, term, depth > INLINE_DEPTH)
    });
    let no_thread = || invalid("no thread could be started to compile the expression".into());
    compiled.unwrap_or_else(|| Err(no_thread()))
}

fn parse(source: &str) -> Result<Term<'_>, Vec<ExprError>> {
    let diagnoses = Diagnoses::new(source);
    let tokens = Lexer::new(source)
        .lex()
        .map_err(|errors| diagnoses.lexical(errors))?;
    Parser::new(&tokens)
        .parse(|parser| parser.term())
        .map_err(|errors| diagnoses.syntactic(errors))
}

fn build(source: &str, term: Term<'_>, deep: bool) -> Result<Program, Vec<ExprError>> {
    let diagnoses = Diagnoses::new(source);
    diagnoses.private_names(&term)?;
    let reads = reads::of(&term);
    let plain = plain::of(&term);
    let deep = deep || term::recurses_with_filters(&term);
    let filter = link(term, &diagnoses)?;
    Ok(Program {
        source: source.to_owned(),
        filter,
        reads,
        plain,
        deep,
    })
}

/// Compiles a term together with the definitions and natives that it reaches, and no others: a
/// program is then a few KiB, and compiling it takes microseconds.
fn link(term: Term<'_>, diagnoses: &Diagnoses<'_>) -> Result<Filter<Engine>, Vec<ExprError>> {
    // Private: an expression cannot call itself.
    const MAIN: &str = "_expression";
    let prelude = Prelude::get();
    let (mut defs, mut needed) = prelude.reached(&term);
    // The loader parses its main program from text, but takes definitions as they are.
    defs.push(Def {
        name: MAIN,
        args: Vec::new(),
        body: term::metered(term),
    });
    needed.extend([(natives::TICK, 0), (natives::DEEP_TICK, 0)]);
    let funs = natives::among(&needed);
    let file = File {
        code: MAIN,
        path: (),
    };
    let arena = Arena::default();
    let modules = Loader::new(defs)
        .load(&arena, file)
        .map_err(|_| diagnoses.whole("does not load"))?;
    Compiler::default()
        .with_funs(funs)
        .compile(modules)
        .map_err(|errors| diagnoses.undefined(errors.into_iter().flat_map(|(_, errors)| errors)))
}

/// The names that expressions can call, with their arities.
fn callable() -> &'static BTreeSet<(&'static str, usize)> {
    static CALLABLE: LazyLock<BTreeSet<(&str, usize)>> = LazyLock::new(|| {
        let all = Prelude::get().names().chain(natives::names());
        all.filter(|(name, _)| !is_private(name)).collect()
    });
    &CALLABLE
}

/// Filters that only the prelude calls.
fn is_private(name: &str) -> bool {
    const INTERNAL: &[&str] = &[
        "error_empty",
        "key_values",
        "min_by_or_empty",
        "max_by_or_empty",
        "encode_uri",
        "decode_uri",
        "encode_base64",
        "decode_base64",
        "encode_base32",
        "decode_base32",
    ];
    name.starts_with(['_', '!']) || INTERNAL.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{callable, compile, natives};

    /// Whether a source, which may call private filters, links.
    fn links(source: &str) -> bool {
        let term = super::parse(source).unwrap();
        super::link(term, &super::Diagnoses::new(source)).is_ok()
    }

    #[test]
    fn every_filter_of_the_language_finds_all_that_it_calls() {
        let private = natives::names();
        let prelude = super::Prelude::get().names();
        for (name, arity) in prelude
            .chain(private)
            .filter(|(name, _)| !name.starts_with('!'))
        {
            let args = vec!["."; arity].join("; ");
            let source = if arity == 0 {
                name.to_owned()
            } else {
                format!("{name}({args})")
            };
            assert!(links(&source), "{source}");
        }
    }

    #[test]
    fn what_can_be_called_compiles() {
        for &(name, arity) in callable() {
            let args = vec!["."; arity].join("; ");
            let source = if arity == 0 {
                name.to_owned()
            } else {
                format!("{name}({args})")
            };
            assert!(compile(&source).is_ok(), "{source}");
        }
    }

    #[test]
    fn an_expression_cannot_call_itself() {
        for source in ["expression", "_expression", "def f: expression; f"] {
            assert!(compile(source).is_err(), "{source}");
        }
        assert!(compile("def expression: 1; expression").is_ok());
    }

    #[test]
    fn trusted_natives_exist() {
        for name in natives::TRUSTED {
            assert!(natives::names().any(|(it, _)| it == *name), "{name}");
        }
    }
}
