//! The language is jq's: each line is an input, a program, and the outputs that jq 1.7 gives.

use serde_json::Value;

use super::eval_on;

/// Every output as compact JSON, or `error: ` and the message.
fn outputs(input: &str, program: &str) -> String {
    let input: Value = serde_json::from_str(input).unwrap();
    let program = format!("vars | [{program}] | map(tojson) | join(\" \")");
    match eval_on(&program, &input) {
        Ok(outputs) => outputs.as_str().unwrap().to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

/// Input, program, outputs.
type Case = (&'static str, &'static str, &'static str);

fn check(cases: &[Case]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(input, program, expected)| (outputs(input, program), program, expected))
        .filter(|(got, _, expected)| got != *expected)
        .map(|(got, program, expected)| {
            format!("{program}\n  gave     {got}\n  expected {expected}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn paths_and_indices() {
    check(PATHS_AND_INDICES);
}

const PATHS_AND_INDICES: &[Case] = &[
    ("{}", ".processed.colors", "null"),
    ("{}", ".a.b.c", "null"),
    ("null", ".a", "null"),
    ("{}", r#".a + ["x"]"#, r#"["x"]"#),
    ("{}", ".a[]?", ""),
    ("{}", ".a[0]", "null"),
    (r#"{"a":1}"#, ".a.b?", ""),
    (
        r#"{"a":1}"#,
        ".a.b",
        r#"error: Cannot index number with "b""#,
    ),
    (r#"{"a":[1,2,3]}"#, ".a[]", "1 2 3"),
    (r#"{"a":[1,2,3]}"#, ".a[1:]", "[2,3]"),
    (r#"{"a":"abc"}"#, ".a[1:2]", r#""b""#),
    ("[1,2,3]", ".[-1], .[-4], .[5]", "3 null null"),
    (
        "[1,2,3]",
        ".[:-1], .[-2:], .[1.7], .[0.5:1.5]",
        "[1,2] [2,3] 2 [1,2]",
    ),
    (r#"{"a-b":1}"#, r#".["a-b"], ."a-b""#, "1 1"),
    ("{}", r#".a.b."c-d""#, "null"),
    (
        r#"{"a":{"b":1}}"#,
        r#"getpath(["a","b"]), getpath(["x","y","z"])"#,
        "1 null",
    ),
    (
        r#"{"a":1}"#,
        r#"try getpath(["a","b"]) catch "no""#,
        r#""no""#,
    ),
    (r#"{"a":{"b":1}}"#, "[paths]", r#"[["a"],["a","b"]]"#),
    ("[1,[2]]", "path(..)", "[] [0] [1] [1,0]"),
    ("[1,[2]]", "[leaf_paths]", "[[0],[1,0]]"),
    (
        r#"{"a":[1,{"b":2}]}"#,
        r#"[paths(type == "number")]"#,
        r#"[["a",0],["a",1,"b"]]"#,
    ),
    ("null", ".[1:]", "null"),
    (r#"{"a":[0,1,0]}"#, ".a | .[[0]]", "[0,2]"),
    (r#"{"a":{"b":2},"c":3}"#, "pick(.a.b)", r#"{"a":{"b":2}}"#),
    (
        r#"{"a":1,"b":null}"#,
        r#"has("a"), has("b"), has("c")"#,
        "true true false",
    ),
    ("[1,2]", "has(0), has(2)", "true false"),
    (r#"{"a":5}"#, r#""\(.a)", "v=\(.a + 1)!""#, r#""5" "v=6!""#),
    (
        r#"{"a":1}"#,
        r#"{a, b: 2, "c": 3, ("d"): 4}"#,
        r#"{"a":1,"b":2,"c":3,"d":4}"#,
    ),
    (
        r#"{"a":1,"b":2}"#,
        "{(.a,.b|tostring): 0}",
        r#"{"1":0} {"2":0}"#,
    ),
    ("3", ". as $x | {$x}", r#"{"x":3}"#),
    (r#"{"a":{"b":1}}"#, ".a as {b: $x} | $x", "1"),
    (r#"[1,{"c":[2]}]"#, ". as [$a, {c: [$b]}] | $a + $b", "3"),
    (r#"{"k":"a","a":7}"#, ". as {k: $k} | .[$k]", "7"),
    ("[[1,2],[3]]", ".[][0]", "1 3"),
    (r#"{"a":[{"b":1},{"b":2}]}"#, ".a[].b", "1 2"),
    (r#"{"a":[{"b":1},{"b":2}]}"#, "[.. | numbers]", "[1,2]"),
    ("1", r#"try .[] catch "no""#, r#""no""#),
    (r#""x""#, r#"try .a catch "no""#, r#""no""#),
];

#[test]
fn updates() {
    check(UPDATES);
}

const UPDATES: &[Case] = &[
    ("null", ".a = 1", r#"{"a":1}"#),
    ("{}", ".a.b.c = 1", r#"{"a":{"b":{"c":1}}}"#),
    ("null", ".x += 1", r#"{"x":1}"#),
    ("{}", ".a += 1", r#"{"a":1}"#),
    ("[0,1]", ".[3] = 3", "[0,1,null,3]"),
    (r#"{"a":1,"b":2,"c":3}"#, "del(.a)", r#"{"b":2,"c":3}"#),
    (r#"{"a":1,"b":2,"c":3}"#, "del(.a, .c)", r#"{"b":2}"#),
    ("[1,2,3,4]", "del(.[1,2])", "[1,4]"),
    ("[1,2,3,4]", "del(.[0], .[-1])", "[2,3]"),
    ("[1,2,3,4]", "del(.[1:3])", "[1,4]"),
    (r#"{"a":[1,2]}"#, "del(.a[0], .b)", r#"{"a":[2]}"#),
    ("{}", "del(.a.b)", "{}"),
    ("[1,2,3]", "del(.[] | select(. == 2))", "[1,3]"),
    ("[[1],[2]]", "del(.[][0])", "[[],[]]"),
    (r#"{"a":1}"#, ".b.c = 5", r#"{"a":1,"b":{"c":5}}"#),
    (r#"{"a":1}"#, ".a |= . + 1", r#"{"a":2}"#),
    (r#"{"a":[1]}"#, ".a += [2]", r#"{"a":[1,2]}"#),
    (r#"{"a":null}"#, r#".a // "d""#, r#""d""#),
    (r#"{"a":null}"#, ".a //= 3", r#"{"a":3}"#),
    (r#"{"a":2}"#, ".a -= 1 | .a *= 5 | .a /= 2", r#"{"a":2.5}"#),
    (r#"{"a":7}"#, ".a %= 4", r#"{"a":3}"#),
    ("[1,2,3]", ".[] |= . * 2", "[2,4,6]"),
    ("[1,2,3]", "map_values(. + 1)", "[2,3,4]"),
    (r#"{"a":1,"b":2}"#, "map_values(empty)", "{}"),
    (r#"{"a":[1,2]}"#, r#"setpath(["a",0]; 9)"#, r#"{"a":[9,2]}"#),
    ("null", "setpath([]; 1)", "1"),
    (r#"{"a":1,"b":2}"#, r#"delpaths([["a"],["b"]])"#, "{}"),
    ("[1,2,3]", ".[1:] = [9]", "[1,9]"),
    ("[1,2,3]", ".[:1] |= map(. * 10)", "[10,2,3]"),
    ("null", ".[2] = 1", "[null,null,1]"),
    (
        r#"{"a":{"x":1}}"#,
        r#". * {"a":{"y":2}}"#,
        r#"{"a":{"x":1,"y":2}}"#,
    ),
    (
        r#"{"a":1}"#,
        r#". * {"b":{"c":2}}"#,
        r#"{"a":1,"b":{"c":2}}"#,
    ),
    (r#"{"a":1}"#, "to_entries", r#"[{"key":"a","value":1}]"#),
    (
        r#"{"a":1,"b":2}"#,
        "with_entries(.value += 1)",
        r#"{"a":2,"b":3}"#,
    ),
    (
        r#"[{"k":"a","v":1},{"name":"b","value":2},{"key":"c"}]"#,
        "from_entries",
        r#"{"a":1,"b":2,"c":null}"#,
    ),
    (
        r#"[{"key":1,"value":2},{"key":false}]"#,
        r#"try from_entries catch "no""#,
        r#"{"1":2,"false":null}"#,
    ),
    (
        r#"[1,[2,{"a":3}]]"#,
        r#"walk(if type == "number" then . + 1 else . end)"#,
        r#"[2,[3,{"a":4}]]"#,
    ),
    ("[3,[1,2]]", "[walk(numbers, .) ] | length", "1"),
    ("[1,null]", r#"[.[] // "x"]"#, "[1]"),
    ("null", "(1,null,2) // 9", "1 2"),
    ("null", "(null,false) // (7,8)", "7 8"),
    ("null", r#"[(error("x")) // 1]"#, "error: x"),
    (
        r#"{"a":[{"b":1},{"b":2}]}"#,
        ".a[].b |= . + 1",
        r#"{"a":[{"b":2},{"b":3}]}"#,
    ),
    (r#"{"a":[1,2,3]}"#, "(.a | first) = 9", r#"{"a":[9,2,3]}"#),
    ("[1,2,3]", "(.[] | select(. > 1)) |= . * 10", "[1,20,30]"),
    (r#"{"a":1}"#, r#"try (.a.b = 1) catch "no""#, r#""no""#),
    ("[1]", r#"try (.["a"] = 1) catch "no""#, r#""no""#),
    ("[[1,2],[3,4]]", ".[0][1] |= empty", "[[1],[3,4]]"),
    (
        "[1]",
        "try (.[-2] = 1) catch .",
        r#""Out of bounds negative array index""#,
    ),
];

#[test]
fn arithmetic() {
    check(ARITHMETIC);
}

const ARITHMETIC: &[Case] = &[
    (r#"{"n":1}"#, ".n / 3", "0.3333333333333333"),
    (r#"{"n":10}"#, ".n % 3", "1"),
    ("null", "-5 % 3, 5 % -3, 5.9 % 3", "-2 2 2"),
    ("null", r#"try (1 / 0) catch "no""#, r#""no""#),
    ("null", r#"try (5 % 0) catch "no""#, r#""no""#),
    ("null", "1 + 2 * 3 - 4 / 2", "5"),
    ("null", "[1,2,3,2] - [2]", "[1,3]"),
    (
        "null",
        r#""x" * 3, "x" * 0, "x" * 0.5"#,
        r#""xxx" null "x""#,
    ),
    ("null", r#""a,b" / ",""#, r#"["a","b"]"#),
    ("null", "{a:1} + {b:2}", r#"{"a":1,"b":2}"#),
    ("null", "null + 1, 1 + null", "1 1"),
    ("null", "[1] + [2]", "[1,2]"),
    (
        "null",
        "try ({} + 1) catch .",
        r#""object ({}) and number (1) cannot be added""#,
    ),
    (
        "null",
        "try ({} - 1) catch .",
        r#""object ({}) and number (1) cannot be subtracted""#,
    ),
    (
        "null",
        "try ([] * 2) catch .",
        r#""array ([]) and number (2) cannot be multiplied""#,
    ),
    ("null", "-(1,2)", "-1 -2"),
    ("null", "1e3, 100, 0.5, 1.5e-7", "1000 100 0.5 1.5e-07"),
    ("null", "10000000000 * 10", "100000000000"),
    ("null", "[nan] | sort", "[null]"),
    ("null", "nan | isnan", "true"),
    ("null", "[nan, 1] | min", "null"),
    (
        "null",
        "infinite, -infinite, nan | tostring",
        r#""1.7976931348623157e+308" "-1.7976931348623157e+308" "null""#,
    ),
    ("null", "infinite | isinfinite", "true"),
    (
        "null",
        "[0.1, 1, -1.5] | map(floor, ceil, round)",
        "[0,1,0,1,1,1,-2,-1,-2]",
    ),
    ("null", "pow(2;10), (16 | sqrt, log2)", "1024 4 4"),
    ("null", "[1,2] | add / length", "1.5"),
    (
        "null",
        r#"1 == 1.0, "a" < "b", [] < {}, null < false"#,
        "true true true true",
    ),
    (
        "null",
        r#"[{"a":1},[1],"a",1,true,false,null] | sort"#,
        r#"[null,false,true,1,"a",[1],{"a":1}]"#,
    ),
    ("null", r#"{"a":1,"b":2} == {"b":2,"a":1}"#, "true"),
    (
        "null",
        r#"[{"b":1},{"a":2},{"a":1}] | sort"#,
        r#"[{"a":1},{"a":2},{"b":1}]"#,
    ),
    ("null", "(1,2) as $x | (3,4) as $y | $x * $y", "3 4 6 8"),
    (
        "null",
        "true and false, (true or error), (false and error)",
        "false true false",
    ),
    ("null", "[true, false | not]", "[false,true]"),
    (
        "null",
        "if . then 1 else 2 end, (if . then 1 end)",
        "2 null",
    ),
    (
        "null",
        r#"if 0 then "t" elif 1 then "e" else "f" end"#,
        r#""t""#,
    ),
    ("[3,5]", ".[0] as $a | .[1] - $a", "2"),
    (r#""1""#, r#"tonumber, (. + ".5" | tonumber)"#, "1 1.5"),
    ("null", r#"try ("a" | tonumber) catch "no""#, r#""no""#),
    (
        "null",
        r#"1 | tostring, ([1,{"a":2}] | tostring), ("a" | tostring)"#,
        r#""1" "[1,{\"a\":2}]" "a""#,
    ),
    ("null", "9007199254740993 | . - 1 > 0", "true"),
    (
        "null",
        "[limit(3; range(10))], [limit(0; 1,2)], [first(range(5))], [first(empty)]",
        "[0,1,2] [] [0] []",
    ),
];

#[test]
fn strings() {
    check(STRINGS);
}

const STRINGS: &[Case] = &[
    (r#"{"s":"a,b"}"#, r#".s | split(",")"#, r#"["a","b"]"#),
    (
        r#""Hello""#,
        "ascii_downcase, ascii_upcase, length, explode",
        r#""hello" "HELLO" 5 [72,101,108,108,111]"#,
    ),
    ("[72,105]", "implode", r#""Hi""#),
    (r#""é""#, "utf8bytelength, length", "2 1"),
    (
        r#""abc""#,
        r#"ltrimstr("a"), rtrimstr("c"), ltrimstr("x"), ltrimstr(1)"#,
        r#""bc" "ab" "abc" "abc""#,
    ),
    ("null", r#"ltrimstr("x")"#, "null"),
    (
        r#""test""#,
        r#"startswith("te"), endswith("st"), startswith("x")"#,
        "true true false",
    ),
    (
        r#""abcb""#,
        r#"index("b"), rindex("b"), indices("b"), indices("z")"#,
        "1 3 [1,3] []",
    ),
    (
        "[1,2,1,2]",
        "indices([1,2]), indices(1), index(2)",
        "[0,2] [0,2] 1",
    ),
    (
        r#""a b""#,
        r#"@uri, @sh, @json, @text, @base64, @html "<\(.)>""#,
        r#""a%20b" "'a b'" "\"a b\"" "a b" "YSBi" "<a b>""#,
    ),
    (r#""<&'\">""#, "@html", r#""&lt;&amp;&#39;&quot;&gt;""#),
    (
        r#"[1,"a\"b",null,true]"#,
        "@csv, @tsv, @sh, @json",
        r#""1,\"a\"\"b\",,true" "1\ta\"b\t\ttrue" "1 'a\"b' null true" "[1,\"a\\\"b\",null,true]""#,
    ),
    (r#"["a\tb","c\\d"]"#, "@tsv", r#""a\\tb\tc\\\\d""#),
    (r#""aGk=""#, "@base64d", r#""hi""#),
    (
        r#""hi""#,
        "@base32, (@base32 | @base32d)",
        r#""NBUQ====" "hi""#,
    ),
    ("{}", r#"@json "x\([1])""#, r#""x[1]""#),
    ("null", r#"try ([[1]] | @csv) catch "no""#, r#""no""#),
    (r#""abc""#, ".[1:], .[:-1], .[1:2]", r#""bc" "ab" "b""#),
    (
        r#""abc""#,
        r#"[splits("b")], [splits("B";"i")]"#,
        r#"["a","c"] ["a","c"]"#,
    ),
    (r#"[1,null,"a",true]"#, r#"join(",")"#, r#""1,,a,true""#),
    ("[]", r#"join(",")"#, r#""""#),
    (r#"["a"]"#, r#"join(", ")"#, r#""a""#),
    (r#"["a",null]"#, r#"join(",")"#, r#""a,""#),
    (
        r#""x""#,
        r#". * 2, test("X"), test("X";"i")"#,
        r#""xx" false true"#,
    ),
    (
        "[1,[2]]",
        "tojson, (tojson | fromjson)",
        r#""[1,[2]]" [1,[2]]"#,
    ),
    (r#""  a b ""#, r#"gsub("^ +| +$";"")"#, r#""a b""#),
    ("65", "[.] | implode", r#""A""#),
    ("null", r#""\u00e9\n\t\"" | length"#, "4"),
    (r#""a,b, c""#, r#"split(", *"; null)"#, r#"["a","b","c"]"#),
    (r#""aXbX""#, r#"[match("x"; "gi") | .offset]"#, "[1,3]"),
    (r#"{"a":"x"}"#, r#""a" as $k | .[$k]"#, r#""x""#),
    (r#""test""#, "[.[0:2], .[2:]]", r#"["te","st"]"#),
    (r#""\u007f\u0001/""#, "tojson", r#""\"\\u007f\\u0001/\"""#),
];

#[test]
fn regular_expressions() {
    check(REGULAR_EXPRESSIONS);
}

const REGULAR_EXPRESSIONS: &[Case] = &[
    (r#""a1b2""#, r#"[scan("[0-9]")]"#, r#"["1","2"]"#),
    (
        r#""a1b2""#,
        r#"[scan("([a-z])([0-9])")]"#,
        r#"[["a","1"],["b","2"]]"#,
    ),
    (
        r#""a1""#,
        r#"capture("(?<l>[a-z])(?<d>[0-9])")"#,
        r#"{"l":"a","d":"1"}"#,
    ),
    (
        r#""a1b2""#,
        r#"[match("[0-9]"; "g") | .string]"#,
        r#"["1","2"]"#,
    ),
    (
        r#""foo bar""#,
        r#"match("o+")"#,
        r#"{"offset":1,"length":2,"string":"oo","captures":[]}"#,
    ),
    (
        r#""ab""#,
        r#"match("(?<x>a)(?<y>z)?")"#,
        r#"{"offset":0,"length":1,"string":"a","captures":[{"offset":0,"length":1,"string":"a","name":"x"},{"offset":-1,"length":0,"string":null,"name":"y"}]}"#,
    ),
    (
        r#""xyz""#,
        r#"test("Y"), test("Y";"i"), test(["Y","i"])"#,
        "false true true",
    ),
    (r#""aéb""#, r#"match("b") | .offset"#, "2"),
    (
        r#""abab""#,
        r#"sub("a"; "x"), gsub("a"; "x"), gsub("(?<c>[ab])"; "<\(.c)>")"#,
        r#""xbab" "xbxb" "<a><b><a><b>""#,
    ),
    (r#""abc""#, r#"gsub(""; "-")"#, r#""-a-b-c-""#),
    (r#""abc""#, r#"[match(""; "g").offset]"#, "[0,1,2,3]"),
    (r#""aAbB""#, r#"gsub("a";"x";"i")"#, r#""xxbB""#),
    (r#""line1\nline2""#, r#"[scan("^line.")]"#, r#"["line1"]"#),
    (
        r#""a\nb""#,
        r#"test("a.b"), test("a.b";"s")"#,
        "false false",
    ),
    (
        r#""foobar""#,
        r#"test("foo(?=bar)"), test("foo(?!bar)"), test("(o)\\1")"#,
        "true false true",
    ),
    (r#""ab12cd""#, r#"[splits("[0-9]+")]"#, r#"["ab","cd"]"#),
    (
        r#""a b""#,
        r#"test("a\\sb"), test("a b"; "x")"#,
        "true false",
    ),
    (
        r#""Vlan10 up\nVlan20 down""#,
        r#"[capture("(?<v>Vlan[0-9]+) (?<s>\\w+)"; "g")]"#,
        r#"[{"v":"Vlan10","s":"up"},{"v":"Vlan20","s":"down"}]"#,
    ),
    ("null", r#"try ("a" | test("(")) catch "no""#, r#""no""#),
    ("null", r#"try (1 | test("a")) catch "no""#, r#""no""#),
    (r#""aaa""#, r#"[match("a"; "gn") | .offset]"#, "[0,1,2]"),
    (
        r#""xAy""#,
        r#"ascii_downcase | sub("(?<a>a)"; "\(.a)\(.a)")"#,
        r#""xaay""#,
    ),
];

#[test]
fn arrays_and_objects() {
    check(ARRAYS_AND_OBJECTS);
}

const ARRAYS_AND_OBJECTS: &[Case] = &[
    (
        "[3,1,2]",
        "sort, min, max, add, length, reverse, first, last, nth(1)",
        "[1,2,3] 1 3 6 3 [2,1,3] 3 2 1",
    ),
    ("[3,1,2]", "sort_by(-.), map(. * 2)", "[3,2,1] [6,2,4]"),
    (
        r#"[{"a":1,"b":2},{"a":1,"b":3},{"a":0}]"#,
        "group_by(.a), unique_by(.a), min_by(.a), max_by(.a)",
        r#"[[{"a":0}],[{"a":1,"b":2},{"a":1,"b":3}]] [{"a":0},{"a":1,"b":2}] {"a":0} {"a":1,"b":3}"#,
    ),
    ("[1,2,1]", "unique", "[1,2]"),
    (
        "[1,[2,[3]]]",
        "flatten, flatten(1), flatten(0)",
        "[1,2,3] [1,2,[3]] [1,[2,[3]]]",
    ),
    (
        "[1,2]",
        "contains([1]), inside([1,2,3]), index(2)",
        "true true 1",
    ),
    (
        r#""foobar""#,
        r#"contains("bar"), inside("xfoobarx")"#,
        "true true",
    ),
    (r#"{"a":[1,"bcd"]}"#, r#"contains({a:["bc"]})"#, "true"),
    ("[true,false]", "any, all", "true false"),
    ("[]", "any, all, add, min, length", "false true null null 0"),
    (
        "[1,2,3]",
        "any(. > 2), all(. > 0), any(.[]; . > 5)",
        "true true false",
    ),
    (
        r#"{"b":1,"a":2}"#,
        "keys, keys_unsorted, length, [.[]], to_entries[0].key, map_values(. + 1), add",
        r#"["a","b"] ["b","a"] 2 [1,2] "b" {"b":2,"a":3} 3"#,
    ),
    ("[1,2]", "keys", "[0,1]"),
    (
        "[[1,2],[3,4]]",
        "[combinations], transpose, [.[] | add]",
        "[[1,3],[1,4],[2,3],[2,4]] [[1,3],[2,4]] [3,7]",
    ),
    ("[0,1]", "[combinations(2)]", "[[0,0],[0,1],[1,0],[1,1]]"),
    ("[[1],[2,3]]", "transpose", "[[1,2],[null,3]]"),
    (
        r#"[{"n":"x","v":1},{"n":"y"}]"#,
        "INDEX(.n)",
        r#"{"x":{"n":"x","v":1},"y":{"n":"y"}}"#,
    ),
    ("[1,2]", "IN(1,2)?, (.[] | IN(2,3))", "false false true"),
    ("2", "IN(1,2), IN(5)", "true false"),
    ("[1,[2]]", "tostream", "[[0],1] [[1,0],2] [[1,0]] [[1]]"),
    ("[1,[2]]", "[tostream] | fromstream(.[])", "[1,[2]]"),
    (r#"{"a":[1]}"#, "fromstream(tostream)", r#"{"a":[1]}"#),
    (
        "[1,[2]]",
        "[1|truncate_stream([[0],1],[[1,0],2],[[1,0]],[[1]])]",
        "[[[0],2],[[0]]]",
    ),
    (
        "[1,null,2]",
        "map(select(. != null)), map(values)",
        "[1,2] [1,2]",
    ),
    (
        r#"[1,"a",null,[],{},true]"#,
        "map(type), [.[] | scalars], [.[] | strings, numbers, booleans, nulls, arrays, objects, iterables]",
        r#"["number","string","null","array","object","boolean"] [1,"a",null,true] [1,"a",null,[],[],{},{},true]"#,
    ),
    ("[0,1,2]", "[.[] | isvalid(1 / .)]", "[false,true,true]"),
    ("[1,2,3]", "bsearch(2), bsearch(0), bsearch(4)", "1 -1 -4"),
    (r#"{"a":{"b":1}}"#, "[..]", r#"[{"a":{"b":1}},{"b":1},1]"#),
    (r#""a""#, r#"in({"a":1})"#, "true"),
    ("1", "in([0,1])", "true"),
    ("[[1,2],[1]]", "sort", "[[1],[1,2]]"),
    ("[1,2,3,4]", ".[1:3], .[-2:]", "[2,3] [3,4]"),
    (
        r#"{"a":1}"#,
        r#"has("a"), (to_entries | from_entries)"#,
        r#"true {"a":1}"#,
    ),
    (r#"[{"a":1},{"b":2}]"#, "add", r#"{"a":1,"b":2}"#),
    (
        r#"["a","b"]"#,
        "to_entries",
        r#"[{"key":0,"value":"a"},{"key":1,"value":"b"}]"#,
    ),
    (
        "[5,6]",
        r#"to_entries? // "x""#,
        r#"[{"key":0,"value":5},{"key":1,"value":6}]"#,
    ),
    (
        "null",
        r#"length, ({} | length), ([] | length), (-5 | length), ("é" | length)"#,
        "0 0 0 5 1",
    ),
];

#[test]
fn control() {
    check(CONTROL);
}

const CONTROL: &[Case] = &[
    (
        "null",
        "[range(5)], [range(2;4)], [range(0;10;3)], [range(5;0;-2)], [range(0;1;0.3)]",
        "[0,1,2,3,4] [2,3] [0,3,6,9] [5,3,1] [0,0.3,0.6,0.8999999999999999]",
    ),
    ("null", "reduce range(5) as $i (0; . + $i)", "10"),
    (
        "null",
        "[foreach range(4) as $i (0; . + $i)], [foreach range(4) as $i (0; . + $i; [$i, .])]",
        "[0,1,3,6] [[0,0],[1,1],[2,3],[3,6]]",
    ),
    ("null", "[limit(3; repeat(1))]", "[1,1,1]"),
    (
        "1",
        "[recurse(if . < 3 then . + 1 else empty end)]",
        "[1,2,3]",
    ),
    ("1", "[recurse(. + 1; . < 4)]", "[1,2,3]"),
    (
        "1",
        "[while(. < 10; . * 2)], until(. > 10; . * 2)",
        "[1,2,4,8] 16",
    ),
    ("null", "[label $f | 1, break $f, 2]", "[1]"),
    ("null", "[label $a | label $b | 1, break $a, 2]", "[1]"),
    (
        "null",
        r#"try error("x") catch ., (try error({a:1}) catch .a)"#,
        r#""x" 1"#,
    ),
    ("null", r#"[.[]?], (error("x")? // "d")"#, r#"[] "d""#),
    ("null", "try error catch .", "null"),
    ("null", "(try error(null) catch .)", "null"),
    (
        "null",
        "def f: 3; f, (def g($a; h): $a + h; g(1; 2))",
        "3 3",
    ),
    ("null", "def f(g): [g, g]; f(1)", "[1,1]"),
    (
        "4",
        "def fac: if . < 2 then 1 else . * (. - 1 | fac) end; fac",
        "24",
    ),
    (
        "null",
        "first(range(5)), last(range(5)), nth(3; range(5)), isempty(empty), isempty(1)",
        "0 4 3 true false",
    ),
    (
        "null",
        "[skip(2; range(5))], [limit(2; skip(1; range(5)))]",
        "[2,3,4] [1,2]",
    ),
    ("null", "add(1,2,3)", "6"),
    ("null", r#"[splits("a")?] | length"#, "0"),
    (r#"{"a":1}"#, ". as {$a} | $a", "1"),
    ("null", "1 as $x | 2 as $y | [$x, $y]", "[1,2]"),
    ("null", "[(1,2) + (10,20)] | sort", "[11,12,21,22]"),
    ("null", "[.[]?] | first", "null"),
    ("[1,2]", r#"try error("\(.)") catch ."#, r#""[1,2]""#),
    ("null", r#""a" | ascii_downcase | tojson"#, r#""\"a\"""#),
    ("null", "[1,2] | tojson | fromjson", "[1,2]"),
    ("[2,1]", "[.[] as $x | $x * 2]", "[4,2]"),
    ("null", "toarray, ([1] | toarray)", "[null] [1]"),
    ("-3", "abs", "3"),
    ("null", r#"" a " | trim, ltrim, rtrim"#, r#""a" "a " " a""#),
    ("null", r#"{} | .["a","b"] = 1"#, r#"{"a":1,"b":1}"#),
];

#[test]
fn dates() {
    check(DATES);
}

const DATES: &[Case] = &[
    (
        r#""2015-03-05T23:51:47Z""#,
        r#"fromdate, fromdateiso8601, (strptime("%Y-%m-%dT%H:%M:%SZ") | mktime), (strptime("%Y-%m-%dT%H:%M:%SZ"))"#,
        "1425599507 1425599507 1425599507 [2015,2,5,23,51,47,4,63]",
    ),
    (
        "1425599621",
        r#"todate, todateiso8601, gmtime, (gmtime | mktime), strftime("%A, %B %d, %Y")"#,
        r#""2015-03-05T23:53:41Z" "2015-03-05T23:53:41Z" [2015,2,5,23,53,41,4,63] 1425599621 "Thursday, March 05, 2015""#,
    ),
    (
        r#""2026-11-23""#,
        r#"strptime("%Y-%m-%d") | todate"#,
        r#""2026-11-23T00:00:00Z""#,
    ),
];
