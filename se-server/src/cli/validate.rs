//! `validate`: findings in every format, and their certain fixes on request.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use se_content::{Limits, Package};
use se_dsl::diagnostic::{self, Format, Look};
use se_dsl::{Diagnostics, Options, Severity};
use serde_json::{Value, json};

use super::{Ended, Failure, print, print_json};
use crate::config::{Colour, columns};
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
    /// Mends what has a certain fix, in the files of folders and documents; then tells the rest.
    #[arg(long)]
    fix: bool,
    /// When text has colours.
    #[arg(long, value_enum, default_value_t)]
    color: Colour,
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

impl Findings {
    fn format(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::Json => Format::Json,
            Self::Sarif => Format::Sarif,
            Self::Github => Format::Github,
        }
    }
}

/// Fixes may uncover others; more rounds than this mean that two of them undo each other.
const MOST_ROUNDS: usize = 10;

pub(super) fn validate(options: &Validate) -> Ended {
    let mut errors = 0;
    let mut unreadable = false;
    let mut documents: Vec<Value> = Vec::new();
    for path in &options.paths {
        let (package, found) = match checked(path, options) {
            Ok(checked) => checked,
            Err(failure) => {
                unreadable = true;
                // Where stderr is closed there is nobody to tell.
                writeln!(io::stderr(), "error: {}", failure.text).ok();
                continue;
            }
        };
        errors += found.count(Severity::Error);
        let text = diagnostic::render_as(
            &found,
            &package.sources,
            &Look {
                format: options.format.format(),
                colour: options.color.applies(io::stdout().is_terminal()),
                width: columns(),
                folder: &folder(path),
            },
        );
        match options.format {
            Findings::Text | Findings::Github => print(&text)?,
            Findings::Json | Findings::Sarif => {
                documents.push(parsed(&text)?);
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

/// What is at a path, and what is found in it; with `--fix` after what could be mended was.
fn checked(path: &Path, options: &Validate) -> Result<(Package, Diagnostics), Failure> {
    let told = |error: se_content::Error| {
        Failure::new(2, format!("{}: {}", path.display(), chain(&error)))
    };
    let strict = Options {
        strict: options.strict,
    };
    let look = || -> Result<(Package, Diagnostics), Failure> {
        let package = se_content::read(path, &Limits::default()).map_err(told)?;
        // A single document is no package: what only a package can tell is not asked of it.
        let found = match package.content_hash {
            Some(_) => se_dsl::check(&package.sources, strict).diagnostics,
            None => se_dsl::check_documents(&package.sources, strict),
        };
        Ok((package, found))
    };
    let (mut package, mut found) = look()?;
    for _ in 0..MOST_ROUNDS {
        if !options.fix || mend(path, &package, &found)? == 0 {
            break;
        }
        (package, found) = look()?;
    }
    Ok((package, found))
}

/// Writes the files that fixes change, and says which; gives the number of findings that are mended.
fn mend(path: &Path, package: &Package, found: &Diagnostics) -> Result<usize, Failure> {
    let (texts, mended) = found.mended(&package.sources);
    if texts.is_empty() {
        return Ok(0);
    }
    let is_zip = package.content_hash.is_some() && !path.is_dir();
    if is_zip {
        let why = "a zip is not changed: unpack it, and give its folder to --fix";
        return Err(Failure::new(2, format!("{}: {why}", path.display())));
    }
    for (file, text) in &texts {
        let name = package.sources.path(*file);
        let place = if path.is_dir() {
            root(path).join(name)
        } else {
            path.to_path_buf()
        };
        std::fs::write(&place, text).map_err(|error| {
            Failure::new(2, format!("cannot write {}: {error}", place.display()))
        })?;
        writeln!(io::stderr(), "mended {}", place.display()).ok();
    }
    Ok(mended)
}

/// The folder that `PAv1` lies in.
fn root(path: &Path) -> PathBuf {
    let is_inner = std::fs::canonicalize(path).is_ok_and(|it| it.ends_with("PAv1"));
    if is_inner {
        path.join("..")
    } else {
        path.to_path_buf()
    }
}

/// What stands before paths in the package, so that they lead from here to the files.
fn folder(path: &Path) -> String {
    let folder = if !path.is_dir() {
        // Nothing leads into a zip; a document's path is that of its package, if it is in one.
        PathBuf::new()
    } else if path.ends_with("PAv1") {
        path.parent().map(Path::to_path_buf).unwrap_or_default()
    } else {
        path.to_path_buf()
    };
    folder.to_string_lossy().replace('\\', "/")
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
