//! What expressions read, told without running them.

use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof};
use proptest::{prop_assert, proptest};
use se_dsl::expr::{Expr, Known, Limits, Root, Scopes, Template};
use serde_json::{Value, json};

/// `root.path` of each read, sorted.
fn reads(source: &str) -> String {
    let expr = Expr::compile(source).unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let reads = expr.reads().iter().map(|(root, path)| {
        let names = std::iter::once(root.as_str().to_owned()).chain(path.iter().cloned());
        names.collect::<Vec<_>>().join(".")
    });
    reads.collect::<Vec<_>>().join(" ")
}

const ALL: &str = "session content runtime_env vars parameters";

#[test]
fn paths_are_followed_as_far_as_they_can_be_told() {
    for (source, expected) in PATHS {
        assert_eq!(reads(source), *expected, "{source}");
    }
}

const PATHS: &[(&str, &str)] = &[
    ("1", ""),
    ("vars.a.b", "vars.a.b"),
    (".vars.a", "vars.a"),
    (".vars[\"a-b\"].c", "vars.a-b.c"),
    ("vars", "vars"),
    (".", ALL),
    ("keys", ALL),
    (".nothing", ""),
    ("vars | .a | .b", "vars.a.b"),
    ("vars as $v | $v.x", "vars.x"),
    ("vars as {a: {b: $x}, $c} | $x", "vars.a.b vars.c"),
    ("vars as [$x] | $x", "vars"),
    ("vars.a[0].b", "vars.a"),
    ("vars.a[] | .b", "vars.a"),
    ("vars.a[session.track]", "session.track vars.a"),
    ("vars[\"x\\(session.n)\"].y", "session.n vars"),
    ("vars.a[1:vars.n]", "vars.a vars.n"),
    (
        "if vars.a then vars.b else vars.c.d end",
        "vars.a vars.b vars.c.d",
    ),
    ("vars.a // vars.b", "vars.a vars.b"),
    ("(vars.a // vars.b) | .x", "vars.a vars.b.x"),
    ("vars.a as $x | 1", "vars.a"),
    ("vars.a | 1", "vars.a"),
    ("vars.a.b as $x | vars.a.b.c", "vars.a.b.c"),
    ("{a: vars.x, b: session.y}", "session.y vars.x"),
    ("vars | {a, b: .c}", "vars.a vars.c"),
    ("vars.a as $x | {$x}", "vars.a"),
    ("vars | {(.k): 1}", "vars.k"),
    ("\"\\(vars.a) \\(vars.b)\"", "vars.a vars.b"),
    ("vars.a + vars.b * 2 == 3", "vars.a vars.b"),
    ("vars.a and (vars.b | not)", "vars.a vars.b"),
    (
        "reduce vars.list[] as $x (vars.start; . + $x.n)",
        "vars.list vars.start",
    ),
    (
        "foreach vars.list[] as {$a} (0; . + $a; [., vars.z])",
        "vars.list vars.z",
    ),
    ("def f: .x; vars | f", "vars.x"),
    ("def f(g): g | .x; f(vars.a)", "vars.a.x"),
    ("def f($a): $a.x; f(vars)", "vars.x"),
    ("def f: .next; vars.a | f | f", "vars.a.next.next"),
    ("def f: if .n then .n | f else . end; vars.a | f", "vars.a"),
    ("def vars: 1; vars", ""),
    ("def f(vars): vars; f(session.a)", "session.a"),
    ("vars | select(.ok) | .x", "vars.ok vars.x"),
    ("first(vars.a[]) | .x", "vars.a"),
    ("limit(vars.n; vars.a, vars.b)", "vars.a vars.b vars.n"),
    ("any(vars.list[]; .ok)", "vars.list"),
    ("[range(vars.n)]", "vars.n"),
    (
        "vars.s | test(\"a\") and (vars.t | length > 2)",
        "vars.s vars.t",
    ),
    ("vars.list | map(.x + session.y)", "session.y vars.list"),
    ("try vars.a.b catch .x", "vars.a.b"),
    ("vars.a.b?", "vars.a.b"),
    ("vars | (.a |= . + 1)", "vars"),
    ("vars.a | .. ", "vars.a"),
    ("label $l | vars.a, break $l", "vars.a"),
    ("vars, session | .x", "session.x vars.x"),
    ("@base64 \"\\(vars.a)\"", "vars.a"),
    ("-vars.a", "vars.a"),
    ("[vars.a, vars.b] | .[0].c", "vars.a vars.b"),
    ("getpath([\"vars\", \"a\"])", ALL),
];

#[test]
fn what_reads_nothing_is_constant() {
    let constant = |source: &str| Expr::compile(source).unwrap().is_constant();
    for source in ["1", "\"a\" * 3", "[range(3)] | add", ".nothing", "null"] {
        assert!(constant(source), "{source}");
    }
    for source in ["vars.a", ".", "keys", "{a: session.b}", "vars.a | 1"] {
        assert!(!constant(source), "{source}");
    }
    assert!(Template::parse("a $${b}").unwrap().is_constant());
    assert!(Template::parse("a ${1 + 1}").unwrap().is_constant());
    assert!(!Template::parse("a ${vars.b}").unwrap().is_constant());
}

