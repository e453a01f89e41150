//! One thing broken in the example package: one finding, at its place.

use std::sync::LazyLock;

use se_dsl::diagnostic::{Code, Format, render};
use se_dsl::{Diagnostics, Located, Options, Severity, Sources, check};

use crate::edits::broken_edits;
use crate::lab::{files, sources};

mod more;

const MANIFEST: &str = "PAv1/manifest.yaml";
const LIFECYCLE: &str = "PAv1/lifecycle.yaml";
const CONNECTORS: &str = "PAv1/connectors.yaml";
const GRADE: &str = "PAv1/jobs/grade.yaml";
const POST: &str = "PAv1/jobs/post_init.yaml";
const RUBRIC: &str = "PAv1/grading/rubric.yaml";
const REPORT: &str = "PAv1/reports/score_report.yaml";
const PORTS: &str = "PAv1/topology/ports.json";
const TOPOLOGY: &str = "PAv1/topology/cml.yaml";

/// What is broken, in which file, what is replaced by what (once), the code, and the text whose
/// first occurrence afterwards is where the finding starts.
type Mutation = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const MUTATIONS: &[Mutation] = &[
    (
        "misspelt device of a connector",
        CONNECTORS,
        "devices.sw01.serial_port",
        "devices.sw1.serial_port",
        "SE1219",
        "runtime_env.devices.sw1.",
    ),
    (
        "misspelt device of a step",
        POST,
        "devices.sw01.serial_port",
        "devices.sw0l.serial_port",
        "SE1219",
        "runtime_env.devices.sw0l",
    ),
    (
        "too many retries",
        GRADE,
        "on_error: { action: continue }",
        "on_error: { action: retry, retries: 5000 }",
        "SE1113",
        "5000",
    ),
    (
        "tab as indentation",
        GRADE,
        "      timeout: 120",
        "\ttimeout: 120",
        "SE1001",
        "\ttimeout: 120",
    ),
    (
        "unclosed quote",
        MANIFEST,
        "\"350-901\"",
        "\"350-901",
        "SE1001",
        "content_version",
    ),
    (
        "key twice in a step",
        POST,
        "      with: { seconds: 2 }",
        "      uses: pause@v1\n      with: { seconds: 2 }",
        "SE1003",
        "uses: pause@v1\n      with",
    ),
    (
        "merge key",
        POST,
        "      with: { seconds: 2 }",
        "      <<: { with: { seconds: 2 } }\n      with: { seconds: 2 }",
        "SE1006",
        "<<",
    ),
    (
        "tag",
        POST,
        "seconds: 2",
        "seconds: !!int 2",
        "SE1007",
        "2 }",
    ),
    (
        "number too large",
        POST,
        "seconds: 2",
        "seconds: 99999999999999999999",
        "SE1008",
        "999",
    ),
    (
        "timeout is text",
        POST,
        "timeout: 10",
        "timeout: \"10\"",
        "SE1101",
        "\"10\"",
    ),
    (
        "octal timeout is text",
        POST,
        "timeout: 10",
        "timeout: 010",
        "SE1101",
        "010",
    ),
    (
        "process type is a list",
        POST,
        "process_type: Initialization",
        "process_type: [Initialization]",
        "SE1101",
        "[Init",
    ),
    (
        "step without id",
        POST,
        "- id: settle\n      uses",
        "- uses",
        "SE1102",
        "uses: pause",
    ),
    (
        "step without uses",
        POST,
        "uses: pause@v1",
        "timeout: 3",
        "SE1102",
        "id: settle",
    ),
    (
        "misspelt key of a step",
        GRADE,
        "capture: { output: sw01",
        "captures: { output: sw01",
        "SE1103",
        "captures",
    ),
    (
        "misspelt key of on_error",
        GRADE,
        "{ action: continue }",
        "{ acton: continue }",
        "SE1103",
        "acton",
    ),
    (
        "misspelt word of on_error",
        GRADE,
        "action: continue",
        "action: continues",
        "SE1104",
        "continues",
    ),
    (
        "misspelt stage",
        GRADE,
        "stage: collect\n",
        "stage: colect\n",
        "SE1104",
        "colect\n",
    ),
    (
        "misspelt process type",
        LIFECYCLE,
        "process_type: Grading",
        "process_type: Gradng",
        "SE1104",
        "Gradng",
    ),
    (
        "unknown pod type",
        MANIFEST,
        "CML_ON_AWS",
        "CML_ON_AZURE",
        "SE1104",
        "CML_ON_AZURE",
    ),
    (
        "unknown pod type of native steps",
        LIFECYCLE,
        "cml_on_aws: [mark_ready]",
        "cml_on_aw: [mark_ready]",
        "SE1104",
        "cml_on_aw: [mark",
    ),
    (
        "unknown class",
        CONNECTORS,
        "class: unix",
        "class: linux",
        "SE1104",
        "linux",
    ),
    (
        "unknown kind",
        GRADE,
        "kind: JobDefinition",
        "kind: JobDefinitions",
        "SE1105",
        "JobDefinitions",
    ),
    (
        "rubric where a report belongs",
        REPORT,
        "kind: ProcessReportSpec",
        "kind: EvaluationRuleset",
        "SE1106",
        "EvaluationRuleset",
    ),
    (
        "unknown apiVersion",
        GRADE,
        "apiVersion: pav1",
        "apiVersion: pav2",
        "SE1107",
        "pav2",
    ),
    (
        "composite",
        POST,
        "uses: pause@v1",
        "uses: composite:settle@v1",
        "SE1230",
        "composite:settle",
    ),
    (
        "other topology stated",
        MANIFEST,
        "CML_ON_AWS",
        "proxmox",
        "SE1112",
        "proxmox",
    ),
    (
        "negative timeout",
        POST,
        "timeout: 10",
        "timeout: -10",
        "SE1113",
        "-10",
    ),
    (
        "port out of range",
        PORTS,
        "5045",
        "504500",
        "SE1113",
        "504500",
    ),
    (
        "step id in capitals",
        POST,
        "id: settle",
        "id: Settle",
        "SE1115",
        "Settle",
    ),
    (
        "reference without version",
        LIFECYCLE,
        "grade@v1",
        "grade",
        "SE1203",
        "grade\n          process",
    ),
    (
        "unknown job",
        LIFECYCLE,
        "post_init@v1",
        "post_int@v1",
        "SE1201",
        "post_int@v1",
    ),
    (
        "unknown version of a job",
        LIFECYCLE,
        "post_init@v1",
        "post_init@v2",
        "SE1203",
        "post_init@v2",
    ),
    (
        "unknown version of a built-in job",
        LIFECYCLE,
        "readiness_check@v1",
        "readiness_check@v9",
        "SE1203",
        "readiness_check@v9",
    ),
    (
        "unknown primitive",
        GRADE,
        "cml.wipe@v1",
        "cml.wip@v1",
        "SE1202",
        "cml.wip@v1",
    ),
    (
        "unknown version of a primitive",
        GRADE,
        "cml.wipe@v1",
        "cml.wipe@v3",
        "SE1203",
        "cml.wipe@v3",
    ),
    (
        "unknown input",
        GRADE,
        "devices: [rtr01",
        "device: [rtr01",
        "SE1204",
        "device: [",
    ),
    (
        "missing input",
        POST,
        "dest: \"Desktop/tmp/desktop_package.tgz\"",
        "mode: \"0644\"",
        "SE1205",
        "copy@v1",
    ),
    (
        "a host key that is none",
        CONNECTORS,
        "transport: ssh",
        "transport: ssh\n      ssh: { host_key: \"MD5:00:11\" }",
        "SE1101",
        "\"MD5",
    ),
    (
        "input of the wrong type",
        POST,
        "seconds: 2",
        "seconds: soon",
        "SE1206",
        "soon",
    ),
    (
        "input not one of the words",
        POST,
        "action: stop",
        "action: halt",
        "SE1206",
        "halt",
    ),
    (
        "unknown output",
        GRADE,
        "output: sw01.show_vlan_brief",
        "text: sw01.show_vlan_brief",
        "SE1207",
        "text: sw01",
    ),
    (
        "capture reversed",
        POST,
        "{ ok: cmd0_ok }",
        "{ cmd0_ok: ok }",
        "SE1208",
        "cmd0_ok: ok",
    ),
    (
        "unknown connector",
        GRADE,
        "target: rtr01",
        "target: rtr1",
        "SE1209",
        "rtr1\n",
    ),
    (
        "unknown device to bounce",
        POST,
        "device: sw01",
        "device: sw1",
        "SE1209",
        "sw1,",
    ),
    (
        "target missing",
        GRADE,
        "      target: rtr01\n",
        "",
        "SE1210",
        "collect@v1\n      stage: collect\n      with",
    ),
    (
        "target needless",
        POST,
        "uses: pause@v1",
        "uses: pause@v1\n      target: sw01",
        "SE1211",
        "target: sw01",
    ),
    (
        "step id twice",
        POST,
        "id: bounce_sw02",
        "id: bounce_sw01",
        "SE1212",
        "bounce_sw01\n      uses: cml.bounce_interface@v1\n      with: { device: sw02",
    ),
    (
        "phase twice",
        LIFECYCLE,
        "name: ready",
        "name: post_init",
        "SE1212",
        "post_init\n      native",
    ),
    (
        "connector twice",
        CONNECTORS,
        "name: control_node",
        "name: workstation_serial",
        "SE1212",
        "workstation_serial\n      class: control",
    ),
    (
        "item twice",
        RUBRIC,
        "- id: 2",
        "- id: 1",
        "SE1212",
        "id: 1\n      points: 1\n      description: sw02",
    ),
    (
        "unknown ruleset",
        GRADE,
        "ruleset: rubric",
        "ruleset: rubrik",
        "SE1214",
        "rubrik",
    ),
    (
        "unknown rubric of a phase",
        LIFECYCLE,
        "rubric: rubric",
        "rubric: rubrik",
        "SE1214",
        "rubrik",
    ),
    (
        "unknown report of a phase",
        LIFECYCLE,
        "report: score_report",
        "report: score",
        "SE1215",
        "score\n",
    ),
    (
        "unknown content file",
        POST,
        "files.desktop_package }",
        "files.desktop_pakage }",
        "SE1216",
        "content.files.desktop_pakage",
    ),
    (
        "primitive that is no job",
        LIFECYCLE,
        "cml.wipe@v1",
        "collect@v1",
        "SE1218",
        "collect@v1",
    ),
    (
        "unknown node",
        POST,
        "node: ext-conn-0",
        "node: ext-conn-1",
        "SE1219",
        "ext-conn-1",
    ),
    (
        "command and script",
        POST,
        "command: \"rm -rf Desktop/tmp\"",
        "command: rm, script: rm",
        "SE1220",
        "script: rm",
    ),
    (
        "unknown variable",
        POST,
        "${ vars.files }",
        "${ vars.file }",
        "SE1301",
        "vars.file }",
    ),
    (
        "variable captured later",
        POST,
        "with: { seconds: 2 }",
        "with: { seconds: \"${ vars.cmd1_ok }\" }",
        "SE1303",
        "vars.cmd1_ok",
    ),
    (
        "variable captured twice",
        POST,
        "stdout: files,",
        "stdout: files, error: scp_ok,",
        "SE1304",
        "scp_ok,",
    ),
    (
        "variable named like a step",
        POST,
        "stdout: files,",
        "stdout: files, error: list_tmp,",
        "SE1304",
        "list_tmp,",
    ),
    (
        "misspelt required input",
        POST,
        "seconds: 2",
        "second: 2",
        "SE1204",
        "second: 2",
    ),
    (
        "unknown step in needs",
        POST,
        "with: { seconds: 2 }",
        "with: { seconds: 2 }\n      needs: [setle]",
        "SE1305",
        "setle",
    ),
    (
        "steps wait for each other",
        POST,
        "with: { seconds: 2 }",
        "with: { seconds: 2 }\n      needs: [unpack]",
        "SE1306",
        "unpack]",
    ),
    (
        "process types differ",
        LIFECYCLE,
        "process_type: Grading",
        "process_type: Change",
        "SE1307",
        "definition: grade@v1",
    ),
    (
        "expression does not compile",
        POST,
        "${ vars.file_ok }",
        "${ vars.file_ok | }",
        "SE1401",
        "}\"\n      with: { command: \"tar",
    ),
    (
        "expression never closed",
        POST,
        "${ vars.file_ok }",
        "${ vars.file_ok",
        "SE1401",
        "${ vars.file_ok\"",
    ),
    (
        "misspelt scope",
        POST,
        "${ vars.file_ok }",
        "${ var.file_ok }",
        "SE1402",
        "var.file_ok",
    ),
    (
        "regex does not compile",
        RUBRIC,
        "'^80\\s+LAB80'",
        "'^80\\s+(LAB80'",
        "SE1501",
        "(LAB80",
    ),
    (
        "regex in double quotes",
        RUBRIC,
        "'^80\\s+LAB80'",
        "\"^80\\\\s+(LAB80\"",
        "SE1501",
        "(LAB80",
    ),
    (
        "regex of a step",
        POST,
        "'desktop_package\\.tgz'",
        "'desktop_package[.tgz'",
        "SE1501",
        "[.tgz",
    ),
    (
        "unknown flag",
        RUBRIC,
        "[multiline, ignorecase]",
        "[multiline, ignore]",
        "SE1502",
        "ignore]",
    ),
    (
        "points do not add up",
        RUBRIC,
        "points: 2",
        "points: 3",
        "SE1503",
        "10\n",
    ),
    (
        "evidence that nobody captures",
        RUBRIC,
        "sw02.show_vlan_brief",
        "sw02.show_vlan_breif",
        "SE1504",
        "sw02.show_vlan_breif",
    ),
    (
        "evidence no longer captured",
        GRADE,
        "output: rtr02.show_access_list",
        "output: rtr02.acl",
        "SE1504",
        "",
    ),
    (
        "unknown field of a report",
        REPORT,
        "points_max, passed",
        "points_maximum, passed",
        "SE1505",
        "points_maximum",
    ),
    (
        "unknown group of a report",
        REPORT,
        "totals",
        "total",
        "SE1505",
        "total:",
    ),
    (
        "report class does not fit",
        REPORT,
        "process_type: Grading",
        "process_type: Change",
        "SE1506",
        "ScoreReport",
    ),
    (
        "no rule to judge by",
        POST,
        "        source: \"${ vars.files }\"\n",
        "",
        "SE1507",
        "id: verify_package",
    ),
    (
        "password written out",
        CONNECTORS,
        "\"${ runtime_env.devices.rtr01.enable_password }\"",
        "cisco",
        "SE1601",
        "cisco\n",
    ),
    (
        "port written out",
        CONNECTORS,
        "\"${ runtime_env.devices.rtr01.serial_port }\"",
        "5045",
        "SE1602",
        "5045",
    ),
    (
        "broken topology",
        TOPOLOGY,
        "nodes:",
        "nodes: [",
        "SE1001",
        "- id: n0",
    ),
];

