//! `store export` and `store import`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use se_store::Objects;

use super::{Place, configured};
use crate::cli::{Ended, Failure, runtime};
use crate::config::Config;
use crate::engine::{objects, objects_there};
use crate::error::chain;

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    place: Place,
    /// The file to write [default: standard output].
    #[arg(long)]
    to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    place: Place,
    /// The file that `store export` wrote.
    #[arg(long)]
    from: PathBuf,
}

pub(super) fn export(options: Export) -> Ended {
    let config = configured(options.place)?;
    let moved = match &options.to {
        None => write(&config, &mut BufWriter::new(io::stdout()))?,
        Some(path) => to_file(&config, path)?,
    };
    say(&format!("exported: {moved}"))
}

/// A file is there once it is whole, and for its owner only: it holds what devices said.
fn to_file(config: &Config, path: &Path) -> Result<se_store::Moved, Failure> {
    let failed =
        |error: io::Error| Failure::new(2, format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().filter(|it| *it != Path::new(""));
    let file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    let file = file.map_err(failed)?;
    let moved = write(config, &mut BufWriter::new(file.as_file()))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|it| failed(it.error))?;
    let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    folder.sync_all().map_err(failed)?;
    Ok(moved)
}

fn write(config: &Config, into: &mut (dyn Write + Send)) -> Result<se_store::Moved, Failure> {
    let objects = usable(objects_there(config))?;
    let address = config.store.address();
    let moved = runtime()?.block_on(se_store::export(&address, &objects, into));
    moved.map_err(|error| Failure::new(2, chain(&error)))
}

pub(super) fn import(options: Import) -> Ended {
    let config = configured(options.place)?;
    let objects = usable(objects(&config))?;
    let address = config.store.address();
    let moved = runtime()?.block_on(se_store::import(&address, &objects, &options.from));
    let moved = moved.map_err(|error| {
        let file = options.from.display();
        Failure::new(
            2,
            format!("nothing of {file} was imported: {}", chain(&error)),
        )
    })?;
    say(&format!("imported: {moved}"))
}

fn usable(objects: crate::error::Result<Objects>) -> Result<Objects, Failure> {
    objects.map_err(|error| Failure::new(2, chain(&error)))
}

/// Beside the rows, which may go to standard output.
fn say(line: &str) -> Ended {
    writeln!(io::stderr(), "{line}").map_err(|error| Failure::new(2, error.to_string()))?;
    Ok(0)
}
