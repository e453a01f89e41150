//! What the authors' page shows is a package without mistakes.

use se_dsl::{Options, Sources, check};

const PAGE: &str = include_str!("../../../docs/authoring.md");

const MANIFEST: &str = "format_version: PAv1\nname: sample\nversion: \"1\"\npod_type: none\n";

const LIFECYCLE: &str = "apiVersion: pav1
kind: Lifecycle
spec:
  phases:
    - name: grade
      jobs:
        - definition: grade@v1
          process_type: Grading
          rubric: rubric
";

const CONNECTORS: &str = "apiVersion: pav1\nkind: ConnectorModel\nspec:\n  connectors:\n";

/// The one YAML example that holds `mark`.
fn example(mark: &str) -> &'static str {
    let mut all = PAGE
        .split("```yaml\n")
        .skip(1)
        .filter_map(|it| it.split("```").next())
        .filter(|it| it.contains(mark));
    let found = all.next().expect("the page has an example of each kind");
    assert!(all.next().is_none(), "two examples hold `{mark}`");
    found
}

#[test]
fn the_examples_of_the_authors_page_make_a_package_without_mistakes() {
    let mut sources = Sources::new();
    sources.add("PAv1/manifest.yaml", MANIFEST);
    sources.add("PAv1/lifecycle.yaml", LIFECYCLE);
    let connectors = format!("{CONNECTORS}{}", example("transport: telnet"));
    sources.add("PAv1/connectors.yaml", connectors);
    sources.add("PAv1/jobs/grade.yaml", example("kind: JobDefinition"));
    sources.add(
        "PAv1/grading/rubric.yaml",
        example("kind: EvaluationRuleset"),
    );
    let outcome = check(&sources, Options::default());
    let found: Vec<String> = outcome
        .diagnostics
        .iter()
        .map(|it| format!("{it:?}"))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}