#[test]
fn a_plain_path_to_what_cannot_be_there_is_always_null() {
    // `vars.no` is not there, `vars.yes` is, of anything else nothing is known.
    let exists = |root: Root, path: &[String]| match (root, path) {
        (Root::Vars, [name]) if name == "no" => Known::No,
        (Root::Vars, [name]) if name == "yes" => Known::Yes,
        (Root::Parameters, _) => Known::No,
        _ => Known::Unknown,
    };
    let always_null = |source: &str| Expr::compile(source).unwrap().always_null(exists);
    for source in [
        "vars.no",
        ".vars.no",
        "vars | .no",
        "vars[\"no\"].below",
        "vars.no[0].x",
        "vars.no[-1]",
        "vars.no[1:].x",
        "vars.no?.x?",
        "(vars.no)",
        "parameters.a",
        ".nothing",
        ".nothing.x",
    ] {
        assert!(always_null(source), "{source}");
        // Then it is in fact null.
        let value = Expr::compile(source)
            .unwrap()
            .eval(&Scopes::new(), &Limits::default());
        assert_eq!(value, Ok(Value::Null), "{source}");
    }
    for source in [
        "vars.yes",
        "vars.other",
        "vars.yes.no",
        "vars.no // 1",
        "vars.no[]",
        "vars.no[vars.yes]",
        "vars[vars.yes].no",
        "vars.no | length",
        "[vars.no]",
        "vars.no, 1",
        "null",
        ".",
        "def vars: {no: 1}; vars.no",
    ] {
        assert!(!always_null(source), "{source}");
    }
    assert!(Template::parse("${vars.no}").unwrap().always_null(exists));
    assert!(!Template::parse("a${vars.no}").unwrap().always_null(exists));
}

#[test]
fn walking_calls_of_calls_ends() {
    use std::fmt::Write as _;
    let mut source = "def f0: vars.a; ".to_owned();
    for n in 1..40 {
        write!(source, "def f{n}: f{0} | f{0}; ", n - 1).unwrap();
    }
    source.push_str("f39");
    assert_eq!(reads(&source), ALL);
}

#[test]
fn a_write_above_or_below_a_read_touches_it() {
    let touches = |source: &str, path: &[&str]| {
        let path: Vec<String> = path.iter().map(|&it| it.to_owned()).collect();
        Expr::compile(source).unwrap().reads().touches_var(&path)
    };
    assert!(touches("vars.a.b", &["a"]));
    assert!(touches("vars.a.b", &["a", "b"]));
    assert!(touches("vars.a.b", &["a", "b", "c"]));
    assert!(touches("vars", &["z"]));
    assert!(!touches("vars.a.b", &["a", "c"]));
    assert!(!touches("vars.a.b", &["b"]));
    assert!(!touches("session.a", &["a"]));
}

