//! The binary: exit codes, what goes to which stream, and how the service begins and ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use se_testkit::postgres::Database;
use serde_json::{Value, json};

use crate::harness::{DOCUMENTS, changed, zip};
use crate::process::Server;

fn se(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_se-server"));
    command.current_dir(folder).env_clear();
    command
}

fn run(folder: &Path, line: &str) -> (Option<i32>, String, String) {
    let arguments = line.split_whitespace();
    let Output {
        status,
        stdout,
        stderr,
    } = se(folder).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn commands_answer_with_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    zip(folder.path(), "good.zip", &DOCUMENTS);
    let bad = changed(
        "jobs/wait.yaml",
        "apiVersion: pav1\nkind: JobDefinition\nspec: {stepz: []}\n",
    );
    zip(folder.path(), "bad.zip", &bad);
    let connectors = "apiVersion: pav1\nkind: ConnectorModel\nspec: { connectors: [] }\n";
    std::fs::write(folder.path().join("connectors.yaml"), connectors).unwrap();
    for (line, code, stdout, stderr) in [
        ("validate connectors.yaml", 0, "0 errors", ""),
        ("validate good.zip", 0, "0 errors", ""),
        ("validate bad.zip", 1, "PAv1/jobs/wait.yaml", ""),
        ("validate none.zip", 2, "", "nothing at none.zip"),
        ("validate bad.zip --format github", 1, "::error ", ""),
        ("validate bad.zip --format sarif", 1, "\"2.1.0\"", ""),
        ("plan good.zip --phase wait", 0, "after first", ""),
        (
            "plan good.zip --job judge --format mermaid",
            0,
            "flowchart",
            "",
        ),
        ("plan good.zip --phase none", 1, "", "judge, wait, nothing"),
        ("plan bad.zip --phase wait", 1, "", "PAv1/jobs/wait.yaml"),
        ("run good.zip --phase judge", 0, "Readiness", "job.c"),
        ("run good.zip --phase none", 2, "", "judge, wait, nothing"),
        (
            "serve --listen 127.0.0.1:0 --store postgres://h/db",
            2,
            "",
            "SE_SEALING__KEY",
        ),
        (
            "serve --listen 127.0.0.1:0 --store mysql://u:hidden@h/db",
            2,
            "",
            "in SQLite or PostgreSQL",
        ),
        ("explain se1203", 0, "# SE1203", ""),
        (
            "explain SE0000",
            2,
            "",
            "no code `SE0000`; did you mean `SE",
        ),
        ("schemas --out schemas", 0, "schemas written", ""),
        ("catalog", 0, "\"functions\"", ""),
        ("openapi", 0, "\"3.1.0\"", ""),
        ("completions bash", 0, "se-server", ""),
        ("serve --listen 0.0.0.0:0", 2, "", "--insecure"),
        ("serve --config none.toml", 2, "", "none.toml"),
        ("dance", 2, "", "unrecognized subcommand"),
    ] {
        let (status, out, err) = run(folder.path(), line);
        assert_eq!(status, Some(code), "{line}: {out}{err}");
        assert!(out.contains(stdout), "{line}: {out}");
        assert!(err.contains(stderr), "{line}: {err}");
    }
    schemas_are_there(folder.path());
    let (_, found, _) = run(folder.path(), "validate bad.zip good.zip --format json");
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        found["errors"].as_u64(),
        Some(found["diagnostics"].as_array().unwrap().len() as u64)
    );
}

fn schemas_are_there(folder: &Path) {
    for name in ["pav1", "job-definition", "exec@v1.input"] {
        let path = folder.join(format!("schemas/{name}.schema.json"));
        let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
}

#[test]
fn every_help_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "serve",
        "validate",
        "plan",
        "run",
        "pack",
        "explain",
        "schemas",
        "catalog",
        "openapi",
        "completions",
    ] {
        let (status, help, _) = run(folder.path(), &format!("{command} --help"));
        let example = format!("Example:\n  se-server {command}");
        assert!(status == Some(0) && help.contains(&example), "{help}");
    }
}

