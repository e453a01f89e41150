//! Documents that are right become values, and every key of every shape is read.

mod coverage;
mod schemas;
mod session;

use serde_json::json;

use super::composite::CompositeDoc;
use super::{Documents, read};
use crate::catalog::Kind;
use crate::decode::Sink;
use crate::expr::{Limits, Root, Scopes};
use crate::source::Sources;
use crate::{Diagnostics, Options};

/// Reads documents; gives also `code line:column message` of each finding in a file called `at`.
fn documents(files: &[(&str, &str)]) -> (Documents, Vec<String>) {
    let mut sources = Sources::new();
    for (path, text) in files {
        sources.add(*path, *text);
    }
    let sink = Sink::new(&sources, Options::default());
    let documents = read(&sink);
    let found = shown(&sink.into_diagnostics(), &sources);
    (documents, found)
}

fn shown(diagnostics: &Diagnostics, sources: &Sources) -> Vec<String> {
    diagnostics
        .located(sources)
        .iter()
        .map(|it| {
            let file = it.file.trim_start_matches("PAv1/");
            format!(
                "{} {file}:{}:{} {}",
                it.code, it.line, it.column, it.message
            )
        })
        .collect()
}

const MANIFEST: (&str, &str) = (
    "PAv1/manifest.yaml",
    "format_version: PAv1\nname: x\nversion: 1\npod_type: none\n",
);
const LIFECYCLE: (&str, &str) = (
    "PAv1/lifecycle.yaml",
    "apiVersion: pav1\nkind: Lifecycle\nspec: { phases: [{ name: a }] }\n",
);

/// Reads one document of an otherwise sound package.
fn one(path: &str, text: &str) -> (Documents, Vec<String>) {
    documents(&[MANIFEST, LIFECYCLE, (path, text)])
}

/// A job of one step with these lines.
fn step(lines: &str) -> (Documents, Vec<String>) {
    let head = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n    - id: a\n";
    one("PAv1/jobs/a.yaml", &format!("{head}{lines}"))
}

/// A composite with these lines in its spec.
fn composite(lines: &str) -> (Option<CompositeDoc>, Vec<String>) {
    let head = "apiVersion: pav1\nkind: CompositeScenario\nmetadata: { version: 2 }\nspec:\n";
    let steps = "  steps: [{ id: a, uses: pause@v1, with: { seconds: 1 } }]\n";
    let (mut documents, found) = one(
        "PAv1/composites/collect.yaml",
        &format!("{head}{lines}{steps}"),
    );
    let doc = documents.tree.composites.remove("collect");
    (doc.flatten(), found)
}

#[test]
fn a_composite_has_typed_parameters() {
    let (doc, found) = composite(
        "  description: Looks.
  parameters:
    command: string
    tries: { type: integer, default: -1, description: How often. }
    level: { type: string, enum: [low, high], default: low, required: true }
    extra: { type: any, required: false }
  export: [output, sw01.vlans]
",
    );
    assert_eq!(found, [""; 0]);
    let doc = doc.unwrap();
    assert_eq!((doc.name.as_str(), doc.version.as_str()), ("collect", "v2"));
    assert_eq!(doc.description.as_deref(), Some("Looks."));
    let shown: Vec<_> = doc
        .parameters
        .iter()
        .map(|it| {
            (
                it.name.value.as_str(),
                it.kind,
                it.required,
                it.default.clone(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("command", Kind::String, true, None),
            ("tries", Kind::Integer, false, Some(json!(-1))),
            ("level", Kind::String, true, Some(json!("low"))),
            ("extra", Kind::Any, false, None),
        ]
    );
    assert_eq!(
        doc.parameters[2].choices,
        Some(vec![json!("low"), json!("high")])
    );
    assert_eq!(doc.parameters[1].description.as_deref(), Some("How often."));
    let export: Vec<&str> = doc.export.iter().map(|it| it.value.as_str()).collect();
    assert_eq!(export, ["output", "sw01.vlans"]);
    assert_eq!(doc.steps.len(), 1);
}

#[test]
fn parameters_may_be_listed() {
    let (doc, found) =
        composite("  parameters: [{ name: a, type: array }, { name: b, type: number }]\n");
    assert_eq!(found, [""; 0]);
    let kinds: Vec<_> = doc.unwrap().parameters.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Kind::Array, Kind::Number]);
}