/// Programs that use every construct the analysis knows about, over keys `a`, `b` and `c`.
#[expect(clippy::too_many_lines, reason = "a table of constructs")]
fn programs() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("vars"),
        Just("."),
        Just(".vars"),
        Just("vars.a"),
        Just("vars.a.b"),
        Just(".a"),
        Just(".b"),
        Just(".c"),
        Just("$x"),
        Just("1"),
        Just("\"b\""),
        Just("null"),
        Just("session"),
        Just("session.a.c"),
        Just(".session | .b"),
        Just("[\"vars\", \"a\"]"),
        Just("keys?"),
        Just("empty"),
        Just(".."),
        Just(".[]?"),
        Just(".[\"c\"]?"),
        Just("g"),
    ];
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        let pair = two.clone();
        let three = (inner.clone(), inner.clone(), inner.clone());
        prop_oneof![
            two.clone().prop_map(|(f, g)| format!("({f} | {g})")),
            two.clone().prop_map(|(f, g)| format!("({f} , {g})")),
            two.clone().prop_map(|(f, g)| format!("({f} // {g})")),
            two.clone().prop_map(|(f, g)| format!("({f} == {g})")),
            two.clone().prop_map(|(f, g)| format!("({f} and {g})")),
            two.clone().prop_map(|(f, g)| format!("({f} as $x | {g})")),
            two.clone()
                .prop_map(|(f, g)| format!("({f} as {{a: $x}} | {g})")),
            two.clone()
                .prop_map(|(f, g)| format!("({f} as {{(\"b\",\"c\"): $x}} | {g})")),
            two.clone().prop_map(|(f, g)| format!("({f})[{g}]?")),
            two.clone()
                .prop_map(|(f, g)| format!("(try ({f}) catch ({g}))")),
            two.clone()
                .prop_map(|(f, g)| format!("(def f: {f}; f | {g})")),
            two.clone()
                .prop_map(|(f, g)| format!("(def f(g): {f}; f({g}))")),
            two.clone()
                .prop_map(|(f, g)| format!("(def f($x): {f}; f({g}))")),
            two.clone().prop_map(|(f, g)| format!(
                "(def f(g): if . == null then {f} else (.a? | f({g})) end; f(.b?))"
            )),
            two.clone().prop_map(|(f, g)| format!("first({f} | {g})")),
            two.clone().prop_map(|(f, g)| format!("any({f}; {g})")),
            two.clone().prop_map(|(f, g)| format!("({f} |= {g})?")),
            two.clone().prop_map(|(f, g)| format!("{{a: {f}, c: {g}}}")),
            two.prop_map(|(f, g)| format!("({f} | select({g}))")),
            three
                .clone()
                .prop_map(|(f, g, h)| format!("if {f} then {g} else {h} end")),
            three
                .clone()
                .prop_map(|(f, g, h)| format!("(reduce ({f}) as $x ({g}; {h}))")),
            three.prop_map(|(f, g, h)| format!("limit(3; foreach ({f}) as $x ({g}; {h}))")),
            // Destructuring, paths as values, and filters that take filters.
            pair.clone()
                .prop_map(|(f, g)| format!("({f} as [$x, {{b: [$y]}}] | {g}, $y)?")),
            pair.clone()
                .prop_map(|(f, g)| format!("({f} as {{$a, b: {{c: $x}}}} | {g}, $a)?")),
            pair.clone()
                .prop_map(|(f, g)| format!("({f} | getpath({g}))?")),
            pair.clone()
                .prop_map(|(f, g)| format!("({f} | with_entries(.value |= {g}))?")),
            pair.clone()
                .prop_map(|(f, g)| format!("({f} | [paths({g})])?")),
            pair.clone()
                .prop_map(|(f, g)| format!("({f} | to_entries | map(.key, {g}))?")),
            pair.clone().prop_map(|(f, g)| format!("({f} | del({g}))?")),
            pair.clone().prop_map(|(f, g)| format!("({f} | IN({g}))?")),
            pair.clone()
                .prop_map(|(f, g)| format!("({f} | [.[]? | {g}] | add)?")),
            pair.clone()
                .prop_map(|(f, g)| format!("([limit(2; {f})] + [first({g})])")),
            pair.clone()
                .prop_map(|(f, g)| format!("(label $l | {f} | if {g} then break $l else . end)")),
            pair.prop_map(|(f, g)| format!("({f} | sort_by({g})? // group_by({g})?)?")),
            inner.clone().prop_map(|f| format!("[{f}]")),
            inner.clone().prop_map(|f| format!("({f} | length)?")),
            inner.clone().prop_map(|f| format!("({f} | map(.a))?")),
            inner.clone().prop_map(|f| format!("({f} | {{b, $x}})?")),
            inner.clone().prop_map(|f| format!("({f}).b?")),
            inner.prop_map(|f| format!("\"\\({f})\"")),
        ]
    })
}

/// Values of `vars` whose branches are objects, as captures make them.
fn captured() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(1)),
        Just(json!("b")),
        Just(json!([1])),
        Just(json!(null))
    ];
    let keys = proptest::collection::btree_map("[abc]", leaf, 0..3);
    keys.prop_map(|keys| {
        let pairs = keys
            .into_iter()
            .map(|(key, value)| (key.clone(), json!({ key: value })));
        Value::Object(pairs.collect())
    })
}

/// A run with 20,000 takes two minutes.
const CASES: u32 = 600;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn a_write_that_changes_the_result_touches_what_is_read(
        program in programs(),
        before in captured(),
        in_vars in proptest::bool::weighted(0.8),
        path in proptest::collection::vec("[abc]", 2),
        written in prop_oneof![Just(json!(2)), Just(json!(null)), Just(json!({"a": 1}))],
    ) {
        let source = format!("1 as $x | def g: .b?; {program}");
        let expr = Expr::compile(&source).unwrap();
        let mut scopes = Scopes::new();
        scopes.set(Root::Vars, &before);
        scopes.set(Root::Session, &before);
        let first = expr.eval(&scopes, &Limits::default());
        let root = if in_vars { Root::Vars } else { Root::Session };
        scopes.write_var(&path, &written);
        if !in_vars {
            let changed = scopes.get(Root::Vars);
            scopes.set(Root::Session, &changed);
            scopes.set(Root::Vars, &before);
        }
        let second = expr.eval(&scopes, &Limits::default());
        let touched = expr.reads().iter().any(|(of, read)| {
            of == root && read.iter().zip(&path).all(|(a, b)| a == b)
        });
        prop_assert!(
            first == second || touched,
            "{source}\n on {before}, with {path:?} = {written}:\n {first:?}\n {second:?}\n reads {:?}",
            expr.reads()
        );
    }
}
