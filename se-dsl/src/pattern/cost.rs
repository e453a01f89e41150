//! What matching may cost, told before it starts.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::Flags;

/// How many positions a pattern has with its counted repetitions written out.
///
/// A linear engine that finds no shortcut keeps up to all of them alive at every byte of the text,
/// so positions times bytes bounds the work of one search. Where counted repetitions are nested,
/// each counts several times. A pattern that does not parse has more
/// positions than any bound admits.
pub(crate) fn positions(source: &str, flags: Flags, extended: bool) -> usize {
    ParserBuilder::new()
        .multi_line(flags.multiline)
        .dot_matches_new_line(flags.dotall)
        .case_insensitive(flags.ignorecase)
        .ignore_whitespace(extended)
        .build()
        .parse(source)
        .map_or(usize::MAX, |parsed| {
            let factor = if nests_counts(&parsed, false) {
                NESTED
            } else {
                1
            };
            in_part(&parsed).max(1).saturating_mul(factor)
        })
}

/// A position inside two counted repetitions is reached on many ways, and costs that much more.
const NESTED: usize = 12;

fn nests_counts(part: &Hir, counted: bool) -> bool {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) | HirKind::Literal(_) => false,
        HirKind::Capture(group) => nests_counts(&group.sub, counted),
        HirKind::Repetition(repetition) => {
            let counts = repetition.max.unwrap_or(repetition.min) > 1;
            counted && counts || nests_counts(&repetition.sub, counted || counts)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().any(|part| nests_counts(part, counted))
        }
    }
}

/// Look-arounds, back-references and the like that a pattern may have: what is between them is
/// compiled by itself, each up to the limit of size.
pub(crate) const MOST_PARTS: usize = 15;

/// How many of them a pattern has, at most.
pub(crate) fn parts(source: &str) -> usize {
    const OPENINGS: &[&str] = &[
        "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?(", "(?~", "(?|", "++", "*+", "?+", "}+",
    ];
    let openings: usize = OPENINGS.iter().map(|it| source.matches(it).count()).sum();
    let references = source.split('\\').skip(1).filter(|rest| {
        rest.starts_with(|c: char| matches!(c, '1'..='9' | 'k' | 'K' | 'G' | 'g' | 'X' | 'R'))
    });
    openings + references.count()
}

/// Parsing bounds how deep parts nest, and with it this recursion.
fn in_part(part: &Hir) -> usize {
    match part.kind() {
        HirKind::Empty => 0,
        HirKind::Look(_) | HirKind::Class(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Capture(group) => in_part(&group.sub),
        HirKind::Repetition(repetition) => {
            let written = repetition.max.unwrap_or(repetition.min).max(1);
            // What matches nothing is still tried each time.
            in_part(&repetition.sub)
                .max(1)
                .saturating_mul(written as usize)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(in_part(part))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, NESTED, positions};

    #[test]
    fn counted_repetitions_are_written_out() {
        let cases = [
            ("abc", 3),
            ("a+b*", 2),
            ("a{3}", 3),
            ("(ab){2,5}c", 11),
            ("([0-9]{1,3}[.]){3}", NESTED * 12),
            ("(a{1,100}){1,100}b", NESTED * 10_001),
            ("[^]a]{4}", 4),
            ("[\\]{9}(]{4}", 4),
            ("\\p{Greek}{3}", 3),
            ("\\{2", 2),
            ("", 1),
            ("(", usize::MAX),
        ];
        for (source, expected) in cases {
            assert_eq!(
                positions(source, Flags::none(), false),
                expected,
                "{source}"
            );
        }
        assert_eq!(
            positions("(a{9} ) {9} # b", Flags::none(), true),
            NESTED * 81
        );
    }
}
