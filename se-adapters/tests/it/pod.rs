//! Steps on a pod: what each action of the catalogue does to a simulated one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use se_adapters::connect::Connectors;
use se_adapters::{
    FilesIn, LabSource, PodActions, PodOptions, PodPorts, Registry, Selected, Worker,
};
use se_dsl::catalog;
use se_dsl::checked::{ConnectorClass, PodType, Transport};
use se_runtime::port::Progress;
use se_runtime::{Actions, Call, Endpoints, FaultKind, Outcome};
use se_testkit::sim::{CmlFault, CmlFaultKind, CmlOptions, CmlSim, Journal, NodeState, Power};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::bench::{Wall, connectors, endpoint};
use crate::cml::{TOPOLOGY, controller, options, worker};

/// Keeps what was reported.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn report(&self, percent: u8, message: &str) {
        assert!(percent <= 100);
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl Heard {
    fn has(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|it| it.contains(part))
    }
}

fn cml() -> Selected {
    Registry::standard()
        .select(PodType::CmlOnAws, None, &[])
        .unwrap()
}

fn source(session: &str) -> LabSource {
    LabSource {
        topology: TOPOLOGY.to_owned(),
        title: Some("LAB-0.1".to_owned()),
        session_id: Some(session.to_owned()),
    }
}

fn pod(worker: Worker, selected: Selected, session: &str) -> PodActions {
    PodActions::new(PodOptions {
        worker,
        selected,
        lab: Some(source(session)),
        files: Arc::new(FilesIn::new("../examples/lab-0.1")),
        connectors: Arc::new(Connectors::new(Arc::new(Wall))),
        ports: PodPorts::in_memory("job"),
        clock: Arc::new(Wall),
    })
}

/// Each step is of a job of its own.
static JOBS: AtomicU32 = AtomicU32::new(0);

/// One step of a job whose session knows `lab_id`.
struct Step<'a> {
    uses: &'a str,
    with: Value,
    runtime_env: Value,
    seconds: f64,
}

fn step(uses: &str, with: Value) -> Step<'_> {
    Step {
        uses,
        with,
        runtime_env: json!({}),
        seconds: 20.0,
    }
}

impl Step<'_> {
    fn call(self) -> Call {
        let Value::Object(inputs) = self.with else {
            panic!("inputs are an object");
        };
        Call {
            job: format!("job {}", JOBS.fetch_add(1, Ordering::Relaxed)),
            step: "step".to_owned(),
            attempt: 1,
            part: None,
            primitive: catalog::find(self.uses, "v1").unwrap(),
            inputs,
            target: None,
            endpoints: Arc::new(Endpoints::new([])),
            runtime_env: Arc::new(self.runtime_env),
            timeout: Duration::from_secs_f64(self.seconds),
        }
    }

    async fn run(self, pod: &PodActions) -> Outcome {
        pod.call(self.call(), &Heard::default()).await
    }
}

async fn output(pod: &PodActions, uses: &str, with: Value) -> Value {
    let done = step(uses, with).run(pod).await.unwrap();
    let primitive = catalog::find(uses, "v1").unwrap();
    for field in primitive.outputs.iter().filter(|it| it.required) {
        let value = done.output.get(field.name);
        let fits = value.is_some_and(|it| field.kind.accepts(it));
        assert!(fits, "{uses}: {} is {value:?}", field.name);
    }
    Value::Object(done.output)
}

