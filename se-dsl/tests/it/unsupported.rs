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
fn a_session_of_parts_is_one_error() {
    let manifest = "apiVersion: pav1
kind: SessionDefinition
metadata: { name: x, content_version: \"1\" }
spec:
  authorization_policy: experts
  parts: [{ requirement: web, order: 1 }]
";
    let lifecycle = "apiVersion: pav1
kind: Lifecycle
spec:
  session_phases: [pending]
  part_workflow:
    - name: grade
      jobs: [{ definition: grade_item@v1, process_type: Grading, rubric: rubric }]
";
    let found = errors(&[
        (
            "PAv1/authorization/policies.yaml",
            "kind: AuthorizationPolicy\n",
        ),
        ("PAv1/lifecycle.yaml", lifecycle),
        ("PAv1/manifest.yaml", manifest),
        (
            "PAv1/parts/01-web/grading/rubric.yaml",
            "kind: EvaluationRuleset\n",
        ),
        ("PAv1/parts/01-web/part.yaml", "kind: PartDefinition\n"),
    ]);
    assert_eq!(
        found,
        [
            "Error SE1108 PAv1/manifest.yaml:6 a session of several parts is not supported by this version",
            "Note SE1108 PAv1/parts/01-web/part.yaml:1 a PartDefinition is not supported by this version",
        ]
    );
}
