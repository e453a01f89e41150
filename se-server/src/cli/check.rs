//! Commands that look at content: `validate`, `plan`, `pack`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use se_content::Limits;
use se_dsl::diagnostic::{self, Format};
use se_dsl::{Checked, Options, Outcome, Severity, Sources};
use serde_json::{Value, json};

use super::{Ended, Failure, colour, print, print_json};
use crate::error::chain;

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Package folders, zips, or single documents.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// How findings are written.
    #[arg(long, value_enum, default_value_t)]
    format: Findings,
    /// Literal passwords and ports in content are errors.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Findings {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// GitHub annotations.
    Github,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    /// A package folder or zip.
    path: PathBuf,
    /// The job to plan.
    #[arg(long, required_unless_present = "phase", conflicts_with = "phase")]
    job: Option<String>,
    /// The phase to plan.
    #[arg(long)]
    phase: Option<String>,
    /// How the plan is written.
    #[arg(long, value_enum, default_value_t)]
    format: Drawing,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Drawing {
    /// Wave by wave, with the reason for each wait.
    #[default]
    Text,
    /// For programs.
    Json,
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
    /// A picture.
    Svg,
}

#[derive(Debug, Args)]
pub(super) struct Pack {
    /// The package folder.
    dir: PathBuf,
    /// The zip [default: the folder's name with .zip].
    #[arg(short, long)]
    output: Option<PathBuf>,
}

pub(super) fn validate(options: &Validate) -> Ended {
    let mut errors = 0;
    let mut unreadable = false;
    let mut documents: Vec<Value> = Vec::new();
    for path in &options.paths {
        let package = match se_content::read(path, &Limits::default()) {
            Ok(package) => package,
            Err(error) => {
                unreadable = true;
                // Where stderr is closed there is nobody to tell.
                writeln!(io::stderr(), "error: {}: {}", path.display(), chain(&error)).ok();
                continue;
            }
        };
        let strict = Options {
            strict: options.strict,
        };
        // A single document is no package: what only a package can tell is not asked of it.
        let found = &match package.content_hash {
            Some(_) => se_dsl::check(&package.sources, strict).diagnostics,
            None => se_dsl::check_documents(&package.sources, strict),
        };
        errors += found.count(Severity::Error);
        let render = |format| diagnostic::render(found, &package.sources, format, colour());
        match options.format {
            Findings::Text => print(&render(Format::Text))?,
            Findings::Github => print(&render(Format::Github))?,
            Findings::Json => {
                documents.push(parsed(&render(Format::Json))?);
                0
            }
            Findings::Sarif => {
                documents.push(parsed(&render(Format::Sarif))?);
                0
            }
        };
    }
    match options.format {
        Findings::Text | Findings::Github => 0,
        Findings::Json => print_json(&merged(&documents))?,
        Findings::Sarif => print_json(&merged_runs(documents))?,
    };
    Ok(match (unreadable, errors) {
        (true, _) => 2,
        (false, 0) => 0,
        (false, _) => 1,
    })
}

fn parsed(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::new(2, error))
}

/// The findings of several packages as those of one.
fn merged(documents: &[Value]) -> Value {
    let count = |key: &str| {
        documents
            .iter()
            .filter_map(|it| it[key].as_u64())
            .sum::<u64>()
    };
    let all = documents
        .iter()
        .filter_map(|it| it["diagnostics"].as_array())
        .flatten();
    json!({
        "diagnostics": all.collect::<Vec<_>>(),
        "errors": count("errors"),
        "warnings": count("warnings"),
    })
}

fn merged_runs(documents: Vec<Value>) -> Value {
    let mut all = documents.into_iter();
    let Some(mut first) = all.next() else {
        return json!({"version": "2.1.0", "runs": []});
    };
    for mut document in all {
        if let (Some(runs), Some(more)) = (
            first["runs"].as_array_mut(),
            document["runs"].as_array_mut(),
        ) {
            runs.append(more);
        }
    }
    first
}

pub(super) fn plan(options: &Plan) -> Ended {
    let checked = Arc::new(checked(&options.path)?);
    let plan = match (&options.job, &options.phase) {
        (Some(job), _) => se_runtime::Plan::of_job(checked, job),
        (None, Some(phase)) => se_runtime::Plan::of_phase(checked, phase),
        (None, None) => return Err(Failure::new(2, "give --job NAME or --phase NAME")),
    };
    let plan = plan.map_err(|error| Failure::new(1, error))?;
    match options.format {
        Drawing::Text => print(&plan.to_text()),
        Drawing::Json => print_json(&plan.to_json()),
        Drawing::Dot => print(&plan.to_dot()),
        Drawing::Mermaid => print(&plan.to_mermaid()),
        Drawing::Svg => print(&plan.to_svg()),
    }
}

pub(super) fn pack(options: &Pack) -> Ended {
    checked(&options.dir)?;
    let bytes = se_content::pack(&options.dir, &Limits::default())
        .map_err(|error| Failure::new(2, chain(&error)))?;
    let default = || {
        let full = std::fs::canonicalize(&options.dir).unwrap_or_else(|_| options.dir.clone());
        let name = full
            .file_name()
            .map_or_else(|| "package".into(), std::ffi::OsStr::to_os_string);
        let mut name = PathBuf::from(name).into_os_string();
        name.push(".zip");
        PathBuf::from(name)
    };
    let output = options.output.clone().unwrap_or_else(default);
    let failed =
        |error: io::Error| Failure::new(2, format!("cannot write {}: {error}", output.display()));
    std::fs::write(&output, &bytes).map_err(failed)?;
    print(&format!("{} ({} bytes)", output.display(), bytes.len()))
}

/// The package at `path`, if it has no errors; they are shown otherwise.
pub(super) fn checked(path: &Path) -> Result<Checked, Failure> {
    let package = se_content::read(path, &Limits::default())
        .map_err(|error| Failure::new(2, format!("{}: {}", path.display(), chain(&error))))?;
    let outcome = se_dsl::check(&package.sources, Options::default());
    show(&outcome, &package.sources)?;
    let errors = outcome.diagnostics.count(Severity::Error);
    let some = if errors == 1 { "an error" } else { "errors" };
    let broken = || Failure::new(1, format!("{} has {some}; see above", path.display()));
    outcome.checked.ok_or_else(broken)
}

fn show(outcome: &Outcome, sources: &Sources) -> Result<(), Failure> {
    if !outcome.diagnostics.has_errors() {
        return Ok(());
    }
    let colour = io::stderr().is_terminal();
    let text = diagnostic::render(&outcome.diagnostics, sources, Format::Text, colour);
    writeln!(io::stderr(), "{text}").map_err(|error| Failure::new(2, error))
}
