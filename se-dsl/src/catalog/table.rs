//! The table of primitives, sorted by name.

use super::{Action, Effect, Field, Kind, Needs, Primitive, Stage, Target};
use crate::checked::ReportClass;

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        name,
        kind,
        required: true,
        doc,
    }
}

const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        name,
        kind,
        required: false,
        doc,
    }
}

const CML_BOUNCE_INTERFACE_INPUTS: &[Field] = &[
    required("device", Kind::String, "Connector of the device."),
    required("interface", Kind::String, "Name of the interface."),
    optional(
        "serial_port",
        Kind::Integer,
        "Console port; default: the connector's.",
    ),
];

const CML_BOUNCE_INTERFACE_OUTPUTS: &[Field] =
    &[required("ok", Kind::Boolean, "Whether it was done.")];

const CML_LAB_RESOLVE_INPUTS: &[Field] = &[
    optional(
        "definition_id",
        Kind::String,
        "Which definition the lab belongs to; default: the job's.",
    ),
    optional(
        "force_import",
        Kind::Boolean,
        "Import even if a lab of that title and topology exists.",
    ),
];

const CML_LAB_RESOLVE_OUTPUTS: &[Field] = &[
    required("lab_id", Kind::String, "The lab."),
    required("title", Kind::String, "Its title."),
    required(
        "nodes",
        Kind::Array,
        "Its nodes: {id, label, node_definition, state}.",
    ),
    required(
        "freshly_imported",
        Kind::Boolean,
        "Whether it was imported just now.",
    ),
];

const CML_LAB_START_INPUTS: &[Field] = &[optional(
    "lab_id",
    Kind::String,
    "The lab; default: the one this session knows, else the one the package resolves to.",
)];

const CML_LAB_START_OUTPUTS: &[Field] = &[
    required("lab_id", Kind::String, "The lab."),
    required("title", Kind::String, "Its title."),
    required("lab_state", Kind::String, "State at the end."),
    required("poll_count", Kind::Integer, "How often it was looked at."),
    required("converged", Kind::Boolean, "Whether every node is up."),
    required(
        "nodes",
        Kind::Array,
        "Its nodes: {id, label, node_definition, state}.",
    ),
];

const CML_POWER_INPUTS: &[Field] = &[
    required("node", Kind::String, "Label of the node."),
    required("action", Kind::OneOf(&["start", "stop"]), "What to do."),
    optional(
        "lab_id",
        Kind::String,
        "The lab; default: the one this session knows, else the one the package resolves to.",
    ),
];

const CML_WIPE_INPUTS: &[Field] = &[
    optional(
        "devices",
        Kind::Strings,
        "Labels of nodes; default: the whole lab.",
    ),
    optional(
        "lab_id",
        Kind::String,
        "The lab; default: the one this session knows, else the one the package resolves to.",
    ),
];

const COLLECT_INPUTS: &[Field] = &[
    required("command", Kind::String, "One command line."),
    optional(
        "match",
        Kind::String,
        "Keep only what this regular expression matches (its first group, where it has one).",
    ),
];

const COLLECT_OUTPUTS: &[Field] = &[required("output", Kind::String, "What the device printed.")];

const COPY_INPUTS: &[Field] = &[
    required(
        "source",
        Kind::String,
        "Handle of a content file: ${ content.files.<stem> }.",
    ),
    required("dest", Kind::String, "Path on the device."),
    optional(
        "via_port",
        Kind::Integer,
        "Port of the address translation in front of the device.",
    ),
    optional("mode", Kind::String, "Octal permissions, as 0644."),
];

const COPY_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether it was done."),
    required("bytes", Kind::Integer, "Size of the file."),
    required(
        "sha256",
        Kind::String,
        "Lower-case hex digest, compared with the copy where the device can tell.",
    ),
];

const EVALUATE_REGEX_INPUTS: &[Field] = &[
    optional(
        "source",
        Kind::Any,
        "The text; null counts as text that is not there.",
    ),
    optional("regex", Kind::String, "The regular expression."),
    optional(
        "mode",
        Kind::OneOf(&["positive", "negative"]),
        "Whether a match is wanted; default: positive.",
    ),
    optional(
        "flags",
        Kind::Strings,
        "multiline, dotall, ignorecase; default: [multiline].",
    ),
    optional("issue", Kind::String, "What to say when it fails."),
    optional(
        "ruleset",
        Kind::String,
        "Name of a rubric, in place of all others.",
    ),
];

const EVALUATE_REGEX_OUTPUTS: &[Field] = &[
    required(
        "passed",
        Kind::Boolean,
        "Whether the check, or every item, passed.",
    ),
    optional("issue", Kind::String, "What failed."),
    optional(
        "items",
        Kind::Array,
        "The rubric's items with their points and checks.",
    ),
];

const EXEC_INPUTS: &[Field] = &[
    optional("command", Kind::String, "One command line."),
    optional(
        "script",
        Kind::String,
        "Several command lines, run in one shell.",
    ),
    optional(
        "suppress_error",
        Kind::Boolean,
        "A command that reports an error still counts as done.",
    ),
    optional(
        "answers",
        Kind::Array,
        "What to reply when the device asks: {prompt, reply} pairs, in order.",
    ),
];

const EXEC_OUTPUTS: &[Field] = &[
    required("stdout", Kind::String, "What the device printed."),
    optional(
        "exit_code",
        Kind::Integer,
        "Exit status, where the device has one.",
    ),
    required("ok", Kind::Boolean, "Whether it was done."),
    optional(
        "error",
        Kind::String,
        "What the device said was wrong; null where nothing was.",
    ),
];

