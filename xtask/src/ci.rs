//! `cargo xtask ci`: what a change must pass, the quick things first.

use crate::command::{Failure, command, root, run, say, works};
use crate::{simulate, test, tidy};

/// The release that the rules in deny.toml are written for.
const CARGO_DENY: &str = "0.20.2";

/// Runs everything.
pub(crate) fn run_all() -> Result<(), Failure> {
    run(command("cargo", &["fmt", "--all", "--check"]))?;
    tidy::run()?;
    run(command(
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ))?;
    let mut docs = command("cargo", &["doc", "--workspace", "--no-deps", "--quiet"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    run(docs)?;
    deny()?;
    bounds()?;
    simulate::in_ci()?;
    test::run_tests(&test::Options::default())
}

/// What an expression may take, measured on a release build of se-dsl alone.
fn bounds() -> Result<(), Failure> {
    run(command(
        "cargo",
        &["test", "--release", "-p", "se-dsl", "--test", "bounds"],
    ))
}

/// Licences, banned crates and sources. Advisories need a database that is fetched: not here.
fn deny() -> Result<(), Failure> {
    let tools = root().join("target/tools");
    let own = tools.join("bin/cargo-deny").to_string_lossy().into_owned();
    let program = if works("cargo-deny", &["--version"]) {
        "cargo-deny".to_owned()
    } else {
        if !works(&own, &["--version"]) {
            say("installing cargo-deny into target/tools");
            let root = tools.to_string_lossy().into_owned();
            let version = format!("cargo-deny@{CARGO_DENY}");
            run(command(
                "cargo",
                &["install", "--quiet", "--locked", &version, "--root", &root],
            ))?;
        }
        own
    };
    run(command(
        &program,
        &["--offline", "check", "licenses", "bans", "sources"],
    ))
}
