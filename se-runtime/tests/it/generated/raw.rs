//! What the generator draws: numbers that stand for choices. Any of them make a valid package, so a failing
//! one can be shrunk freely: towards fewer steps, and towards the first choice of each.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{collection, option};

/// Choices for a package.
#[derive(Clone, Debug)]
pub(super) struct RawPackage {
    pub(super) manifest: u8,
    pub(super) composites: Vec<RawList>,
    pub(super) jobs: Vec<RawJob>,
    pub(super) parts: Vec<RawPart>,
    pub(super) phases: u8,
}

/// Choices for one part of a session.
#[derive(Clone, Debug)]
pub(super) struct RawPart {
    pub(super) what: u8,
    pub(super) composite: Option<RawList>,
    pub(super) job: RawJob,
}

/// Choices for a job.
#[derive(Clone, Debug)]
pub(super) struct RawJob {
    pub(super) what: u8,
    pub(super) list: RawList,
}

/// Choices for a list of steps, and for what a composite says besides.
#[derive(Clone, Debug)]
pub(super) struct RawList {
    pub(super) parameters: Vec<u8>,
    pub(super) steps: Vec<RawStep>,
}

/// Choices for a step.
#[derive(Clone, Debug)]
pub(super) struct RawStep {
    pub(super) kind: RawKind,
    pub(super) what: u8,
    pub(super) target: u8,
    /// What it reads.
    pub(super) reads: Vec<u8>,
    /// Outputs and paths.
    pub(super) captures: Vec<(u8, u8)>,
    pub(super) when: Option<u8>,
    pub(super) each: Option<RawEach>,
    pub(super) on_error: u8,
    pub(super) timeout: Option<u8>,
    pub(super) stage: Option<u8>,
    pub(super) needs: Option<Vec<u8>>,
}

/// What a step is about to use, if it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawKind {
    Collect,
    Exec,
    Regex,
    Judge,
    Pause,
    Call,
    Report,
}

/// Choices for a loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawEach {
    pub(super) list: u8,
    pub(super) stop_on_fail: bool,
    pub(super) concurrent: bool,
}

/// Most packages are one part; some are a session of up to two.
pub(super) fn a_package() -> impl Strategy<Value = RawPackage> {
    let composites = collection::vec(a_list(1..=3), 0..=3);
    let jobs = collection::vec(a_job(1..=6), 1..=2);
    let parts = prop_oneof![
        3 => Just(Vec::new()),
        1 => collection::vec(a_part(), 1..=2),
    ];
    (any::<u8>(), composites, jobs, parts, any::<u8>()).prop_map(
        |(manifest, composites, jobs, parts, phases)| RawPackage {
            manifest,
            composites,
            jobs,
            parts,
            phases,
        },
    )
}

fn a_part() -> impl Strategy<Value = RawPart> {
    let composite = option::weighted(0.3, a_list(1..=2));
    (any::<u8>(), composite, a_job(1..=4)).prop_map(|(what, composite, job)| RawPart {
        what,
        composite,
        job,
    })
}

fn a_job(steps: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = RawJob> {
    (any::<u8>(), a_list(steps)).prop_map(|(what, list)| RawJob { what, list })
}

fn a_list(steps: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = RawList> {
    let parameters = collection::vec(any::<u8>(), 0..=3);
    let steps = collection::vec(a_step(), steps);
    (parameters, steps).prop_map(|(parameters, steps)| RawList { parameters, steps })
}

fn a_step() -> impl Strategy<Value = RawStep> {
    let what = (a_kind(), any::<u8>(), any::<u8>());
    let captures = collection::vec((any::<u8>(), any::<u8>()), 0..=2);
    let data = (
        collection::vec(any::<u8>(), 0..=2),
        captures,
        option::weighted(0.25, any::<u8>()),
        option::weighted(0.3, an_each()),
    );
    let few = |weight| option::weighted(weight, any::<u8>());
    let needs = option::weighted(0.15, collection::vec(any::<u8>(), 0..=2));
    let flow = (any::<u8>(), few(0.2), few(0.2), needs);
    (what, data, flow).prop_map(|(what, data, flow)| {
        let (kind, what, target) = what;
        let (reads, captures, when, each) = data;
        let (on_error, timeout, stage, needs) = flow;
        RawStep {
            kind,
            what,
            target,
            reads,
            captures,
            when,
            each,
            on_error,
            timeout,
            stage,
            needs,
        }
    })
}

fn a_kind() -> impl Strategy<Value = RawKind> {
    prop_oneof![
        4 => Just(RawKind::Collect),
        2 => Just(RawKind::Exec),
        2 => Just(RawKind::Regex),
        2 => Just(RawKind::Judge),
        1 => Just(RawKind::Pause),
        4 => Just(RawKind::Call),
        1 => Just(RawKind::Report),
    ]
}

fn an_each() -> impl Strategy<Value = RawEach> {
    (any::<u8>(), any::<bool>(), any::<bool>()).prop_map(|(list, stop_on_fail, concurrent)| {
        RawEach {
            list,
            stop_on_fail,
            concurrent,
        }
    })
}
