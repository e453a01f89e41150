//! What a checked package holds, as JSON: everything that a document can say.

use std::sync::Arc;

use se_dsl::Checked;
use se_dsl::checked::{
    Composite, Connector, Content, Execution, Job, OnError, ReportSpec, Rubric, Step,
};
use se_dsl::expr::{Part, Reads, Template};
use serde_json::{Value, json};

pub(super) fn package(package: &Checked) -> Value {
    let manifest = &package.manifest;
    let phases = package.phases.iter().map(|phase| {
        let jobs: Vec<Value> = phase.jobs.iter().map(|it| job(it)).collect();
        json!({"name": phase.name, "jobs": jobs})
    });
    let parts = package.parts.iter().map(|part| {
        json!({
            "name": part.name,
            "pod_type": part.pod_type,
            "form_pattern": part.form_pattern,
            "from_submission": part.from_submission,
            "content": content(&part.content),
        })
    });
    json!({
        "manifest": {
            "name": manifest.name,
            "title": manifest.title,
            "version": manifest.version,
            "pod_type": manifest.pod_type,
            "facts": manifest.facts,
        },
        "phases": phases.collect::<Value>(),
        "content": content(&package.content),
        "parts": parts.collect::<Value>(),
    })
}

fn content(content: &Content) -> Value {
    let jobs = content
        .jobs
        .iter()
        .map(|(name, it)| (name.clone(), job(it)));
    let rubrics = content.rubrics.iter();
    let rubrics = rubrics.map(|(name, it)| (name.clone(), rubric(it)));
    let reports = content.reports.iter();
    let reports = reports.map(|(name, it)| (name.clone(), report(it)));
    json!({
        "jobs": jobs.collect::<Value>(),
        "connectors": content.connectors.iter().map(connector).collect::<Value>(),
        "rubrics": rubrics.collect::<Value>(),
        "reports": reports.collect::<Value>(),
    })
}

fn job(job: &Job) -> Value {
    json!({
        "name": job.name,
        "version": job.version,
        "part": job.part,
        "takes_over": job.takes_over,
        "process_type": job.process_type,
        "sequential": job.execution == Execution::Sequential,
        "steps": job.steps.iter().map(|it| step(it)).collect::<Value>(),
        "report": job.report.as_ref().map(|it| it.name.clone()),
    })
}

fn step(step: &Step) -> Value {
    let with = step
        .with
        .iter()
        .map(|(key, it)| (key.clone(), template(it)));
    let capture = step.capture.iter();
    let capture = capture.map(|it| json!([it.output, it.path.to_string()]));
    let each = step.for_each.as_ref().map(|it| {
        json!({
            "var": it.var,
            "in": template(&it.list),
            "stop_on_fail": it.stop_on_fail,
            "concurrent": it.concurrent,
        })
    });
    json!({
        "id": step.id,
        "uses": step.uses.id(),
        "composite": step.uses.composite().map(composite),
        "target": step.target.as_ref().map(template),
        "with": with.collect::<Value>(),
        "for_each": each,
        "capture": capture.collect::<Value>(),
        "when": step.when.as_ref().map(template),
        "on_error": on_error(&step.on_error),
        "timeout": step.timeout.map(|it| it.as_secs_f64()),
        "stage": step.stage,
        "needs": step.needs,
        "rubric": step.rubric.as_ref().map(rubric),
        "reads": reads(&step.reads),
        "pointer": step.pointer,
    })
}

pub(super) fn on_error(on_error: &OnError) -> Value {
    match on_error {
        OnError::Fail => json!("fail"),
        OnError::Continue => json!("continue"),
        OnError::Retry { retries, backoff } => json!([retries, backoff.as_secs_f64()]),
    }
}

fn reads(reads: &Reads) -> Value {
    let shown = reads.iter().map(|(root, path)| {
        let names = std::iter::once(root.as_str()).chain(path.iter().map(String::as_str));
        names.collect::<Vec<_>>().join(" ")
    });
    shown.map(Value::from).collect()
}

fn template(template: &Template) -> Value {
    match template {
        Template::Literal(value) => json!({"value": value}),
        Template::Expr(expr) => json!({"expr": expr.source().trim()}),
        Template::Text(parts) => {
            let part = |it: &Part| match it {
                Part::Literal(text) => json!(text),
                Part::Expr(expr) => json!({"expr": expr.source().trim()}),
            };
            json!({"text": parts.iter().map(part).collect::<Value>()})
        }
        Template::Array(items) => items.iter().map(self::template).collect(),
        Template::Object(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, it)| (key.clone(), self::template(it)));
            json!({"map": entries.collect::<Value>()})
        }
    }
}

fn composite(composite: &Arc<Composite>) -> Value {
    let parameter = |it: &se_dsl::checked::Parameter| {
        json!({
            "name": it.name,
            "type": it.kind.describe(),
            "required": it.required,
            "default": it.default,
            "choices": it.choices,
        })
    };
    json!({
        "name": composite.name,
        "version": composite.version,
        "parameters": composite.parameters.iter().map(parameter).collect::<Value>(),
        "export": composite.export,
        "steps": composite.steps.iter().map(|it| step(it)).collect::<Value>(),
        "effect": composite.effect,
        "inherits": composite.target == se_dsl::catalog::Target::Required,
    })
}

fn connector(connector: &Arc<Connector>) -> Value {
    let shown = |it: &Option<Template>| it.as_ref().map(template);
    json!({
        "name": connector.name,
        "class": connector.class,
        "transport": connector.transport,
        "device": connector.device,
        "timeout": connector.timeout.map(|it| it.as_secs_f64()),
        "port": shown(&connector.port),
        "via_port": shown(&connector.via_port),
        "prompt": shown(&connector.prompt),
        "username": shown(&connector.username),
        "password": shown(&connector.password),
        "enable_password": shown(&connector.enable_password),
    })
}

fn rubric(rubric: &Arc<Rubric>) -> Value {
    let check = |it: &se_dsl::checked::RubricCheck| {
        json!({
            "source": it.source,
            "regex": it.matcher.source(),
            "flags": it.matcher.flags().names(),
            "mode": it.mode,
            "on_fail": it.on_fail,
        })
    };
    let item = |it: &se_dsl::checked::RubricItem| {
        json!({
            "id": it.id,
            "points": it.points.hundredths(),
            "description": it.description,
            "checks": it.checks.iter().map(check).collect::<Value>(),
        })
    };
    json!({
        "name": rubric.name,
        "domain": rubric.domain,
        "max_points": rubric.max_points.hundredths(),
        "items": rubric.items.iter().map(item).collect::<Value>(),
    })
}

fn report(report: &Arc<ReportSpec>) -> Value {
    json!({
        "name": report.name,
        "process_type": report.process_type,
        "report_class": report.report_class,
        "include": report.include,
        "aggregate": report.aggregate,
    })
}
