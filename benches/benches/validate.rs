//! What checking costs a process: memory beside the size of the documents, and a cold `validate`.
//!
//! Each measurement is a process of its own. `validate` is cold in that nothing of it is kept between
//! runs; the files are in the page cache after the first.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use se_benches::{elapsed, package};
use se_dsl::{Options, check};

const RUNS: usize = 40;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("--held") => println!("{}", peak(|_| {})),
        Some("--checked") => println!(
            "{}",
            peak(|sources| drop(black_box(check(sources, Options::default()))))
        ),
        _ => {
            memory();
            cold();
        }
    }
}

/// The most memory this process had, in kiB, with a package of 10,000 steps.
fn peak(work: impl Fn(&se_dsl::Sources)) -> usize {
    let sources = package(10, 1_000);
    work(&sources);
    let status = std::fs::read_to_string("/proc/self/status").expect("the system is Linux");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let number = line.and_then(|it| it.split_whitespace().next()?.parse().ok());
    number.expect("a process has a peak")
}

fn memory() {
    let bytes = se_benches::job(10, 1_000).len();
    let this = std::env::current_exe().expect("a process knows itself");
    let peak = |how: &str| -> usize {
        let output = Command::new(&this).arg(how).output();
        let output = output.expect("a process can be started again");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().expect("it prints a number")
    };
    let (held, checked) = (peak("--held"), peak("--checked"));
    let more = (checked - held) * 1024;
    println!("memory: 10,000 steps in {} kB of YAML", bytes / 1000);
    println!(
        "  checking them takes {} kB more than holding them: {:.1}x",
        more / 1000,
        more as f64 / bytes as f64
    );
}

fn cold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = built(&root);
    let example = root.join("examples/lab-0.1");
    let run = |command: &mut Command| {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.is_ok_and(|it| it.success()), "{command:?} failed");
    };
    let mut all = [Vec::new(), Vec::new()];
    for _ in 0..=RUNS {
        all[0].push(elapsed(1, || run(&mut Command::new("true"))));
        all[1].push(elapsed(1, || {
            run(Command::new(&program).arg("validate").arg(&example))
        }));
    }
    println!("a process of its own, {RUNS} runs by turns: lowest, median, highest in ms");
    for (name, mut times) in ["true", "validate examples/lab-0.1"].into_iter().zip(all) {
        times.remove(0);
        times.sort_unstable();
        let ms = |it: Duration| it.as_secs_f64() * 1e3;
        let (low, middle, high) = (times[0], times[RUNS / 2], times[RUNS - 1]);
        println!(
            "  {name:<26} {:>6.1} {:>6.1} {:>6.1}",
            ms(low),
            ms(middle),
            ms(high)
        );
    }
}

/// The program, as it is released.
fn built(root: &Path) -> PathBuf {
    let cargo = "cargo";
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "-p", "se-server"])
        .current_dir(root)
        .status();
    assert!(
        status.is_ok_and(|it| it.success()),
        "the program does not build"
    );
    root.join("target/release/se-server")
}
