//! What a model says, as JSON: what [`super::told`] must give of it, whatever the style of its documents.

use se_dsl::catalog::Stage;
use se_dsl::checked::{CheckMode, ProcessType, ReportClass};
use se_dsl::expr::Root;
use serde_json::{Map, Value, json};

use super::told::on_error;
use crate::generated::model::{
    Composite, Connector, ELEMENT, Expr, Form, Input, Package, Part, Piece, Place, Rubric, Step,
    Uses,
};
use crate::generated::resolve::{self, Resolved};

pub(super) fn package(package: &Package) -> Value {
    let phases = package.phases.iter().map(|phase| {
        let jobs = resolve::jobs(package, phase);
        let jobs: Vec<Value> = jobs.iter().map(|it| job(package, it)).collect();
        json!({"name": phase.name, "jobs": jobs})
    });
    let parts = package.parts.iter().enumerate().map(|(at, part)| {
        json!({
            "name": part.name,
            "pod_type": "none",
            "form_pattern": "* one *",
            "from_submission": part.from_submission,
            "content": content(package, Some(at)),
        })
    });
    json!({
        "manifest": manifest(package),
        "phases": phases.collect::<Value>(),
        "content": content(package, None),
        "parts": parts.collect::<Value>(),
    })
}

fn manifest(package: &Package) -> Value {
    let own = &package.manifest;
    let is_seed = own.form == Form::Seed;
    let text = |it: &String| if is_seed { "" } else { it.as_str() }.to_owned();
    let mut facts = match own.form {
        Form::Seed => json!({"min_resources": {"vcpus": 2}, "features": ["devices"]}),
        Form::Flat => json!({"content_id": "sample-1"}),
        Form::Lablet | Form::Session => json!({
            "name": own.name,
            "title": own.title,
            "content_version": own.version,
            "track": "one",
        }),
    };
    if own.form == Form::Session {
        let part = |it: &Part| json!({"requirement": it.name, "order": it.order});
        facts["parts"] = package.parts.iter().map(part).collect();
    }
    json!({
        "name": text(&own.name),
        "title": text(&own.title),
        "version": if is_seed { "1" } else { &own.version },
        "pod_type": "none",
        "facts": facts,
    })
}

fn content(package: &Package, part: Option<usize>) -> Value {
    let place: &Place = package.place_of(part);
    let jobs = place.jobs.iter().map(|it| {
        let mut alone = resolve::alone(package, it);
        alone.part = part;
        if let Some(part) = part {
            let root = format!("/parts/{}", package.parts[part].name);
            alone
                .pointers
                .iter_mut()
                .for_each(|it| it.insert_str(0, &root));
        }
        // No phase adds to it.
        alone.job.steps.truncate(it.steps.len());
        (it.name.clone(), job(package, &alone))
    });
    let rubrics = place.rubrics.iter().map(|it| (it.name.clone(), rubric(it)));
    let report = |it: &crate::generated::model::Report| {
        json!({
            "name": it.name,
            "process_type": it.process_type,
            "report_class": ReportClass::of(it.process_type),
            "include": it.include,
            "aggregate": it.by_part.then_some("by_part"),
        })
    };
    let reports = place.reports.iter().map(|it| (it.name.clone(), report(it)));
    json!({
        "jobs": jobs.collect::<Value>(),
        "connectors": place.connectors.iter().map(connector).collect::<Value>(),
        "rubrics": rubrics.collect::<Value>(),
        "reports": reports.collect::<Value>(),
    })
}

fn job(package: &Package, resolved: &Resolved) -> Value {
    let job = &resolved.job;
    let steps = job.steps.iter().zip(&resolved.pointers);
    let step = |(it, pointer): (&Step, &String)| step(package, resolved, it, pointer);
    let process_type: Option<ProcessType> = job.process_type;
    json!({
        "name": job.name,
        "version": job.version,
        "part": resolved.part,
        "takes_over": resolved.takes_over,
        "process_type": process_type,
        "sequential": job.sequential,
        "steps": steps.map(step).collect::<Value>(),
        "report": resolved.report,
    })
}

