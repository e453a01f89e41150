//! Diagnostics as text, JSON, SARIF and GitHub annotations.

use se_dsl::diagnostic::{Format, render};
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
fn sarif_has_rules_and_places() {
    let sarif: serde_json::Value = serde_json::from_str(&rendered(Format::Sarif)).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(sarif["version"], "2.1.0");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    for result in results {
        let known = |rule: &serde_json::Value| rule["id"] == result["ruleId"];
        assert!(rules.iter().any(known), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a,b.yaml");
        assert!(place["region"]["startLine"].as_u64() >= Some(5), "{result}");
    }
}

#[test]
fn github_gets_one_command_a_line() {
    insta::assert_snapshot!(rendered(Format::Github));
}
