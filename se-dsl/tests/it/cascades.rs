//! A broken document hides no other, and makes no finding in another.

use std::collections::BTreeSet;

use se_dsl::{Options, check};

use crate::lab::{files_of, sources};

const EXAMPLES: &[&str] = &["lab-0.1", "loops", "session"];

/// Codes of the findings that lie in other documents than `broken`, with their messages.
fn elsewhere(files: &[(String, Vec<u8>)], broken: &str) -> BTreeSet<String> {
    let sources = sources(files);
    let outcome = check(&sources, Options::default());
    let located = outcome.diagnostics.located(&sources);
    let others = located.iter().filter(|it| it.file != broken);
    others
        .map(|it| format!("{} {}: {}", it.code, it.file, it.message))
        .collect()
}

/// Findings with the document whose breaking made them.
fn made<'f>(broken: &str, found: impl Iterator<Item = &'f String>) -> Vec<String> {
    found.map(|it| format!("{broken}: {it}")).collect()
}

/// Ways to break a document, by turns.
const JUNK: &[&str] = &["\t: [\n", "}\n", "- \"\n", "@\n", "a: b: c\n"];

/// Every document of an example with junk before every other line, and cut in quotes after the others.
fn broken(files: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (path, bytes) in files {
        if !path.ends_with(".yaml") {
            continue;
        }
        let text = String::from_utf8(bytes.clone()).unwrap();
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        for (line, at) in starts.enumerate() {
            let (before, after) = (&text[..at], &text[at..]);
            let junk = JUNK[line / 2 % JUNK.len()];
            let broken = match line % 2 {
                0 => format!("{before}{junk}{after}"),
                _ => format!("{before}x: \""),
            };
            all.push((path.clone(), broken.into()));
        }
    }
    all
}

#[test]
fn a_syntax_error_in_one_document_makes_no_finding_in_another() {
    let whole = files_of(EXAMPLES[0]);
    let before = elsewhere(&whole, "");
    let mut cascades = Vec::new();
    let mut tried = 0;
    for (path, text) in broken(&whole) {
        let mut files = whole.clone();
        files.iter_mut().find(|it| it.0 == path).unwrap().1 = text;
        let sources = sources(&files);
        let outcome = check(&sources, Options::default());
        let located = outcome.diagnostics.located(&sources);
        // Some junk is only text, in a block or before a comment.
        if !located
            .iter()
            .any(|it| it.code == "SE1001" && it.file == path)
        {
            continue;
        }
        tried += 1;
        let found = elsewhere(&files, &path);
        cascades.extend(made(&path, found.difference(&before)));
    }
    assert!(tried > 200, "{tried}");
    assert!(cascades.is_empty(), "{cascades:#?}");
}

#[test]
fn a_document_with_the_wrong_kind_of_root_makes_no_finding_in_another() {
    let mut cascades = Vec::new();
    for example in EXAMPLES {
        let whole = files_of(example);
        let before = elsewhere(&whole, "");
        for (path, _) in whole.iter().filter(|it| it.0.ends_with(".yaml")) {
            for root in [
                "- a\n",
                "text\n",
                "",
                "apiVersion: pav1\n",
                "spec: 1\n",
                "\0",
            ] {
                let mut files = whole.clone();
                files.iter_mut().find(|it| it.0 == *path).unwrap().1 = root.into();
                let found = elsewhere(&files, path);
                cascades.extend(made(path, found.difference(&before)));
            }
        }
    }
    assert!(cascades.is_empty(), "{cascades:#?}");
}
