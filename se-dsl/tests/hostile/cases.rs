//! The expressions of `expressions.txt`, and sources that are hostile to the compiler.

/// An expression, and whether it has to be stopped.
pub(crate) struct Case {
    pub(crate) source: String,
    pub(crate) stopped: bool,
}

/// All of them, in the order of the file.
pub(crate) fn expressions() -> Vec<Case> {
    let mut stopped = true;
    let mut cases = Vec::new();
    for line in include_str!("expressions.txt").lines() {
        match line {
            "[stopped]" => stopped = true,
            "[ended]" => stopped = false,
            line if line.is_empty() || line.starts_with('#') => {}
            line => cases.push(Case {
                source: line.to_owned(),
                stopped,
            }),
        }
    }
    let doubled = "(.,.)|".repeat(60) + ".";
    let product = ["range(9)"; 12].join(" + ");
    cases.extend([doubled, product].map(|source| Case {
        source,
        stopped: true,
    }));
    cases
}

/// Texts that are hard to compile; whether they compile does not matter.
pub(crate) fn sources() -> Vec<String> {
    let nested = |open: &str, middle: &str, close: &str| {
        let times = 8_000 / (open.len() + close.len());
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    let defs = |each: &dyn Fn(usize) -> String, last: &str| {
        let defs: String = (1..).map(each).take(250).collect();
        defs + last
    };
    vec![
        nested("(", "1", ")"),
        nested("[", "1", "]"),
        nested("{a:", "1", "}"),
        nested("{a:1,", "", ""),
        nested("-", "1", ""),
        nested("1+", "1", ""),
        nested("1,", "1", ""),
        nested(".|", "1", ""),
        format!("vars{}", nested(".a", "", "")),
        format!("vars{}", nested("|(.a,.b)", "", "")),
        format!("vars{}", nested("|(.a//.b)", "", "")),
        format!("vars{}", nested("|if .a then .b else .c end", "", "")),
        format!("vars as $x{}", nested("|($x.a,$x.b) as $x", "", "|$x")),
        nested("vars.a,vars.b,", "1", ""),
        nested("[vars.a]+[vars.b.c]+", "1", ""),
        nested("\"\\(", "1", ")\""),
        nested("\"\\(vars.a)", "\"", ""),
        nested("try ", "1", ""),
        nested("1 as $x|", "1", ""),
        nested(". as [$x]|", "1", ""),
        nested(". as {a:$x}|", "1", ""),
        nested("if 1 then ", "1", " end"),
        nested("reduce 1 as $x(1;", "1", ")"),
        nested("def f:1;", "f", ""),
        nested("def f:", "1", ";f"),
        nested("map(", ".", ")"),
        nested("walk(", ".", ")"),
        nested("sub(\"a\";\"b\")|", ".", ""),
        nested("nosuchfilter|", ".", ""),
        nested("$nosuch|", ".", ""),
        nested("@@", "", ""),
        nested("}", "", ""),
        nested("\"", "", ""),
        defs(&|n| format!("def f{n}: vars.a | f{0}, f{0};", n - 1), "f9")
            .replacen("f0, f0", ".", 1),
        defs(&|n| format!("def f{n}(g): g | f{}(g);", n - 1), "f99(.)").replacen("f0(g)", "g", 1),
        "x".repeat(1 << 20),
    ]
}
