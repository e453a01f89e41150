//! Replacements that mend a finding: made where they are certain, applied on request.

use std::collections::BTreeMap;

use super::{Diagnostics, nearest};
use crate::source::{FileId, Sources, Span};

/// Replaces the text of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What to replace.
    pub span: Span,
    /// What to put there.
    pub text: String,
}

/// A text with edits applied. An edit that overlaps one that starts before it, or that does not lie
/// in the text, is left out.
///
/// ```
/// use se_dsl::diagnostic::{Edit, apply};
/// let mut sources = se_dsl::Sources::new();
/// let file = sources.add("a.yaml", "captures: { output: x }");
/// let edit = Edit { span: se_dsl::Span::new(file, 0, 8), text: "capture".to_owned() };
/// assert_eq!(apply(sources.text(file), &[edit]), "capture: { output: x }");
/// ```
#[must_use]
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut applied = String::with_capacity(text.len());
    let mut done = 0;
    for edit in sorted {
        let (start, end) = (edit.span.start as usize, edit.span.end as usize);
        let (Some(before), Some(_)) = (text.get(done..start), text.get(start..end)) else {
            continue;
        };
        applied.push_str(before);
        applied.push_str(&edit.text);
        done = end;
    }
    applied.push_str(text.get(done..).unwrap_or_default());
    applied
}

impl Diagnostics {
    /// The files that change, with their new texts, and how many findings that mends: every finding's
    /// edits are applied, all of them or none. Of two findings that would change the same text, the
    /// first is mended; checking again shows the other.
    #[must_use]
    pub fn mended(&self, sources: &Sources) -> (BTreeMap<FileId, String>, usize) {
        let mut edits: BTreeMap<FileId, Vec<Edit>> = BTreeMap::new();
        let mut mended = 0;
        for found in self.iter().filter(|found| !found.edits.is_empty()) {
            let is_free = |edit: &Edit| {
                let taken = edits.get(&edit.span.file);
                taken.is_none_or(|all| all.iter().all(|it| !touch(it.span, edit.span)))
            };
            if !found.edits.iter().all(is_free) {
                continue;
            }
            mended += 1;
            for edit in &found.edits {
                edits.entry(edit.span.file).or_default().push(edit.clone());
            }
        }
        let texts = edits.into_iter().map(|(file, edits)| {
            let text = apply(sources.text(file), &edits);
            (file, text)
        });
        (texts.collect(), mended)
    }
}

/// Whether two spans overlap, or stand at the same place.
fn touch(a: Span, b: Span) -> bool {
    a.start == b.start || a.start < b.end && b.start < a.end
}

/// The known name to put in the place of `name`, if there is no doubt about it: the nearest one, no
/// other as near, and not only another number (`sw1` may be `sw01`, or nothing at all).
pub(crate) fn certain<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let near = nearest(name, known.clone())?;
    // The beginning of a name is a hint, and no slip.
    if near.to_lowercase().starts_with(&name.to_lowercase()) && near.len() > name.len() + 2 {
        return None;
    }
    let letters = |text: &str| -> String {
        let kept = text.chars().filter(|c| !c.is_ascii_digit());
        kept.collect::<String>().to_lowercase()
    };
    let distance = |it: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &it.to_lowercase());
    let as_near = known
        .filter(|it| *it != near && it.chars().count() < 2 + 2 * near.chars().count())
        .filter(|it| distance(it) <= distance(near));
    let is_word = near.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && near
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.@/".contains(c));
    let sure = is_word && letters(name) != letters(near) && as_near.count() == 0;
    sure.then_some(near)
}

/// The edit that puts a known name in the place of a slip of it, where there is no doubt.
pub(crate) fn rename<'a>(
    span: Span,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Vec<Edit> {
    let edit = certain(name, known).map(|near| Edit {
        span,
        text: near.to_owned(),
    });
    edit.into_iter().collect()
}

/// The edits that rename the last name of paths in expressions, in all of them. A path of another length
/// than `root` and `name` together was not found as it is read: then there is no edit.
pub(crate) fn rename_in_paths<'a>(
    paths: &[Span],
    root: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Vec<Edit> {
    let Some(near) = certain(name, known) else {
        return Vec::new();
    };
    let edit = |path: &Span| {
        let start = path.start as usize + root.len();
        let end = path.end as usize;
        (end.checked_sub(start) == Some(name.len())).then(|| Edit {
            span: Span::new(path.file, start, end),
            text: near.to_owned(),
        })
    };
    paths
        .iter()
        .map(edit)
        .collect::<Option<_>>()
        .unwrap_or_default()
}

/// An edit of text in quotes keeps the quotes.
pub(crate) fn keep_quotes(edit: &mut Edit, sources: &Sources) {
    let old = sources.slice(edit.span);
    let Some(quote) = old.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return;
    };
    if old.len() < 2 || !old.ends_with(quote) || edit.text.starts_with(['"', '\'']) {
        return;
    }
    let inner = match quote {
        '\'' => edit.text.replace('\'', "''"),
        _ => edit.text.replace('\\', "\\\\").replace('"', "\\\""),
    };
    edit.text = format!("{quote}{inner}{quote}");
}

#[cfg(test)]
mod tests {
    use super::{Edit, apply, certain};
    use crate::source::{Sources, Span};

    #[test]
    fn only_names_without_doubt_are_certain() {
        let known = [
            "capture",
            "sw01",
            "sw02",
            "rtr01.show_acl",
            "rtr02.show_acl",
        ];
        let of = |name| certain(name, known.iter().copied());
        assert_eq!(of("captures"), Some("capture"));
        assert_eq!(of("rtr01.shwo_acl"), Some("rtr01.show_acl"));
        for doubtful in ["sw1", "sw0l", "rtr03.show_acl", "nothing"] {
            assert_eq!(of(doubtful), None, "{doubtful}");
        }
    }

    #[test]
    fn edits_that_overlap_or_lie_outside_are_left_out() {
        let mut sources = Sources::new();
        let file = sources.add("a", "über alles");
        let edit = |start, end, text: &str| Edit {
            span: Span::new(file, start, end),
            text: text.to_owned(),
        };
        let edits = [
            edit(6, 11, "all"),
            edit(0, 5, "over"),
            edit(3, 7, "x"),
            edit(1, 2, "x"),
            edit(90, 99, "x"),
        ];
        assert_eq!(apply(sources.text(file), &edits), "over all");
    }
}
