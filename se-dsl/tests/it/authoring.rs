//! What the pages for authors show is true: packages without mistakes, mistakes with the findings that the
//! page names, and tables that say what the language says.

#[expect(dead_code, reason = "the tests of the command line use the rest")]
mod book;

use std::collections::{BTreeMap, BTreeSet};

use se_dsl::catalog::{self, Field, Primitive};
use se_dsl::diagnostic::{Format, render};
use se_dsl::expr::{Limits, Root};
use se_dsl::{Options, Outcome, Severity, Sources, check};

use book::{Block, Package, Piece, pieces, table, ticked};

const GUIDE: &str = include_str!("../../../docs/authoring.md");
const FOR_MODELS: &str = include_str!("../../../docs/for-language-models.md");

const PAGES: [(&str, &str); 2] = [
    ("authoring.md", GUIDE),
    ("for-language-models.md", FOR_MODELS),
];

/// The job that blocks of steps are put into.
const TRIED: &str = "PAv1/jobs/tried.yaml";

fn checked(files: &BTreeMap<String, String>) -> (Outcome, Sources) {
    let mut sources = Sources::new();
    for (path, text) in files {
        if path.ends_with(".yaml") || path.ends_with(".json") {
            sources.add(path.clone(), text.clone());
        } else {
            sources.add_asset(path.clone(), text.len() as u64);
        }
    }
    let outcome = check(&sources, Options { strict: true });
    (outcome, sources)
}

fn text(outcome: &Outcome, sources: &Sources) -> String {
    render(&outcome.diagnostics, sources, Format::Text, false)
}

/// The codes that are found; notes only where there is nothing else. That no step targets a connector yet
/// is no news on a page where packages grow.
fn codes(outcome: &Outcome) -> BTreeSet<&str> {
    const NO_NEWS: &str = "SE1217";
    let of = |is_note: bool| {
        let all = outcome.diagnostics.iter();
        let all = all.filter(move |it| (it.severity == Severity::Note) == is_note);
        all.map(|it| it.code.as_str()).filter(|it| *it != NO_NEWS)
    };
    let told: BTreeSet<&str> = of(false).collect();
    if told.is_empty() {
        of(true).collect()
    } else {
        told
    }
}

/// The package with a block in it.
fn with(package: &Package, block: &Block<'_>) -> BTreeMap<String, String> {
    let mut files = package.files.clone();
    if block.is_steps() {
        let steps = block.text.lines().map(|line| format!("    {line}\n"));
        let steps: String = steps.collect();
        let job = format!("apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n{steps}");
        files.insert(TRIED.to_owned(), job);
    } else if let Some(path) = block.path() {
        files.insert(path.to_owned(), block.text.clone());
    }
    files
}

#[test]
fn packages_are_sound_at_every_heading_and_command() {
    for (name, page) in PAGES {
        let mut package = Package::default();
        let mut is_changed = false;
        let pieces = pieces(page);
        let ends = pieces.iter().skip(1).map(Some).chain([None]);
        for (piece, next) in pieces.iter().zip(ends) {
            is_changed |= package.take(piece);
            let is_end = match next {
                Some(Piece::Block(block)) => block.is_console() || block.words.len() > 2,
                Some(Piece::Heading(_) | Piece::Package(_)) | None => true,
            };
            if is_changed && is_end {
                let (outcome, sources) = checked(&package.files);
                let text = text(&outcome, &sources);
                let is_sound = outcome.checked.is_some() && codes(&outcome).is_empty();
                assert!(is_sound, "{name}:\n{text}");
                is_changed = false;
            }
        }
        assert!(!package.files.is_empty(), "{name} writes a package");
    }
}

/// How many blocks of a page show a mistake.
fn mistakes(name: &str, page: &str) -> usize {
    let mut package = Package::default();
    let mut count = 0;
    for piece in pieces(page) {
        package.take(&piece);
        let Piece::Block(block) = &piece else {
            continue;
        };
        let expected: BTreeSet<&str> = block.codes().into_iter().collect();
        if expected.is_empty() && !block.is_steps() {
            continue;
        }
        let files = with(&package, block);
        let (outcome, sources) = checked(&files);
        let text = text(&outcome, &sources);
        assert_eq!(codes(&outcome), expected, "{name}:{}\n{text}", block.line);
        count += usize::from(!expected.is_empty());
    }
    count
}

#[test]
fn mistakes_give_the_findings_that_stand_beside_them() {
    assert!(mistakes("authoring.md", GUIDE) >= 8);
    assert!(mistakes("for-language-models.md", FOR_MODELS) >= 15);
}

