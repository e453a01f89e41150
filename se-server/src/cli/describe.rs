//! What the engine says of itself: catalogue, schemas, explanations.

use std::collections::BTreeMap;
use std::path::Path;

use se_dsl::catalog::{self, Primitive, Target};
use serde_json::{Value, json};

use super::{Ended, Failure, print, print_json};

/// A primitive, for people and tools.
pub(crate) fn primitive(it: &Primitive) -> Value {
    json!({
        "name": it.name,
        "version": it.version,
        "description": it.summary,
        "effect": it.effect,
        "stage": it.stage,
        "repeatable": it.repeatable,
        "needs": it.needs,
        "target": it.target == Target::Required,
        "timeout_seconds": it.timeout_seconds,
        "input_schema": it.input_schema(),
        "output_schema": it.output_schema(),
    })
}

/// `scenario-functions.catalog.json`.
pub(crate) fn catalog() -> Value {
    json!({
        "catalog_version": "1.0",
        "engine_version": env!("CARGO_PKG_VERSION"),
        "functions": catalog::all().iter().map(primitive).collect::<Vec<_>>(),
    })
}

/// Every JSON Schema by its name: `<primitive>@<version>.input` and `.output`.
pub(crate) fn schemas() -> BTreeMap<String, Value> {
    let both = |it: &Primitive| {
        [
            (format!("{}.input", it.id()), it.input_schema()),
            (format!("{}.output", it.id()), it.output_schema()),
        ]
    };
    catalog::all().iter().flat_map(both).collect()
}

pub(super) fn write_schemas(folder: Option<&Path>) -> Ended {
    let all = schemas();
    let Some(folder) = folder else {
        return print_json(&all.into_iter().collect());
    };
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(2, format!("cannot write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, schema) in &all {
        let path = folder.join(format!("{name}.schema.json"));
        std::fs::write(&path, format!("{schema:#}\n")).map_err(|error| failed(&path, error))?;
    }
    print(&format!(
        "{} schemas written to {}",
        all.len(),
        folder.display()
    ))
}

pub(super) fn explain(code: &str) -> Ended {
    match se_dsl::diagnostic::explain(&code.to_ascii_uppercase()) {
        Some(page) => print(page),
        None => {
            let all = se_dsl::diagnostic::Code::ALL.iter().map(|it| it.as_str());
            let near = crate::config::nearest(&code.to_ascii_uppercase(), all)
                .map_or_else(String::new, |it| format!(" did you mean `{it}`?"));
            let text = format!(
                "there is no code `{code}`;{near} give one as findings show it, like SE1203"
            );
            Err(Failure::new(2, text))
        }
    }
}