#[tokio::test]
async fn starting_imports_the_lab_and_waits_for_every_node() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    let heard = Heard::default();
    let done = pod
        .call(step("cml.lab_start", json!({})).call(), &heard)
        .await
        .unwrap();
    let (id, title) = sim.labs().remove(0);
    assert_eq!(title, "LAB-0.1 s1");
    let out = Value::Object(done.output);
    for (key, value) in [
        ("lab_id", json!(id)),
        ("cml_lab_id", json!(id)),
        ("title", json!("LAB-0.1 s1")),
        ("cml_lab_title", json!("LAB-0.1 s1")),
        ("freshly_imported", json!(true)),
        ("lab_state", json!("STARTED")),
        ("converged", json!(true)),
    ] {
        assert_eq!(out[key], value, "{key}");
    }
    assert!(out["poll_count"].as_u64() > Some(0));
    assert_eq!(out["nodes"].as_array().unwrap().len(), 7);
    assert_eq!(out["nodes"][0]["state"], "BOOTED");
    assert_eq!(
        Value::Object(done.learned),
        json!({"lab_id": id, "lab_title": "LAB-0.1 s1"})
    );
    assert!(
        heard.has("of 7 nodes booted, waiting for "),
        "{:?}",
        heard.0
    );

    let again = output(&pod, "lab_start", json!({})).await;
    assert_eq!(again["lab_id"], json!(id));
    assert_eq!(again["poll_count"], 0);
    assert_eq!(again["freshly_imported"], false);
    assert_eq!(sim.labs().len(), 1);
}

#[tokio::test]
async fn sessions_on_one_worker_have_labs_of_their_own() {
    let sim = controller(options()).await;
    for (session, fresh, labs) in [("s1", true, 1), ("s2", true, 2), ("s1", false, 2)] {
        let pod = pod(worker(&sim), cml(), session);
        let out = output(&pod, "cml.lab_resolve", json!({})).await;
        assert_eq!(out["freshly_imported"], fresh, "{session}");
        assert_eq!(sim.labs().len(), labs);
    }
}

#[tokio::test]
async fn a_step_that_imports_a_lab_anyway_imports_one_however_often_it_is_attempted() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    let first = output(&pod, "lab_resolve", json!({})).await;
    let force = || step("lab_resolve", json!({"force_import": true})).call();
    let mut imported = Vec::new();
    for (job, labs) in [("a", 2), ("a", 2), ("b", 3), ("a", 3)] {
        let job = job.to_owned();
        let call = Call { job, ..force() };
        let done = pod.call(call, &Heard::default()).await.unwrap();
        assert_eq!(done.output["freshly_imported"], true);
        assert_eq!(sim.labs().len(), labs);
        imported.push(done.output["lab_id"].clone());
    }
    let [a, again, b, later] = imported.try_into().unwrap();
    assert_eq!((&a, &a), (&again, &later));
    assert_ne!(a, b);
    // Who names none gets the newest of the session's.
    let newest = output(&pod, "lab_resolve", json!({})).await;
    assert_eq!(newest["lab_id"], b);
    assert_ne!(newest["lab_id"], first["lab_id"]);
    assert_eq!(newest["freshly_imported"], false);
}

#[tokio::test]
async fn an_import_that_nobody_heard_of_is_found_by_the_next_attempt() {
    let status = |path: &str, status| CmlFault {
        path: path.to_owned(),
        status: Some(status),
        description: None,
        kind: None,
        times: Some(1),
    };
    let unheard = CmlFault {
        status: None,
        kind: Some(CmlFaultKind::HalfClose),
        ..status("import", 0)
    };
    // The answer is lost; it is not concluded; it is, and not looked at any more.
    for fault in [unheard, status("PATCH ", 400), status("/nodes", 400)] {
        for (uses, with) in [
            ("cml.lab_resolve", json!({})),
            ("cml.lab_resolve", json!({"force_import": true})),
            ("cml.lab_start", json!({})),
        ] {
            one_lab_in_two_attempts(&fault, uses, with).await;
        }
    }
}

