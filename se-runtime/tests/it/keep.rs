//! One job, driven again and again.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use se_runtime::keep::{Ended, Keeper, Limit, Policy, keep};
use se_runtime::{Clock as _, Control, Drive, JobStatus, Timestamp, Unanswered};

use crate::world::Virtual;

/// Drives end as they are told to, after a second; all that is asked for is written down.
struct Script {
    clock: Virtual,
    ends: Mutex<VecDeque<Ended>>,
    /// What others tell meanwhile, in the second drive.
    tells: Mutex<Option<(mpsc::UnboundedSender<Control>, Control)>>,
    did: Mutex<Vec<String>>,
    /// How the store takes it that the job is given up or handed over, the first time.
    unanswered: Mutex<Option<Unanswered>>,
}

impl Script {
    fn new(ends: impl IntoIterator<Item = Ended>) -> Self {
        Self {
            clock: Virtual::default(),
            ends: Mutex::new(ends.into_iter().collect()),
            tells: Mutex::default(),
            did: Mutex::default(),
            unanswered: Mutex::default(),
        }
    }

    fn does(&self, what: &str) {
        let at = self.clock.now().micros() / 1_000_000;
        self.did.lock().unwrap().push(format!("{at} {what}"));
    }

    fn keep(&self, policy: &Policy, told: Vec<Control>, cancel: Option<&str>) -> Vec<String> {
        let (control, receiver) = mpsc::unbounded();
        for it in told {
            control.unbounded_send(it).unwrap();
        }
        let cancel = cancel.map(str::to_owned);
        let keeping = keep(self, &self.clock, policy, receiver, cancel);
        assert_eq!(self.clock.0.run(keeping), Some(()));
        drop(control);
        self.did.lock().unwrap().clone()
    }
}

impl Keeper for Script {
    fn drive<'a>(
        &'a self,
        mut told: mpsc::UnboundedReceiver<Control>,
        cancel: Option<&'a str>,
    ) -> BoxFuture<'a, Ended> {
        async move {
            self.does(&format!("drives, cancel {cancel:?}"));
            if let Some((control, it)) = self.tells.lock().unwrap().take() {
                control.unbounded_send(it).unwrap();
            }
            let end = self.clock.now().after(Duration::from_secs(1));
            self.clock.sleep_until(end).await;
            while let Some(Some(it)) = told.next().now_or_never() {
                self.does(&format!("hears {it:?}"));
            }
            let next = self.ends.lock().unwrap().pop_front();
            next.unwrap_or(Ended::Well(Drive::Ended(JobStatus::Completed)))
        }
        .boxed()
    }

    fn note(&self, _: &Ended) {}

    fn release(&self) -> BoxFuture<'_, ()> {
        self.does("releases");
        std::future::ready(()).boxed()
    }

    fn hand_over(&self) -> BoxFuture<'_, Result<(), Unanswered>> {
        self.does("hands over");
        let answer = self.unanswered.lock().unwrap().take();
        std::future::ready(answer.map_or(Ok(()), Err)).boxed()
    }

    fn give_up<'a>(&'a self, why: &'a str) -> BoxFuture<'a, Result<(), Unanswered>> {
        self.does(&format!("gives up: {why}"));
        let answer = self.unanswered.lock().unwrap().take();
        std::future::ready(answer.map_or(Ok(()), Err)).boxed()
    }
}

fn later() -> Ended {
    Ended::Later("the store is away".to_owned())
}

#[test]
fn what_another_engine_may_have_is_not_waited_for_long() {
    let away = || Ended::NotHere("its content is not here".to_owned());
    let did = Script::new(std::iter::repeat_n(away(), 9)).keep(&Policy::default(), vec![], None);
    let drives = [0, 2, 5, 10].map(|at| format!("{at} drives, cancel None"));
    let expected = drives.into_iter().chain(["11 hands over".to_owned()]);
    assert_eq!(did, expected.collect::<Vec<_>>());
    // Where the store does not take that in, it is tried again.
    let script = Script::new(std::iter::repeat_n(away(), 9));
    *script.unanswered.lock().unwrap() = Some(Unanswered);
    let did = script.keep(&Policy::default(), vec![], None);
    let after = did.iter().skip(4).map(String::as_str).collect::<Vec<_>>();
    assert_eq!(
        after,
        ["11 hands over", "19 drives, cancel None", "20 hands over"]
    );
    // It may come in time.
    let did = Script::new([away(), away()]).keep(&Policy::default(), vec![], None);
    assert_eq!(did.len(), 3);
}

