//! Sessions of several parts, scenarios, policies, and documents of somebody else.

use super::{LIFECYCLE, MANIFEST, documents, one};
use crate::checked::PodType;
use crate::document::part::CollectSource;

const SESSION: (&str, &str) = (
    "PAv1/manifest.yaml",
    "apiVersion: pav1
kind: SessionDefinition
metadata: { name: X, content_version: 3 }
spec:
  authorization_policy: experts
  parts: [{ requirement: web, order: 1 }, { requirement: lab, order: 2 }]
",
);
const WORKFLOW: (&str, &str) = (
    "PAv1/lifecycle.yaml",
    "apiVersion: pav1
kind: Lifecycle
spec:
  session_phases: [pending]
  part_workflow: [{ name: collect, jobs: [{ definition: collect_evidence@v1, scenario: collect }] }]
",
);
const WEB: (&str, &str) = (
    "PAv1/parts/01-web/part.yaml",
    "apiVersion: pav1
kind: PartDefinition
metadata: { name: web }
spec: { pod_type: NONE, form_selector: { fqn_pattern: \"* web\" }, collect_source: submission }
",
);
const LAB: (&str, &str) = (
    "PAv1/parts/02-lab/part.yaml",
    "apiVersion: pav1
kind: PartDefinition
metadata: { name: lab }
spec:
  pod_type: cml_on_aws
  host_type: metal
  form_selector: { fqn_pattern: \"* lab\" }
  devices: { transport: roc_radkit, inventory: rack }
",
);
const SCENARIO: (&str, &str) = (
    "PAv1/parts/02-lab/scenarios/collect.yaml",
    "apiVersion: pav1
kind: ScenarioDefinition
spec:
  devices: [r1, r2]
  collect:
    - { device: r1, command: show clock, as: r1.clock }
    - { device: r2, command: \"show ${ session.track }\", as: r2.track }
",
);
const TOPOLOGY: (&str, &str) = (
    "PAv1/parts/02-lab/topology/cml.yaml",
    "lab: { title: L }\nnodes: [{ label: r1, tags: ['serial:5041'] }]\n",
);

#[test]
fn a_session_has_its_parts_in_order_each_with_its_tree() {
    let other = ("PAv1/parts/02-lab/files/tool.sh", "not read as YAML: [");
    let all = [SESSION, WORKFLOW, LAB, WEB, SCENARIO, TOPOLOGY, other];
    let (documents, found) = documents(&all);
    assert_eq!(found, [""; 0]);
    let wanted = documents.requirements.unwrap();
    let wanted: Vec<_> = wanted
        .parts
        .iter()
        .map(|part| (part.requirement.value.as_str(), part.order.value))
        .collect();
    assert_eq!(wanted, [("web", 1), ("lab", 2)]);
    let lifecycle = documents.lifecycle.unwrap();
    let scenario = lifecycle.phases[0].jobs[0].scenario.as_ref().unwrap();
    assert_eq!(scenario.value, "collect");
    let [web, lab] = documents.parts.as_slice() else {
        panic!("two parts");
    };
    let doc = web.doc.as_ref().unwrap();
    assert_eq!(
        (doc.name.value.as_str(), doc.pod_type.value),
        ("web", PodType::None)
    );
    let source = doc.collect_source.as_ref().map(|it| it.value);
    assert_eq!(source, Some(CollectSource::Submission));
    let doc = lab.doc.as_ref().unwrap();
    assert_eq!(doc.host_type.as_ref().unwrap().value, "metal");
    assert_eq!(doc.fqn_pattern.value, "* lab");
    let devices = doc.devices.as_ref().unwrap();
    assert_eq!(
        (
            devices.transport.value.as_str(),
            devices.inventory.value.as_str()
        ),
        ("roc_radkit", "rack")
    );
    assert_eq!(lab.pod_type_signals[0], "part.yaml says `cml_on_aws`");
    assert!(
        lab.pod_type_signals
            .contains(&"topology/cml.yaml says `cml_on_aws`".to_owned())
    );
    assert_eq!(lab.tree.pod_facts["devices"]["r1"]["serial_port"], 5041);
    assert_eq!(lab.tree.files["tool"], "PAv1/parts/02-lab/files/tool.sh");
    assert!(web.tree.scenarios.is_empty() && documents.tree.topology.is_none());
    let scenario = lab.tree.scenarios["collect"].as_ref().unwrap();
    assert_eq!(scenario.devices.len(), 2);
    let second = &scenario.collect[1];
    assert_eq!(
        (second.device.value.as_str(), second.as_path.value.as_str()),
        ("r2", "r2.track")
    );
    assert!(
        second
            .command
            .template
            .as_ref()
            .unwrap()
            .literal()
            .is_none()
    );
}

#[test]
fn a_manifest_and_parts_that_do_not_agree_are_told() {
    let with = |from: &str, to: &str| SESSION.1.replace(from, to);
    let slip = with("requirement: lab", "requirement: lba");
    let twice = with("requirement: lab", "requirement: web");
    let order = with("order: 2", "order: 1");
    let none = with(
        "[{ requirement: web, order: 1 }, { requirement: lab, order: 2 }]",
        "[]",
    );
    let cases: [(&str, &[&str]); 4] = [
        (&slip, &["SE1120 manifest.yaml:6:58 there is no part `lba`"]),
        (
            &twice,
            &[
                "SE1212 manifest.yaml:6:58 there are two of part `web`",
                "SE1121 parts/02-lab/part.yaml:3:19 the manifest requires no part `lab`",
            ],
        ),
        (
            &order,
            &["SE1212 manifest.yaml:6:70 there are two of order `1`"],
        ),
        (&none, &["SE1114 manifest.yaml:6:3 the session has no part"]),
    ];
    for (manifest, expected) in cases {
        let (_, found) = documents(&[(SESSION.0, manifest), WORKFLOW, WEB, LAB]);
        assert_eq!(found, expected, "{manifest}");
    }
    let (_, found) = documents(&[SESSION, WORKFLOW]);
    assert_eq!(
        found,
        [
            "SE1118 manifest.yaml:6:3 the manifest requires parts, and the package has no folder below `PAv1/parts/`"
        ]
    );
    let (_, found) = documents(&[MANIFEST, WORKFLOW, WEB]);
    assert_eq!(
        found,
        [
            "SE1117 manifest.yaml:1:1 the package has parts, and its manifest is no SessionDefinition"
        ]
    );
    let (_, found) = documents(&[SESSION, WORKFLOW, WEB, SCENARIO]);
    assert_eq!(
        found,
        ["SE1119 parts/02-lab/scenarios/collect.yaml:1:1 the part `02-lab` has no `part.yaml`"]
    );
    let same = LAB.1.replace("name: lab", "name: web");
    let (_, found) = documents(&[SESSION, WORKFLOW, WEB, (LAB.0, &same)]);
    assert_eq!(
        found,
        [
            "SE1120 manifest.yaml:6:58 there is no part `lab`",
            "SE1212 parts/02-lab/part.yaml:3:19 there are two of part `web`",
        ]
    );
}

#[test]
fn mistakes_of_parts_are_found_where_they_stand() {
    for (from, to, expected) in [
        (
            "metadata: { name: lab }\n",
            "",
            "1:1 the part's metadata has no `name`",
        ),
        (
            "name: lab",
            "title: lab",
            "3:13 the part's metadata has no `name`",
        ),
        (
            "pod_type: cml_on_aws",
            "pod_type: cml",
            "5:13 pod_type cannot be `cml`",
        ),
        (
            "pod_type: cml_on_aws\n",
            "host_tpe: x\n",
            "5:3 the part's spec has no key `host_tpe`",
        ),
        (
            "fqn_pattern",
            "pattern",
            "7:20 the form selector has no key `pattern`",
        ),
        (
            "inventory: rack",
            "inventory: 1",
            "8:48 inventory must be text, found a whole number",
        ),
        (
            "  devices",
            "  collect_source: pods\n  devices",
            "8:19 collect_source cannot be `pods`",
        ),
        (
            "cml_on_aws",
            "proxmox",
            "5:13 the manifest says `proxmox`, and the package has `topology/cml.yaml`",
        ),
    ] {
        let lab = LAB.1.replace(from, to);
        let (_, found) = documents(&[SESSION, WORKFLOW, WEB, (LAB.0, &lab), TOPOLOGY]);
        assert!(
            found
                .iter()
                .any(|it| it.contains(&format!("02-lab/part.yaml:{expected}"))),
            "{to}: {found:?}"
        );
    }
}

#[test]
fn mistakes_of_scenarios_are_found_where_they_stand() {
    for (from, to, expected) in [
        (
            "device: r2",
            "device: r3",
            "SE1219 7:17 `r3` is not one of the scenario's devices",
        ),
        (
            "devices: [r1, r2]",
            "devices: [r1, r2, r1]",
            "SE1212 4:21 there are two of device `r1`",
        ),
        (
            "as: r2.track",
            "as: r1.clock",
            "SE1212 7:61 there are two of variable `r1.clock`",
        ),
        (
            "as: r2.track",
            "as: r2.",
            "SE1115 7:61 `r2.` cannot be a captured variable",
        ),
        (
            "command: show clock",
            "command: 1",
            "SE1101 6:30 command must be text, found a whole number",
        ),
        (
            "command: show clock, ",
            "",
            "SE1102 6:9 an item of `collect` has no `command`",
        ),
        (
            "command: show clock",
            "comand: show clock",
            "SE1103 6:21 an item of `collect` has no key `comand`",
        ),
    ] {
        let text = SCENARIO.1.replace(from, to);
        let (_, found) = one("PAv1/scenarios/collect.yaml", &text);
        let expected = expected.replacen(' ', " scenarios/collect.yaml:", 1);
        assert_eq!(found, [expected], "{to}");
    }
}

#[test]
fn a_lifecycle_has_one_list_of_phases() {
    let with = |spec: &str| format!("apiVersion: pav1\nkind: Lifecycle\nspec:\n{spec}");
    for (spec, expected) in [
        (
            "  part_workflow: [{ name: a }]\n  phases: [{ name: b }]\n",
            "SE1220 4:3 `phases` and `part_workflow` exclude each other",
        ),
        (
            "  session_phases: [a]\n",
            "SE1102 4:3 the lifecycle's spec has no `phases`",
        ),
        (
            "  phase: [{ name: a }]\n",
            "SE1103 4:3 the lifecycle's spec has no key `phase`",
        ),
        (
            "  session_phases: a\n  phases: [{ name: b }]\n",
            "SE1101 4:19 session_phases must be a list, found text",
        ),
        (
            "  phases: [{ name: a, jobs: [{ definition: x@v1, scenario: [] }] }]\n",
            "SE1101 4:60 scenario must be text, found a list",
        ),
    ] {
        let (_, found) = documents(&[MANIFEST, ("PAv1/lifecycle.yaml", &with(spec))]);
        let expected = expected.replacen(' ', " lifecycle.yaml:", 1);
        assert_eq!(found, [expected], "{spec}");
    }
}

#[test]
fn a_policy_is_checked_for_its_shape() {
    let with = |of: &str| {
        format!("apiVersion: pav1\nkind: AuthorizationPolicy\nspec: {{ requirements: [{of}] }}\n")
    };
    for (of, expected) in [
        ("{ type: All, of: [{ type: Claim, claim_type: a }] }", None),
        (
            "{ type: All, of: [{ claim_type: a }] }",
            Some("SE1102 3:44 a requirement has no `type`"),
        ),
        (
            "{ type: 1 }",
            Some("SE1101 3:32 type must be text, found a whole number"),
        ),
        (
            "{ type: Any, of: a }",
            Some("SE1101 3:41 of must be a list, found text"),
        ),
        (
            "all",
            Some("SE1101 3:24 a requirement must be a mapping, found text"),
        ),
    ] {
        let (_, found) = one("PAv1/authorization/a.yaml", &with(of));
        let expected = expected.map(|it| it.replacen(' ', " authorization/a.yaml:", 1));
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{of}");
    }
}

#[test]
fn documents_of_somebody_else_are_only_yaml() {
    for path in [
        "PAv1/grading/evidence_spec.yaml",
        "PAv1/restore/restore.yaml",
    ] {
        assert_eq!(one(path, "anything: [1, { goes: true }]\n").1, [""; 0]);
        let (_, found) = one(path, "a: [1\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("SE1001"), "{found:?}");
    }
}

#[test]
fn what_nobody_reads_is_told_in_every_tree() {
    let stray = "apiVersion: pav1\nkind: JobDefinition\nspec: {}\n";
    let strays = [
        "PAv1/job/a.yaml",
        "PAv1/lifecycles.yaml",
        "PAv1/parts/01-web/jobs/x/a.yaml",
        "PAv1/parts/01-web/manifest.yaml",
        "PAv1/parts/other.yaml",
    ];
    for path in strays {
        let (_, found) = documents(&[SESSION, WORKFLOW, WEB, LAB, (path, stray)]);
        let short = path.trim_start_matches("PAv1/");
        let expected = format!("SE1116 {short}:1:1 no document is read from `{path}`");
        assert_eq!(found, [expected]);
    }
    assert_eq!(documents(&[MANIFEST, LIFECYCLE]).1, [""; 0]);
}
