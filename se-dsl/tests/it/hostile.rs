//! Documents that nobody would write in good faith: each is answered, with a place.

use proptest::prelude::{ProptestConfig, any, prop, proptest};
use se_dsl::diagnostic::{Format, render};
use se_dsl::{Options, Sources, check, check_documents};

use crate::lab::{files, sources};

/// Codes, lines and columns for a manifest of these bytes.
fn manifest(bytes: &[u8]) -> Vec<(&'static str, u32, u32)> {
    let mut sources = Sources::new();
    sources.add("PAv1/manifest.yaml", bytes);
    let found = check_documents(&sources, Options::default());
    let located = found.located(&sources);
    located
        .iter()
        .map(|it| (it.code, it.line, it.column))
        .collect()
}

const SEED: &str = "schema_version: \"1.0\"\npod_type: none\n";

fn seed(rest: &str) -> Vec<(&'static str, u32, u32)> {
    manifest(format!("{SEED}{rest}").as_bytes())
}

#[test]
fn broken_yaml_is_answered_where_it_breaks() {
    assert_eq!(seed(""), []);
    assert_eq!(seed("features: [a\n"), [("SE1001", 3, 11)]);
    assert_eq!(seed("features:\n\t- a\n")[0].0, "SE1001");
    assert_eq!(seed("features: \"a\n")[0].0, "SE1001");
    assert_eq!(seed("features: *nobody\n"), [("SE1001", 3, 11)]);
    assert_eq!(seed("features: @a\n"), [("SE1001", 3, 11)]);
    assert_eq!(manifest(b""), [("SE1010", 1, 1)]);
    assert_eq!(manifest(b"# nothing\n"), [("SE1010", 1, 1)]);
    assert_eq!(manifest(b"---\n...\n"), [("SE1010", 1, 1)]);
    assert_eq!(seed("---\nname: x\n"), [("SE1011", 3, 1)]);
    assert_eq!(manifest(b"- a\n"), [("SE1101", 1, 1)]);
}

#[test]
fn encodings_are_told_apart() {
    let with_mark = [b"\xEF\xBB\xBF", SEED.as_bytes()].concat();
    assert_eq!(manifest(&with_mark), []);
    let windows = SEED.replace('\n', "\r\n");
    assert_eq!(manifest(windows.as_bytes()), []);
    let utf16: Vec<u8> = SEED.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(manifest(&utf16), [("SE1002", 1, 2)]);
    let marked = [b"\xFF\xFE".as_slice(), &utf16].concat();
    assert_eq!(manifest(&marked), [("SE1002", 1, 1)]);
    assert_eq!(
        manifest(b"schema_version: \"1.0\"\npod_type: n\0ne"),
        [("SE1002", 2, 12)]
    );
    assert_eq!(
        manifest(b"schema_version: \"1.0\"\npod_type: n\xFFne"),
        [("SE1002", 2, 12)]
    );
}

#[test]
fn nesting_and_aliases_are_bounded() {
    let flow = format!("features: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(seed(&flow), [("SE1004", 3, 112)]);
    let block: String = (0..10_000)
        .map(|depth| format!("{}-\n", " ".repeat(depth)))
        .collect();
    assert_eq!(seed(&format!("features:\n{block}"))[0].0, "SE1004");
    let dashes = format!("features:\n {}a\n", "- ".repeat(10_000));
    assert_eq!(seed(&dashes)[0].0, "SE1004");
    let mut bomb = "features:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        let all = [alias.as_str(); 10].join(", ");
        bomb.push_str(&format!("  a{level}: &a{level} [{all}]\n"));
    }
    assert_eq!(seed(&bomb)[0].0, "SE1005");
    assert_eq!(seed("features: &a [*a]\n"), [("SE1005", 3, 15)]);
}

#[test]
fn keys_are_text_and_stand_once() {
    assert_eq!(seed("features: { a: 1, a: 2 }\n"), [("SE1003", 3, 19)]);
    assert_eq!(seed("features: { a: 1, \"a\": 2 }\n"), [("SE1003", 3, 19)]);
    assert_eq!(seed("features:\n  <<: { a: 1 }\n"), [("SE1006", 4, 3)]);
    assert_eq!(seed("? [a]\n: b\n"), [("SE1012", 3, 3)]);
    assert_eq!(seed("features: { ? : 1 }\n")[0].0, "SE1012");
    assert_eq!(
        seed("features: !!python/object:os.system x\n")[0].0,
        "SE1007"
    );
}

#[test]
fn words_and_numbers_are_what_they_look_like() {
    for (value, expected) in [
        ("1e999", "SE1008"),
        (".inf", "SE1008"),
        (".nan", "SE1008"),
        ("18446744073709551616", "SE1008"),
        ("yes", "SE1101"),
        ("on", "SE1101"),
        ("017", "SE1101"),
        ("1_000", "SE1101"),
        ("true", "SE1101"),
        ("-1", "SE1113"),
        ("1e18", "SE1113"),
    ] {
        let mut sources = Sources::new();
        let step = "{ id: a, uses: pause@v1, with: { seconds: 1 }, timeout: ";
        let job = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n    - ";
        sources.add("a.yaml", format!("{job}{step}{value} }}\n"));
        let found = check_documents(&sources, Options::default());
        let located = found.located(&sources);
        let first = located.first().map(|it| (it.code, it.line, it.column));
        assert_eq!(first, Some((expected, 5, 63)), "{value}");
        assert_eq!(located.len(), 1, "{value}: {located:?}");
    }
}

#[test]
fn a_package_without_any_document_is_answered() {
    let sources = Sources::new();
    let outcome = check(&sources, Options::default());
    let text = render(&outcome.diagnostics, &sources, Format::Text, false);
    assert!(outcome.checked.is_none());
    assert!(text.contains("SE1109"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        drop in 0_usize..40,
        bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut files = files();
        let index = which.index(files.len());
        let file = &mut files[index].1;
        let from = at.index(file.len());
        let to = (from + drop).min(file.len());
        file.splice(from..to, bytes);
        answer(&files);
    }

    #[test]
    fn no_punctuation_makes_it_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        text in "[ \n${}\\[\\]:#&*!|>'\"%@`,?\\\\(-a<é\u{F8D7}_]{0,30}",
    ) {
        let mut files = files();
        let index = which.index(files.len());
        let file = &mut files[index].1;
        let from = at.index(file.len());
        file.splice(from..from, text.into_bytes());
        answer(&files);
    }
}

/// Checks and renders in every format.
fn answer(files: &[(String, Vec<u8>)]) {
    let sources = sources(files);
    let outcome = check(&sources, Options::default());
    assert_eq!(outcome.checked.is_some(), !outcome.diagnostics.has_errors());
    for format in Format::ALL {
        let text = render(&outcome.diagnostics, &sources, format, true);
        if matches!(format, Format::Json | Format::Sarif) {
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }
}
