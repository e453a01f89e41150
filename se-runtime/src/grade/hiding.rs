//! What a report quotes of the evidence holds a secret as a whole or not at all: a part of one would
//! not be recognised when the events are sealed.

use super::Matched;
use crate::secret::Vault;

/// Widens what is quoted of `text` to the whole secrets that it touches.
pub(super) fn quote_whole_secrets(matched: &mut Matched, text: &str, vault: &Vault) {
    let byte = |character: usize| {
        text.char_indices()
            .nth(character)
            .map_or(text.len(), |(at, _)| at)
    };
    let start = byte(matched.start);
    let shown = start..byte(matched.start + matched.text.chars().count());
    let whole = vault.widen(text, shown.clone());
    if whole != shown {
        text.get(whole)
            .unwrap_or_default()
            .clone_into(&mut matched.text);
    }
}

#[cfg(test)]
mod tests {
    use super::{Matched, quote_whole_secrets};
    use crate::secret::{Secret, Vault};

    #[test]
    fn a_quoted_part_of_a_secret_becomes_the_whole_and_is_masked() {
        let vault = Vault::new([Secret::new("hunter2")]);
        let text = "é password hunter2 end";
        for (start, end, shown) in [
            (2, 13, "password ***"),
            (13, 18, "***"),
            (2, 10, "password"),
            (18, 22, " end"),
        ] {
            let quoted = text.chars().skip(start).take(end - start).collect();
            let mut matched = Matched {
                start,
                end,
                text: quoted,
            };
            quote_whole_secrets(&mut matched, text, &vault);
            assert_eq!(
                vault.mask_text(&matched.text).trim(),
                shown.trim(),
                "{start}..{end}"
            );
        }
    }
}