async fn one_lab_in_two_attempts(fault: &CmlFault, uses: &str, with: Value) {
    let sim = controller(options()).await;
    sim.add_fault(fault).unwrap();
    let pod = pod(worker(&sim), cml(), "s1");
    let call = step(uses, with).call();
    let heard = Heard::default();
    let attempt = || pod.call(call.clone(), &heard);
    attempt().await.expect_err("the fault is not noticed");
    let output_of_it = attempt().await.unwrap().output;
    assert_eq!(
        output_of_it["freshly_imported"], true,
        "{uses} {}",
        fault.path
    );
    let labs = sim.labs();
    assert_eq!(labs.len(), 1, "{labs:?}");
    let (id, title) = &labs[0];
    assert_eq!(output_of_it["lab_id"], json!(id));
    assert_eq!(output_of_it["title"], json!(title));
    assert_eq!(title, "LAB-0.1 s1");
    // For others it is a lab that is there.
    let found = output(&pod, "cml.lab_resolve", json!({})).await;
    assert_eq!(found["lab_id"], json!(id));
    assert_eq!(found["freshly_imported"], false);
}

#[tokio::test]
async fn a_lab_of_the_same_title_and_other_nodes_is_not_taken() {
    let sim = controller(options()).await;
    let worker = worker(&sim);
    let mut other = source("s1");
    other.topology = TOPOLOGY.replace("label: rtr02", "label: rtr03");
    let changed = PodActions::new(PodOptions {
        worker: worker.clone(),
        selected: cml(),
        lab: Some(other),
        files: Arc::new(FilesIn::new(".")),
        connectors: connectors(),
        ports: PodPorts::in_memory("job"),
        clock: Arc::new(Wall),
    });
    output(&changed, "lab_resolve", json!({})).await;
    let heard = Heard::default();
    let pod = pod(worker, cml(), "s1");
    let done = pod
        .call(step("lab_resolve", json!({})).call(), &heard)
        .await
        .unwrap();
    assert_eq!(done.output["freshly_imported"], true);
    assert!(heard.has("has other nodes or links"));
}

#[tokio::test]
async fn a_lab_that_is_gone_is_not_found_or_resolved_again() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    let ghost = json!({"lab_id": "ghost"});
    let known = |uses| Step {
        runtime_env: ghost.clone(),
        ..step(uses, json!({}))
    };
    for uses in ["cml.lab_start", "cml.lab_stop", "lab_check_convergence"] {
        let fault = known(uses).run(&pod).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{}", fault.detail);
        assert!(fault.detail.contains("ghost"), "{}", fault.detail);
        assert!(fault.detail.contains("lab_resolve"), "{}", fault.detail);
    }
    let fault = step("cml.lab_start", json!({"cml_lab_id": "ghost"}))
        .run(&pod)
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound);
    // Teardown may come twice.
    for _ in 0..2 {
        known("cml.wipe").run(&pod).await.unwrap();
    }
    let done = known("cml.lab_resolve").run(&pod).await.unwrap();
    assert_eq!(done.output["freshly_imported"], true);
    let fault = step("cml.lab_start", json!({"lab_id": "../x"}))
        .run(&pod)
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation);
}

#[tokio::test]
async fn wiped_nodes_are_up_again_afterwards() {
    let (power, journal) = (Power::default(), Journal::default());
    let sim = CmlSim::start("127.0.0.1", options(), power.clone(), journal.clone())
        .await
        .unwrap();
    let pod = pod(worker(&sim), cml(), "s1");
    output(&pod, "cml.lab_start", json!({})).await;
    let before = power.generation("rtr01");
    let with = json!({"devices": ["rtr01", "sw02", "rtr01"]});
    let out = output(&pod, "cml.wipe", with).await;
    assert_eq!(out["ok"], true);
    for (label, wiped) in [("rtr01", 1), ("sw02", 1), ("rtr02", 0)] {
        assert_eq!(power.state(label), NodeState::Booted, "{label}");
        assert_eq!(power.generation(label), before + wiped, "{label}");
    }
    let deeds = journal.entries().into_iter();
    let deeds: Vec<String> = deeds
        .filter(|it| it.subject == "rtr01")
        .map(|it| it.action)
        .collect();
    assert_eq!(deeds, ["start", "stop", "wipe", "start"]);

    let with = json!({"devices": ["rtr01", "rtr09"]});
    let fault = step("cml.wipe", with).run(&pod).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound);
    assert!(fault.detail.contains("rtr09") && fault.detail.contains("cmlctl-0, "));
    assert_eq!(power.state("rtr01"), NodeState::Booted);
}

