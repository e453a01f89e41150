//! The adapter of Cisco Modeling Labs against a simulated controller.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use se_adapters::{
    CONSOLE_PORT, ConsoleWay, Deadline, LabId, LabState, NodeAt, NodeId, PodAdapter, Registry,
    Transfer, Trust, Worker,
};
use se_dsl::catalog::Needs;
use se_dsl::checked::PodType;
use se_runtime::{Fault, FaultKind, Secret};
use se_testkit::sim::{CmlFault, CmlFaultKind, CmlOptions, CmlSim, Journal, Power};

use crate::bench::Wall;

pub(crate) const TOPOLOGY: &str = include_str!("../../../examples/lab-0.1/PAv1/topology/cml.yaml");
const PASSWORD: &str = "hunter2-of-the-controller";

/// A controller that boots nodes in no time.
pub(crate) fn options() -> CmlOptions {
    CmlOptions {
        boot_seconds: 0.3,
        password: PASSWORD.to_owned(),
        ..CmlOptions::default()
    }
}

pub(crate) async fn controller(options: CmlOptions) -> CmlSim {
    CmlSim::start("127.0.0.1", options, Power::default(), Journal::default())
        .await
        .unwrap()
}

/// The worker that the controller is on.
pub(crate) fn worker(sim: &CmlSim) -> Worker {
    Worker {
        ip: "127.0.0.1".to_owned(),
        cml_url: Some(sim.url()),
        cml_username: "admin".to_owned(),
        cml_password: Secret::new(PASSWORD),
        region: None,
        adapter: None,
        trust: Trust::new(None, None, sim.fingerprint().as_deref()).unwrap(),
        capabilities: Vec::new(),
        consoles: ConsoleWay::ALL.to_vec(),
        console_port: CONSOLE_PORT,
    }
}

fn adapter(worker: &Worker) -> Arc<dyn PodAdapter> {
    let registry = Registry::standard();
    let selected = registry.select(PodType::CmlOnAws, None, &[]).unwrap();
    selected.adapter(worker).unwrap()
}

fn within(seconds: f64) -> Deadline {
    Deadline::new(Arc::new(Wall), Duration::from_secs_f64(seconds))
}

fn broken(path: &str, kind: CmlFaultKind, times: Option<u32>) -> CmlFault {
    CmlFault {
        path: path.to_owned(),
        status: None,
        description: None,
        kind: Some(kind),
        times,
    }
}

fn refusing(path: &str, status: u16, times: Option<u32>) -> CmlFault {
    CmlFault {
        path: path.to_owned(),
        status: Some(status),
        description: None,
        kind: None,
        times,
    }
}

fn count(sim: &CmlSim, request: &str) -> usize {
    let requests = sim.requests();
    requests.iter().filter(|it| it.ends_with(request)).count()
}

/// Holds for every fault: no secret, and where it was tried.
fn assert_tells(fault: &Fault, kind: FaultKind, parts: &[&str]) {
    assert_eq!(fault.kind, kind, "{}", fault.detail);
    for part in parts {
        assert!(
            fault.detail.contains(part),
            "no `{part}` in: {}",
            fault.detail
        );
    }
    assert!(!fault.detail.contains(PASSWORD), "{}", fault.detail);
}

