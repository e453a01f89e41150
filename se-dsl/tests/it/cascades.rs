//! A broken document hides no other, and makes no finding in another.

use std::collections::BTreeSet;

use se_dsl::{Options, check};

use crate::lab::{files_of, sources};

const EXAMPLES: &[&str] = &["lab-0.1", "loops", "session"];

/// Cascades that are known: where the broken document lies, and the code of the finding elsewhere.
/// Each has to be seen, so whoever mends one takes it from this list.
const KNOWN: &[(&str, &str)] = &[
    ("/jobs/", "SE1217"),
    ("/scenarios/", "SE1217"),
    ("/topology/", "SE1219"),
];

/// Takes the known ones out of `found`, and notes that they were seen.
fn unknown<'f>(
    broken: &str,
    found: impl Iterator<Item = &'f String>,
    seen: &mut BTreeSet<&'static str>,
) -> Vec<String> {
    let mut rest = Vec::new();
    for finding in found {
        let known = KNOWN
            .iter()
            .find(|(path, code)| broken.contains(path) && finding.starts_with(code));
        match known {
            Some((path, _)) => drop(seen.insert(*path)),
            None => rest.push(format!("{broken}: {finding}")),
        }
    }
    rest
}

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
    let (mut cascades, mut seen) = (BTreeSet::new(), BTreeSet::new());
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
        cascades.extend(unknown(&path, found.difference(&before), &mut seen));
    }
    assert!(tried > 200, "{tried}");
    assert!(cascades.is_empty(), "{cascades:#?}");
}

#[test]
fn a_document_with_the_wrong_kind_of_root_makes_no_finding_in_another() {
    let (mut cascades, mut seen) = (BTreeSet::new(), BTreeSet::new());
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
                cascades.extend(unknown(path, found.difference(&before), &mut seen));
            }
        }
    }
    assert!(cascades.is_empty(), "{cascades:#?}");
    let stale: Vec<_> = KNOWN.iter().filter(|it| !seen.contains(it.0)).collect();
    assert!(
        stale.is_empty(),
        "mended, so no longer to be listed: {stale:?}"
    );
}
