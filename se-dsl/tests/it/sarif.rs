//! SARIF against the schema of its standard, with a validator that is not ours: Microsoft's SARIF
//! test kit brings the schema, Ajv is the validator.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use se_dsl::diagnostic::{Code, Format, Look, explain, render, render_as};
use se_dsl::{Options, Sources, check};
use serde_json::Value;

use crate::{mutations, pages};

/// Reads a list of documents and tells what is wrong with each.
const VALIDATOR: &str = r#"
const Ajv = require("ajv");
const schema = require("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json");
const ajv = new Ajv({ allErrors: true, schemaId: "id" });
ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-04.json"));
const valid = ajv.compile(schema);
let text = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (more) => (text += more));
process.stdin.on("end", () => {
  const wrong = JSON.parse(text).map((it) => (valid(it) ? [] : valid.errors));
  console.log(JSON.stringify(wrong));
});
"#;

/// What the validator says of each document.
fn validated(documents: &[Value]) -> Vec<Vec<Value>> {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/sarif");
    assert!(
        kit.join("node_modules/ajv").exists(),
        "there is no SARIF validator in target/sarif: `cargo xtask test` installs it"
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "a test asks a validator that is not ours"
    )]
    let mut node = Command::new("node")
        .args(["-e", VALIDATOR])
        .current_dir(kit)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`node` runs: install Node.js (Debian: nodejs)");
    let input = serde_json::to_vec(documents).unwrap();
    node.stdin.take().unwrap().write_all(&input).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "the validator failed");
    let wrong: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(wrong.len(), documents.len());
    wrong
}

fn sarif(sources: &Sources) -> Value {
    let found = check(sources, Options::default()).diagnostics;
    let look = Look {
        format: Format::Sarif,
        folder: "examples/a lab: 100%/",
        ..Look::default()
    };
    serde_json::from_str(&render_as(&found, sources, &look)).unwrap()
}

#[test]
fn every_finding_makes_a_valid_document() {
    let pages = Code::ALL.iter().map(|code| {
        let page = explain(code.as_str()).unwrap();
        pages::sources(&pages::example(page))
    });
    let documents: Vec<Value> = pages.chain(mutations::all()).map(|it| sarif(&it)).collect();
    let mut of_kind = [0; 3];
    for (document, wrong) in documents.iter().zip(validated(&documents)) {
        assert!(wrong.is_empty(), "{wrong:#?}\nin {document:#}");
        for result in document["runs"][0]["results"].as_array().unwrap() {
            let keys = ["ruleId", "fixes", "relatedLocations"];
            for (count, key) in of_kind.iter_mut().zip(keys) {
                *count += usize::from(result.get(key).is_some());
            }
        }
    }
    assert!(of_kind.iter().all(|count| *count > 5), "{of_kind:?}");
    let spoilt = serde_json::json!({"version": "2.1.0", "runs": [{"results": 1}]});
    assert!(!validated(&[spoilt])[0].is_empty());
}

#[test]
fn a_fix_and_a_related_place_say_where() {
    let mut sources = Sources::new();
    sources.add(
        "PAv1/a b:ä.yaml",
        "apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps: []\n  steps: []\n  descripton: x\n",
    );
    let found = se_dsl::check_documents(&sources, Options::default());
    let text = render(&found, &sources, Format::Sarif, false);
    let document: Value = serde_json::from_str(&text).unwrap();
    insta::assert_snapshot!(format!("{:#}", document["runs"][0]["results"]));
}
