//! Where what an expression reads is written.

use crate::source::Span;
use crate::syntax::{Kind, Node};

/// Where `needle` stands as a whole name in the texts of a node, in order; the node itself where it
/// is written otherwise (`vars["x"]`) or cannot be found (folded text).
pub(super) fn places(node: &Node, needle: &str) -> Vec<Span> {
    let mut found = Vec::new();
    find(node, needle, &mut found);
    if found.is_empty() {
        found.push(node.span);
    }
    found
}

fn find(node: &Node, needle: &str, found: &mut Vec<Span>) {
    match &node.kind {
        Kind::Str(text) => {
            let all = text.value.match_indices(needle).map(|(at, _)| at);
            for at in all.filter(|at| stands_alone(&text.value, *at, needle)) {
                found.push(text.span_of(&(at..at + needle.len()), node.span));
            }
        }
        Kind::Seq(items) => items.iter().for_each(|item| find(item, needle, found)),
        Kind::Map(map) => map
            .iter()
            .for_each(|(_, entry)| find(&entry.value, needle, found)),
        Kind::Refused | Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {}
    }
}

/// Whether no letter or digit goes on before or after.
fn stands_alone(text: &str, at: usize, needle: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || c == '_';
    let before = text[..at].chars().next_back();
    let after = text[at + needle.len()..].chars().next();
    !before.is_some_and(goes_on) && !after.is_some_and(goes_on)
}