/// Lines of a composite's spec, and the one finding about them.
fn composites_are_told(cases: &[(&str, &str)]) {
    for (lines, expected) in cases {
        let (_, found) = composite(lines);
        let expected = expected.replacen(' ', " composites/collect.yaml:", 1);
        assert_eq!(found, [expected], "{lines}");
    }
}

#[test]
fn mistakes_of_parameters_are_found_where_they_stand() {
    composites_are_told(&[
        (
            "  parameters: { a: strin }\n",
            "SE1104 5:20 a parameter's type cannot be `strin`",
        ),
        (
            "  parameters: { a-b: string }\n",
            "SE1115 5:17 `a-b` cannot be a parameter's name",
        ),
        (
            "  parameters: { 1a: string }\n",
            "SE1115 5:17 `1a` cannot be a parameter's name",
        ),
        (
            "  parameters: { a: { default: 1 } }\n",
            "SE1102 5:22 a parameter has no `type`",
        ),
        (
            "  parameters: { a: { type: string, defalt: x } }\n",
            "SE1103 5:36 a parameter has no key `defalt`",
        ),
        (
            "  parameters: { a: { type: integer, default: 1.5 } }\n",
            "SE1101 5:46 a default must be a whole number, found a number",
        ),
        (
            "  parameters: { a: { type: string, default: \"${ 1 }\" } }\n",
            "SE1101 5:45 a default must be text, found an expression, which is not read here",
        ),
        (
            "  parameters: { a: { type: string, enum: [x], default: y } }\n",
            "SE1104 5:56 a default cannot be `y`",
        ),
        (
            "  parameters: { a: { type: string, enum: [1] } }\n",
            "SE1101 5:43 a value of the enum must be text, found a whole number",
        ),
        (
            "  parameters: { a: { type: string, enum: [] } }\n",
            "SE1114 5:42 the enum has no value",
        ),
        (
            "  parameters: [{ name: a, type: any }, { name: a, type: any }]\n",
            "SE1212 5:48 there are two of parameter `a`",
        ),
        (
            "  parameters: [{ type: any }]\n",
            "SE1102 5:18 a parameter of a list has no `name`",
        ),
        (
            "  parameters: all\n",
            "SE1101 5:15 parameters must be a mapping from names to types, found text",
        ),
    ]);
}

#[test]
fn mistakes_of_exports_are_found_where_they_stand() {
    composites_are_told(&[
        (
            "  export: [a, a]\n",
            "SE1212 5:15 there are two of exported variable `a`",
        ),
        (
            "  export: [a..b]\n",
            "SE1115 5:12 `a..b` cannot be exported",
        ),
        (
            "  export: a\n",
            "SE1101 5:11 export must be a list, found text",
        ),
        (
            "  exports: [a]\n",
            "SE1103 5:3 the composite's spec has no key `exports`",
        ),
    ]);
}