const LAB_CHECK_CONVERGENCE_OUTPUTS: &[Field] = &[
    required("converged", Kind::Boolean, "Whether every node is up."),
    required("lab_state", Kind::String, "The lab's state."),
    required(
        "nodes",
        Kind::Array,
        "Its nodes: {id, label, node_definition, state}.",
    ),
];

const PAUSE_INPUTS: &[Field] = &[required("seconds", Kind::Number, "How long.")];

const REPORT_ARCHIVE_INPUTS: &[Field] = &[optional(
    "report_class",
    Kind::String,
    "Name of the report class, for the reader.",
)];

const REPORT_ARCHIVE_OUTPUTS: &[Field] =
    &[required("report_ref", Kind::String, "Where the report is.")];

const REPORT_CHANGE_INPUTS: &[Field] = &[
    optional(
        "checks",
        Kind::Array,
        "Checks to show; default: what the job evaluated.",
    ),
    optional(
        "report_class",
        Kind::String,
        "Name of the report class, for the reader.",
    ),
];

const REPORT_READINESS_INPUTS: &[Field] = &[
    optional(
        "checks",
        Kind::Array,
        "Checks to show: {name, passed, detail}; default: what the job evaluated.",
    ),
    optional(
        "report_class",
        Kind::String,
        "Name of the report class, for the reader.",
    ),
];

const REPORT_SCORE_INPUTS: &[Field] = &[
    optional(
        "items",
        Kind::Array,
        "Graded items; default: those of the last rubric evaluated.",
    ),
    optional(
        "report_class",
        Kind::String,
        "Name of the report class, for the reader.",
    ),
];

const REPORT_SUBMISSION_INPUTS: &[Field] = &[
    optional(
        "evidence",
        Kind::Array,
        "Names of evidence to list; default: all.",
    ),
    optional(
        "report_class",
        Kind::String,
        "Name of the report class, for the reader.",
    ),
];

pub(super) const TABLE: &[Primitive] = &[
    Primitive {
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
        inputs: CML_BOUNCE_INTERFACE_INPUTS,
        outputs: CML_BOUNCE_INTERFACE_OUTPUTS,
    },
    Primitive {
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
        inputs: CML_LAB_RESOLVE_INPUTS,
        outputs: CML_LAB_RESOLVE_OUTPUTS,
    },
    Primitive {
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
        inputs: CML_LAB_START_INPUTS,
        outputs: CML_LAB_START_OUTPUTS,
    },
    Primitive {
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
        inputs: CML_LAB_START_INPUTS,
        outputs: CML_BOUNCE_INTERFACE_OUTPUTS,
    },
    Primitive {
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
        inputs: CML_POWER_INPUTS,
        outputs: CML_BOUNCE_INTERFACE_OUTPUTS,
    },
    Primitive {
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
        inputs: CML_WIPE_INPUTS,
        outputs: CML_BOUNCE_INTERFACE_OUTPUTS,
    },
    Primitive {
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
    },
    Primitive {
        name: "collect_evidence",
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
    },
    Primitive {
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
    },
    Primitive {
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
        inputs: EVALUATE_REGEX_INPUTS,
        outputs: EVALUATE_REGEX_OUTPUTS,
    },
    Primitive {
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
    },
    Primitive {
        name: "execute_command",
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
    },
    Primitive {
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
        inputs: CML_LAB_START_INPUTS,
        outputs: LAB_CHECK_CONVERGENCE_OUTPUTS,
    },
    Primitive {
        name: "lab_resolve",
        version: "v1",
        summary: "Finds the lab of this content on the worker, or imports it.",
        action: Action::LabResolve,
        effect: Effect::Write,
        repeatable: true,
        stage: Stage::Setup,
        target: Target::Forbidden,
        needs: Needs::Labs,
        timeout_seconds: 300,
        inputs: CML_LAB_RESOLVE_INPUTS,
        outputs: CML_LAB_RESOLVE_OUTPUTS,
    },
    Primitive {
        name: "lab_start",
        version: "v1",
        summary: "Starts the lab and waits until it has converged.",
        action: Action::LabStart,
        effect: Effect::Write,
        repeatable: true,
        stage: Stage::Setup,
        target: Target::Forbidden,
        needs: Needs::Labs,
        timeout_seconds: 1800,
        inputs: CML_LAB_START_INPUTS,
        outputs: CML_LAB_START_OUTPUTS,
    },
    Primitive {
        name: "lab_stop",
        version: "v1",
        summary: "Stops the lab.",
        action: Action::LabStop,
        effect: Effect::Write,
        repeatable: true,
        stage: Stage::Setup,
        target: Target::Forbidden,
        needs: Needs::Labs,
        timeout_seconds: 300,
        inputs: CML_LAB_START_INPUTS,
        outputs: CML_BOUNCE_INTERFACE_OUTPUTS,
    },
    Primitive {
        name: "lab_wipe",
        version: "v1",
        summary: "Stops and wipes nodes, or the whole lab; the nodes it wiped are started again.",
        action: Action::Wipe,
        effect: Effect::Write,
        repeatable: true,
        stage: Stage::Setup,
        target: Target::Forbidden,
        needs: Needs::Labs,
        timeout_seconds: 300,
        inputs: CML_WIPE_INPUTS,
        outputs: CML_BOUNCE_INTERFACE_OUTPUTS,
    },
    Primitive {
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
    },
    Primitive {
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
        outputs: REPORT_ARCHIVE_OUTPUTS,
    },
    Primitive {
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
        outputs: REPORT_ARCHIVE_OUTPUTS,
    },
    Primitive {
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
        outputs: REPORT_ARCHIVE_OUTPUTS,
    },
    Primitive {
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
        outputs: REPORT_ARCHIVE_OUTPUTS,
    },
    Primitive {
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
        outputs: REPORT_ARCHIVE_OUTPUTS,
    },
    Primitive {
        name: "transfer_file",
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
    },
];
