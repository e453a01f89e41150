//! Commands that look at content: `plan`, `pack`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use se_content::Limits;
use se_dsl::diagnostic::{self, Format};
use se_dsl::{Checked, Options, Outcome, Severity, Sources};

use super::{Ended, Failure, print, print_json};
use crate::config::Colour;
use crate::error::chain;

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
    let colour = Colour::Auto.applies(io::stderr().is_terminal());
    let text = diagnostic::render(&outcome.diagnostics, sources, Format::Text, colour);
    writeln!(io::stderr(), "{text}").map_err(|error| Failure::new(2, error))
}
