//! Every hostile expression ends within 250 ms and 64 MiB: the contract of the engine, measured.
//!
//! Each case is run in a process of its own, which tells how long it took and the most memory that
//! the process ever had. The figures are those of a release build, so this is no part of a plain
//! `cargo test`: run `cargo test --release -p se-dsl --test bounds`.

#[path = "hostile/cases.rs"]
mod cases;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use se_dsl::expr::{Expr, ExprError, Limits, Scopes};

const TIME: Duration = Duration::from_millis(250);
const MEMORY: usize = 64 << 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--case") => {
            let index = arguments.get(2).and_then(|it| it.parse().ok());
            say(&measured(&all()[index.unwrap_or(0)]).to_string());
            ExitCode::SUCCESS
        }
        Some("--list") => ExitCode::SUCCESS,
        _ => check(),
    }
}

/// What is measured: compiling alone, or compiling and evaluating.
enum Measured {
    Compile(String),
    Evaluate(cases::Case),
}

fn all() -> Vec<Measured> {
    let compile = cases::sources().into_iter().map(Measured::Compile);
    let evaluate = cases::expressions().into_iter().map(Measured::Evaluate);
    let nothing = cases::Case {
        source: "1".to_owned(),
        stopped: false,
    };
    std::iter::once(Measured::Evaluate(nothing))
        .chain(compile)
        .chain(evaluate)
        .collect()
}

/// How a case went: milliseconds, KiB of memory at most, and what is wrong with its result.
struct Figures {
    time: Duration,
    memory: usize,
    wrong: bool,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.time.as_micros(),
            self.memory,
            self.wrong
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is about time")]
fn measured(case: &Measured) -> Figures {
    let limits = Limits::default();
    let scopes = Scopes::new();
    // What is made once per process is no part of an evaluation.
    let warm = Expr::compile("[1] | map(. + 1) | test(\"a\")?");
    drop(warm.map(|it| it.eval(&scopes, &limits)));
    let start = Instant::now();
    let wrong = match case {
        Measured::Compile(source) => {
            drop(Expr::compile(source));
            false
        }
        Measured::Evaluate(case) => {
            let expr = Expr::compile(&case.source);
            let result = expr.as_ref().map(|it| it.eval(&scopes, &limits));
            match result {
                Ok(Err(ExprError::Exceeded(_) | ExprError::Failed(_))) => false,
                Ok(Ok(_)) => case.stopped,
                Ok(Err(ExprError::Invalid { .. })) | Err(_) => true,
            }
        }
    };
    Figures {
        time: start.elapsed(),
        memory: peak(),
        wrong,
    }
}

/// The most memory that this process ever had, in KiB.
#[expect(clippy::disallowed_methods, reason = "the kernel tells it in a file")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it here");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let number = line.and_then(|it| it.trim().strip_suffix(" kB"));
    number
        .and_then(|it| it.parse().ok())
        .expect("a number of KiB")
}

fn check() -> ExitCode {
    if cfg!(debug_assertions) {
        say("bounds: these are bounds of a release build; run this with --release");
        return ExitCode::FAILURE;
    }
    let (mut slowest, mut largest) = (Duration::ZERO, 0);
    let (mut passed, mut failed) = (0, 0);
    for (index, case) in all().iter().enumerate() {
        let source = match case {
            Measured::Compile(source) => source,
            Measured::Evaluate(case) => &case.source,
        };
        let source = &source[..source.floor_char_boundary(100)];
        // The machine may have been busy with something else: the quickest of three counts.
        let mut tries = (0..3).map_while(|_| in_own_process(index)).peekable();
        let quick = tries.next_if(|it| it.time <= TIME);
        let done = quick.or_else(|| tries.min_by_key(|it| it.time));
        let problem = match done {
            None => Some("died".to_owned()),
            Some(it) => {
                slowest = slowest.max(it.time);
                largest = largest.max(it.memory);
                (it.time > TIME || it.memory > MEMORY || it.wrong).then(|| {
                    let wrong = if it.wrong { ", wrong result" } else { "" };
                    let mib = it.memory >> 10;
                    format!("{:?}, {mib} MiB{wrong}", it.time)
                })
            }
        };
        match problem {
            None => passed += 1,
            Some(problem) => {
                failed += 1;
                say(&format!("FAILED {source}: {problem}"));
            }
        }
    }
    let largest = largest >> 10;
    say(&format!("at most {slowest:?} and {largest} MiB"));
    say(&format!("{passed} passed, {failed} failed"));
    ExitCode::from(u8::from(failed > 0))
}

#[expect(clippy::disallowed_methods, reason = "memory is told per process")]
fn in_own_process(index: usize) -> Option<Figures> {
    let own = std::env::current_exe().expect("the test knows where it is");
    let output = Command::new(own)
        .args(["--case", &index.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.split_whitespace();
    Some(Figures {
        time: Duration::from_micros(words.next()?.parse().ok()?),
        memory: words.next()?.parse().ok()?,
        wrong: words.next()?.parse().ok()?,
    })
}

#[expect(clippy::print_stdout, reason = "this is a program of its own")]
fn say(line: &str) {
    println!("{line}");
}
