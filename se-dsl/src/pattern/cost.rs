//! What matching may cost, told before it starts.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::Flags;

/// How many positions a pattern has with its counted repetitions written out.
///
/// A linear engine that finds no shortcut keeps up to all of them alive at every byte of the text,
/// so positions times bytes bounds the work of one search. A pattern that does not parse has more
/// positions than any bound admits.
pub(crate) fn positions(source: &str, flags: Flags, extended: bool) -> usize {
    ParserBuilder::new()
        .multi_line(flags.multiline)
        .dot_matches_new_line(flags.dotall)
        .case_insensitive(flags.ignorecase)
        .ignore_whitespace(extended)
        .build()
        .parse(source)
        .map_or(usize::MAX, |parsed| in_part(&parsed).max(1))
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
    use super::{Flags, positions};

    #[test]
    fn counted_repetitions_are_written_out() {
        let cases = [
            ("abc", 3),
            ("a+b*", 2),
            ("a{3}", 3),
            ("(ab){2,5}c", 11),
            ("(a{1,100}){1,100}b", 10_001),
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
        assert_eq!(positions("(a{9} ) {9} # b", Flags::none(), true), 81);
    }
}
