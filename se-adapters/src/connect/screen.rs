//! What a terminal would show of the bytes a device sends, as plain lines.

/// So much of the line the cursor is in is looked at, from its end and in characters: no prompt or question is longer, and
/// a line without end is looked at again with every piece of it.
const LONGEST_LOOK: usize = 4 * 1024;
/// So much of the finished lines is news to somebody who looks whenever a piece comes, in bytes.
const RECENT: usize = 32 * 1024;

/// Lines as they stand after overstrikes, backspaces and escape sequences.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Finished lines, each with its `\n`.
    text: String,
    line: Vec<char>,
    column: usize,
    escape: Escape,
    /// A CR whose meaning depends on what follows it.
    carriage_return: bool,
    /// Bytes of a character that has not come whole.
    partial: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Start,
    /// In a control sequence: whether it has parameters.
    Control { plain: bool },
    /// In an operating system command, such as a window title.
    System,
    /// One more character belongs to it.
    Skip,
}

const ESC: char = '\u{1b}';
const BELL: char = '\u{7}';
const BACKSPACE: char = '\u{8}';

impl Screen {
    /// Takes in what came.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.partial);
        let mut left = bytes.len();
        for chunk in bytes.utf8_chunks() {
            let (good, wrong) = (chunk.valid(), chunk.invalid());
            good.chars().for_each(|it| self.put(it));
            left -= good.len() + wrong.len();
            if left == 0 && is_incomplete(wrong) {
                self.partial = wrong.to_vec();
            } else {
                // Not UTF-8: old gear and line noise. Latin-1 is what a terminal would show.
                wrong.iter().for_each(|it| self.put(char::from(*it)));
            }
        }
    }

    /// Finished lines, each with its `\n`.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The last of the finished lines: what a look now may find and former looks may not have found.
    pub(crate) fn recent(&self) -> &str {
        let from = self.text.len().saturating_sub(RECENT);
        let from = self.text.ceil_char_boundary(from);
        self.text.get(from..).unwrap_or_default()
    }

    /// The line the cursor is in, of a very long one its end.
    pub(crate) fn line(&self) -> String {
        let from = self.line.len().saturating_sub(LONGEST_LOOK);
        self.line.iter().skip(from).collect()
    }

    /// Everything shown.
    pub(crate) fn whole(&self) -> String {
        let line: String = self.line.iter().collect();
        format!("{}{line}", self.text)
    }

    /// How much there is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len() + self.line.len()
    }

    /// Forgets everything shown.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.clear_line();
    }

    /// Forgets the line the cursor is in.
    pub(crate) fn clear_line(&mut self) {
        self.line.clear();
        self.column = 0;
        self.carriage_return = false;
    }

    /// The last lines, for a message.
    pub(crate) fn tail(&self, lines: usize) -> String {
        let line = self.line();
        let mut last: Vec<&str> = std::iter::once(line.as_str())
            .chain(self.text.lines().rev())
            .map(str::trim_end)
            .filter(|it| !it.is_empty())
            .take(lines)
            .collect();
        last.reverse();
        last.join("\n")
    }

    fn put(&mut self, next: char) {
        if self.escape != Escape::None {
            self.escaped(next);
            return;
        }
        if self.carriage_return && !matches!(next, '\n' | '\r' | '\0') {
            self.carriage_return = false;
            self.return_carriage();
        }
        match next {
            '\n' => self.end_line(),
            '\r' => self.carriage_return = true,
            BACKSPACE => self.back(),
            ESC => self.escape = Escape::Start,
            '\t' => self.write('\t'),
            other if other.is_control() => {}
            other => self.write(other),
        }
    }

    fn end_line(&mut self) {
        self.text.extend(self.line.drain(..));
        self.text.push('\n');
        self.column = 0;
        self.carriage_return = false;
    }

    /// To the start of the line; a line of blanks was written to wipe what stood there.
    fn return_carriage(&mut self) {
        if self.line.iter().all(|it| *it == ' ') {
            self.line.clear();
        }
        self.column = 0;
    }

    /// One to the left; a blank at the end of the line was written to wipe what stood there.
    fn back(&mut self) {
        if self.column > 0 && self.column == self.line.len() && self.line.last() == Some(&' ') {
            self.line.pop();
        }
        self.column = self.column.saturating_sub(1);
    }

    fn write(&mut self, next: char) {
        match self.line.get_mut(self.column) {
            Some(cell) => *cell = next,
            None => self.line.push(next),
        }
        self.column = self.column.saturating_add(1).min(self.line.len());
    }

    fn escaped(&mut self, next: char) {
        self.escape = match (self.escape, next) {
            (Escape::Start, '[') => Escape::Control { plain: true },
            (Escape::Start, ']') => Escape::System,
            (Escape::Start, '(' | ')' | '#' | '%') => Escape::Skip,
            (Escape::Start | Escape::Skip | Escape::None, _) => Escape::None,
            (Escape::Control { plain }, 'K') => {
                if plain {
                    self.line.truncate(self.column);
                }
                Escape::None
            }
            (Escape::Control { .. }, '0'..='?') => Escape::Control { plain: false },
            (Escape::Control { plain }, ' '..='/') => Escape::Control { plain },
            (Escape::Control { .. }, _) => Escape::None,
            (Escape::System, BELL) => Escape::None,
            (Escape::System, ESC) => Escape::Start,
            (Escape::System, _) => Escape::System,
        };
    }
}

