//! What a report quotes of the evidence holds a secret as a whole or not at all: a part of one would
//! not be recognised when the events are sealed.

use super::{Evidence, GradedItem, Matched};
use crate::secret::Vault;

/// Widens every quoted match to the whole secrets that it touches.
pub(crate) fn quote_whole_secrets(
    items: &mut [GradedItem],
    evidence: &dyn Fn(&[String]) -> Evidence,
    vault: &Vault,
) {
    for check in items.iter_mut().flat_map(|item| &mut item.checks) {
        let Some(matched) = &mut check.matched else {
            continue;
        };
        let path: Vec<String> = check.source.split('.').map(str::to_owned).collect();
        if let Evidence::Text(text) = evidence(&path) {
            widen(matched, &text, vault);
        }
    }
}

fn widen(matched: &mut Matched, text: &str, vault: &Vault) {
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
    use super::{Matched, widen};
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
            widen(&mut matched, text, &vault);
            assert_eq!(
                vault.mask_text(&matched.text).trim(),
                shown.trim(),
                "{start}..{end}"
            );
        }
    }
}