fn step(package: &Package, of: &Resolved, step: &Step, pointer: &str) -> Value {
    let with = step.with.iter().map(|(key, it)| (key.clone(), input(it)));
    let capture = step.capture.iter().map(|it| {
        let name = |it: &String| {
            if it == ELEMENT {
                "<element>".to_owned()
            } else {
                it.clone()
            }
        };
        let path: Vec<String> = it.path.iter().map(name).collect();
        json!([it.output, path.join(".")])
    });
    let each = step.each.as_ref().map(|it| {
        json!({
            "var": it.var,
            "in": input(&it.list),
            "stop_on_fail": it.stop_on_fail,
            "concurrent": it.concurrent,
        })
    });
    let called = match &step.uses {
        Uses::Call { name, .. } => Some(package.composite(of.part, name)),
        _ => None,
    };
    let judged = judged_by(package, of, step);
    json!({
        "id": step.id,
        "uses": step.uses.id(),
        "composite": called.map(|it| composite(package, of, it)),
        "target": step.target.as_ref().map(input),
        "with": with.collect::<Value>(),
        "for_each": each,
        "capture": capture.collect::<Value>(),
        "when": step.when.as_ref().map(|it| json!({"expr": it.source()})),
        "on_error": on_error(&step.on_error),
        "timeout": step.timeout.map(|it| it.as_secs_f64()),
        "stage": stage(package, of, step),
        "needs": step.needs,
        "rubric": judged.map(rubric),
        "reads": reads(step, judged),
        "pointer": pointer,
    })
}

/// The rubric of a step that judges by one.
pub(super) fn judged_by<'p>(
    package: &'p Package,
    of: &'p Resolved,
    step: &Step,
) -> Option<&'p Rubric> {
    match &step.uses {
        Uses::Judge(Some(name)) => {
            let own = package.place_of(of.part).rubrics.iter();
            let mut all = own.chain(&package.place.rubrics);
            all.find(|it| it.name == *name)
        }
        Uses::Judge(None) => of.given.as_ref(),
        _ => None,
    }
}

fn stage(package: &Package, of: &Resolved, step: &Step) -> Stage {
    step.stage.unwrap_or_else(|| match &step.uses {
        Uses::Pause | Uses::Exec(_) => Stage::Setup,
        Uses::Collect(_) => Stage::Collect,
        Uses::Regex | Uses::Judge(_) => Stage::Evaluate,
        Uses::Report(_) => Stage::Report,
        Uses::Call { name, .. } => {
            let called = package.composite(of.part, name);
            stage(package, of, &called.steps[0])
        }
    })
}

/// Every path that a step reads, without what its loop binds.
fn reads(step: &Step, rubric: Option<&Rubric>) -> Value {
    let mut all: Vec<(Root, Vec<String>)> = step.reads();
    let checks = rubric
        .iter()
        .flat_map(|it| &it.items)
        .flat_map(|it| &it.checks);
    all.extend(checks.map(|it| (Root::Vars, it.source.clone())));
    all.sort();
    all.dedup();
    let shown = all.into_iter().map(|(root, path)| {
        let names = std::iter::once(root.as_str()).chain(path.iter().map(String::as_str));
        Value::from(names.collect::<Vec<_>>().join(" "))
    });
    shown.collect()
}

/// The value, where no expression is in it.
fn literal(input: &Input) -> Option<Value> {
    match input {
        Input::Literal(value) => Some(value.clone()),
        Input::Expr(_) | Input::Text(_) => None,
        Input::List(items) => items.iter().map(literal).collect(),
        Input::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, it)| Some((key.clone(), literal(it)?)));
            entries.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
    }
}

