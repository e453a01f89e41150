//! The table of primitives, sorted by name.

use super::fields::{
    BOUNCE_INPUTS, CAPTURE_CONFIGS_INPUTS, CAPTURE_CONFIGS_OUTPUTS, COLLECT_INPUTS,
    COLLECT_OUTPUTS, CONVERGENCE_OUTPUTS, COPY_INPUTS, COPY_OUTPUTS, DONE, EVALUATE_INPUTS,
    EVALUATE_OUTPUTS, EXEC_INPUTS, EXEC_OUTPUTS, LAB, LDS_DEREGISTER_INPUTS,
    LDS_DEREGISTER_OUTPUTS, LDS_PROVISION_INPUTS, LDS_PROVISION_OUTPUTS, PAUSE_INPUTS,
    PORTS_ALLOC_INPUTS, PORTS_ALLOC_OUTPUTS, PORTS_RELEASE_INPUTS, PORTS_RELEASE_OUTPUTS,
    POWER_INPUTS, REPORT_ARCHIVE_INPUTS, REPORT_CHANGE_INPUTS, REPORT_OUTPUTS,
    REPORT_READINESS_INPUTS, REPORT_SCORE_INPUTS, REPORT_SUBMISSION_INPUTS, RESOLVE_INPUTS,
    RESOLVE_OUTPUTS, START_OUTPUTS, TAGS_SYNC_INPUTS, TAGS_SYNC_OUTPUTS, TRANSFER_INPUTS,
    TRANSFER_OUTPUTS, WIPE_INPUTS,
};
use super::{Action, Effect, Needs, Primitive, Stage, Target};
use crate::checked::ReportClass;

/// Every primitive. A second name of one is the same primitive but for its name.
pub(super) const TABLE: &[Primitive] = &[
    CAPTURE_CONFIGS,
    BOUNCE_INTERFACE,
    LAB_RESOLVE,
    LAB_START,
    LAB_STOP,
    POWER,
    WIPE,
    COLLECT,
    Primitive {
        name: "collect_evidence",
        ..COLLECT
    },
    COPY,
    EVALUATE_REGEX,
    EXEC,
    Primitive {
        name: "execute_command",
        ..EXEC
    },
    LAB_CHECK_CONVERGENCE,
    Primitive {
        name: "lab_resolve",
        ..LAB_RESOLVE
    },
    Primitive {
        name: "lab_start",
        ..LAB_START
    },
    Primitive {
        name: "lab_stop",
        ..LAB_STOP
    },
    Primitive {
        name: "lab_wipe",
        ..WIPE
    },
    LDS_DEREGISTER,
    LDS_PROVISION,
    PAUSE,
    PORTS_ALLOC,
    PORTS_RELEASE,
    REPORT_ARCHIVE,
    REPORT_CHANGE,
    REPORT_READINESS,
    REPORT_SCORE,
    REPORT_SUBMISSION,
    TAGS_SYNC,
    TRANSFER_FILE,
];

const BOUNCE_INTERFACE: Primitive = Primitive {
    name: "cml.bounce_interface",
    version: "v1",
    summary: "Shuts an interface of a device and opens it again, over its console.",
    action: Action::BounceInterface,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Devices,
    timeout_seconds: 60,
    inputs: BOUNCE_INPUTS,
    outputs: DONE,
};

const LAB_RESOLVE: Primitive = Primitive {
    name: "cml.lab_resolve",
    version: "v1",
    summary: "Finds the lab of this content on the worker, or imports it.",
    action: Action::LabResolve,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Labs,
    timeout_seconds: 300,
    inputs: RESOLVE_INPUTS,
    outputs: RESOLVE_OUTPUTS,
};

const LAB_START: Primitive = Primitive {
    name: "cml.lab_start",
    version: "v1",
    summary: "Starts the lab and waits until it has converged.",
    action: Action::LabStart,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Labs,
    timeout_seconds: 1800,
    inputs: LAB,
    outputs: START_OUTPUTS,
};

const LAB_STOP: Primitive = Primitive {
    name: "cml.lab_stop",
    version: "v1",
    summary: "Stops the lab.",
    action: Action::LabStop,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Labs,
    timeout_seconds: 300,
    inputs: LAB,
    outputs: DONE,
};

