//! Diagnostics as text, JSON, SARIF and GitHub annotations.

use se_dsl::diagnostic::{Format, Look, render, render_as};
use se_dsl::{Options, Sources, check_documents};

fn rendered(format: Format) -> String {
    let mut sources = Sources::new();
    let job = "apiVersion: pav1
kind: JobDefinition
spec:
  steps:
    - id: Größe
      uses: pause@v1
      uses: exec@v1
      timeout: ${ {a: 1} }
";
    sources.add("a,b.yaml", job);
    let found = check_documents(&sources, Options::default());
    render(&found, &sources, format, false)
}

#[test]
fn text_shows_the_lines() {
    insta::assert_snapshot!(rendered(Format::Text));
}

#[test]
fn json_has_the_fields_of_the_specification() {
    insta::assert_snapshot!(rendered(Format::Json));
}

#[test]
fn github_gets_one_command_a_line() {
    insta::assert_snapshot!(rendered(Format::Github));
}

/// What the text looks like for one document and the size of terminal it is shown on.
fn drawn(text: &str, width: usize) -> String {
    let mut sources = Sources::new();
    sources.add("lab.yaml", text);
    let found = check_documents(&sources, Options::default());
    let look = Look {
        width,
        folder: "labs",
        ..Look::default()
    };
    render_as(&found, &sources, &look)
}

const HEAD: &str = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n";

#[test]
fn long_lines_are_cut_at_the_terminals_width() {
    let long = "show ".repeat(100);
    let job = format!(
        "{HEAD}    - {{ id: a, uses: pause@v1, with: {{ a: \"{long}\" }}, tmeout: 3, b: \"{long}\" }}\n"
    );
    let text = drawn(&job, 80);
    let mut drawn = text.lines().filter(|line| line.starts_with("5 |"));
    assert!(drawn.all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn carets_stand_below_wide_characters_tabs_and_after_a_byte_order_mark() {
    let job = "\u{feff}apiVersion: pav1 \r\nkindd: \"日本\"\r\nkind: JobDefinition\r\nspec:\r\n  日本: {\tsteps: 3 }\r\n";
    insta::assert_snapshot!(drawn(job, 80));
}

#[test]
fn mended_lines_are_shown_where_the_help_does_not_say_all() {
    insta::assert_snapshot!(drawn_package(
        "capture: { output: sw01.vlans }",
        "capture: { sw01.vlans: output }"
    ));
}

#[test]
fn places_in_other_files_are_shown() {
    insta::assert_snapshot!(drawn_package("output: sw01.vlans", "output: sw01.vlan"));
}

fn drawn_package(from: &str, to: &str) -> String {
    let mut files = crate::pages::sound();
    let job = files.get_mut("PAv1/jobs/grade.yaml").unwrap();
    assert!(job.contains(from));
    *job = job.replace(from, to);
    let sources = crate::pages::sources(&files);
    let found = se_dsl::check(&sources, Options::default()).diagnostics;
    render(&found, &sources, Format::Text, false)
}

#[test]
fn colours_are_asked_for() {
    let mut sources = Sources::new();
    sources.add("lab.yaml", "kind: x\n");
    let found = check_documents(&sources, Options::default());
    let render = |colour| render(&found, &sources, Format::Text, colour);
    assert!(render(true).contains("\u{1b}["));
    assert!(!render(false).contains('\u{1b}'));
}
