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
fn one_mistake_a_thousand_times_fills_no_screen() {
    let mut text = SEED.to_owned();
    for at in 0..1_000 {
        text.push_str(&format!("zzz{at}: 1\n"));
    }
    let mut sources = Sources::new();
    sources.add("PAv1/manifest.yaml", text.as_bytes());
    let found = check_documents(&sources, Options::default());
    let located = found.located(&sources);
    let unknown: Vec<_> = located.iter().filter(|it| it.code == "SE1103").collect();
    assert_eq!(unknown.len(), 100, "{:?}", located.first());
    let rest = &unknown[99].related;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].message, "and 900 more like it, the last one here");
    assert_eq!(rest[0].place.line, 1_002);
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

#[test]
fn what_breaks_off_is_answered_once_where_it_began() {
    for (rest, expected) in [
        ("name: \"abc\n", ("SE1001", 3, 7)),
        ("name: 'abc\n", ("SE1001", 3, 7)),
        ("name: [abc\n", ("SE1001", 3, 7)),
        ("name: {abc\n", ("SE1001", 3, 7)),
        ("name: *\n", ("SE1001", 3, 7)),
        ("name: &\n", ("SE1001", 3, 7)),
        ("name: *x\n", ("SE1001", 3, 7)),
        ("name: !<\n", ("SE1001", 3, 7)),
        ("name: \"\\x\"\n", ("SE1001", 3, 7)),
        ("name: |99\n a\n", ("SE1001", 3, 7)),
        ("name:\n\t- a\n", ("SE1001", 4, 2)),
        ("name: a\u{7}b\n", ("SE1001", 3, 7)),
        ("name: \u{feff}b\n", ("SE1001", 3, 7)),
        ("...\njunk: 1\n", ("SE1011", 4, 1)),
        ("---\n", ("SE1011", 3, 1)),
    ] {
        assert_eq!(seed(rest), [expected], "{rest:?}");
    }
}

#[test]
fn directives_and_line_ends_are_those_of_yaml() {
    for head in [
        "%YAML 1.2\n---\n",
        "%YAML 1.1\n---\n",
        "%TAG !e! tag:x,2000:\n---\n",
        "---\n",
    ] {
        assert_eq!(manifest(format!("{head}{SEED}").as_bytes()), [], "{head:?}");
    }
    assert_eq!(
        manifest(format!("%YAML 3.0\n---\n{SEED}").as_bytes()),
        [("SE1001", 1, 1)]
    );
    assert_eq!(manifest(b"%YAML 1.2\n"), [("SE1001", 2, 1)]);
    assert_eq!(manifest(format!("{SEED}...\n").as_bytes()), []);
    assert_eq!(manifest(SEED.replace('\n', "\r").as_bytes()), []);
}

#[test]
fn bytes_that_are_no_utf_8_are_told_by_name() {
    let message = |bytes: Vec<u8>| {
        let mut sources = Sources::new();
        sources.add("PAv1/manifest.yaml", bytes);
        let found = check_documents(&sources, Options::default()).located(&sources);
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap().message
    };
    let utf16 = "the file is UTF-16 text, not UTF-8";
    let little: Vec<u8> = SEED.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = SEED.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(message(little.clone()), utf16);
    assert_eq!(message(big.clone()), utf16);
    assert_eq!(message([b"\xFF\xFE".to_vec(), little].concat()), utf16);
    assert_eq!(message([b"\xFE\xFF".to_vec(), big].concat()), utf16);
    assert_eq!(
        message(b"name: a\0b\n".to_vec()),
        "the file holds a NUL byte"
    );
    let latin = b"name: caf\xE9\n".to_vec();
    assert_eq!(message(latin), "the file is not UTF-8 text from here on");
}

#[test]
fn large_documents_are_bounded_by_their_values() {
    const LONG: usize = 300_000;
    for (bytes, expected) in [
        (
            format!("{SEED}features: [{}]\n", "a,".repeat(LONG)),
            "SE1013",
        ),
        ("-\n".repeat(LONG), "SE1013"),
        (format!("{SEED}y: [{}]\n", "&a 1,".repeat(LONG)), "SE1013"),
        ((0..LONG).map(|n| format!("k{n}: 1\n")).collect(), "SE1013"),
        ("a: \"\n".repeat(LONG), "SE1003"),
        (
            format!("{SEED}x: &a 1\ny: [{}]\n", "*a,".repeat(LONG)),
            "SE1005",
        ),
        ("? ".repeat(LONG), "SE1004"),
        ("{".repeat(LONG), "SE1004"),
        ("[{a: ".repeat(LONG), "SE1004"),
        (":".repeat(LONG), "SE1001"),
        ("%".repeat(LONG), "SE1001"),
        (" ".repeat(LONG), "SE1010"),
        ("\n".repeat(LONG), "SE1010"),
        (format!("{SEED}{}: 1\n", "k".repeat(5 << 20)), "SE1001"),
        (format!("{SEED}? {}\n: 1\n", "k".repeat(5 << 20)), "SE1103"),
        (
            format!("{SEED}unknown: {}\n", "k".repeat(5 << 20)),
            "SE1103",
        ),
        (
            format!("{SEED}unknown: \"{}\"\n", "${(".repeat(LONG)),
            "SE1103",
        ),
    ] {
        let found = manifest(bytes.as_bytes());
        let codes: Vec<_> = found.iter().map(|it| it.0).collect();
        assert!(
            codes.contains(&expected),
            "{:.40}: {:?}",
            bytes,
            found.first()
        );
    }
    // One mistake, one message: what is read no further is not judged.
    let long = format!("{SEED}features: [{}]\n", "a,".repeat(LONG));
    assert_eq!(manifest(long.as_bytes()).len(), 1);
}

#[test]
fn aliases_of_long_texts_are_bounded() {
    let text = "x".repeat(100_000);
    let aliases = "*a,".repeat(10);
    let found = seed(&format!("features: [&a {text}, {aliases}]\n"));
    assert_eq!(found[0].0, "SE1005", "{found:?}");
}

#[test]
fn expressions_in_quotes_over_several_lines_are_read_in_bounded_time() {
    // Each looks as if it ended outside of its quotes.
    let lines: String = (0..2_000)
        .map(|n| format!("  k{n}: \"${{ a\" # }}\n  l{n}: |\n    x: ${{ a }}\n"))
        .collect();
    let found = seed(&format!("unknown:\n{lines}"));
    assert!(
        found.iter().all(|it| it.0 == "SE1103" || it.0 == "SE1001"),
        "{:?}",
        found.first()
    );
}
