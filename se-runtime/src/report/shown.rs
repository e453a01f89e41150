//! Foreign text made fit to be shown: what a device printed must not drive a terminal or reorder a page.

/// The text with control characters replaced by visible signs; line feeds and tabs stay.
pub(super) fn block(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// The same on one line.
pub(super) fn line(text: &str) -> String {
    text.trim()
        .chars()
        .map(|it| {
            if matches!(it, '\n' | '\t') {
                ' '
            } else {
                visible(it)
            }
        })
        .collect()
}

fn visible(it: char) -> char {
    match it {
        '\n' | '\t' => it,
        '\u{0}'..='\u{1F}' => char::from_u32(0x2400 + u32::from(it)).unwrap_or('\u{FFFD}'),
        '\u{7F}' => '\u{2421}',
        // C1 controls, and characters that change the direction of what follows.
        '\u{80}'..='\u{9F}'
        | '\u{200E}'
        | '\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        _ => it,
    }
}

#[cfg(test)]
mod tests {
    use super::{block, line};

    #[test]
    fn control_characters_are_seen_and_not_obeyed() {
        assert_eq!(block("a\u{1b}[2J\r\nb\tc"), "a␛[2J␍\nb\tc");
        assert_eq!(line("  two\nlines\u{202e} "), "two lines\u{FFFD}");
    }
}