#[tokio::test]
async fn nodes_and_labs_are_switched_off_and_on() {
    let (power, journal) = (Power::default(), Journal::default());
    let sim = CmlSim::start("127.0.0.1", options(), power.clone(), journal)
        .await
        .unwrap();
    let pod = pod(worker(&sim), cml(), "s1");
    output(&pod, "cml.lab_start", json!({})).await;
    for (action, state) in [("stop", NodeState::Stopped), ("start", NodeState::Booted)] {
        for _ in 0..2 {
            let with = json!({"node": "sw01", "action": action});
            output(&pod, "cml.power", with).await;
            assert_eq!(power.state("sw01"), state);
        }
        // A node that was stopped on purpose does not keep a lab from being ready.
        let out = output(&pod, "lab_check_convergence", json!({})).await;
        assert_eq!(out["converged"], true);
    }
    output(&pod, "cml.lab_stop", json!({})).await;
    let out = output(&pod, "lab_check_convergence", json!({})).await;
    assert_eq!(out["converged"], false);
    assert_eq!(power.state("rtr01"), NodeState::Stopped);
    // What is done already is done.
    output(&pod, "cml.lab_stop", json!({})).await;
    for _ in 0..2 {
        output(&pod, "cml.wipe", json!({})).await;
        assert_eq!(power.state("rtr01"), NodeState::DefinedOnCore);
    }
}

#[tokio::test]
async fn a_lab_that_does_not_come_up_tells_which_nodes_and_why() {
    let sim = controller(CmlOptions {
        stuck: vec!["rtr01".to_owned()],
        queued: vec!["sw02".to_owned()],
        ..options()
    });
    let sim = sim.await;
    let pod = pod(worker(&sim), cml(), "s1");
    let start = Step {
        seconds: 4.0,
        ..step("cml.lab_start", json!({}))
    };
    #[expect(clippy::disallowed_methods, reason = "measures how long it takes")]
    let begun = Instant::now();
    let heard = Heard::default();
    let fault = pod.call(start.call(), &heard).await.unwrap_err();
    assert!(heard.has("waiting for rtr01 (STARTED): Booting iosv on rtr01"));
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(fault.kind, FaultKind::Timeout);
    for part in [
        "lab `LAB-0.1 s1`",
        "2 of 7 nodes not booted after",
        "\nrtr01 (iosv): STARTED for ",
        "its console ends with:\n  | Booting iosv on rtr01",
        "\nsw02 (iosvl2): QUEUED for ",
        "lacks memory, processors or licences",
        "the worker: processors 8 % busy, memory 7 of 29 GiB used",
        "rtr01 uses 12 % of its processors",
    ] {
        assert!(
            fault.detail.contains(part),
            "no {part:?} in {}",
            fault.detail
        );
    }
}

#[tokio::test]
async fn a_controller_that_is_away_while_a_lab_boots_is_waited_for() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    let fault = CmlFault {
        path: "check_if_converged|lab_element_state".to_owned(),
        status: Some(503),
        description: None,
        kind: None,
        times: Some(4),
    };
    output(&pod, "cml.lab_resolve", json!({})).await;
    sim.add_fault(&fault).unwrap();
    let out = output(&pod, "cml.lab_start", json!({})).await;
    assert_eq!(out["converged"], true);
}

