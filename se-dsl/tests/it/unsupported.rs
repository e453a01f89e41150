//! Packages of a later version are answered in plain words, without noise.

use se_dsl::{Options, Sources, check};

fn errors(files: &[(&str, &str)]) -> Vec<String> {
    let mut sources = Sources::new();
    for (path, text) in files {
        sources.add(*path, *text);
    }
    let outcome = check(&sources, Options::default());
    assert!(outcome.checked.is_none());
    let located = outcome.diagnostics.located(&sources);
    located
        .iter()
        .map(|it| {
            format!(
                "{:?} {} {}:{} {}",
                it.severity, it.code, it.file, it.line, it.message
            )
        })
        .collect()
}

const SEED: &str =
    "schema_version: \"1.0\"\npod_type: cml_on_aws\nrequired_adapter_version: \">=1.0.0\"\n";

#[test]
fn a_legacy_lifecycle_is_one_error_and_its_bare_expressions_are_warnings() {
    let lifecycle = "document:
  dsl: \"1.0.0\"
phases:
  instantiate:
    do:
      - resolve:
          call: lab_resolve@v1
          with: { definition_id: ${ $context.definition_id } }
          output:
            as: ${ { lab_id: .lab_id, note: \"}\" } }
            to: ${ $context.lab_id }
";
    let found = errors(&[
        ("PAv1/manifest.yaml", SEED),
        ("PAv1/lifecycle.yaml", lifecycle),
    ]);
    assert_eq!(
        found,
        [
            "Error SE1108 PAv1/lifecycle.yaml:1 the legacy dialect (`document`, `do`) is not supported by this version",
            "Warning SE1009 PAv1/lifecycle.yaml:8 an expression without quotes is not valid YAML; it is read as if quoted",
            "Warning SE1009 PAv1/lifecycle.yaml:10 an expression without quotes is not valid YAML; it is read as if quoted",
        ]
    );
}

#[test]
fn a_legacy_scenario_is_one_note() {
    let found = errors(&[
        ("PAv1/manifest.yaml", SEED),
        (
            "PAv1/scenarios/collect.yaml",
            "do:\n  - look: { call: collect@v1 }\n",
        ),
        ("PAv1/scenarios/other.yaml", "name: other\n"),
        ("PAv1/topology/cml.yaml", "lab: { title: x }\nnodes: []\n"),
    ]);
    assert_eq!(
        found,
        [
            "Error SE1110 PAv1/manifest.yaml:1 the package has no `PAv1/lifecycle.yaml`: no phase can be run",
            "Note SE1108 PAv1/scenarios/collect.yaml:1 a scenario of the legacy dialect is not supported by this version",
            "Note SE1108 PAv1/scenarios/other.yaml:1 a scenario of the legacy dialect is not supported by this version",
        ]
    );
}
