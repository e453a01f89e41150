//! Cisco's own client takes the simulator for a controller.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::path::{Path, PathBuf};
use std::process::Output;

use se_testkit::sim::{CmlOptions, CmlSim, Journal, Power};
use serde_json::{Value, json};
use tokio::process::Command;

/// What the driver was written against.
const CLIENT: &str = "virl2-client==2.10.1";

/// An interpreter that has the client; the environment is kept between runs.
async fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let environment = target.join(CLIENT.replace("==", "-"));
    let python = environment.join("bin/python");
    if works(&python).await {
        return python;
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    succeed(
        make,
        "making a Python environment (Debian: apt-get install python3-venv)",
    )
    .await;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        CLIENT,
    ]);
    succeed(install, "installing Cisco's client from PyPI").await;
    assert!(works(&python).await, "{CLIENT} does not load");
    python
}

async fn works(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import virl2_client"]);
    command
        .output()
        .await
        .is_ok_and(|output| output.status.success())
}

async fn succeed(mut command: Command, what: &str) -> Output {
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

async fn drive(version: &str) -> Value {
    let options = CmlOptions {
        boot_seconds: 0.2,
        version: version.to_owned(),
        plain_http: true,
        ..CmlOptions::default()
    };
    let sim = CmlSim::start("127.0.0.1", options, Power::default(), Journal::default())
        .await
        .unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut driver = Command::new(python().await);
    driver
        .arg(here.join("tests/it/virl2_driver.py"))
        .args([&sim.url(), "admin", "admin"])
        .arg(here.join("../examples/lab-0.1/PAv1/topology/cml.yaml"));
    let output = succeed(driver, "driving the simulator with Cisco's client").await;
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn ciscos_client_takes_a_lab_through_its_life() {
    for version in ["2.10.0+build.5", "2.8.1+build.7"] {
        let expected = json!({
            "ready": true,
            "title": "driven",
            "nodes": ["cmlctl-0", "ext-conn-0", "rtr01", "rtr02", "sw01", "sw02", "workstation"],
            "links": 6,
            "before": "DEFINED_ON_CORE",
            "started": "STARTED",
            "converged": true,
            "states": ["BOOTED"],
            "cpu_usage": true,
            "console": true,
            "console_key": true,
            "tags": ["serial:5045"],
            "more_tags": ["blue", "serial:5045"],
            "configuration": true,
            "found": ["driven"],
            "listed": 1,
            "testbed": true,
            "computes": 1,
            "node_stopped": "STOPPED",
            "node_wiped": "DEFINED_ON_CORE",
            "node_started": "BOOTED",
            "removed_while_running": false,
            "refusal": true,
            "stopped": "STOPPED",
            "wiped": "DEFINED_ON_CORE",
            "left": 0,
        });
        assert_eq!(drive(version).await, expected, "{version}");
    }
}