#[test]
fn every_yaml_block_is_a_file_or_steps() {
    for (name, page) in PAGES {
        for piece in pieces(page) {
            let Piece::Block(block) = piece else { continue };
            let is_checked = block.path().is_some() || block.is_steps();
            let is_free = ["console", "text", "sh"].contains(&block.words[0]);
            assert!(is_checked || is_free, "{name}:{}", block.line);
        }
    }
}

/// `` `name`, `name?` ``: a field that may be missing has a question mark.
fn shown(fields: &[Field]) -> Vec<String> {
    let shown = |it: &Field| format!("{}{}", it.name, if it.required { "" } else { "?" });
    fields.iter().map(shown).collect()
}

fn primitive(id: &str) -> &'static Primitive {
    let mut all = catalog::all().iter();
    let found = all.find(|it| it.id() == id);
    found.unwrap_or_else(|| panic!("there is no {id}"))
}

#[test]
fn the_tables_of_primitives_are_the_catalogue() {
    for (name, page) in PAGES {
        let mut told = BTreeSet::new();
        for row in table(page, "primitive") {
            let id = ticked(row[0])[0];
            let known = primitive(id);
            let effect = serde_json::to_value(known.effect).unwrap();
            assert_eq!(row[1], effect.as_str().unwrap(), "{name}: {id}");
            assert_eq!(ticked(row[2]), shown(known.inputs), "{name}: {id}");
            assert_eq!(ticked(row[3]), shown(known.outputs), "{name}: {id}");
            assert_eq!(row[4], known.timeout_seconds.to_string(), "{name}: {id}");
            assert!(told.insert(known.id()), "{name}: {id} stands twice");
        }
        for row in table(page, "second name") {
            let all = ticked(row[0]).into_iter().zip(ticked(row[1]));
            for (second, first) in all {
                let actions = (primitive(second).action, primitive(first).action);
                assert_eq!(actions.0, actions.1, "{name}: {second}");
                assert!(told.insert(second.to_owned()), "{name}: {second}");
            }
        }
        let all: BTreeSet<String> = catalog::all().iter().map(Primitive::id).collect();
        assert_eq!(told, all, "{name}");
    }
}

#[test]
fn the_tables_of_scopes_name_every_scope() {
    for (name, page) in PAGES {
        let rows = table(page, "scope");
        let told: Vec<&str> = rows.iter().map(|row| ticked(row[0])[0]).collect();
        assert_eq!(told, Root::ALL.map(Root::as_str), "{name}");
    }
}

#[test]
fn the_bounds_of_expressions_are_as_the_pages_say() {
    let limits = Limits::default();
    assert_eq!(limits.fuel, 1_000_000);
    let (time, bytes) = (limits.time.as_millis(), limits.bytes >> 20);
    for (name, page) in PAGES {
        for bound in [
            "a million steps".to_owned(),
            format!("{time} ms"),
            format!("{bytes} MiB"),
            "10,000 results".to_owned(),
        ] {
            assert!(page.contains(&bound), "{name}: {bound}");
        }
    }
    assert_eq!(limits.outputs, 10_000);
}

#[test]
fn the_table_of_step_keys_is_what_a_step_may_hold() {
    let step = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n    - { id: a, uses: pause@v1, with: { seconds: 1 }, zzzzzz: 1 }\n";
    let mut package = Package::default();
    for piece in pieces(GUIDE) {
        package.take(&piece);
    }
    let mut files = package.files;
    files.insert(TRIED.to_owned(), step.to_owned());
    let (outcome, _) = checked(&files);
    let finding = outcome.diagnostics.iter().next().unwrap();
    let help = finding.help.strip_prefix("remove it; the keys are ");
    let known: BTreeSet<&str> = help.unwrap().split(", ").collect();
    let rows = table(GUIDE, "key of a step");
    let told: BTreeSet<&str> = rows.iter().map(|row| ticked(row[0])[0]).collect();
    assert_eq!(told, known);
}

#[test]
fn the_table_of_flags_names_every_flag() {
    let told: Vec<&str> = table(GUIDE, "flag")
        .iter()
        .flat_map(|row| ticked(row[0]))
        .collect();
    let mut flags = se_dsl::pattern::Flags::none();
    assert!(told.iter().all(|it| flags.set(it)), "{told:?}");
    assert_eq!(flags.names().len() * 2, told.len(), "{told:?}");
}
