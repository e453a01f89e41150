//! A network that delays, cuts, floods and hangs up between a connector and its device: never a hang, never a
//! wrong capture, never memory without bound; and the next job finds the console usable.

use std::time::Duration;

use futures_util::future::join_all;
use se_adapters::device;
use se_runtime::{Endpoint, Fault, FaultKind};
use se_testkit::chaos::{Chaos, ChaosProxy};
use se_testkit::testbed::{FrrLab, ROUTER_PASSWORD};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::{call, collect, router, sessions, with_passwords};

const COMMAND: &str = "show running-config";

/// R1's command line behind a network, and without one.
fn behind(proxy: &ChaosProxy) -> Endpoint {
    Endpoint {
        timeout: Duration::from_secs(4),
        ..with_passwords(router(proxy.port()), ROUTER_PASSWORD, ROUTER_PASSWORD)
    }
}

/// What the capture came to, and that it ended in time.
async fn captured(endpoint: &Endpoint, limit: Duration) -> Result<String, Fault> {
    let sessions = sessions();
    let mut call = call("collect", endpoint, json!({ "command": COMMAND }));
    call.timeout = limit;
    let since = Instant::now();
    let done = device::collect(&sessions, &call).await;
    assert!(
        since.elapsed() <= limit + Duration::from_millis(500),
        "{:?}",
        since.elapsed()
    );
    sessions
        .close_all(Instant::now() + Duration::from_secs(2))
        .await;
    done.map(|it| {
        it.output
            .get("output")
            .and_then(Value::as_str)
            .unwrap()
            .to_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_is_right_or_there_is_a_fault_whatever_the_network_does() {
    let lab = FrrLab::up().unwrap();
    let [port, _] = lab.ports().zebra;
    let limit = Duration::from_secs(8);
    let plain = ChaosProxy::start(port, Vec::new(), 0).await.unwrap();
    let expect = captured(&behind(&plain), limit).await.unwrap();
    assert!(expect.contains("interface eth0"), "{expect}");
    // Login and preparation are some 300 bytes, the capture is some 300 more.
    let mut all = vec![Chaos::Fragment; 6];
    all.extend([Chaos::Delay(5), Chaos::Delay(60), Chaos::Delay(150)]);
    for at in [0, 1, 60, 130, 200, 260, 300, 330, 340, 350, 400, 450, 500] {
        all.extend([
            Chaos::DropAt(at),
            Chaos::ResetAt(at),
            Chaos::HalfCloseAt(at),
        ]);
    }
    for at in [10, 200, 350, 420] {
        all.push(Chaos::HangAt(at));
    }
    let (mut right, mut faults) = (0, 0);
    let numbered: Vec<(u64, Chaos)> = (1..).zip(all).collect();
    for some in numbered.chunks(3) {
        let trials = some
            .iter()
            .map(|(seed, chaos)| trial(port, *chaos, *seed, &expect));
        let shown = join_all(trials).await;
        right += shown.iter().filter(|it| **it).count();
        faults += shown.iter().filter(|it| !**it).count();
        assert_eq!(
            captured(&behind(&plain), limit).await.unwrap(),
            expect,
            "after {some:?}"
        );
    }
    assert!(right >= 9 && faults >= 20, "{right} right, {faults} faults");
}

/// Whether the text was captured; else there was a fault of a kind that fits.
async fn trial(port: u16, chaos: Chaos, seed: u64, expect: &str) -> bool {
    // On every connection that is tried, else the second would always work.
    let proxy = ChaosProxy::start(port, vec![chaos; 20], seed)
        .await
        .unwrap();
    match captured(&behind(&proxy), Duration::from_secs(8)).await {
        Ok(shown) => {
            assert_eq!(shown, expect, "{chaos:?}, seed {seed}");
            true
        }
        Err(fault) => {
            let kinds = [
                FaultKind::Communication,
                FaultKind::Timeout,
                FaultKind::Authentication,
            ];
            assert!(kinds.contains(&fault.kind), "{chaos:?}: {fault}");
            let broken = !matches!(chaos, Chaos::Fragment | Chaos::Delay(_));
            assert!(broken, "{chaos:?}, seed {seed}: {fault}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_keeps_its_state_is_usable_after_every_misfortune() {
    let lab = FrrLab::up().unwrap();
    let [_, port] = lab.ports().console;
    let plain = ChaosProxy::start(port, Vec::new(), 0).await.unwrap();
    let at = |proxy: &ChaosProxy| Endpoint {
        timeout: Duration::from_secs(8),
        ..router(proxy.port())
    };
    let limit = Duration::from_secs(15);
    let expect = captured(&at(&plain), limit).await.unwrap();
    for (seed, chaos) in (1..).zip([
        Chaos::Fragment,
        Chaos::DropAt(100),
        Chaos::ResetAt(150),
        Chaos::HalfCloseAt(120),
        Chaos::GarbageAt(40),
        Chaos::HangAt(160),
    ]) {
        let proxy = ChaosProxy::start(port, vec![chaos], seed).await.unwrap();
        if let Ok(shown) = captured(&at(&proxy), limit).await {
            assert_eq!(shown, expect, "{chaos:?}");
        }
        let after = captured(&at(&plain), limit).await;
        let after = after.unwrap_or_else(|fault| panic!("after {chaos:?}: {fault}"));
        assert_eq!(after, expect, "after {chaos:?}");
    }
}

/// The peak of this process's memory, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|it| it.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_cut_with_a_fault_that_says_so() {
    const FLOOD: u64 = 100_000_000;
    let lab = FrrLab::up().unwrap();
    let [port, _] = lab.ports().zebra;
    let flood = Chaos::FloodAt {
        at: 400,
        bytes: FLOOD,
    };
    let proxy = ChaosProxy::start(port, vec![flood], 1).await.unwrap();
    let endpoint = behind(&proxy);
    let before = peak();
    let fault = captured(&endpoint, Duration::from_secs(60))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
    assert!(fault.detail.contains("printed more than 16 MiB"), "{fault}");
    // The cap, what the text costs, the transcript's last MiB, and what lies in sockets.
    let grown = peak() - before;
    assert!(grown < 100 << 20, "grew by {grown}");
    assert!(proxy.said() < FLOOD, "all of it was read");
    let sessions = sessions();
    assert!(
        collect(&sessions, &endpoint, COMMAND)
            .await
            .unwrap()
            .contains("interface eth0")
    );
}