#[test]
fn an_element_is_read_by_its_short_name() {
    let (documents, found) = step(
        "      uses: exec@v1
      target: '@dev.name'
      with: { command: '@dev', answers: [{ prompt: '@dev.p-q', reply: 'to @dev' }] }
      capture: { stdout: '@dev.text' }
      for_each: { var: dev, in: '${ runtime_env.device_groups.all }', mode: concurrent, stop_on_fail: false }
",
    );
    assert_eq!(found, [""; 0]);
    let step = &documents.tree.jobs["a"].as_ref().unwrap().steps[0];
    let each = step.for_each.as_ref().unwrap();
    assert_eq!(each.var.value, "dev");
    assert!(each.concurrent && !each.stop_on_fail && each.list.template.is_some());
    assert_eq!(step.capture[0].value.value, "@dev.text");
    let mut scopes = Scopes::new();
    scopes.set(Root::Vars, &json!({"dev": {"name": "sw01", "p-q": ">"}}));
    let value = |input: &super::Input| {
        let template = input.template.as_ref().unwrap();
        template.eval(&scopes, &Limits::default()).unwrap()
    };
    assert_eq!(value(step.target.as_ref().unwrap()), json!("sw01"));
    assert_eq!(value(&step.with[0]), json!({"name": "sw01", "p-q": ">"}));
    assert_eq!(
        value(&step.with[1]),
        json!([{"prompt": ">", "reply": "to @dev"}])
    );
}

#[test]
fn outside_a_loop_an_at_sign_is_text() {
    let (documents, found) = step("      uses: exec@v1\n      with: { command: '@reboot' }\n");
    assert_eq!(found, [""; 0]);
    let step = &documents.tree.jobs["a"].as_ref().unwrap().steps[0];
    assert!(step.for_each.is_none());
    let template = step.with[0].template.as_ref().unwrap();
    assert_eq!(template.literal(), Some(json!("@reboot")));
}

#[test]
fn mistakes_of_loops_are_found_where_they_stand() {
    let uses = "      uses: exec@v1\n";
    for (lines, expected) in [
        (
            "      for_each: { var: dev, in: text }\n",
            "SE1101 7:33 `in` must be a list, or an expression that gives one, found text",
        ),
        (
            "      for_each: { var: dev, in: 'a ${ 1 }' }\n",
            "SE1101 7:33 `in` must be a list, or an expression that gives one, found text",
        ),
        (
            "      for_each: { var: dev, in: { a: 1 } }\n",
            "SE1101 7:33 `in` must be a list, or an expression that gives one, found a mapping",
        ),
        (
            "      for_each: { var: Dev, in: [a] }\n",
            "SE1115 7:24 `Dev` cannot be the variable of a loop",
        ),
        (
            "      for_each: { var: dev }\n",
            "SE1102 7:19 `for_each` has no `in`",
        ),
        (
            "      for_each: { var: dev, in: [a], mod: sequential }\n",
            "SE1103 7:38 `for_each` has no key `mod`",
        ),
        (
            "      for_each: { var: dev, in: [a], mode: parallel }\n",
            "SE1104 7:44 mode cannot be `parallel`",
        ),
        (
            "      for_each: { var: dev, in: [a], stop_on_fail: 1 }\n",
            "SE1101 7:52 stop_on_fail must be true or false, found a whole number",
        ),
        (
            "      for_each: { var: dev, in: ['${ 1 + }'] }\n",
            "SE1401 7:42",
        ),
        (
            "      for_each: { var: dev, in: [a] }\n      target: '@dve'\n",
            "SE1221 8:15 the loop binds no `@dve`",
        ),
        (
            "      for_each: { var: dev, in: [a] }\n      with: { script: ['@other.x'] }\n",
            "SE1221 8:24 the loop binds no `@other`",
        ),
        (
            "      for_each: { var: dev, in: [a] }\n      capture: { stdout: x.@dve }\n",
            "SE1221 8:26 the loop binds no `@dve`",
        ),
        (
            "      capture: { stdout: '@dev.x' }\n",
            "SE1221 7:26 `@dev` stands for the element of a loop, and the step has none",
        ),
        // What the loop would have bound is not known, and nothing is said of it.
        (
            "      for_each: { var: Dev, in: [a] }\n      target: '@dev'\n      capture: { stdout: '@dev.x' }\n",
            "SE1115 7:24 `Dev` cannot be the variable of a loop",
        ),
    ] {
        let (_, found) = step(&format!("{uses}{lines}"));
        let expected = expected.replacen(' ', " jobs/a.yaml:", 1);
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert!(found[0].starts_with(&expected), "{lines}: {found:?}");
    }
}