fn input(input: &Input) -> Value {
    if let Some(value) = literal(input) {
        return json!({"value": value});
    }
    let expr = |it: &Expr| json!({"expr": it.source()});
    match input {
        Input::Literal(value) => json!({"value": value}),
        Input::Expr(it) => expr(it),
        Input::Text(pieces) => {
            let piece = |it: &Piece| match it {
                Piece::Plain(text) => json!(text),
                Piece::Expr(it) => expr(it),
            };
            json!({"text": pieces.iter().map(piece).collect::<Value>()})
        }
        Input::List(items) => items.iter().map(self::input).collect(),
        Input::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, it)| (key.clone(), self::input(it)));
            json!({"map": entries.collect::<Value>()})
        }
    }
}

fn composite(package: &Package, of: &Resolved, composite: &Composite) -> Value {
    let parameter = |it: &crate::generated::model::Parameter| {
        json!({
            "name": it.name,
            "type": it.kind.describe(),
            "required": it.required,
            "default": it.default,
            "choices": it.choices,
        })
    };
    let own = package.place_of(of.part).composites.iter();
    let is_own = of.part.is_some() && own.clone().any(|it| it.name == composite.name);
    let root = match of.part.filter(|_| is_own) {
        Some(part) => format!("/parts/{}", package.parts[part].name),
        None => String::new(),
    };
    let steps = composite.steps.iter().enumerate().map(|(at, it)| {
        let pointer = format!("{root}/composites/{}/steps/{at}", composite.name);
        step(package, of, it, &pointer)
    });
    json!({
        "name": composite.name,
        "version": composite.version,
        "parameters": composite.parameters.iter().map(parameter).collect::<Value>(),
        "export": composite.export,
        "steps": steps.collect::<Value>(),
        "effect": composite.effect,
        "inherits": composite.inherits,
    })
}

fn connector(connector: &Connector) -> Value {
    let value = |key: &str| {
        let mut facts = connector.facts.iter();
        let (_, fact) = facts.find(|(it, _)| *it == key)?;
        let path = ["devices", &connector.name, fact].map(str::to_owned);
        let read = Expr::Read(Root::RuntimeEnv, path.to_vec());
        Some(json!({"expr": read.source()}))
    };
    json!({
        "name": connector.name,
        "class": connector.class,
        "transport": connector.transport,
        "device": connector.name,
        "timeout": connector.timeout,
        "port": value("port"),
        "via_port": value("via_port"),
        "prompt": value("prompt"),
        "username": value("username"),
        "password": value("password"),
        "enable_password": value("enable_password"),
    })
}

fn rubric(rubric: &Rubric) -> Value {
    let check = |it: &crate::generated::model::Check| {
        let written = it.flags.clone().unwrap_or_else(|| vec!["multiline"]);
        let is_set = |long: &str| {
            let mut written = written.iter();
            written.any(|it| *it == long || *it == &long[..1])
        };
        let is_dotall = is_set("dotall") || written.contains(&"s");
        let flags = [
            ("multiline", is_set("multiline")),
            ("dotall", is_dotall),
            ("ignorecase", is_set("ignorecase")),
            ("global", is_set("global")),
        ];
        let flags = flags.iter().filter(|(_, is_set)| *is_set);
        json!({
            "source": it.source,
            "regex": it.pattern,
            "flags": flags.map(|(name, _)| json!(name)).collect::<Value>(),
            "mode": it.mode.unwrap_or(CheckMode::Positive),
            "on_fail": it.on_fail,
        })
    };
    let item = |it: &crate::generated::model::Item| {
        json!({
            "id": it.id,
            "points": it.points,
            "description": it.description,
            "checks": it.checks.iter().map(check).collect::<Value>(),
        })
    };
    json!({
        "name": rubric.title.as_ref().unwrap_or(&rubric.name),
        "domain": rubric.domain,
        "max_points": rubric.items.iter().map(|it| it.points).sum::<u32>(),
        "items": rubric.items.iter().map(item).collect::<Value>(),
    })
}
