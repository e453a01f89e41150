//! Finding the expressions in a string.

use std::ops::Range;

/// A stretch of a string.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text, with `$${` already read as `${`.
    Literal(String),
    /// The bytes between `${` and `}`.
    Expr(Range<usize>),
    /// The bytes from an `${` that is never closed.
    Unclosed(Range<usize>),
}

/// Cuts `text` at its expressions.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${").map(|it| at + it) {
        if text[at..found].ends_with('$') {
            literal.push_str(&text[at..found - 1]);
            literal.push_str("${");
            at = found + 2;
            continue;
        }
        literal.push_str(&text[at..found]);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        let start = found + 2;
        let Some(end) = closing(text, start) else {
            pieces.push(Piece::Unclosed(found..text.len()));
            return pieces;
        };
        pieces.push(Piece::Expr(start..end));
        at = end + 1;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    pieces
}

/// What the scanner is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Brace,
    /// A parenthesis or bracket.
    Bracket,
    String,
}

/// The byte of the `}` that closes the expression starting at byte `start`.
fn closing(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = vec![Inside::Brace];
    let mut at = start;
    while at < bytes.len() {
        let inside = *open.last()?;
        match (inside, bytes[at]) {
            (Inside::String, b'\\') => {
                at += 1;
                // `\(` is an expression in the string, ended by its `)`.
                if bytes.get(at) == Some(&b'(') {
                    open.push(Inside::Bracket);
                }
            }
            (Inside::String, b'"') => drop(open.pop()),
            (Inside::String, _) => {}
            (_, b'"') => open.push(Inside::String),
            (_, b'#') => {
                let rest = &bytes[at..];
                at += rest
                    .iter()
                    .position(|it| *it == b'\n')
                    .unwrap_or(rest.len());
            }
            (_, b'{') => open.push(Inside::Brace),
            (_, b'(' | b'[') => open.push(Inside::Bracket),
            (Inside::Bracket, b')' | b']') => drop(open.pop()),
            (Inside::Bracket, b'}') => {
                // A bracket that is never closed: its expression ends at the brace around it, and
                // the parser tells what is missing.
                while open.last() == Some(&Inside::Bracket) {
                    open.pop();
                }
                continue;
            }
            (Inside::Brace, b'}') if open.len() == 1 => return Some(at),
            (Inside::Brace, b'}') => drop(open.pop()),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Piece, pieces};

    fn shown(text: &str) -> Vec<String> {
        let pieces = pieces(text).into_iter().map(|piece| match piece {
            Piece::Literal(literal) => format!("text:{literal}"),
            Piece::Expr(at) => format!("expr:{}", &text[at]),
            Piece::Unclosed(at) => format!("open:{}", &text[at]),
        });
        pieces.collect()
    }

    #[test]
    fn expressions_end_where_jq_ends_them() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("plain $5 {x}", &["text:plain $5 {x}"]),
            ("${a}", &["expr:a"]),
            ("${a}${b}", &["expr:a", "expr:b"]),
            ("x ${ a } y", &["text:x ", "expr: a ", "text: y"]),
            ("${ {a: {b: \"}\"}} }", &["expr: {a: {b: \"}\"}} "]),
            ("${ \"\\(\"}\")}\" }", &["expr: \"\\(\"}\")}\" "]),
            ("${ \"\\\"}\" }", &["expr: \"\\\"}\" "]),
            (
                "${ \"\\({a: \"\\(1)}\"})\" }!",
                &["expr: \"\\({a: \"\\(1)}\"})\" ", "text:!"],
            ),
            ("${ a # }\n }", &["expr: a # }\n "]),
            ("$${ a }", &["text:${ a }"]),
            ("$$${ a }", &["text:$${ a }"]),
            ("a$${b}${c}", &["text:a${b}", "expr:c"]),
            ("${ (a }", &["expr: (a "]),
            ("${ {a: [1 } } x", &["expr: {a: [1 } ", "text: x"]),
            ("é${ \"é}\" }é", &["text:é", "expr: \"é}\" ", "text:é"]),
            ("${ a", &["open:${ a"]),
            ("b ${ \"}", &["text:b ", "open:${ \"}"]),
            ("${ a # }", &["open:${ a # }"]),
            ("${", &["open:${"]),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), *expected, "{text}");
        }
    }
}
