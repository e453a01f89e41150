//! What the engine says of itself: catalogue, schemas, explanations.

use std::collections::BTreeMap;
use std::path::Path;

use se_adapters::Registry;
use se_dsl::catalog::{self, Primitive, Target};
use se_dsl::checked::PodType;
use se_dsl::schema;
use serde_json::{Value, json};

use super::{Ended, Failure, print, print_json};

/// A primitive, for people and tools, and the pod types whose adapters can do it.
pub(crate) fn primitive(it: &Primitive, registry: &Registry) -> Value {
    let can = |pod_type: &&PodType| {
        let selected = registry.select(**pod_type, None, &[]);
        selected.is_ok_and(|adapter| adapter.provides(it.needs))
    };
    let pod_types = PodType::ALL.iter().filter(can);
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
        "pod_types": pod_types.map(|it| it.as_str()).collect::<Vec<_>>(),
    })
}

/// `scenario-functions.catalog.json`.
pub(crate) fn catalog(registry: &Registry) -> Value {
    let functions = catalog::all().iter().map(|it| primitive(it, registry));
    json!({
        "catalog_version": "1.0",
        "engine_version": env!("CARGO_PKG_VERSION"),
        "functions": functions.collect::<Vec<_>>(),
        "schemas": schemas().into_keys().collect::<Vec<_>>(),
    })
}

/// Every JSON Schema by its name: of each kind of document, as `job-definition`, and
/// `<primitive>@<version>.input` and `.output`.
pub(crate) fn schemas() -> BTreeMap<String, Value> {
    let both = |it: &Primitive| {
        [
            (format!("{}.input", it.id()), it.input_schema()),
            (format!("{}.output", it.id()), it.output_schema()),
        ]
    };
    let of_primitives = catalog::all().iter().flat_map(both);
    schema::all().into_iter().chain(of_primitives).collect()
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

pub(super) fn explain(code: Option<&str>) -> Ended {
    let all = se_dsl::diagnostic::Code::ALL;
    let Some(code) = code else {
        let lines = all.iter().map(|it| format!("{it}  {}\n", it.title()));
        return print(&lines.collect::<String>());
    };
    if let Some(page) = se_dsl::diagnostic::explain(code) {
        return print(page);
    }
    let names = all.iter().map(|it| it.as_str());
    let near = crate::config::nearest(&code.to_ascii_uppercase(), names)
        .map_or_else(String::new, |it| format!(" did you mean `{it}`?"));
    let text = format!(
        "there is no code `{code}`;{near} give one as findings show it, like SE1203, or none to list them"
    );
    Err(Failure::new(2, text))
}