#[tokio::test]
async fn a_step_ends_in_time_when_the_controller_hangs() {
    let sim = controller(options()).await;
    let fault = CmlFault {
        path: "authenticate".to_owned(),
        status: None,
        description: None,
        kind: Some(CmlFaultKind::Hang),
        times: None,
    };
    sim.add_fault(&fault).unwrap();
    let pod = pod(worker(&sim), cml(), "s1");
    for uses in ["cml.lab_start", "cml.wipe", "lab_check_convergence"] {
        let step = Step {
            seconds: 1.0,
            runtime_env: json!({"lab_id": "known"}),
            ..step(uses, json!({}))
        };
        let outcome = tokio::time::timeout(Duration::from_secs(1), step.run(&pod)).await;
        let fault = outcome.unwrap().unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout, "{}", fault.detail);
        assert!(fault.detail.contains("authenticate"), "{}", fault.detail);
    }
}

#[tokio::test]
async fn nothing_is_sent_after_a_step_was_dropped() {
    let sim = controller(CmlOptions {
        stuck: vec!["rtr01".to_owned()],
        ..options()
    });
    let sim = sim.await;
    let pod = pod(worker(&sim), cml(), "s1");
    let start = step("cml.lab_start", json!({})).run(&pod);
    let dropped = tokio::time::timeout(Duration::from_millis(700), start).await;
    assert!(dropped.is_err());
    let sent = sim.requests().len();
    assert!(sent > 5, "{:?}", sim.requests());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(sim.requests().len(), sent);
    // The lab is as usable as before.
    output(&pod, "cml.wipe", json!({})).await;
}

#[tokio::test]
async fn teardown_wipes_the_lab_that_was_imported_again() {
    let (power, journal) = (Power::default(), Journal::default());
    let sim = CmlSim::start("127.0.0.1", options(), power.clone(), journal)
        .await
        .unwrap();
    let pod = pod(worker(&sim), cml(), "s1");
    output(&pod, "cml.lab_start", json!({})).await;
    let wipe = Step {
        runtime_env: json!({"lab_id": "the-one-before"}),
        ..step("cml.wipe", json!({}))
    };
    wipe.run(&pod).await.unwrap();
    assert_eq!(power.state("rtr01"), NodeState::DefinedOnCore);
}

/// Prints a router's prompt whenever somebody presses Enter.
async fn one_console() -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "a simulator owns its tasks")]
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = [0; 512];
        while let Ok(length @ 1..) = stream.read(&mut read).await {
            let typed = String::from_utf8_lossy(&read[..length]);
            let answer = typed.replace('\n', "").replace('\r', "\r\nr1#");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    });
    (port, task)
}

#[tokio::test]
async fn steps_on_devices_need_no_controller() {
    let sim = controller(options()).await;
    let unreachable = worker(&sim);
    drop(sim);
    let pod = pod(unreachable, cml(), "s1");
    let (port, console) = one_console().await;
    let device = endpoint(ConnectorClass::CiscoCommon, Transport::Telnet, port);
    let call = Call {
        target: Some(Arc::new(device)),
        ..step("collect", json!({"command": "show clock"})).call()
    };
    let done = pod.call(call, &Heard::default()).await.unwrap();
    assert_eq!(done.output["output"], "");
    pod.finish(Duration::from_secs(2)).await;
    console.abort();
    step("pause", json!({"seconds": 0.01}))
        .run(&pod)
        .await
        .unwrap();
    let lab = Step {
        seconds: 2.0,
        ..step("cml.lab_stop", json!({}))
    };
    let fault = lab.run(&pod).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Communication, "{}", fault.detail);
}

#[tokio::test]
async fn content_without_a_pod_has_no_labs() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), Selected::devices_only(), "s1");
    let fault = step("cml.lab_start", json!({}))
        .run(&pod)
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation);
    assert!(fault.detail.contains("`none`"), "{}", fault.detail);
    assert!(sim.requests().is_empty());
}

