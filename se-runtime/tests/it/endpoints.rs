//! What connectors come to, with what their package says and what is known of the pod.

use std::time::Duration;

use se_dsl::expr::{Root, Scopes};
use se_dsl::{Options, Sources};
use se_runtime::{Endpoint, Endpoints, Fault, FaultKind, SshPolicy};
use serde_json::{Value, json};

const FIRST: &str = "SHA256:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const OTHER: &str = "SHA256:AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDDDDDDDDDEEE";

/// The connector `r1` over SSH, with these keys more.
fn endpoint(keys: &str, facts: Value) -> Result<Endpoint, Fault> {
    let mut sources = Sources::new();
    sources.add(
        "PAv1/manifest.yaml",
        "format_version: PAv1\nname: t\nversion: '1'\ncontent_id: t\npod_type: none\n",
    );
    let head = "apiVersion: pav1\nkind: Lifecycle\nspec:\n  phases:\n    - { name: main }\n";
    sources.add("PAv1/lifecycle.yaml", head);
    let head = "apiVersion: pav1\nkind: ConnectorModel\nspec:\n  connectors:\n";
    let connector =
        format!("    - {{ name: r1, class: cisco_common, transport: ssh, username: se{keys} }}\n");
    sources.add("PAv1/connectors.yaml", format!("{head}{connector}"));
    let outcome = se_dsl::check(&sources, Options::default());
    let found = outcome.diagnostics.located(&sources);
    let checked = outcome.checked.unwrap_or_else(|| panic!("{found:#?}"));
    let mut scopes = Scopes::new();
    let env = json!({ "worker_ip": "192.0.2.1", "devices": { "r1": facts } });
    scopes.set(Root::RuntimeEnv, &env);
    let all = Endpoints::evaluate(checked.content(None), &scopes);
    all.get("r1").map(|it| Endpoint::clone(&it))
}

#[test]
fn what_a_connector_says_of_ssh_wins_over_the_facts_of_its_device() {
    let policy = |legacy, host_key: Option<&str>, refuse_unknown| SshPolicy {
        legacy,
        host_key: host_key.map(str::to_owned),
        refuse_unknown,
    };
    let pinned = format!(", ssh: {{ host_key: \"{FIRST}\" }}");
    let read =
        ", ssh: { host_key: \"${ runtime_env.devices.r1.print }\", unknown_host_key: refuse }";
    for (keys, facts, expected) in [
        ("", json!({}), policy(false, None, false)),
        (
            "",
            json!({ "ssh_legacy": true, "host_key": OTHER }),
            policy(true, Some(OTHER), false),
        ),
        (
            ", ssh: { legacy: false }",
            json!({ "ssh_legacy": true }),
            policy(false, None, false),
        ),
        (
            ", ssh: { legacy: true }",
            json!({}),
            policy(true, None, false),
        ),
        (
            &pinned,
            json!({ "host_key": OTHER }),
            policy(false, Some(FIRST), false),
        ),
        (
            read,
            json!({ "print": OTHER }),
            policy(false, Some(OTHER), true),
        ),
        (read, json!({}), policy(false, None, true)),
        (
            read,
            json!({ "host_key": FIRST }),
            policy(false, Some(FIRST), true),
        ),
    ] {
        let endpoint = endpoint(keys, facts.clone()).unwrap();
        assert_eq!(endpoint.ssh, expected, "{keys} {facts}");
        assert_eq!(
            (endpoint.idle_timeout, endpoint.typing_delay),
            (None, Duration::ZERO)
        );
    }
}

#[test]
fn facts_that_are_none_say_which() {
    for (facts, part) in [
        (
            json!({ "ssh_legacy": "yes" }),
            "`ssh_legacy` must be true or false",
        ),
        (
            json!({ "host_key": "aa:bb" }),
            "`host_key` must be a fingerprint",
        ),
        (json!({ "host_key": 5 }), "`host_key` must be a fingerprint"),
    ] {
        let fault = endpoint("", facts).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
        assert!(fault.detail.contains(part), "{part}: {fault}");
    }
}

#[test]
fn slow_lines_and_silence_are_as_the_connector_says() {
    let endpoint = endpoint(", typing_delay_ms: 20, idle_timeout: 1.5", json!({})).unwrap();
    assert_eq!(endpoint.typing_delay, Duration::from_millis(20));
    assert_eq!(endpoint.idle_timeout, Some(Duration::from_millis(1500)));
}