/// Whether these bytes may become a character when more come.
fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::Screen;

    fn shown(bytes: &[u8]) -> String {
        let mut whole = Screen::default();
        whole.feed(bytes);
        let text = whole.whole();
        let mut split = Screen::default();
        bytes.chunks(1).for_each(|it| split.feed(it));
        assert_eq!(split.whole(), text);
        text
    }

    #[test]
    fn shows_what_a_terminal_would() {
        for (bytes, expect) in [
            (&b"a\r\nb\r\r\nc\n"[..], "a\nb\nc\n"),
            (b"--More-- \x08\x08\x08\x08\x08\x08\x08\x08\x08         \x08\x08\x08\x08\x08\x08\x08\x08\x08ok", "ok"),
            (b"<--- More --->\r              \rok", "ok"),
            (b"\x1b[7m--More--\x1b[m\r\x1b[Kok", "ok"),
            (b"\x1b[?2004hR1# \x1b[6n\x1b]0;title\x07\x1b(Bx", "R1# x"),
            (b"ab\x08 \x08c", "ac"),
            (b"50%\r75%\r99%\r\n", "99%\n"),
            (b"a\0b\x07c", "abc"),
            ("größe 5\u{20ac}".as_bytes(), "größe 5€"),
            (b"caf\xe9 \xff", "café ÿ"),
        ] {
            assert_eq!(shown(bytes), expect);
        }
    }

    #[test]
    fn of_a_line_without_end_its_end_is_looked_at() {
        let mut screen = Screen::default();
        screen.feed("ü".repeat(100_000).as_bytes());
        screen.feed(b"Password: ");
        assert!(screen.line().ends_with("üPassword: "));
        assert!(screen.line().len() < 10_000);
        assert!(screen.tail(1).len() < 10_000);
        assert_eq!(screen.whole().chars().count(), 100_010);
        screen.feed(b"\n");
        assert!(screen.recent().ends_with("üPassword: \n"));
        assert!(screen.recent().len() < 40_000);
    }

    #[test]
    fn the_tail_is_the_last_lines_that_say_something() {
        let mut screen = Screen::default();
        screen.feed(b"1\r\n2\r\n\r\n3\r\nR1# ");
        assert_eq!(screen.tail(3), "2\n3\nR1#");
        assert_eq!(screen.tail(9), "1\n2\n3\nR1#");
    }
}
