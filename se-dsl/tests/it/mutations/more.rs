//! Mistakes that take more than one replaced text, or a file that comes or goes.

use super::{CONNECTORS, GRADE, LIFECYCLE, MANIFEST, PORTS, POST, REPORT, RUBRIC, TOPOLOGY};

/// One change of the example package.
pub(super) enum Change {
    /// The first of a text in a file becomes another.
    Replace(&'static str, &'static str, &'static str),
    /// A file with this text, new or in place of the one that is there.
    Write(&'static str, &'static str),
    Remove(&'static str),
}

use Change::{Remove, Replace, Write};

/// Codes that no small change of the example package gives; their pages do.
pub(super) const BY_PAGES_ONLY: &[&str] = &[
    // More values than anybody writes.
    "SE1013", // Sessions of several parts.
    "SE1118", "SE1119", "SE1120", "SE1121", // The example manages labs throughout.
    "SE1225",
];

/// What is broken, how, the code, the file, and the text whose first occurrence there is where the
/// finding starts.
type More = (
    &'static str,
    &'static [Change],
    &'static str,
    &'static str,
    &'static str,
);

const LOOK: &str = "apiVersion: pav1
kind: CompositeScenario
spec:
  steps:
    - { id: wait, uses: pause@v1, with: { seconds: 1 } }
";

pub(super) const MORE: &[More] = &[
    (
        "NUL byte",
        &[Replace(MANIFEST, "Two routers", "Two\0routers")],
        "SE1002",
        MANIFEST,
        "\0routers",
    ),
    (
        "too many levels",
        &[Replace(
            MANIFEST,
            "summary: Two routers, two switches and a candidate workstation.",
            DEEP,
        )],
        "SE1004",
        MANIFEST,
        "summary",
    ),
    (
        "aliases of aliases",
        &[Replace(MANIFEST, "  language: ENU\n", ALIASES)],
        "SE1005",
        MANIFEST,
        "c: [*b",
    ),
    (
        "expression without quotes",
        &[Replace(
            POST,
            "\"${ vars.file_ok }\"",
            "${ {a: vars.file_ok} | .a }",
        )],
        "SE1009",
        POST,
        "${ {a",
    ),
    (
        "empty report",
        &[Write(REPORT, "# nothing\n")],
        "SE1010",
        REPORT,
        "#",
    ),
    (
        "second document in a rubric",
        &[Replace(RUBRIC, "spec:", "---\nspec:")],
        "SE1011",
        RUBRIC,
        "---",
    ),
    (
        "list as a key",
        &[Replace(MANIFEST, "  language: ENU\n", "  ? [a]\n  : b\n")],
        "SE1012",
        MANIFEST,
        "[a]",
    ),
    (
        "legacy lifecycle",
        &[Write(LIFECYCLE, "document: { dsl: '1.0.0' }\ndo: []\n")],
        "SE1108",
        LIFECYCLE,
        "document",
    ),
    (
        "no manifest",
        &[Remove(MANIFEST)],
        "SE1109",
        CONNECTORS,
        "apiVersion",
    ),
    (
        "no lifecycle",
        &[Remove(LIFECYCLE)],
        "SE1110",
        MANIFEST,
        "apiVersion",
    ),
    (
        "no signal of a pod type",
        &[
            Replace(MANIFEST, "  pod_type: CML_ON_AWS\n", ""),
            Remove(TOPOLOGY),
        ],
        "SE1111",
        MANIFEST,
        "apiVersion",
    ),
    (
        "no phases",
        &[Write(
            LIFECYCLE,
            "apiVersion: pav1\nkind: Lifecycle\nspec:\n  phases: []\n",
        )],
        "SE1114",
        LIFECYCLE,
        "[]",
    ),
    (
        "job in a folder that is not read",
        &[Write("PAv1/job/probe.yaml", "a: 1\n")],
        "SE1116",
        "PAv1/job/probe.yaml",
        "a: 1",
    ),
    (
        "part without a session",
        &[Write("PAv1/parts/01-web/part.yaml", PART)],
        "SE1117",
        MANIFEST,
        "apiVersion",
    ),
    (
        "job in two files",
        &[Write("PAv1/jobs/grade.yml", JOB)],
        "SE1122",
        "PAv1/jobs/grade.yml",
        "apiVersion",
    ),
    (
        "no range of adapter versions",
        &[Write(
            MANIFEST,
            "schema_version: \"1.0\"\npod_type: cml_on_aws\nrequired_adapter_version: newest\n",
        )],
        "SE1123",
        MANIFEST,
        "newest",
    ),
    (
        "job named like one of the engine",
        &[Write("PAv1/jobs/readiness_check.yaml", JOB)],
        "SE1213",
        LIFECYCLE,
        "readiness_check@v1",
    ),
    (
        "connector that nobody targets",
        &[Replace(
            CONNECTORS,
            "    - name: control_node",
            "    - { name: spare, class: unix, transport: ssh }\n    - name: control_node",
        )],
        "SE1217",
        CONNECTORS,
        "spare",
    ),
    (
        "element without a loop",
        &[Replace(POST, "{ ok: scp_ok }", "{ ok: \"@dev.ok\" }")],
        "SE1221",
        POST,
        "\"@dev",
    ),
    (
        "two files of one handle",
        &[Write("PAv1/files/desktop_package.yaml", "a: 1\n")],
        "SE1222",
        MANIFEST,
        "apiVersion",
    ),
    (
        "manifest names a job that is not there",
        &[Write(
            MANIFEST,
            "format_version: PAv1\nname: x\nversion: \"1\"\npod_type: cml_on_aws\njobs_used: [grade, post_int@v1]\n",
        )],
        "SE1223",
        MANIFEST,
        "post_int",
    ),
    (
        "manifest names a lifecycle that is not there",
        &[Write(
            MANIFEST,
            "format_version: PAv1\nname: x\nversion: \"1\"\npod_type: cml_on_aws\nlifecycle_ref: phases.yaml\n",
        )],
        "SE1223",
        MANIFEST,
        "phases.yaml",
    ),
    (
        "port twice",
        &[Replace(PORTS, "5046", "5045")],
        "SE1224",
        PORTS,
        "5045 },\n    { \"device\": \"sw01\"",
    ),
    (
        "port of an unknown device",
        &[Replace(
            PORTS,
            "{ \"device\": \"rtr01\"",
            "{ \"device\": \"rtr03\", \"serial\": 5060 },\n    { \"device\": \"rtr01\"",
        )],
        "SE1219",
        PORTS,
        "\"rtr03\"",
    ),
    (
        "unknown member of a group",
        &[Replace(PORTS, "[\"rtr01\", ", "[\"router1\", ")],
        "SE1219",
        PORTS,
        "\"router1\"",
    ),
    (
        "composite calls itself",
        &[Write(
            "PAv1/composites/look.yaml",
            "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  steps:\n    - { id: again, uses: composite:look@v1 }\n",
        )],
        "SE1231",
        "PAv1/composites/look.yaml",
        "composite:look",
    ),
    (
        "composites four deep",
        &[
            Write(
                "PAv1/composites/a.yaml",
                "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  steps:\n    - { id: b, uses: composite:b@v1 }\n",
            ),
            Write(
                "PAv1/composites/b.yaml",
                "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  steps:\n    - { id: c, uses: composite:c@v1 }\n",
            ),
            Write(
                "PAv1/composites/c.yaml",
                "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  steps:\n    - { id: d, uses: composite:d@v1 }\n",
            ),
            Write("PAv1/composites/d.yaml", LOOK),
        ],
        "SE1232",
        "PAv1/composites/a.yaml",
        "composite:b",
    ),
    (
        "export that nobody captures",
        &[Write(
            "PAv1/composites/look.yaml",
            "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  export: [clock]\n  steps:\n    - { id: wait, uses: pause@v1, with: { seconds: 1 } }\n",
        )],
        "SE1233",
        "PAv1/composites/look.yaml",
        "clock",
    ),
    (
        "parameter that is not declared",
        &[Write(
            "PAv1/composites/look.yaml",
            "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  steps:\n    - { id: wait, uses: pause@v1, with: { seconds: \"${ parameters.long }\" } }\n",
        )],
        "SE1234",
        "PAv1/composites/look.yaml",
        "parameters.long",
    ),
    (
        "parameter in a job",
        &[Replace(
            POST,
            "with: { seconds: 2 }",
            "with: { seconds: \"${ parameters.long }\" }",
        )],
        "SE1234",
        POST,
        "parameters.long",
    ),
    (
        "scenario that is not there",
        &[Replace(
            LIFECYCLE,
            "- definition: readiness_check@v1\n          process_type: Initialization",
            "- definition: collect_evidence@v1\n          scenario: evidence",
        )],
        "SE1235",
        LIFECYCLE,
        "evidence\n",
    ),
    (
        "report inside a composite",
        &[Write(
            "PAv1/composites/tell.yaml",
            "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  steps:\n    - { id: tell, uses: report.change@v1 }\n",
        )],
        "SE1236",
        "PAv1/composites/tell.yaml",
        "report.change@v1",
    ),
    (
        "capture that ends with its composite",
        &[Write(
            "PAv1/composites/look.yaml",
            "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  steps:\n    - { id: look, uses: collect@v1, target: sw01, with: { command: show clock }, capture: { output: clock_now } }\n",
        )],
        "SE1309",
        "PAv1/composites/look.yaml",
        "clock_now",
    ),
    (
        "variable of a step that may be skipped",
        &[Replace(
            POST,
            "tar -C Desktop/tasks -xzf Desktop/tmp/desktop_package.tgz",
            "echo ${ vars.file_ok }",
        )],
        "SE1302",
        POST,
        "vars.file_ok }\" }",
    ),
    (
        "condition that is false",
        &[Replace(POST, "\"${ vars.file_ok }\"", "false")],
        "SE1308",
        POST,
        "false",
    ),
    (
        "condition that computes to false",
        &[Replace(
            POST,
            "\"${ vars.file_ok }\"",
            "\"${ [1, 2] | length == 3 }\"",
        )],
        "SE1308",
        POST,
        "\"${ [1, 2]",
    ),
    (
        "loop over nothing",
        &[Replace(
            POST,
            "with: { seconds: 2 }",
            "with: { seconds: 2 }\n      for_each: { var: n, in: [] }",
        )],
        "SE1308",
        POST,
        "[] }",
    ),
    (
        "evidence that nobody judges",
        &[Replace(
            GRADE,
            "    - id: evaluate\n",
            "    - { id: c_clock, uses: collect@v1, target: sw01, with: { command: show clock }, capture: { output: sw01.clock } }\n    - id: evaluate\n",
        )],
        "SE1309",
        GRADE,
        "sw01.clock",
    ),
    (
        "evidence after the report",
        &[Replace(
            GRADE,
            "capture: { report_ref: report_ref }",
            "capture: { report_ref: report_ref }\n    - { id: c_clock, uses: collect@v1, target: sw01, with: { command: show clock }, capture: { output: sw01.clock } }",
        )],
        "SE1310",
        GRADE,
        "collect@v1, target: sw01, with: { command: show clock",
    ),
    (
        "timeout shorter than the pause",
        &[Replace(
            POST,
            "with: { seconds: 2 }",
            "with: { seconds: 20 }\n      timeout: 10",
        )],
        "SE1311",
        POST,
        "20 }",
    ),
    (
        "timeout shorter than the connector's",
        &[Replace(
            POST,
            "with: { command: \"rm -rf Desktop/tmp\" }\n      timeout: 10",
            "with: { command: \"rm -rf Desktop/tmp\" }\n      timeout: 1",
        )],
        "SE1311",
        POST,
        "workstation_22\n      with: { command: \"rm",
    ),
    (
        "retries without retry",
        &[Replace(
            GRADE,
            "{ action: continue }",
            "{ action: continue, retries: 2 }",
        )],
        "SE1312",
        GRADE,
        "retries",
    ),
    (
        "a host key of a console",
        &[Replace(
            CONNECTORS,
            "      transport: telnet\n      timeout: 5\n      port: \"${ runtime_env.control_node.serial_port }\"",
            "      transport: telnet\n      ssh: { unknown_host_key: refuse }\n      timeout: 5\n      port: \"${ runtime_env.control_node.serial_port }\"",
        )],
        "SE1312",
        CONNECTORS,
        "ssh: {",
    ),
    (
        "a place for a file that comes from a device",
        &[Replace(
            POST,
            "uses: copy@v1\n      target: workstation_22\n      with:\n        source: \"${ content.files.desktop_package }\"",
            "uses: transfer_file@v1\n      target: workstation_22\n      with:\n        direction: get\n        source: \"${ content.files.desktop_package }\"",
        )],
        "SE1220",
        POST,
        "dest: \"Desktop",
    ),
    (
        "misspelt name of content",
        &[Replace(
            POST,
            "content.files.desktop_package",
            "content.filez.desktop_package",
        )],
        "SE1403",
        POST,
        "content.filez",
    ),
    (
        "misspelt fact of a device",
        &[Replace(
            CONNECTORS,
            "devices.sw01.serial_port",
            "devices.sw01.serialport",
        )],
        "SE1403",
        CONNECTORS,
        "runtime_env.devices.sw01.serialport",
    ),
    (
        "misspelt name of runtime_env",
        &[Replace(
            POST,
            "${ runtime_env.devices.sw01.serial_port }",
            "${ runtime_env.device.sw01.serial_port }",
        )],
        "SE1403",
        POST,
        "runtime_env.device.sw01",
    ),
    (
        "pattern that matches anything",
        &[Replace(
            RUBRIC,
            "'MGMTOPS', on_fail",
            "'(MGMTOPS)?', on_fail",
        )],
        "SE1508",
        RUBRIC,
        "'(MGMTOPS)?'",
    ),
    (
        "pattern of a step that matches anything",
        &[Replace(POST, "'desktop_package\\.tgz'", "'.*'")],
        "SE1508",
        POST,
        "'.*'",
    ),
    (
        "pattern that is too large",
        &[Replace(
            RUBRIC,
            "'MGMTOPS', on_fail",
            "'(M{1,1000}){1,1000}', on_fail",
        )],
        "SE1501",
        RUBRIC,
        "'(M{1,1000})",
    ),
    (
        "item without points",
        &[
            Replace(
                RUBRIC,
                "points: 1\n      description: sw02",
                "points: 0\n      description: sw02",
            ),
            Replace(RUBRIC, "max_points: 10", "max_points: 9"),
        ],
        "SE1509",
        RUBRIC,
        "0\n      description: sw02",
    ),
    (
        "check twice",
        &[Replace(
            RUBRIC,
            "- { source: rtr01.show_int_gi01, regex: 'Description: to-rtr02' }",
            "- { source: rtr01.show_int_gi01, regex: 'Description: to-rtr02' }\n        - { on_fail: no, source: rtr01.show_int_gi01, regex: 'Description: to-rtr02' }",
        )],
        "SE1510",
        RUBRIC,
        "{ on_fail: no, ",
    ),
    (
        "evidence that may be missing",
        &[Replace(
            GRADE,
            "target: sw01\n      with: { command: \"show vlan",
            "target: sw01\n      when: \"${ session.exam != null }\"\n      with: { command: \"show vlan",
        )],
        "SE1511",
        RUBRIC,
        "sw01.show_vlan_brief",
    ),
    (
        "group of another report",
        &[Replace(
            REPORT,
            "    - totals:",
            "    - per_check: [name]\n    - totals:",
        )],
        "SE1512",
        REPORT,
        "per_check",
    ),
    (
        "another class of report",
        &[Replace(
            GRADE,
            "report_class: ScoreReport",
            "report_class: ScoreSheet",
        )],
        "SE1506",
        GRADE,
        "ScoreSheet",
    ),
    (
        "secret in a command",
        &[Replace(
            POST,
            "rm -rf Desktop/tmp\"",
            "sshpass -p cisco123 ssh cisco@10.0.0.1\"",
        )],
        "SE1601",
        POST,
        "cisco123",
    ),
    (
        "secret in a script",
        &[Replace(
            GRADE,
            "          deactivate\n",
            "          export API_TOKEN=0123456789\n",
        )],
        "SE1601",
        GRADE,
        "0123456789",
    ),
    (
        "secret as an answer",
        &[Replace(
            POST,
            "with: { command: \"rm -rf Desktop/tmp\" }",
            "with: { command: su, answers: [{ prompt: \"Password:\", reply: cisco123 }] }",
        )],
        "SE1601",
        POST,
        "cisco123",
    ),
    (
        "port of a step written out",
        &[Replace(
            POST,
            "\"${ runtime_env.devices.sw01.serial_port }\"",
            "5048",
        )],
        "SE1602",
        POST,
        "5048",
    ),
    (
        "port of a copy written out",
        &[Replace(
            POST,
            "via_port: \"${ runtime_env.devices.workstation.pat_port }\"",
            "via_port: 5052",
        )],
        "SE1602",
        POST,
        "5052",
    ),
];

const PART: &str = "apiVersion: pav1
kind: PartDefinition
metadata: { name: web }
spec:
  pod_type: none
  form_selector: { fqn_pattern: \"DEMO * web\" }
";

const JOB: &str = "apiVersion: pav1
kind: JobDefinition
spec:
  steps:
    - { id: wait, uses: pause@v1, with: { seconds: 1 } }
";

const DEEP: &str = "summary: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";

const ALIASES: &str = "  a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
  c: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
";
