//! Where the bytes of a text stand in its file.

use std::ops::Range;

use crate::source::Span;

/// Text and where each part of it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// The text.
    pub(crate) value: String,
    place: Place,
}

/// Where the bytes of a text stand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere in particular (folded text).
    Nowhere,
    /// One by one from this byte of the file on.
    From(u32),
    /// In runs that stand in the file as they are, in order.
    Pieces(Box<[Piece]>),
}

impl Place {
    /// From that byte on; no document is so large that it could not be told.
    fn from(start: usize) -> Self {
        u32::try_from(start).map_or(Self::Nowhere, Self::From)
    }
}

/// From byte `value` of a text on, bytes stand in the file one by one from byte `file` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    value: usize,
    file: usize,
}

impl Text {
    /// Text that stands in the file as `raw`, from byte `start` on, or else nowhere in particular.
    pub(super) fn plain(value: String, raw: &str, start: usize) -> Self {
        let place = if value == raw {
            Place::from(start)
        } else {
            Place::Nowhere
        };
        Self { value, place }
    }

    /// Text in quotes; `raw` has the quotes and starts at byte `start`.
    pub(super) fn quoted(value: String, raw: &str, start: usize) -> Self {
        let quote = raw.chars().next().unwrap_or('"');
        let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
        if value == inner {
            let place = Place::from(start + 1);
            return Self { value, place };
        }
        let (read, pieces) = unescape(inner, quote, start + 1);
        let place = if read == value {
            Place::Pieces(pieces.into_boxed_slice())
        } else {
            Place::Nowhere
        };
        Self { value, place }
    }

    /// A `|` block whose header or first line lies at byte `start` of `file`.
    pub(super) fn literal(value: String, file: &str, start: usize) -> Self {
        let mut pieces = Vec::new();
        let mut at = first_content_line(file, start);
        let mut offset = 0;
        for line in value.split_inclusive('\n') {
            let text = line.trim_end_matches('\n');
            let end = file[at..].find('\n').map_or(file.len(), |n| at + n);
            let raw = file[at..end].trim_end_matches('\r');
            if !raw.ends_with(text) {
                let place = Place::Nowhere;
                return Self { value, place };
            }
            pieces.push(Piece {
                value: offset,
                file: at + raw.len() - text.len(),
            });
            offset += line.len();
            at = (end + 1).min(file.len());
        }
        let place = Place::Pieces(pieces.into_boxed_slice());
        Self { value, place }
    }

    /// Where a range of its bytes stands; `whole` if that cannot be told.
    pub(crate) fn span_of(&self, range: &Range<usize>, whole: Span) -> Span {
        let Some(start) = self.place(range.start) else {
            return whole;
        };
        let end = match range.end.checked_sub(1) {
            Some(last) if range.end > range.start => self.place(last).map(|at| at + 1),
            _ => Some(start),
        };
        Span::new(whole.file, start, end.unwrap_or(start).max(start))
    }

    fn place(&self, at: usize) -> Option<usize> {
        match &self.place {
            Place::Nowhere => None,
            Place::From(start) => Some(*start as usize + at),
            Place::Pieces(pieces) => {
                let next = pieces.partition_point(|piece| piece.value <= at);
                let piece = pieces.get(next.checked_sub(1)?)?;
                Some(piece.file + (at - piece.value))
            }
        }
    }
}

/// The line after the header if `start` lies on the header, else the line of `start`.
fn first_content_line(file: &str, start: usize) -> usize {
    let start = start.min(file.len());
    if file[start..].starts_with(['|', '>']) {
        return file[start..]
            .find('\n')
            .map_or(file.len(), |at| start + at + 1);
    }
    file[..start].rfind('\n').map_or(0, |at| at + 1)
}

/// What a quoted text on one line says, and where each run of it stands.
fn unescape(inner: &str, quote: char, start: usize) -> (String, Vec<Piece>) {
    let mut value = String::new();
    let mut pieces = vec![Piece {
        value: 0,
        file: start,
    }];
    let mut rest = inner.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let escape = match (quote, c) {
            ('\'', '\'') => rest.next_if(|(_, next)| *next == '\'').map(|_| '\''),
            ('"', '\\') => rest
                .next()
                .and_then(|(_, letter)| escaped(letter, &mut rest)),
            _ => {
                value.push(c);
                continue;
            }
        };
        if let Some(c) = escape {
            pieces.push(Piece {
                value: value.len(),
                file: start + at,
            });
            value.push(c);
        }
        let next = rest.peek().map_or(inner.len(), |(at, _)| *at);
        pieces.push(Piece {
            value: value.len(),
            file: start + next,
        });
    }
    (value, pieces)
}

fn escaped(letter: char, rest: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let digits = match letter {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        '0' => return Some('\0'),
        'e' => return Some('\u{1b}'),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        other => return Some(other),
    };
    let code: String = rest.take(digits).map(|(_, c)| c).collect();
    u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::Text;
    use crate::source::{Sources, Span};

    fn at(raw: &str, value: &str, range: std::ops::Range<usize>) -> String {
        let mut sources = Sources::new();
        let file = sources.add("a.yaml", raw);
        let whole = Span::new(file, 0, raw.len());
        let text = match raw.chars().next() {
            Some('"' | '\'') => Text::quoted(value.to_owned(), raw, 0),
            Some('|') => Text::literal(value.to_owned(), raw, 0),
            _ => Text::plain(value.to_owned(), raw, 0),
        };
        sources.slice(text.span_of(&range, whole)).to_owned()
    }

    #[test]
    fn a_range_of_a_text_is_found_in_the_file() {
        assert_eq!(at("abc", "abc", 1..2), "b");
        assert_eq!(at(r#""a\\sb(""#, r"a\sb(", 1..3), r"\\s");
        assert_eq!(at(r#""a\\sb(""#, r"a\sb(", 4..5), "(");
        assert_eq!(at(r#""\u0041b""#, "Ab", 1..2), "b");
        assert_eq!(at("'it''s (x'", "it's (x", 5..6), "(");
        assert_eq!(at("|\n  one\n  two\n", "one\ntwo\n", 4..7), "two");
        assert_eq!(at("|\n  one\n\n  two\n", "one\n\ntwo\n", 5..8), "two");
    }

    #[test]
    fn a_text_that_was_folded_is_its_own_place() {
        assert_eq!(at("a\n b", "a b", 2..3), "a\n b");
        assert_eq!(at("\"a\n b\"", "a b", 2..3), "\"a\n b\"");
    }
}