#[test]
fn waits_double_up_to_the_longest() {
    let script = Script::new(std::iter::repeat_n(later(), 9));
    let did = script.keep(&Policy::default(), vec![], None);
    let seconds: Vec<u32> = did
        .iter()
        .map(|it| it.split_once(' ').unwrap().0.parse().unwrap())
        .collect();
    let waits: Vec<u32> = seconds.windows(2).map(|it| it[1] - it[0] - 1).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn what_was_told_before_comes_first_and_to_each_drive() {
    let cancel = || Control::Cancel {
        reason: "enough".to_owned(),
    };
    let expected = [
        r#"0 drives, cancel Some("enough")"#,
        r#"1 hears Cancel { reason: "enough" }"#,
        r#"2 drives, cancel Some("enough")"#,
        r#"3 hears Cancel { reason: "enough" }"#,
    ];
    let script = Script::new([later()]);
    let did = script.keep(&Policy::default(), vec![], Some("enough"));
    assert_eq!(did, expected);
    let script = Script::new([later()]);
    let did = script.keep(&Policy::default(), vec![cancel()], None);
    assert_eq!(did, expected);
}

#[test]
fn who_drains_drives_nothing_and_lets_others_go_on() {
    let script = Script::new([]);
    let did = script.keep(&Policy::default(), vec![Control::Drain], None);
    assert_eq!(did, ["0 releases"]);
}

#[test]
fn a_drain_that_a_failed_driver_heard_is_not_forgotten() {
    let script = Script::new([later()]);
    let (control, receiver) = mpsc::unbounded();
    *script.tells.lock().unwrap() = Some((control.clone(), Control::Drain));
    let policy = Policy::default();
    let keeping = keep(&script, &script.clock, &policy, receiver, None);
    assert_eq!(script.clock.0.run(keeping), Some(()));
    let did = script.did.lock().unwrap().clone();
    assert_eq!(
        did,
        ["0 drives, cancel None", "1 hears Drain", "1 releases"]
    );
}

#[test]
fn a_job_that_cannot_even_be_given_up_is_looked_at_again() {
    let never = || Ended::Never("its content is gone".to_owned());
    let script = Script::new([never(), never()]);
    *script.unanswered.lock().unwrap() = Some(Unanswered);
    let did = script.keep(&Policy::default(), vec![], None);
    let expected = [
        "0 drives, cancel None",
        "1 gives up: its content is gone",
        "2 drives, cancel None",
        "3 gives up: its content is gone",
    ];
    assert_eq!(did, expected);
}

/// What a job may take that began then.
fn within(length: Duration, since: Option<Timestamp>) -> Policy {
    let reason = "too long".to_owned();
    let limit = Some(Limit {
        length,
        since,
        reason,
    });
    Policy {
        limit,
        ..Policy::default()
    }
}

#[test]
fn what_a_job_may_take_counts_from_its_beginning_wherever_that_was() {
    let script = Script::new([]);
    let began = Timestamp::default();
    let now = script
        .clock
        .sleep_until(began.after(Duration::from_secs(7)));
    script.clock.0.run(now);
    let policy = within(Duration::from_millis(7500), Some(began));
    let did = script.keep(&policy, vec![], None);
    let expected = [
        "7 drives, cancel None",
        "8 hears Cancel { reason: \"too long\" }",
    ];
    assert_eq!(did, expected);
}

#[test]
fn a_job_that_takes_too_long_is_cancelled() {
    let policy = within(Duration::from_millis(500), None);
    let did = Script::new([]).keep(&policy, vec![], None);
    let expected = [
        "0 drives, cancel None",
        r#"1 hears Cancel { reason: "too long" }"#,
    ];
    assert_eq!(did, expected);
}

fn waits(seconds: i64) -> Ended {
    Ended::Well(Drive::Waits(Timestamp::from_micros(seconds * 1_000_000)))
}

#[test]
fn a_job_that_was_put_down_is_taken_up_at_its_time_and_has_not_failed() {
    let script = Script::new([later(), later(), waits(100), later(), waits(50)]);
    let did = script.keep(&Policy::default(), vec![], None);
    let expected = [0, 2, 5, 100, 102, 103].map(|it| format!("{it} drives, cancel None"));
    assert_eq!(did, expected);
}

#[test]
fn what_is_told_while_a_job_is_put_down_does_not_wait() {
    let cancel = Control::Cancel {
        reason: "enough".to_owned(),
    };
    let told = [
        (
            cancel,
            &[
                r#"1 drives, cancel Some("enough")"#,
                r#"2 hears Cancel { reason: "enough" }"#,
            ][..],
        ),
        (Control::Drain, &["1 releases"]),
    ];
    for (it, then) in told {
        let script = Script::new([waits(100)]);
        let (control, receiver) = mpsc::unbounded();
        *script.tells.lock().unwrap() = Some((control.clone(), it.clone()));
        let policy = Policy::default();
        let keeping = keep(&script, &script.clock, &policy, receiver, None);
        assert_eq!(script.clock.0.run(keeping), Some(()));
        let mut expected = vec![
            "0 drives, cancel None".to_owned(),
            format!("1 hears {it:?}"),
        ];
        expected.extend(then.iter().map(|it| (*it).to_owned()));
        assert_eq!(*script.did.lock().unwrap(), expected);
    }
}

#[test]
fn what_a_job_may_take_is_counted_also_while_it_is_put_down() {
    let policy = within(Duration::from_secs(12), None);
    let did = Script::new([waits(5), later(), waits(100)]).keep(&policy, vec![], None);
    let expected = [
        "0 drives, cancel None",
        "5 drives, cancel None",
        "7 drives, cancel None",
        r#"12 drives, cancel Some("too long")"#,
        r#"13 hears Cancel { reason: "too long" }"#,
    ];
    assert_eq!(did, expected);
}

#[test]
fn what_can_never_go_on_is_given_up_and_what_is_lost_is_left() {
    let did =
        Script::new([Ended::Never("no plan".to_owned())]).keep(&Policy::default(), vec![], None);
    assert_eq!(did, ["0 drives, cancel None", "1 gives up: no plan"]);
    let did = Script::new([Ended::Lost]).keep(&Policy::default(), vec![], None);
    assert_eq!(did, ["0 drives, cancel None"]);
}
