//! Expressions written without quotes: `as: ${ {a: .b} }` is no YAML, and means what it looks like.
//!
//! The parser gets a copy of the text in which such an expression is replaced by as many bytes of
//! filler, so that every position stays that of the file as written; the tree gets the text back.

use std::ops::Range;

/// One expression: its bytes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A private-use character: three bytes that no document has a reason to hold.
const FILLER: &str = "\u{F8D7}";
/// Pads filler to a length; never stands alone.
const PAD: char = '_';

/// The expressions that start a value outside quotes and close on their line.
pub(super) fn find(text: &str) -> Vec<Mask> {
    if text.contains(FILLER) {
        return Vec::new();
    }
    let mut masks = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.contains("${") {
            masks.extend(in_line(line).into_iter().map(|at| Mask {
                start: start + at.start,
                end: start + at.end,
            }));
        }
        start += line.len();
    }
    masks
}

/// The text with every mask filled in.
pub(super) fn apply(text: &str, masks: &[Mask]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for mask in masks {
        masked.push_str(&text[from..mask.start]);
        masked.push_str(&filler(mask.end - mask.start));
        from = mask.end;
    }
    masked.push_str(&text[from..]);
    masked
}

/// A scalar's value with the expressions that `masks` stand for put back.
pub(super) fn restore(value: &str, text: &str, masks: &[Mask]) -> String {
    let mut restored = String::with_capacity(value.len());
    let mut rest = value;
    for mask in masks {
        let filler = filler(mask.end - mask.start);
        let Some((before, after)) = rest.split_once(&filler) else {
            continue;
        };
        restored.push_str(before);
        restored.push_str(&text[mask.start..mask.end]);
        rest = after;
    }
    restored.push_str(rest);
    restored
}

/// Whether an expression cannot stand without quotes.
pub(super) fn needs_quotes(expression: &str, in_flow: bool) -> bool {
    expression.contains(": ")
        || expression.contains(" #")
        || (in_flow && expression.contains(['{', '}', '[', ']', ',']))
}

/// Exactly `bytes` bytes; an expression has at least the three of `${}`.
fn filler(bytes: usize) -> String {
    let mut filler = FILLER.to_owned();
    filler.extend(std::iter::repeat_n(PAD, bytes.saturating_sub(FILLER.len())));
    filler
}

fn in_line(line: &str) -> Vec<Range<usize>> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    // Whether a value may start here: then a quote opens a quoted text.
    let mut at_value = true;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' if at_value => at = close_quote(bytes, at),
            b'#' if at == 0 || bytes[at - 1] == b' ' => break,
            b'$' if at_value && bytes.get(at + 1) == Some(&b'{') => {
                let Some(end) = close_brace(bytes, at + 2) else {
                    break;
                };
                if line[..at].trim_end().ends_with([':', '-']) {
                    found.push(at..end);
                }
                at = end;
                at_value = false;
                continue;
            }
            _ => {}
        }
        at_value = match byte {
            b' ' => at_value || at > 0 && matches!(bytes[at - 1], b':' | b'-'),
            b'{' | b'[' | b',' => true,
            _ => false,
        };
        at += 1;
    }
    found
}

/// The byte of the quote that closes the one at `open`, or the last byte.
fn close_quote(bytes: &[u8], open: usize) -> usize {
    let quote = bytes[open];
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            byte if *byte == quote => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len().saturating_sub(1)
}

/// One past the brace that closes an expression whose text starts at `from`, by jq's lexical rules.
fn close_brace(bytes: &[u8], from: usize) -> Option<usize> {
    // What is open: `{`, `(` (of an interpolation, too), `"`.
    let mut open = vec![b'{'];
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        let in_text = open.last() == Some(&b'"');
        match (in_text, byte) {
            (true, b'\\') => {
                at += 1;
                if bytes.get(at) == Some(&b'(') {
                    open.push(b'(');
                }
            }
            (true, b'"') | (false, b'}' | b')') => drop(open.pop()),
            (false, b'"' | b'{' | b'(') => open.push(*byte),
            _ => {}
        }
        at += 1;
        if open.is_empty() {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{apply, find, restore};

    fn masked(line: &str) -> Vec<&str> {
        find(line)
            .iter()
            .map(|mask| &line[mask.start..mask.end])
            .collect()
    }

    #[test]
    fn expressions_that_start_a_value_outside_quotes_are_found() {
        for (line, expected) in [
            ("as: ${ {a: .b} }", &["${ {a: .b} }"][..]),
            ("  - as: ${ {a: \"}\"} } # why", &["${ {a: \"}\"} }"]),
            ("  - ${ {a: .b} }", &["${ {a: .b} }"]),
            (
                "a: { b: ${ {x: 1} }, c: ${ .d } }",
                &["${ {x: 1} }", "${ .d }"],
            ),
            ("a: \"${ {a: .b} }\"", &[]),
            ("a: \"x: ${ {a: .b} }\"", &[]),
            ("a: 'x: ${ {a: .b} }'", &[]),
            ("a: text ${ .b }", &[]),
            ("# a: ${ .b }", &[]),
            ("a: ${ .b", &[]),
            ("a: ${ \"\\( {a: 1} )\" }", &["${ \"\\( {a: 1} )\" }"]),
        ] {
            assert_eq!(masked(line), expected, "{line}");
        }
    }

    #[test]
    fn filler_is_as_long_as_what_it_stands_for() {
        let text = "a: ${}\nb: ${ {é: 1} }\n";
        let masks = find(text);
        let filled = apply(text, &masks);
        assert_eq!(filled.len(), text.len());
        assert_eq!(restore(&filled, text, &masks), text);
    }
}