const POWER: Primitive = Primitive {
    name: "cml.power",
    version: "v1",
    summary: "Starts or stops one node.",
    action: Action::Power,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Labs,
    timeout_seconds: 300,
    inputs: POWER_INPUTS,
    outputs: DONE,
};

const WIPE: Primitive = Primitive {
    name: "cml.wipe",
    version: "v1",
    summary: "Stops and wipes nodes, or the whole lab; the nodes it wiped are started again.",
    action: Action::Wipe,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Labs,
    timeout_seconds: 300,
    inputs: WIPE_INPUTS,
    outputs: DONE,
};

const COLLECT: Primitive = Primitive {
    name: "collect",
    version: "v1",
    summary: "Runs a command that changes nothing and keeps what the device prints. An empty command only waits for the prompt.",
    action: Action::Collect,
    effect: Effect::Read,
    repeatable: true,
    stage: Stage::Collect,
    target: Target::Required,
    needs: Needs::Devices,
    timeout_seconds: 60,
    inputs: COLLECT_INPUTS,
    outputs: COLLECT_OUTPUTS,
};

const COPY: Primitive = Primitive {
    name: "copy",
    version: "v1",
    summary: "Copies a file of the package to a device.",
    action: Action::Copy,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Required,
    needs: Needs::Devices,
    timeout_seconds: 300,
    inputs: COPY_INPUTS,
    outputs: COPY_OUTPUTS,
};

const EVALUATE_REGEX: Primitive = Primitive {
    name: "evaluate.regex",
    version: "v1",
    summary: "Matches one text against a regular expression, or all evidence against a rubric.",
    action: Action::EvaluateRegex,
    effect: Effect::Pure,
    repeatable: true,
    stage: Stage::Evaluate,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 60,
    inputs: EVALUATE_INPUTS,
    outputs: EVALUATE_OUTPUTS,
};

const EXEC: Primitive = Primitive {
    name: "exec",
    version: "v1",
    summary: "Runs a command or a script on a device.",
    action: Action::Exec,
    effect: Effect::Write,
    repeatable: false,
    stage: Stage::Setup,
    target: Target::Required,
    needs: Needs::Devices,
    timeout_seconds: 60,
    inputs: EXEC_INPUTS,
    outputs: EXEC_OUTPUTS,
};

const LAB_CHECK_CONVERGENCE: Primitive = Primitive {
    name: "lab_check_convergence",
    version: "v1",
    summary: "Looks once whether the lab has converged.",
    action: Action::LabCheckConvergence,
    effect: Effect::Read,
    repeatable: true,
    stage: Stage::Collect,
    target: Target::Forbidden,
    needs: Needs::Labs,
    timeout_seconds: 60,
    inputs: LAB,
    outputs: CONVERGENCE_OUTPUTS,
};

const PAUSE: Primitive = Primitive {
    name: "pause",
    version: "v1",
    summary: "Waits.",
    action: Action::Pause,
    effect: Effect::Barrier,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 86400,
    inputs: PAUSE_INPUTS,
    outputs: &[],
};

const REPORT_ARCHIVE: Primitive = Primitive {
    name: "report.archive",
    version: "v1",
    summary: "Writes the ArchiveReport of the job.",
    action: Action::Report(ReportClass::ArchiveReport),
    effect: Effect::Pure,
    repeatable: true,
    stage: Stage::Report,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 60,
    inputs: REPORT_ARCHIVE_INPUTS,
    outputs: REPORT_OUTPUTS,
};

const REPORT_CHANGE: Primitive = Primitive {
    name: "report.change",
    version: "v1",
    summary: "Writes the ChangeReport of the job.",
    action: Action::Report(ReportClass::ChangeReport),
    effect: Effect::Pure,
    repeatable: true,
    stage: Stage::Report,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 60,
    inputs: REPORT_CHANGE_INPUTS,
    outputs: REPORT_OUTPUTS,
};