#[test]
fn each_mistake_gives_one_finding_at_its_place() {
    assert!(MUTATIONS.len() >= 80, "the table shrank");
    let wrong: String = broken().iter().filter_map(check_one).collect();
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn edits_mend_what_they_belong_to_and_break_nothing() {
    let mut wrong = String::new();
    let mut count = 0;
    for broken in broken() {
        let (text, edits) = broken_edits(broken.name, &broken.sources);
        wrong.push_str(&text);
        count += edits;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 28, "only {count} of the mistakes can be mended");
}

#[test]
fn every_code_is_given_by_a_mistake() {
    let given: Vec<&str> = broken().iter().map(|it| it.code).collect();
    let missing = Code::ALL.iter().filter(|code| {
        !given.contains(&code.as_str()) && !more::BY_PAGES_ONLY.contains(&code.as_str())
    });
    let missing: Vec<&Code> = missing.collect();
    assert!(missing.is_empty(), "{missing:?}");
    for code in more::BY_PAGES_ONLY {
        assert!(!given.contains(code), "{code} is given by a mistake");
    }
}

/// Every broken package.
pub(crate) fn all() -> impl Iterator<Item = Sources> {
    broken().into_iter().map(|it| it.sources)
}

/// The example package with something broken, and what is to be found.
struct Broken {
    name: &'static str,
    sources: Sources,
    code: &'static str,
    file: &'static str,
    /// The text at fault; without one the finding is in another file.
    at: &'static str,
}

fn broken() -> Vec<Broken> {
    let of_one = MUTATIONS.iter().map(|(name, file, from, to, code, at)| {
        let change = more::Change::Replace(file, from, to);
        Broken {
            name,
            sources: changed(name, &[change]),
            code,
            file,
            at,
        }
    });
    let of_more = more::MORE
        .iter()
        .map(|(name, changes, code, file, at)| Broken {
            name,
            sources: changed(name, changes),
            code,
            file,
            at,
        });
    of_one.chain(of_more).collect()
}

fn changed(name: &str, changes: &[more::Change]) -> Sources {
    let mut files = files();
    for change in changes {
        match change {
            more::Change::Replace(file, from, to) => {
                let (_, bytes) = files.iter_mut().find(|(path, _)| path == file).unwrap();
                let text = String::from_utf8(bytes.clone()).unwrap();
                assert!(text.contains(from), "{name}: `{from}` is not in {file}");
                *bytes = text.replacen(from, to, 1).into_bytes();
            }
            more::Change::Write(file, text) => {
                files.retain(|(path, _)| path != file);
                files.push(((*file).to_owned(), text.as_bytes().to_vec()));
            }
            more::Change::Remove(file) => files.retain(|(path, _)| path != file),
        }
    }
    files.sort();
    sources(&files)
}

/// What is told of the sound package, by code and message.
static SOUND: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let sound = changed("", &[]);
    let found = check(&sound, Options::default()).diagnostics;
    let found = found.located(&sound).into_iter();
    found.map(|it| (it.code, it.message)).collect()
});