async fn wait_until_up(adapter: &dyn PodAdapter, lab: &LabId, deadline: &Deadline) {
    while !adapter.lab_status(lab, deadline).await.unwrap().is_up() {
        assert!(!deadline.is_over(), "the lab does not come up");
        deadline.pause(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_lab_lives_from_import_to_delete() {
    let sim = controller(options()).await;
    let adapter = adapter(&worker(&sim));
    let end = &within(20.0);
    assert!(sim.requests().is_empty(), "contacted before it was needed");
    let info = adapter.check(end).await.unwrap();
    assert!(info.is_supported, "{info:?}");
    assert_eq!(adapter.pod_type(), PodType::CmlOnAws);
    assert!(adapter.capabilities().contains(&Needs::Labs));

    let lab = adapter.import_lab(TOPOLOGY, "one", end).await.unwrap().id;
    let labs = adapter.list_labs(end).await.unwrap();
    assert_eq!(labs.len(), 1);
    assert_eq!((&labs[0].id, labs[0].title.as_str()), (&lab, "one"));
    let twin = adapter.import_lab(TOPOLOGY, "two", end).await.unwrap().id;
    let shape = adapter.lab_shape(&lab, end).await.unwrap();
    assert_eq!(shape, adapter.lab_shape(&twin, end).await.unwrap());

    adapter.start_lab(&lab, end).await.unwrap();
    wait_until_up(adapter.as_ref(), &lab, end).await;
    let status = adapter.lab_status(&lab, end).await.unwrap();
    assert_eq!(status.nodes.len(), 7);
    let stats = adapter.system_stats(end).await.unwrap();
    assert_eq!(stats.running_nodes, Some(7));
    let telemetry = adapter.node_telemetry(&lab, end).await.unwrap();
    assert!(telemetry.iter().all(|it| it.cpu_percent == Some(12.5)));

    let node = NodeAt {
        lab: &lab,
        node: &status.node("rtr01").unwrap().id,
    };
    let log = adapter.console_log(node, 1, end).await.unwrap();
    assert_eq!(log, "Press RETURN to get started.");
    let fault = adapter.wipe_node(node, end).await.unwrap_err();
    assert_tells(&fault, FaultKind::Validation, &["must be stopped"]);
    adapter.stop_node(node, end).await.unwrap();
    adapter.wipe_node(node, end).await.unwrap();
    adapter.start_node(node, end).await.unwrap();

    adapter.delete_lab(&lab, end).await.unwrap();
    adapter.delete_lab(&twin, end).await.unwrap();
    assert_eq!(sim.labs(), []);
    let fault = adapter.lab_status(&lab, end).await.unwrap_err();
    assert_tells(
        &fault,
        FaultKind::NotFound,
        &["Lab not found", lab.as_str()],
    );
    let fault = adapter.delete_lab(&lab, end).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound);
}

#[tokio::test]
async fn a_lab_is_wiped_by_stopping_it_first() {
    let sim = controller(options()).await;
    let adapter = adapter(&worker(&sim));
    let end = &within(20.0);
    let lab = adapter.import_lab(TOPOLOGY, "one", end).await.unwrap().id;
    adapter.start_lab(&lab, end).await.unwrap();
    let fault = adapter.wipe_lab(&lab, end).await.unwrap_err();
    assert_tells(&fault, FaultKind::Validation, &["must be stopped"]);
    adapter.stop_lab(&lab, end).await.unwrap();
    adapter.wipe_lab(&lab, end).await.unwrap();
    let status = adapter.lab_status(&lab, end).await.unwrap();
    assert_eq!(status.state, LabState::DefinedOnCore);
}

#[tokio::test]
async fn what_only_a_connector_can_do_says_so() {
    let sim = controller(options()).await;
    let adapter = adapter(&worker(&sim));
    let (lab, node) = (LabId::parse("l").unwrap(), NodeId::parse("n").unwrap());
    let at = NodeAt {
        lab: &lab,
        node: &node,
    };
    let end = &within(1.0);
    let fault = adapter.execute_command(at, "ls", end).await.unwrap_err();
    assert_tells(&fault, FaultKind::Validation, &["`ls`", "connectors"]);
    let transfer = Transfer {
        source: "a",
        dest: "/b",
    };
    let fault = adapter.transfer_file(at, transfer, end).await.unwrap_err();
    assert_tells(&fault, FaultKind::Validation, &["`/b`", "connectors"]);
    assert!(sim.requests().is_empty());
}

#[tokio::test]
async fn an_id_that_would_change_the_path_is_refused() {
    for id in ["", "../users", "a/b", "a?x", "a b"] {
        let fault = LabId::parse(id).unwrap_err();
        assert_tells(&fault, FaultKind::Validation, &["no id of a lab"]);
    }
}

#[tokio::test]
async fn a_session_that_the_controller_ended_is_begun_again() {
    let sim = controller(options()).await;
    let adapter = adapter(&worker(&sim));
    let end = &within(10.0);
    adapter.list_labs(end).await.unwrap();
    sim.revoke_tokens();
    adapter.list_labs(end).await.unwrap();
    assert_eq!(count(&sim, "/authenticate"), 2);
    assert_eq!(count(&sim, "/populate_lab_tiles"), 3);
}

#[tokio::test]
async fn a_controller_that_never_accepts_the_session_is_an_authentication_fault() {
    let sim = controller(options()).await;
    sim.add_fault(&refusing("populate", 401, None)).unwrap();
    let fault = adapter(&worker(&sim))
        .list_labs(&within(10.0))
        .await
        .unwrap_err();
    assert_tells(&fault, FaultKind::Authentication, &["401", "`admin`"]);
    assert_eq!(count(&sim, "/authenticate"), 2);
}

#[tokio::test]
async fn calls_that_start_together_log_in_once() {
    let sim = controller(options()).await;
    let adapter = adapter(&worker(&sim));
    let end = &within(10.0);
    let calls = (0..8).map(|_| adapter.list_labs(end));
    futures_util::future::try_join_all(calls).await.unwrap();
    assert_eq!(count(&sim, "/authenticate"), 1);
}

#[tokio::test]
async fn a_refused_password_is_not_shown() {
    let sim = controller(options()).await;
    let wrong = "hunter3-is-wrong";
    let worker = Worker {
        cml_password: Secret::new(wrong),
        ..worker(&sim)
    };
    let fault = adapter(&worker).check(&within(5.0)).await.unwrap_err();
    assert_tells(
        &fault,
        FaultKind::Authentication,
        &[
            "POST /api/v0/authenticate",
            "403",
            "`admin`",
            "cml_password",
        ],
    );
    assert!(!fault.detail.contains(wrong), "{}", fault.detail);
    assert!(!format!("{worker:?}").contains(wrong));
    assert_eq!(count(&sim, "/authenticate"), 1);
}

#[tokio::test]
async fn a_controller_that_repeats_the_password_does_not_give_it_away() {
    // Wherever a long description is cut, and before and after the login.
    for path in ["authenticate", "populate"] {
        for before in [0, 380, 390] {
            let sim = controller(options()).await;
            let (before, after) = ("x".repeat(before), "y".repeat(500));
            let says = CmlFault {
                description: Some(format!("{before}{PASSWORD}{after}")),
                ..refusing(path, 400, None)
            };
            sim.add_fault(&says).unwrap();
            let end = &within(5.0);
            let fault = adapter(&worker(&sim)).list_labs(end).await.unwrap_err();
            assert_tells(
                &fault,
                FaultKind::Validation,
                &["400 Bad Request", "***yyy"],
            );
            assert!(!fault.detail.contains("hunter2"), "{}", fault.detail);
            assert!(fault.detail.len() < 900, "{}", fault.detail);
        }
    }
}

#[tokio::test]
async fn an_answer_to_a_login_that_cannot_be_read_is_not_shown() {
    let sim = controller(options()).await;
    let says = CmlFault {
        description: Some("c0de-of-a-token".to_owned()),
        ..refusing("authenticate", 200, None)
    };
    sim.add_fault(&says).unwrap();
    let fault = adapter(&worker(&sim)).check(&within(5.0)).await;
    let fault = fault.unwrap_err();
    assert_tells(
        &fault,
        FaultKind::Communication,
        &["the answer is no token"],
    );
    assert!(!fault.detail.contains("c0de"), "{}", fault.detail);
}

#[tokio::test]
async fn a_burst_of_503_is_waited_out() {
    let sim = controller(options()).await;
    for (path, status) in [("authenticate", 503), ("populate", 502), ("populate", 504)] {
        sim.add_fault(&refusing(path, status, Some(1))).unwrap();
    }
    adapter(&worker(&sim))
        .list_labs(&within(10.0))
        .await
        .unwrap();
    assert_eq!(count(&sim, "/populate_lab_tiles"), 3);
}

#[tokio::test]
async fn a_503_that_stays_is_a_communication_fault() {
    let sim = controller(options()).await;
    sim.add_fault(&refusing("populate", 503, None)).unwrap();
    let fault = adapter(&worker(&sim))
        .list_labs(&within(1.5))
        .await
        .unwrap_err();
    assert_tells(
        &fault,
        FaultKind::Communication,
        &[
            "GET /api/v0/populate_lab_tiles",
            "tried 3 times",
            "503",
            "as the profile says",
        ],
    );
}

#[tokio::test]
async fn an_import_is_never_sent_twice() {
    for fault in [
        refusing("import", 503, Some(1)),
        broken("import", CmlFaultKind::Drop, Some(1)),
    ] {
        let sim = controller(options()).await;
        sim.add_fault(&fault).unwrap();
        let adapter = adapter(&worker(&sim));
        let end = &within(5.0);
        let fault = adapter.import_lab(TOPOLOGY, "t", end).await.unwrap_err();
        assert_tells(&fault, FaultKind::Communication, &["POST /api/v0/import"]);
        assert_eq!(count(&sim, "/import"), 1);
    }
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    for kind in [CmlFaultKind::Drop, CmlFaultKind::HalfClose] {
        let sim = controller(options()).await;
        sim.add_fault(&broken("populate", kind, Some(2))).unwrap();
        let labs = adapter(&worker(&sim)).list_labs(&within(10.0)).await;
        assert_eq!(labs, Ok(Vec::new()), "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_shown() {
    let sim = controller(options()).await;
    let fault = broken("populate", CmlFaultKind::Garbage, None);
    sim.add_fault(&fault).unwrap();
    let fault = adapter(&worker(&sim))
        .list_labs(&within(5.0))
        .await
        .unwrap_err();
    assert_tells(
        &fault,
        FaultKind::Communication,
        &["cannot be read", "<html>", "no proxy"],
    );
}

#[tokio::test]
async fn a_controller_that_hangs_is_a_timeout_in_time() {
    let sim = controller(options()).await;
    let fault = broken("populate", CmlFaultKind::Hang, None);
    sim.add_fault(&fault).unwrap();
    #[expect(clippy::disallowed_methods, reason = "measures how long it takes")]
    let begun = Instant::now();
    let fault = adapter(&worker(&sim))
        .list_labs(&within(1.0))
        .await
        .unwrap_err();
    assert_tells(&fault, FaultKind::Timeout, &["no answer in", "populate"]);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_controller_that_is_not_there_is_a_communication_fault() {
    let sim = controller(options()).await;
    let worker = worker(&sim);
    drop(sim);
    let fault = adapter(&worker).check(&within(1.0)).await.unwrap_err();
    assert_tells(
        &fault,
        FaultKind::Communication,
        &[
            "GET /api/v0/system_information",
            "no connection",
            "worker.ip",
        ],
    );
}

#[tokio::test]
async fn a_topology_that_the_controller_refuses_tells_why() {
    let sim = controller(options()).await;
    let adapter = adapter(&worker(&sim));
    for (topology, why) in [
        (
            "lab: {version: 9.9.9}\nnodes: []\nlinks: []\n",
            "schema version",
        ),
        ("nodes: []\nlinks: []\n", "missing field `lab`"),
        ("{", "not valid YAML"),
    ] {
        let end = &within(5.0);
        let fault = adapter.import_lab(topology, "t", end).await.unwrap_err();
        assert_tells(&fault, FaultKind::Validation, &["import", why]);
    }
}

#[tokio::test]
async fn only_the_trusted_certificate_is_believed() {
    let sim = controller(options()).await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, sim.certificate_pem().unwrap()).unwrap();
    let other = controller(options()).await.fingerprint();
    let of = |trust| Worker {
        trust,
        ..worker(&sim)
    };
    let end = &within(10.0);
    for trust in [
        Trust::new(Some(false), None, None),
        Trust::new(None, Some(ca_file), None),
        Trust::new(None, None, sim.fingerprint().as_deref()),
    ] {
        let worker = of(trust.unwrap());
        let checked = adapter(&worker).check(end).await;
        assert!(checked.is_ok(), "{:?}: {checked:?}", worker.trust);
    }
    for (trust, why) in [
        (Trust::System, "not believed"),
        (
            Trust::new(None, None, other.as_deref()).unwrap(),
            "SHA-256 fingerprint",
        ),
    ] {
        let before = sim.requests().len();
        let fault = adapter(&of(trust)).check(end).await.unwrap_err();
        assert_tells(&fault, FaultKind::Communication, &[why, "tls.fingerprint"]);
        assert_eq!(sim.requests().len(), before);
    }
    let missing = Trust::CaFile(folder.path().join("none.pem"));
    let selected = Registry::standard()
        .select(PodType::CmlOnAws, None, &[])
        .unwrap();
    let fault = selected.adapter(&of(missing)).unwrap_err();
    assert_tells(&fault, FaultKind::Validation, &["ca_file", "none.pem"]);
}

#[tokio::test]
async fn versions_differ_in_how_a_session_is_checked() {
    for (version, request, is_supported) in [
        ("2.6.1+build.11", "/authok", true),
        ("2.9.0", "/authok", true),
        ("2.10.0+build.5", "/authentication", true),
        ("2.11.0", "/authentication", false),
        ("2.5.0", "/authok", false),
    ] {
        let sim = controller(CmlOptions {
            version: version.to_owned(),
            ..options()
        });
        let sim = sim.await;
        let info = adapter(&worker(&sim)).check(&within(5.0)).await.unwrap();
        assert_eq!(info.is_supported, is_supported, "{version}");
        assert_eq!(count(&sim, request), 1, "{version}");
    }
}

#[tokio::test]
async fn a_controller_without_tiles_lists_its_labs_one_by_one() {
    let sim = controller(options()).await;
    sim.add_fault(&refusing("populate", 404, None)).unwrap();
    let adapter = adapter(&worker(&sim));
    let end = &within(5.0);
    for title in ["one", "two"] {
        adapter.import_lab(TOPOLOGY, title, end).await.unwrap();
    }
    let labs = adapter.list_labs(end).await.unwrap();
    let titles: Vec<&str> = labs.iter().map(|it| it.title.as_str()).collect();
    assert_eq!(titles, ["one", "two"]);
}
