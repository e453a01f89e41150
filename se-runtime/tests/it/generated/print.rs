//! A package as documents.

mod steps;

use se_dsl::Sources;
use se_dsl::catalog::Kind;
use se_dsl::checked::{CheckMode, ConnectorClass, ReportClass, Transport};
use se_dsl::expr::Root;
use serde_json::{Map, Value, json};

use super::model::{
    Check, Composite, Connector, Expr, Form, Item, Job, JobRef, Package, Parameter, Part, Phase,
    Place, Report, Rubric, Scenario,
};
use super::style::{self, Style};
use steps::{escaped, step, template};

/// Every document with its path, in whatever style.
pub(crate) fn documents(package: &Package, seed: u64) -> Vec<(String, String)> {
    let mut style = Style::of(seed);
    let all = values(package, &mut style);
    let print = |(path, value): (String, Value)| {
        let text = style::document(&value, &mut style);
        (path, text)
    };
    all.into_iter().map(print).collect()
}

/// The documents as what a check takes.
pub(crate) fn sources(documents: &[(String, String)]) -> Sources {
    let mut sources = Sources::new();
    for (path, text) in documents {
        sources.add(path.as_str(), text.as_str());
    }
    sources
}

fn values(package: &Package, style: &mut Style) -> Vec<(String, Value)> {
    let mut all = vec![
        ("PAv1/manifest.yaml".to_owned(), manifest(package)),
        ("PAv1/lifecycle.yaml".to_owned(), lifecycle(package, style)),
    ];
    all.extend(place(&package.place, "PAv1", style));
    for part in &package.parts {
        let root = format!("PAv1/parts/{}", part.folder);
        all.push((format!("{root}/part.yaml"), part_of(part)));
        all.extend(place(&part.place, &root, style));
    }
    all
}

fn place(place: &Place, root: &str, style: &mut Style) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut add = |path: String, value: Value| all.push((format!("{root}/{path}.yaml"), value));
    if !place.connectors.is_empty() {
        let spec: Vec<Value> = place.connectors.iter().map(connector).collect();
        let spec = json!({"connectors": spec});
        add(
            "connectors".to_owned(),
            enveloped("ConnectorModel", json!({}), spec),
        );
    }
    for it in &place.composites {
        add(format!("composites/{}", it.name), composite(it, style));
    }
    for it in &place.jobs {
        add(format!("jobs/{}", it.name), job(it));
    }
    for it in &place.rubrics {
        add(format!("grading/{}", it.name), rubric(it));
    }
    for it in &place.reports {
        add(format!("reports/{}", it.name), report(it));
    }
    for it in &place.scenarios {
        add(format!("scenarios/{}", it.name), scenario(it));
    }
    all
}

fn enveloped(kind: &str, metadata: Value, spec: Value) -> Value {
    let mut document = json!({"apiVersion": "pav1", "kind": kind});
    if metadata.as_object().is_some_and(|it| !it.is_empty()) {
        document["metadata"] = metadata;
    }
    document["spec"] = spec;
    document
}

fn manifest(package: &Package) -> Value {
    let own = &package.manifest;
    let pod_type = own.pod_type;
    match own.form {
        Form::Seed => json!({
            "schema_version": "1.0",
            "pod_type": pod_type,
            "min_resources": {"vcpus": 2},
            "features": ["devices"],
        }),
        Form::Flat => json!({
            "format_version": "PAv1",
            "name": own.name,
            "description": own.title,
            "version": own.version,
            "content_id": "sample-1",
            "pod_type": pod_type,
        }),
        Form::Lablet | Form::Session => {
            let metadata = json!({
                "name": own.name,
                "title": own.title,
                "content_version": own.version,
                "track": "one",
            });
            if own.form == Form::Lablet {
                return enveloped("LabletDefinition", metadata, json!({"pod_type": pod_type}));
            }
            let of = |part: &Part| json!({"requirement": part.name, "order": part.order});
            let parts: Vec<Value> = package.parts.iter().map(of).collect();
            enveloped("SessionDefinition", metadata, json!({"parts": parts}))
        }
    }
}

fn part_of(part: &Part) -> Value {
    let mut spec = json!({"pod_type": "none", "form_selector": {"fqn_pattern": "* one *"}});
    if part.from_submission {
        spec["collect_source"] = json!("submission");
    }
    enveloped("PartDefinition", json!({"name": part.name}), spec)
}

fn lifecycle(package: &Package, style: &mut Style) -> Value {
    let phase = |phase: &Phase| {
        let jobs: Vec<Value> = phase.jobs.iter().map(job_ref).collect();
        json!({"name": phase.name, "jobs": jobs})
    };
    let phases: Vec<Value> = package.phases.iter().map(phase).collect();
    let key = if package.parts.is_empty() || style.one_in(3) {
        "phases"
    } else {
        "part_workflow"
    };
    enveloped("Lifecycle", json!({}), json!({key: phases}))
}

fn job_ref(reference: &JobRef) -> Value {
    let mut value = json!({"definition": reference.definition});
    let mut set = |key: &str, it: Option<&str>| {
        if let Some(it) = it {
            value[key] = json!(it);
        }
    };
    set("process_type", reference.process_type.map(|it| it.as_str()));
    set("rubric", reference.rubric.as_deref());
    set("report", reference.report.as_deref());
    set("scenario", reference.scenario.as_deref());
    value
}