#[tokio::test]
async fn inputs_that_cannot_be_are_refused() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    for (uses, with, why) in [
        ("pause", json!({}), "`with.seconds` of pause@v1 is missing"),
        ("cml.wipe", json!({"devices": [1]}), "a list of labels"),
        (
            "cml.power",
            json!({"node": "a", "action": "burn"}),
            "`stop`",
        ),
        ("evaluate.regex", json!({}), "done by the engine"),
        ("copy", json!({"source": "PAv1/files/none"}), "no file"),
        ("copy", json!({"source": "../../Cargo.toml"}), "outside"),
        ("copy", json!({"source": "/etc/hosts"}), "outside"),
    ] {
        let fault = step(uses, with).run(&pod).await.unwrap_err();
        assert!(fault.detail.contains(why), "{}", fault.detail);
    }
}

#[tokio::test]
async fn a_session_gets_ports_and_the_controller_is_told() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    output(&pod, "lab_start", json!({})).await;
    let template = json!({"rtr01": ["serial", "vnc"], "rtr02": {"serial": 6001}, "pc9": "serial"});
    let with = json!({"template": template, "range": "5000-5999"});
    let given = output(&pod, "ports_alloc", with.clone()).await;
    let ports =
        json!({"pc9_serial": 5000, "rtr01_serial": 5001, "rtr01_vnc": 5002, "rtr02_serial": 6001});
    assert_eq!(given["allocated_ports"], ports);
    assert_eq!(
        given["devices"]["rtr01"],
        json!({"serial_port": 5001, "vnc_port": 5002})
    );
    // Another attempt is given the same.
    assert_eq!(output(&pod, "ports_alloc", with).await, given);

    let synced = output(&pod, "tags_sync", json!({})).await;
    assert_eq!(synced["ok"], false);
    let failed = synced["failed"].as_object().unwrap();
    assert_eq!(failed.len(), 1);
    let why = failed["pc9"].as_str().unwrap();
    assert!(why.contains("no such node; it has: cmlctl-0"), "{why}");
    assert_eq!(synced["tags"]["rtr01"], json!(["serial:5001", "vnc:5002"]));
    let told = sim.requests();
    let of_node = |it: &&String| it.starts_with("PATCH ") && it.contains("/nodes/");
    let told = told.iter().filter(of_node);
    assert_eq!(told.count(), 2);

    let released = output(&pod, "ports_release", json!({"names": ["pc9_serial"]})).await;
    assert_eq!(released["released"], 1);
    let released = output(&pod, "ports_release", json!({})).await;
    assert_eq!(released["released"], 3);
    let fault = step("tags_sync", json!({})).run(&pod).await.unwrap_err();
    assert!(
        fault.detail.contains("this session has no ports"),
        "{}",
        fault.detail
    );
}

#[tokio::test]
async fn what_devices_have_ports_of_is_asked_for_where_nobody_says() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    let mut bare = step("ports_alloc", json!({}));
    let fault = bare.run(&pod).await.unwrap_err();
    assert!(fault.detail.contains("give `template`"), "{}", fault.detail);
    bare = step(
        "ports_alloc",
        json!({"range": {"first": 7000, "last": 7001}}),
    );
    bare.runtime_env =
        json!({"devices": {"r1": {"serial_port": 1, "host": "x"}, "pc": {"vnc_port": 2}}});
    let done = bare.run(&pod).await.unwrap();
    let expected = json!({"pc_vnc": 7000, "r1_serial": 7001});
    assert_eq!(done.output["allocated_ports"], expected);
    assert_eq!(done.learned["devices"]["r1"]["serial_port"], 7001);
    for (with, why) in [
        (json!({"template": ["r1"]}), "`r1` is no port's name"),
        (json!({"template": {"r1": "rdp"}}), "one of serial, vnc"),
        (
            json!({"template": ["r1_vnc"], "range": "9-1"}),
            "no range of ports",
        ),
        (
            json!({"template": ["a_vnc", "b_vnc", "c_vnc"], "range": "7000-7001"}),
            "no port is free",
        ),
    ] {
        let fault = step("ports_alloc", with.clone())
            .run(&pod)
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Validation, "{with}");
        assert!(fault.detail.contains(why), "{with}: {}", fault.detail);
    }
}

