//! Every code has a page, and the example on it gives exactly that code.

use std::collections::{BTreeMap, BTreeSet};

use se_dsl::diagnostic::{Code, Format, explain, render};
use se_dsl::{Options, Severity, Sources, check};

/// A small package in which nothing is wrong.
const SOUND: &[(&str, &str)] = &[
    (
        "PAv1/manifest.yaml",
        "format_version: PAv1\nname: sample\nversion: \"1\"\npod_type: none\n",
    ),
    (
        "PAv1/lifecycle.yaml",
        "apiVersion: pav1
kind: Lifecycle
spec:
  phases:
    - name: grade
      jobs:
        - definition: grade@v1
",
    ),
    (
        "PAv1/connectors.yaml",
        "apiVersion: pav1
kind: ConnectorModel
spec:
  connectors:
    - name: sw01
      class: cisco_common
      transport: telnet
      port: \"${ runtime_env.devices.sw01.serial_port }\"
",
    ),
    (
        "PAv1/jobs/grade.yaml",
        "apiVersion: pav1
kind: JobDefinition
spec:
  process_type: Grading
  steps:
    - id: c_sw01
      uses: collect@v1
      target: sw01
      with: { command: show vlan brief }
      capture: { output: sw01.vlans }
    - id: judge
      uses: evaluate.regex@v1
      with: { ruleset: rubric }
",
    ),
    (
        "PAv1/grading/rubric.yaml",
        "apiVersion: pav1
kind: EvaluationRuleset
spec:
  max_points: 1
  items:
    - id: 1
      points: 1
      description: sw01 has VLAN 80
      checks: [{ source: sw01.vlans, regex: '^80\\s' }]
",
    ),
];

pub(crate) type Files = BTreeMap<String, String>;

pub(crate) fn sound() -> Files {
    SOUND
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

pub(crate) fn sources(files: &Files) -> Sources {
    let mut sources = Sources::new();
    for (path, text) in files {
        sources.add(path.clone(), text.clone());
    }
    sources.add_asset("PAv1/files/tool.sh", 1);
    sources
}

/// The package with the example of a page in it.
pub(crate) fn example(page: &str) -> Files {
    let mut files = sound();
    let example = page.split("\n## Fix\n").next().unwrap();
    assert!(
        put(example, &mut files) > 0,
        "the page has no example:\n{page}"
    );
    files
}

/// The same after what the page says to do about it.
fn mended(page: &str) -> Files {
    let mut files = example(page);
    let (_, fix) = page.split_once("\n## Fix\n").unwrap();
    assert!(put(fix, &mut files) > 0, "the page mends nothing:\n{page}");
    files
}

/// Puts the blocks of a text into a package and counts them.
fn put(text: &str, files: &mut Files) -> usize {
    let blocks: Vec<&str> = text.split("```yaml ").skip(1).collect();
    for block in &blocks {
        let (head, rest) = block.split_once('\n').unwrap();
        let body = rest.split("```").next().unwrap();
        let mut words = head.split_whitespace();
        let path = words.next().unwrap().to_owned();
        match words.next() {
            None => files.insert(path, body.to_owned()),
            Some("missing") => files.remove(&path),
            Some("repeated") => files.insert(path, body.replace('…', &"a, ".repeat(200_000))),
            Some("escaped") => files.insert(path, body.replace("\\x00", "\0")),
            Some(other) => panic!("a block cannot be `{other}`"),
        };
    }
    blocks.len()
}

#[test]
fn nothing_is_wrong_with_the_sound_package() {
    let sources = sources(&sound());
    let outcome = check(&sources, Options { strict: true });
    let text = render(&outcome.diagnostics, &sources, Format::Text, false);
    assert!(outcome.checked.is_some(), "{text}");
    assert_eq!(outcome.diagnostics.iter().count(), 0, "{text}");
}

#[test]
fn the_example_of_each_page_gives_its_code_and_no_other() {
    let mut wrong = String::new();
    for code in Code::ALL {
        let page = explain(code.as_str()).unwrap();
        let sources = sources(&example(page));
        let outcome = check(&sources, Options::default());
        let all: BTreeSet<&str> = outcome
            .diagnostics
            .iter()
            .map(|it| it.code.as_str())
            .collect();
        let told: BTreeSet<&str> = outcome
            .diagnostics
            .iter()
            .filter(|it| it.severity != Severity::Note)
            .map(|it| it.code.as_str())
            .collect();
        let fits = told == BTreeSet::from([code.as_str()])
            || told.is_empty() && all.contains(code.as_str());
        if !fits {
            let text = render(&outcome.diagnostics, &sources, Format::Text, false);
            wrong.push_str(&format!("==== {code}\n{text}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_mended_example_of_each_page_is_sound() {
    let mut wrong = String::new();
    for code in Code::ALL {
        let sources = sources(&mended(explain(code.as_str()).unwrap()));
        let found = check(&sources, Options::default()).diagnostics;
        let told = found.iter().filter(|it| it.severity != Severity::Note);
        if told.count() > 0 || found.iter().any(|it| it.code == *code) {
            let text = render(&found, &sources, Format::Text, false);
            wrong.push_str(&format!("==== {code}\n{text}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn edits_of_the_examples_mend_them() {
    let mut wrong = String::new();
    for code in Code::ALL {
        let sources = sources(&example(explain(code.as_str()).unwrap()));
        wrong.push_str(&crate::edits::broken_edits(code.as_str(), &sources).0);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_page_says_what_why_and_how_to_mend_it() {
    for code in Code::ALL {
        let page = explain(&code.as_str().to_lowercase()).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}");
        for part in ["\n## Why\n\n", "\n## Example\n\n", "\n## Fix\n\n"] {
            assert!(page.contains(part), "{code} lacks {part:?}");
        }
    }
    assert_eq!(explain("SE9999"), None);
}

#[test]
fn each_page_belongs_to_a_code() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/codes");
    #[expect(
        clippy::disallowed_methods,
        reason = "a test compares the folder with the table"
    )]
    let files = std::fs::read_dir(folder).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let code = name.strip_suffix(".md").unwrap();
        assert!(explain(code).is_some(), "{name} explains no code");
    }
}

/// The page that lists all codes.
const INDEX: &str = include_str!("../../../docs/diagnostics.md");

#[test]
fn the_index_lists_every_code_with_its_title() {
    let line = |code: &Code| {
        format!(
            "| [{code}](../se-dsl/docs/codes/{code}.md) | {} |",
            code.title()
        )
    };
    let listed = INDEX.lines().filter(|it| it.starts_with("| [SE"));
    let listed: Vec<&str> = listed.collect();
    let expected: Vec<String> = Code::ALL.iter().map(line).collect();
    let missing: Vec<&String> = expected
        .iter()
        .filter(|it| !listed.contains(&it.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/diagnostics.md lacks these lines: {missing:#?}"
    );
    assert_eq!(
        listed, expected,
        "docs/diagnostics.md lists something else, or in another order"
    );
}
