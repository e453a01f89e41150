//! The pages for authors, at the command line: what they say that commands print is what commands print.

#[expect(dead_code, reason = "the tests of the language use the rest")]
#[path = "../../../se-dsl/tests/it/authoring/book.rs"]
mod book;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use se_runtime::FaultKind;
use serde_json::json;

use book::{Package, Piece, pieces, table, ticked};

const GUIDE: &str = include_str!("../../../docs/authoring.md");
const FOR_MODELS: &str = include_str!("../../../docs/for-language-models.md");

const PAGES: [(&str, &str); 2] = [
    ("authoring.md", GUIDE),
    ("for-language-models.md", FOR_MODELS),
];

/// Puts the package into a folder of its name.
fn write(folder: &Path, package: &Package) {
    let root = folder.join(&package.name);
    if root.exists() {
        std::fs::remove_dir_all(&root).unwrap();
    }
    for (path, text) in &package.files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// What a command prints, on either stream.
fn printed(folder: &Path, command: &str) -> String {
    let words = command.strip_prefix("se-server ");
    let words = words.expect("commands of the pages are se-server's");
    let mut command = Command::new(env!("CARGO_BIN_EXE_se-server"));
    command.current_dir(folder).env_clear();
    let output = command.args(words.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    text(output.stdout) + &text(output.stderr)
}

/// The block as it would be if its commands were run now.
fn run(folder: &Path, block: &str) -> String {
    let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
    commands
        .map(|it| format!("$ {it}\n{}", printed(folder, it)))
        .collect()
}

#[test]
fn commands_print_what_the_pages_show() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for (name, page) in PAGES {
        let mut package = Package::default();
        for piece in pieces(page) {
            package.take(&piece);
            let Piece::Block(block) = piece else { continue };
            if !block.is_console() {
                continue;
            }
            write(folder.path(), &package);
            let now = run(folder.path(), &block.text);
            assert_eq!(block.text, now, "{name}:{}", block.line);
            count += 1;
        }
    }
    assert!(count >= 5, "only {count} blocks of commands");
}

#[test]
fn the_table_of_error_types_names_every_type_and_its_status() {
    let all = [
        FaultKind::Expression,
        FaultKind::Authentication,
        FaultKind::NotFound,
        FaultKind::Timeout,
        FaultKind::Conflict,
        FaultKind::Validation,
        FaultKind::Cancelled,
        FaultKind::Communication,
        FaultKind::Interrupted,
    ];
    let known: BTreeSet<(String, String)> = all
        .iter()
        .map(|it| (it.as_str().to_owned(), it.status().to_string()))
        .collect();
    let rows = table(GUIDE, "error type");
    let told: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (ticked(row[0])[0].to_owned(), row[1].to_owned()))
        .collect();
    assert_eq!(told, known);
}

#[test]
fn the_pages_say_where_errors_have_their_types() {
    let url = FaultKind::Timeout.url();
    let base = url.strip_suffix("timeout").unwrap();
    assert!(GUIDE.contains(&format!("`{base}<type>`")), "{base}");
    assert_eq!(json!(FaultKind::NotFound), "not-found");
}