#[tokio::test]
async fn a_node_that_cannot_be_tagged_does_not_hold_up_the_others() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    output(&pod, "lab_resolve", json!({})).await;
    let taken = CmlFault {
        path: "PATCH .*".to_owned(),
        status: Some(400),
        description: Some("tag is taken".to_owned()),
        kind: None,
        times: Some(1),
    };
    sim.add_fault(&taken).unwrap();
    let with = json!({"ports": {"rtr01_serial": 5001, "rtr02_serial": 5002}});
    let synced = output(&pod, "tags_sync", with.clone()).await;
    assert_eq!(synced["ok"], false);
    assert_eq!(synced["failed"].as_object().unwrap().len(), 1, "{synced}");
    assert!(
        synced["failed"].to_string().contains("tag is taken"),
        "{synced}"
    );
    assert_eq!(synced["tags"].as_object().unwrap().len(), 1, "{synced}");
    let synced = output(&pod, "tags_sync", with).await;
    assert_eq!(synced["ok"], true);
}

#[tokio::test]
async fn configurations_are_read_of_every_node_that_has_one() {
    let sim = controller(options()).await;
    let pod = pod(worker(&sim), cml(), "s1");
    output(&pod, "lab_resolve", json!({})).await;
    let fault = step("capture_configs", json!({}))
        .run(&pod)
        .await
        .unwrap_err();
    assert!(
        fault.detail.contains("start it with cml.lab_start"),
        "{}",
        fault.detail
    );
    output(&pod, "lab_start", json!({})).await;
    let all = output(&pod, "capture_configs", json!({})).await;
    assert_eq!(all["ok"], true, "{all}");
    let configs = all["configs"].as_object().unwrap();
    let labels: Vec<&String> = configs.keys().collect();
    assert_eq!(
        labels,
        ["cmlctl-0", "rtr01", "rtr02", "sw01", "sw02", "workstation"]
    );
    assert_eq!(configs["rtr01"], "! read from rtr01\nhostname rtr01\nend\n");
    output(
        &pod,
        "cml.power",
        json!({"node": "rtr02", "action": "stop"}),
    )
    .await;
    let with = json!({"devices": ["rtr01", "rtr02", "ext-conn-0"]});
    let some = output(&pod, "capture_configs", with).await;
    assert_eq!(some["ok"], false);
    let failed = some["failed"].as_object().unwrap();
    assert!(
        failed["rtr02"].as_str().unwrap().contains("STOPPED"),
        "{failed:?}"
    );
    assert!(
        failed["ext-conn-0"]
            .as_str()
            .unwrap()
            .contains("does not support"),
        "{failed:?}"
    );
    let unknown = step("capture_configs", json!({"devices": ["rtr09"]}))
        .run(&pod)
        .await;
    assert_eq!(unknown.unwrap_err().kind, FaultKind::NotFound);
}

#[tokio::test]
async fn what_the_controller_does_not_like_is_an_output() {
    let sim = controller(CmlOptions {
        warnings: vec!["Link l0 has no label".to_owned()],
        ..options()
    });
    let sim = sim.await;
    let pod = pod(worker(&sim), cml(), "s1");
    let heard = Heard::default();
    let done = pod
        .call(step("cml.lab_resolve", json!({})).call(), &heard)
        .await
        .unwrap();
    assert_eq!(done.output["warnings"], json!(["Link l0 has no label"]));
    assert!(heard.has("warns about the topology: Link l0"));
    let again = output(&pod, "cml.lab_resolve", json!({})).await;
    assert_eq!(again["warnings"], json!([]));
}