#[test]
fn the_service_says_where_it_listens_and_ends_well_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = se(folder.path())
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let port = first
        .strip_prefix("listening on http://127.0.0.1:")
        .unwrap();
    assert!(port.parse::<u16>().unwrap() > 0, "{first}");
    let told = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(told.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lines.next().is_none(), "one line on stdout");
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string(), "{line}");
    }
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn certain_mistakes_are_mended_on_request_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("lab/PAv1");
    let broken = changed(
        "jobs/wait.yaml",
        "apiVersion: pav1\nkind: JobDefinition\nspec:\n  proces_type: Change\n  steps:\n\
         \x20   - { id: first, uses: pause, with: { secondss: 0 } }\n\
         \x20   - { id: next, uses: \"pause@v7\", with: { seconds: soon } }\n",
    );
    for (path, text) in &broken {
        let path = inside.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let (code, stdout, stderr) = run(folder.path(), "validate lab --fix");
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.contains("1 error,"), "{stdout}");
    assert!(stdout.contains("lab/PAv1/jobs/wait.yaml:7:"), "{stdout}");
    assert!(
        stderr.contains("mended lab/PAv1/jobs/wait.yaml"),
        "{stderr}"
    );
    let text = std::fs::read_to_string(inside.join("jobs/wait.yaml")).unwrap();
    let expected = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  process_type: Change\n  steps:\n\
         \x20   - { id: first, uses: pause@v1, with: { seconds: 0 } }\n\
         \x20   - { id: next, uses: \"pause@v1\", with: { seconds: soon } }\n";
    assert_eq!(text, expected);
    let (_, again, stderr) = run(folder.path(), "validate lab/PAv1 --fix");
    assert_eq!((again, stderr.as_str()), (stdout, ""));
    zip(folder.path(), "broken.zip", &broken);
    let (code, _, stderr) = run(folder.path(), "validate broken.zip --fix");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("unpack it"), "{stderr}");
}

#[test]
fn colours_come_with_a_terminal_or_on_request() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.yaml"), "kind: x\n").unwrap();
    for (flags, variable, expected) in [
        ("", "", false),
        ("--color always", "", true),
        ("", "CLICOLOR_FORCE", true),
        ("--color never", "CLICOLOR_FORCE", false),
        ("--color always", "NO_COLOR", true),
    ] {
        let mut command = se(folder.path());
        command.args(["validate", "x.yaml"]);
        command.args(flags.split_whitespace());
        if !variable.is_empty() {
            command.env(variable, "1");
        }
        let output = command.output().unwrap();
        let is_coloured = output.stdout.contains(&0x1b);
        assert_eq!(is_coloured, expected, "{flags} {variable}");
    }
}

#[test]
fn findings_are_explained_or_listed() {
    let folder = tempfile::tempdir().unwrap();
    let (code, all, _) = run(folder.path(), "explain");
    assert_eq!(code, Some(0));
    assert!(all.contains("SE1103  an unknown key\n"), "{all}");
    assert!(all.lines().count() > 90, "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_shared_database_tells_what_is_elsewhere_from_damage() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create();
    let url = database.url();
    zip(folder.path(), "tiny.zip", &DOCUMENTS);
    let server = Server::replica(folder.path(), Some(&url), "data-0", &[]).await;
    server.sync("tiny", &folder.path().join("tiny.zip")).await;
    for _ in 0..2 {
        let body = json!({"definition_id": "tiny", "version": "1", "phase": "judge"});
        let job = server.post("/api/v1/jobs", &body).await;
        server.ended(job["job_id"].as_str().unwrap()).await;
    }
    for (data, told) in [("data-0", 0), ("data-1", 1)] {
        let line = format!("store check --store {url} --data-dir {data}");
        let (code, out, err) = run(folder.path(), &line);
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(out.contains(": nothing is wrong"), "{out}");
        let of_package = "jobs not checked: 2, of pod definition tiny@1";
        assert_eq!(out.matches(of_package).count(), told, "{out}");
        assert_eq!(
            out.contains("--data-dir of an engine that has it"),
            told > 0
        );
        let (_, out, _) = run(folder.path(), &format!("{line} --format json"));
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(shown["findings"], json!([]));
        assert_eq!(shown["unchecked"].as_array().unwrap().len(), told);
    }
    assert_eq!(server.end("-TERM").await, Some(0));
}