const REPORT_READINESS: Primitive = Primitive {
    name: "report.readiness",
    version: "v1",
    summary: "Writes the ReadinessReport of the job.",
    action: Action::Report(ReportClass::ReadinessReport),
    effect: Effect::Pure,
    repeatable: true,
    stage: Stage::Report,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 60,
    inputs: REPORT_READINESS_INPUTS,
    outputs: REPORT_OUTPUTS,
};

const REPORT_SCORE: Primitive = Primitive {
    name: "report.score",
    version: "v1",
    summary: "Writes the ScoreReport of the job.",
    action: Action::Report(ReportClass::ScoreReport),
    effect: Effect::Pure,
    repeatable: true,
    stage: Stage::Report,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 60,
    inputs: REPORT_SCORE_INPUTS,
    outputs: REPORT_OUTPUTS,
};

const REPORT_SUBMISSION: Primitive = Primitive {
    name: "report.submission",
    version: "v1",
    summary: "Writes the SubmissionReport of the job.",
    action: Action::Report(ReportClass::SubmissionReport),
    effect: Effect::Pure,
    repeatable: true,
    stage: Stage::Report,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 60,
    inputs: REPORT_SUBMISSION_INPUTS,
    outputs: REPORT_OUTPUTS,
};

const CAPTURE_CONFIGS: Primitive = Primitive {
    name: "capture_configs",
    version: "v1",
    summary: "Reads the configurations of nodes through the controller.",
    action: Action::CaptureConfigs,
    effect: Effect::Read,
    repeatable: true,
    stage: Stage::Collect,
    target: Target::Forbidden,
    needs: Needs::Labs,
    timeout_seconds: 300,
    inputs: CAPTURE_CONFIGS_INPUTS,
    outputs: CAPTURE_CONFIGS_OUTPUTS,
};

const PORTS_ALLOC: Primitive = Primitive {
    name: "ports_alloc",
    version: "v1",
    summary: "Gives ports of the worker to this session, the same ones each time.",
    action: Action::PortsAlloc,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 30,
    inputs: PORTS_ALLOC_INPUTS,
    outputs: PORTS_ALLOC_OUTPUTS,
};

const PORTS_RELEASE: Primitive = Primitive {
    name: "ports_release",
    version: "v1",
    summary: "Takes back the ports of this session.",
    action: Action::PortsRelease,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 30,
    inputs: PORTS_RELEASE_INPUTS,
    outputs: PORTS_RELEASE_OUTPUTS,
};

const TAGS_SYNC: Primitive = Primitive {
    name: "tags_sync",
    version: "v1",
    summary: "Writes the session's ports into the tags of the lab's nodes.",
    action: Action::TagsSync,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Labs,
    timeout_seconds: 60,
    inputs: TAGS_SYNC_INPUTS,
    outputs: TAGS_SYNC_OUTPUTS,
};

const LDS_DEREGISTER: Primitive = Primitive {
    name: "lds_deregister",
    version: "v1",
    summary: "Releases the session in which a candidate saw the pod's devices.",
    action: Action::LdsDeregister,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 60,
    inputs: LDS_DEREGISTER_INPUTS,
    outputs: LDS_DEREGISTER_OUTPUTS,
};

const LDS_PROVISION: Primitive = Primitive {
    name: "lds_provision",
    version: "v1",
    summary: "Makes an LDS session in which a candidate sees the pod's devices, and gives the address that opens it.",
    action: Action::LdsProvision,
    effect: Effect::Write,
    repeatable: false,
    stage: Stage::Setup,
    target: Target::Forbidden,
    needs: Needs::Nothing,
    timeout_seconds: 120,
    inputs: LDS_PROVISION_INPUTS,
    outputs: LDS_PROVISION_OUTPUTS,
};

const TRANSFER_FILE: Primitive = Primitive {
    name: "transfer_file",
    version: "v1",
    summary: "Copies a file of the package to a device, or gets one from it.",
    action: Action::TransferFile,
    effect: Effect::Write,
    repeatable: true,
    stage: Stage::Setup,
    target: Target::Required,
    needs: Needs::Devices,
    timeout_seconds: 300,
    inputs: TRANSFER_INPUTS,
    outputs: TRANSFER_OUTPUTS,
};