fn connector(connector: &Connector) -> Value {
    let class = match connector.class {
        ConnectorClass::CiscoCommon => "cisco_common",
        ConnectorClass::Unix => "unix",
        ConnectorClass::Control => "control",
    };
    let transport = match connector.transport {
        Transport::Telnet => "telnet",
        Transport::Console => "console",
        Transport::Ssh => "ssh",
    };
    let mut value = json!({"name": connector.name, "class": class, "transport": transport});
    if let Some(timeout) = connector.timeout {
        value["timeout"] = json!(timeout);
    }
    for (key, fact) in &connector.facts {
        let path = ["devices", &connector.name, fact].map(str::to_owned);
        let read = Expr::Read(Root::RuntimeEnv, path.to_vec());
        value[*key] = json!(template(&read));
    }
    value
}

fn composite(composite: &Composite, style: &mut Style) -> Value {
    let mut spec = json!({"description": "Several steps"});
    if !composite.parameters.is_empty() {
        spec["parameters"] = parameters(&composite.parameters, style);
    }
    if !composite.export.is_empty() {
        spec["export"] = json!(composite.export);
    }
    spec["steps"] = composite.steps.iter().map(step).collect();
    let metadata = json!({"version": composite.version});
    enveloped("CompositeScenario", metadata, spec)
}

/// A mapping, or a list.
fn parameters(all: &[Parameter], style: &mut Style) -> Value {
    if style.one_in(3) {
        let listed = |it: &Parameter| {
            let mut value = json!({"name": it.name});
            let more = parameter(it);
            value
                .as_object_mut()
                .into_iter()
                .for_each(|it| it.extend(more.clone()));
            value
        };
        return all.iter().map(listed).collect();
    }
    let mut map = Map::new();
    for it in all {
        let is_plain = it.required && it.choices.is_empty();
        let value = if is_plain && !style.one_in(3) {
            json!(kind(it.kind))
        } else {
            Value::Object(parameter(it))
        };
        map.insert(it.name.clone(), value);
    }
    Value::Object(map)
}

fn parameter(parameter: &Parameter) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("type".to_owned(), json!(kind(parameter.kind)));
    match &parameter.default {
        Some(default) => value.insert("default".to_owned(), escaped(default)),
        None if !parameter.required => value.insert("required".to_owned(), json!(false)),
        None => None,
    };
    if !parameter.choices.is_empty() {
        value.insert("enum".to_owned(), json!(parameter.choices));
    }
    value
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "string",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Array => "array",
        Kind::Object => "object",
        Kind::Any | Kind::Count | Kind::Amount | Kind::Strings | Kind::OneOf(_) => "any",
    }
}

fn job(job: &Job) -> Value {
    let mut spec = Map::new();
    if let Some(process_type) = job.process_type {
        spec.insert("process_type".to_owned(), json!(process_type.as_str()));
    }
    if job.sequential {
        spec.insert("execution".to_owned(), json!("sequential"));
    }
    spec.insert("steps".to_owned(), job.steps.iter().map(step).collect());
    let metadata = json!({"version": job.version});
    enveloped("JobDefinition", metadata, Value::Object(spec))
}

fn rubric(rubric: &Rubric) -> Value {
    let item = |item: &Item| {
        let checks: Vec<Value> = item.checks.iter().map(check).collect();
        json!({
            "id": item.id,
            "points": points(item.points),
            "description": item.description,
            "checks": checks,
        })
    };
    let items: Vec<Value> = rubric.items.iter().map(item).collect();
    let total = rubric.items.iter().map(|it| it.points).sum();
    let mut spec = json!({"max_points": points(total), "items": items});
    if let Some(domain) = &rubric.domain {
        spec["domain"] = json!(domain);
    }
    let metadata = match &rubric.title {
        Some(title) => json!({"name": title}),
        None => json!({}),
    };
    enveloped("EvaluationRuleset", metadata, spec)
}

fn points(hundredths: u32) -> Value {
    if hundredths.is_multiple_of(100) {
        json!(hundredths / 100)
    } else {
        json!(f64::from(hundredths) / 100.0)
    }
}

fn check(check: &Check) -> Value {
    let mut value = json!({"source": check.source.join("."), "regex": check.pattern});
    if let Some(flags) = &check.flags {
        value["flags"] = json!(flags);
    }
    match check.mode {
        Some(CheckMode::Positive) => value["mode"] = json!("positive"),
        Some(CheckMode::Negative) => value["mode"] = json!("negative"),
        None => {}
    }
    if let Some(text) = &check.on_fail {
        value["on_fail"] = json!(text);
    }
    value
}

fn report(report: &Report) -> Value {
    let class = ReportClass::of(report.process_type);
    let mut spec = json!({
        "process_type": report.process_type.as_str(),
        "report_class": class.as_str(),
    });
    if !report.include.is_empty() {
        let groups = report.include.iter();
        let groups: Vec<Value> = groups
            .map(|(group, fields)| json!({*group: fields}))
            .collect();
        spec["include"] = json!(groups);
    }
    if report.by_part {
        spec["aggregate"] = json!("by_part");
    }
    enveloped("ProcessReportSpec", json!({}), spec)
}

fn scenario(scenario: &Scenario) -> Value {
    let item = |(device, command, path): &(String, String, Vec<String>)| json!({"device": device, "command": command, "as": path.join(".")});
    let collect: Vec<Value> = scenario.collect.iter().map(item).collect();
    let mut spec = json!({"collect": collect});
    if let Some(devices) = &scenario.devices {
        spec["devices"] = json!(devices);
    }
    enveloped("ScenarioDefinition", json!({}), spec)
}
