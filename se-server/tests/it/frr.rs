//! Real routers graded from the command line: OSPF neighbour Full gives points, interface shut gives none.

use std::path::Path;
use std::process::Command;

use se_testkit::testbed::{FrrLab, ROUTER_PASSWORD};
use serde_json::{Value, json};

const MANIFEST: &str =
    "format_version: PAv1\nname: frr\nversion: '1'\ncontent_id: frr\npod_type: none\n";
const LIFECYCLE: &str = "\
apiVersion: pav1
kind: Lifecycle
metadata: { lablet: frr }
spec:
  phases:
    - { name: grade, jobs: [ { definition: grade@v1, rubric: rubric } ] }
    - { name: shut, jobs: [ { definition: shut@v1 } ] }
    - { name: open, jobs: [ { definition: open@v1 } ] }
";
const CONNECTORS: &str = r#"
apiVersion: pav1
kind: ConnectorModel
metadata: { name: frr }
spec:
  connectors:
    - name: r1
      class: cisco_common
      transport: telnet
      timeout: 5
      port: "${ runtime_env.devices.r1.serial_port }"
      password: "${ runtime_env.devices.r1.password }"
      enable_password: "${ runtime_env.devices.r1.enable_password }"
    - name: r2
      class: cisco_common
      transport: telnet
      timeout: 5
      port: "${ runtime_env.devices.r2.serial_port }"
"#;
const GRADE: &str = r#"
apiVersion: pav1
kind: JobDefinition
metadata: { name: grade, version: v1 }
spec:
  process_type: Grading
  steps:
    - id: r1_ospf
      uses: collect@v1
      target: r1
      with: { command: "show ip ospf neighbor" }
      capture: { output: r1.ospf }
    - id: r2_ospf
      uses: collect@v1
      target: r2
      with: { command: "show ip ospf neighbor" }
      capture: { output: r2.ospf }
    - id: judge
      uses: evaluate.regex@v1
      with: { ruleset: rubric }
      capture: { items: graded }
    - id: report
      uses: report.score@v1
      with: { items: "${ vars.graded }" }
"#;
const RUBRIC: &str = r"
apiVersion: pav1
kind: EvaluationRuleset
metadata: { name: rubric }
spec:
  max_points: 3
  items:
    - id: 1
      points: 2
      description: R1 has R2 as OSPF neighbour
      checks: [ { source: r1.ospf, regex: '^192\.0\.2\.2\s.*Full', on_fail: R2 is no full neighbour of R1 } ]
    - id: 2
      points: 1
      description: R2 has R1 as OSPF neighbour
      checks: [ { source: r2.ospf, regex: '^192\.0\.2\.1\s.*Full' } ]
";

/// A job that sets R2's interface, over its serial console, and waits until the routers have noticed.
fn set_interface(name: &str, line: &str) -> String {
    format!(
        "apiVersion: pav1\nkind: JobDefinition\nmetadata: {{ name: {name}, version: v1 }}\nspec:\n  process_type: Change\n  \
         steps:\n    - id: set\n      uses: exec@v1\n      target: r2\n      with:\n        script: |\n          \
         configure terminal\n          interface eth0\n          {line}\n          end\n    \
         - {{ id: settle, uses: pause@v1, with: {{ seconds: 6 }} }}\n"
    )
}

fn write_package(folder: &Path) {
    let (shut, open) = (
        set_interface("shut", "shutdown"),
        set_interface("open", "no shutdown"),
    );
    for (path, text) in [
        ("manifest.yaml", MANIFEST),
        ("lifecycle.yaml", LIFECYCLE),
        ("connectors.yaml", CONNECTORS),
        ("jobs/grade.yaml", GRADE),
        ("jobs/shut.yaml", &shut),
        ("jobs/open.yaml", &open),
        ("grading/rubric.yaml", RUBRIC),
    ] {
        let path = folder.join("package/PAv1").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Runs a phase as an author would; what it prints.
fn run(folder: &Path, phase: &str) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_se-server"))
        .current_dir(folder)
        .env_clear()
        .args([
            "run",
            "package",
            "--phase",
            phase,
            "--worker",
            "worker.json",
        ])
        .args(["--report", "report.json"])
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8(done.stderr).unwrap(),
    );
    assert!(done.status.success(), "{phase}: {out}{err}");
    assert!(
        !out.contains(ROUTER_PASSWORD) && !err.contains(ROUTER_PASSWORD),
        "{out}{err}"
    );
    out
}

fn points(folder: &Path) -> Value {
    let report = std::fs::read_to_string(folder.join("report.json")).unwrap();
    serde_json::from_str::<Value>(&report).unwrap()["totals"]["points_awarded"].clone()
}

#[test]
fn a_full_neighbour_earns_points_and_a_shut_interface_none() {
    let lab = FrrLab::up().unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_package(folder.path());
    let facts = json!({
        "worker": {"ip": "127.0.0.1"},
        "runtime_env": {"devices": {
            "r1": {
                "serial_port": lab.ports().ospfd[0],
                "password": ROUTER_PASSWORD,
                "enable_password": ROUTER_PASSWORD,
            },
            "r2": {"serial_port": lab.ports().console[1]},
        }},
    });
    std::fs::write(folder.path().join("worker.json"), facts.to_string()).unwrap();
    let shown = run(folder.path(), "grade");
    assert!(shown.contains("3 of 3 points (100.00 %)"), "{shown}");
    run(folder.path(), "shut");
    let shown = run(folder.path(), "grade");
    assert!(shown.contains("R2 is no full neighbour of R1"), "{shown}");
    assert_eq!(points(folder.path()), 0, "{shown}");
    run(folder.path(), "open");
    run(folder.path(), "grade");
    assert_eq!(points(folder.path()), 3);
}
