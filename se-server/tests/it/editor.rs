//! Editors: the language server that they use for YAML, with the schemas that the command line writes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

const GUIDE: &str = include_str!("../../../docs/authoring.md");

/// How long the server may take for one answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running language server; one message at a time.
struct Editor {
    server: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
}

impl Editor {
    fn start() -> Self {
        let bin = "../target/tools/yaml/node_modules/yaml-language-server/bin/yaml-language-server";
        let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join(bin);
        assert!(
            bin.exists(),
            "there is no language server in target/tools/yaml: `cargo xtask test` installs it"
        );
        let mut server = Command::new("node")
            .arg(bin)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`node` runs: install Node.js (Debian: nodejs)");
        let input = server.stdin.take().unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            // It ends with the server, or with the editor.
            while read(&mut output).is_some_and(|it| sender.send(it).is_ok()) {}
        });
        let mut editor = Self {
            server,
            input,
            messages,
            last_id: 0,
        };
        let capabilities = json!({
            "textDocument": { "completion": { "completionItem": { "snippetSupport": true } } },
        });
        editor.ask(
            "initialize",
            json!({ "processId": null, "rootUri": null, "capabilities": capabilities }),
        );
        editor.tell("initialized", json!({}));
        editor
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The next message that is one of those waited for. What the server asks is answered with nothing.
    fn wait(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.messages.recv_timeout(PATIENCE);
            let message = message.expect("the language server answers");
            if message["method"].is_string() && message["id"].is_number() {
                let items = message["params"]["items"].as_array().map(Vec::len);
                let result = items.map_or(Value::Null, |count| json!(vec![Value::Null; count]));
                self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
            } else if is_it(&message) {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let answer = self.wait(|it| it["id"] == id && it["method"].is_null());
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Opens a document and gives what is wrong with it, as `line:column message`.
    fn open(&mut self, path: &Path, text: &str) -> Vec<String> {
        let uri = uri(path);
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        let found = self.wait(|it| {
            it["method"] == "textDocument/publishDiagnostics" && it["params"]["uri"] == uri
        });
        let found = found["params"]["diagnostics"].as_array().unwrap().clone();
        found
            .iter()
            .map(|it| {
                let start = &it["range"]["start"];
                let number = |key: &str| start[key].as_u64().unwrap() + 1;
                let message = it["message"].as_str().unwrap();
                format!("{}:{} {message}", number("line"), number("character"))
            })
            .collect()
    }

    /// What can be written where `|` stands.
    fn complete(&mut self, path: &Path, marked: &str) -> Vec<String> {
        let at = marked.find('|').unwrap();
        let line = marked[..at].matches('\n').count();
        let character = at - marked[..at].rfind('\n').map_or(0, |it| it + 1);
        self.open(path, &marked.replacen('|', "", 1));
        let params = json!({
            "textDocument": { "uri": uri(path) },
            "position": { "line": line, "character": character },
        });
        let answer = self.ask("textDocument/completion", params);
        let items = answer["items"].as_array().unwrap().iter();
        items
            .map(|it| it["label"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The next message, or `None` where the stream ends.
fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// A folder as the guide has it: schemas beside the package.
struct Workplace {
    folder: tempfile::TempDir,
    files: usize,
}

impl Workplace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new(env!("CARGO_BIN_EXE_se-server"))
            .args(["schemas", "--out", "schemas"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::create_dir_all(folder.path().join("lab/PAv1/jobs")).unwrap();
        Self { folder, files: 0 }
    }

    /// A new document each time: the server keeps what it saw of one.
    fn job(&mut self) -> PathBuf {
        self.files += 1;
        let name = format!("lab/PAv1/jobs/job{}.yaml", self.files);
        self.folder.path().join(name)
    }
}

/// The line of the guide that tells an editor where the schema is.
fn modeline() -> &'static str {
    let section = GUIDE.split("## In your editor\n").nth(1);
    let section = section.expect("the guide has a section on editors");
    let line = section
        .lines()
        .find(|it| it.starts_with("# yaml-language-server: $schema="));
    line.expect("the guide shows the line to write")
}

const STEP: &str = "apiVersion: pav1
kind: JobDefinition
spec:
  steps:
    - id: look
      uses: collect@v1
      target: sw01
      with: { command: show vlan brief }
      capture: { output: sw01.vlans }
";

#[test]
fn an_editor_shows_mistakes_where_they_stand() {
    let mut editor = Editor::start();
    let mut workplace = Workplace::new();
    for (from, to, expected) in [
        ("", "", None),
        (
            "capture:",
            "captures:",
            Some("10:7 Property captures is not allowed."),
        ),
        (
            "  steps:",
            "  step:",
            Some("5:3 Property step is not allowed."),
        ),
        (
            "{ command",
            "{ match: x, comand",
            Some("9:25 Property comand is not allowed."),
        ),
        (
            "command: show vlan brief",
            "command: 1",
            Some("9:24 Incorrect type. Expected \"string\"."),
        ),
        (
            "{ output",
            "{ stdout",
            Some("10:18 Property stdout is not allowed."),
        ),
        (
            "      target: sw01\n",
            "",
            Some("6:7 Missing property \"target\"."),
        ),
        ("command: show vlan brief", "command: \"${ vars.x }\"", None),
    ] {
        let text = format!("{}\n{}", modeline(), STEP.replace(from, to));
        let text = if from.is_empty() {
            format!("{}\n{STEP}", modeline())
        } else {
            text
        };
        let found = editor.open(&workplace.job(), &text);
        match expected {
            None => assert!(found.is_empty(), "{to}: {found:?}"),
            Some(expected) => assert!(found.iter().any(|it| it == expected), "{to}: {found:?}"),
        }
    }
}

#[test]
fn an_editor_offers_what_can_be_written() {
    let mut editor = Editor::start();
    let mut workplace = Workplace::new();
    let (head, _) = STEP.split_once("      target").unwrap();
    let cases: [(&str, &[&str]); 4] = [
        ("      |\n", &["capture", "for_each", "on_error"]),
        ("      with:\n        |\n", &["command", "match"]),
        ("      stage: |\n", &["setup", "collect", "evaluate"]),
        (
            "      on_error:\n        action: |\n",
            &["fail", "continue", "retry"],
        ),
    ];
    for (lines, expected) in cases {
        let text = format!("{}\n{head}{lines}", modeline());
        let offered = editor.complete(&workplace.job(), &text);
        for label in expected {
            assert!(offered.iter().any(|it| it == label), "{label}: {offered:?}");
        }
    }
    let text = format!("{}\n{}", modeline(), head.replace("collect@v1", "|"));
    let offered = editor.complete(&workplace.job(), &text);
    for primitive in se_dsl::catalog::all() {
        assert!(
            offered.contains(&primitive.id()),
            "{}: {offered:?}",
            primitive.id()
        );
    }
}