/// What is found beyond that.
fn news(found: &Diagnostics, sources: &Sources) -> Vec<Located> {
    let found = found.located(sources).into_iter();
    let is_new = |it: &Located| !SOUND.contains(&(it.code, it.message.clone()));
    found.filter(is_new).collect()
}

/// What is wrong with what is found, if anything.
fn check_one(broken: &Broken) -> Option<String> {
    let Broken {
        name,
        sources,
        code,
        file,
        at,
    } = broken;
    let all = check(sources, Options::default()).diagnostics;
    let mut found = news(&all, sources);
    // Notes come and go with what they are about, unless a note is what is to be found.
    if found.iter().any(|it| it.severity != Severity::Note) {
        found.retain(|it| it.severity != Severity::Note);
    }
    let text = sources.find(file).map_or("", |file| sources.text(file));
    let offset = text.find(at).unwrap_or_else(|| panic!("{name}: no `{at}`"));
    let line = text[..offset].matches('\n').count() + 1;
    let start = text[..offset].rfind('\n').map_or(0, |n| n + 1);
    let column = text[start..offset].chars().count() + 1;
    let fits = match found.as_slice() {
        [one] if at.is_empty() => one.code == *code && one.file != *file,
        [one] => {
            let place = (one.line as usize, one.column as usize);
            // The parser notices broken YAML where it can; the line must be right.
            let loose = ["SE1001", "SE1004", "SE1005"].contains(&one.code);
            let exact = place == (line, column) || loose && place.0 == line;
            one.code == *code && one.file == *file && exact
        }
        _ => false,
    };
    let text = render(&all, sources, Format::Text, false);
    (!fits).then(|| format!("==== {name}: expected {code} at {file}:{line}:{column}\n{text}\n"))
}
