//! `cargo xtask fuzz`: any bytes against the targets of `fuzz/`, for a bounded time and in bounded memory.

use clap::Args;

use crate::command::{Failure, command, root, run, say, works};

/// The release that the arguments below are written for.
const CARGO_FUZZ: &str = "0.13.2";

/// A target, the longest input it is given, and the features it is built with.
struct Target {
    name: &'static str,
    longest: u32,
    features: Option<&'static str>,
    has_dictionary: bool,
}

const TARGETS: &[Target] = &[
    Target {
        name: "yaml",
        longest: 4096,
        features: None,
        has_dictionary: true,
    },
    Target {
        name: "expression",
        longest: 512,
        features: None,
        has_dictionary: true,
    },
    Target {
        name: "rubric",
        longest: 4096,
        features: None,
        has_dictionary: false,
    },
    Target {
        name: "zip",
        longest: 16_384,
        features: Some("zip"),
        has_dictionary: false,
    },
];

/// How to fuzz.
#[derive(Args)]
pub(crate) struct Options {
    /// Minutes for each target.
    #[arg(long, default_value_t = 1)]
    minutes: u64,
    /// One target; all of them if not given.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS.iter().map(|it| it.name)))]
    target: Option<String>,
}

/// Fuzzes. What it finds anew is kept in `target/fuzz-corpus/`, what breaks in `fuzz/artifacts/`.
pub(crate) fn run_targets(options: &Options) -> Result<(), Failure> {
    let tools = root().join("target/tools");
    let own = tools.join("bin/cargo-fuzz").to_string_lossy().into_owned();
    if !works(&own, &["--version"]) {
        say("installing cargo-fuzz into target/tools");
        let tools = tools.to_string_lossy().into_owned();
        let version = format!("cargo-fuzz@{CARGO_FUZZ}");
        run(command(
            "cargo",
            &["install", "--quiet", "--locked", &version, "--root", &tools],
        ))?;
    }
    let wanted = |target: &&Target| options.target.as_ref().is_none_or(|it| it == target.name);
    for target in TARGETS.iter().filter(wanted) {
        fuzz(&own, target, options.minutes)?;
    }
    Ok(())
}

fn fuzz(program: &str, target: &Target, minutes: u64) -> Result<(), Failure> {
    let name = target.name;
    let corpus = root().join("target/fuzz-corpus").join(name);
    std::fs::create_dir_all(&corpus)
        .map_err(|error| format!("cannot make {}: {error}", corpus.display()))?;
    let corpus = corpus.to_string_lossy().into_owned();
    // Coverage alone works with the stable compiler; sanitizers do not, and there is no unsafe code.
    let mut arguments: Vec<String> = ["fuzz", "run", "--sanitizer", "none", "--fuzz-dir", "fuzz"]
        .map(str::to_owned)
        .into();
    if let Some(features) = target.features {
        arguments.extend(["--features".to_owned(), features.to_owned()]);
    }
    // The first folder takes what is found.
    arguments.extend([name.to_owned(), corpus, format!("fuzz/corpus/{name}")]);
    arguments.extend([
        "--".to_owned(),
        format!("-max_total_time={}", 60 * minutes),
        format!("-max_len={}", target.longest),
        "-rss_limit_mb=1024".to_owned(),
        "-timeout=10".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    if target.has_dictionary {
        arguments.push(format!("-dict=fuzz/dictionaries/{name}.dict"));
    }
    run(command(program, &arguments))
}
