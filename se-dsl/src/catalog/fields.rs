//! What primitives take and give.

use super::{Field, Kind};

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

const LAB_ID: Field = optional(
    "lab_id",
    Kind::String,
    "The lab; default: the one this session knows, else the one the package resolves to.",
);

const NODES: Field = required(
    "nodes",
    Kind::Array,
    "Its nodes: {id, label, node_definition, state}.",
);

const WARNINGS: Field = optional(
    "warnings",
    Kind::Strings,
    "What the controller did not like about the topology that was imported.",
);

const REPORT_CLASS: Field = optional(
    "report_class",
    Kind::String,
    "Name of the report class, for the reader.",
);

pub(super) const BOUNCE_INPUTS: &[Field] = &[
    required("device", Kind::String, "Connector of the device."),
    required("interface", Kind::String, "Name of the interface."),
    optional(
        "serial_port",
        Kind::Count,
        "Console port; default: the connector's.",
    ),
];

pub(super) const DONE: &[Field] = &[required("ok", Kind::Boolean, "Whether it was done.")];

pub(super) const RESOLVE_INPUTS: &[Field] = &[
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

pub(super) const RESOLVE_OUTPUTS: &[Field] = &[
    required("lab_id", Kind::String, "The lab."),
    required("title", Kind::String, "Its title."),
    NODES,
    required(
        "freshly_imported",
        Kind::Boolean,
        "Whether it was imported just now.",
    ),
    WARNINGS,
];

pub(super) const LAB: &[Field] = &[LAB_ID];

pub(super) const START_OUTPUTS: &[Field] = &[
    required("lab_id", Kind::String, "The lab."),
    required("title", Kind::String, "Its title."),
    required("lab_state", Kind::String, "State at the end."),
    required("poll_count", Kind::Count, "How often it was looked at."),
    required("converged", Kind::Boolean, "Whether every node is up."),
    NODES,
    WARNINGS,
];

pub(super) const POWER_INPUTS: &[Field] = &[
    required("node", Kind::String, "Label of the node."),
    required("action", Kind::OneOf(&["start", "stop"]), "What to do."),
    LAB_ID,
];

pub(super) const WIPE_INPUTS: &[Field] = &[
    optional(
        "devices",
        Kind::Strings,
        "Labels of nodes; default: the whole lab.",
    ),
    LAB_ID,
];

pub(super) const COLLECT_INPUTS: &[Field] = &[
    required("command", Kind::String, "One command line."),
    optional(
        "match",
        Kind::String,
        "Keep only what this regular expression matches (its first group, where it has one).",
    ),
];

pub(super) const COLLECT_OUTPUTS: &[Field] =
    &[required("output", Kind::String, "What the device printed.")];

pub(super) const COPY_INPUTS: &[Field] = &[
    required(
        "source",
        Kind::String,
        "Handle of a content file: ${ content.files.<stem> }.",
    ),
    required("dest", Kind::String, "Path on the device."),
    optional(
        "via_port",
        Kind::Count,
        "Port of the address translation in front of the device.",
    ),
    optional("mode", Kind::String, "Octal permissions, as 0644."),
];

pub(super) const COPY_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether it was done."),
    required("bytes", Kind::Count, "Size of the file."),
    required(
        "sha256",
        Kind::String,
        "Lower-case hex digest, compared with the copy where the device can tell.",
    ),
];

pub(super) const EVALUATE_INPUTS: &[Field] = &[
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

pub(super) const EVALUATE_OUTPUTS: &[Field] = &[
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

pub(super) const EXEC_INPUTS: &[Field] = &[
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

pub(super) const EXEC_OUTPUTS: &[Field] = &[
    required("stdout", Kind::String, "What the device printed."),
    optional(
        "exit_code",
        Kind::Count,
        "Exit status, where the device has one.",
    ),
    required("ok", Kind::Boolean, "Whether it was done."),
    optional(
        "error",
        Kind::String,
        "What the device said was wrong; null where nothing was.",
    ),
];

pub(super) const CONVERGENCE_OUTPUTS: &[Field] = &[
    required(
        "converged",
        Kind::Boolean,
        "Whether it runs and every node that runs is up.",
    ),
    required("lab_state", Kind::String, "The lab's state."),
    NODES,
];

pub(super) const PAUSE_INPUTS: &[Field] = &[required("seconds", Kind::Amount, "How long.")];

pub(super) const REPORT_ARCHIVE_INPUTS: &[Field] = &[REPORT_CLASS];

pub(super) const REPORT_OUTPUTS: &[Field] =
    &[required("report_ref", Kind::String, "Where the report is.")];

pub(super) const REPORT_CHANGE_INPUTS: &[Field] = &[
    optional(
        "checks",
        Kind::Array,
        "Checks to show; default: what the job evaluated.",
    ),
    REPORT_CLASS,
];

pub(super) const REPORT_READINESS_INPUTS: &[Field] = &[
    optional(
        "checks",
        Kind::Array,
        "Checks to show: {name, passed, detail}; default: what the job evaluated.",
    ),
    REPORT_CLASS,
];

pub(super) const REPORT_SCORE_INPUTS: &[Field] = &[
    optional(
        "items",
        Kind::Array,
        "Graded items; default: those of the last rubric evaluated.",
    ),
    REPORT_CLASS,
];

pub(super) const REPORT_SUBMISSION_INPUTS: &[Field] = &[
    optional(
        "evidence",
        Kind::Array,
        "Names of evidence to list; default: all.",
    ),
    REPORT_CLASS,
];

pub(super) const CAPTURE_CONFIGS_INPUTS: &[Field] = &[
    optional(
        "devices",
        Kind::Strings,
        "Labels of nodes; default: every node that runs and keeps a configuration.",
    ),
    LAB_ID,
];

pub(super) const CAPTURE_CONFIGS_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether every one was read."),
    required("configs", Kind::Object, "The configurations, by label."),
    required("failed", Kind::Object, "Why one was not read, by label."),
];

pub(super) const PORTS_ALLOC_INPUTS: &[Field] = &[
    optional(
        "template",
        Kind::Any,
        "What needs a port: names as rtr01_serial, {device: protocols}, or [{device, protocol, port?}]; default: the ports that runtime_env.devices names.",
    ),
    optional(
        "range",
        Kind::Any,
        "From which ports: {first, last}, or text as 2000-7999, which is the default.",
    ),
    LAB_ID,
];

pub(super) const PORTS_ALLOC_OUTPUTS: &[Field] = &[
    required(
        "allocated_ports",
        Kind::Object,
        "The ports, by name: {rtr01_serial: 5041}.",
    ),
    required(
        "devices",
        Kind::Object,
        "The same as runtime_env.devices has them: {rtr01: {serial_port: 5041}}.",
    ),
];

pub(super) const PORTS_RELEASE_INPUTS: &[Field] = &[optional(
    "names",
    Kind::Strings,
    "Names of ports, as ports_alloc gave them; default: all of the session.",
)];

pub(super) const PORTS_RELEASE_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether it was done."),
    required("released", Kind::Count, "How many ports are free again."),
];

pub(super) const TAGS_SYNC_INPUTS: &[Field] = &[
    optional(
        "ports",
        Kind::Object,
        "The ports, by name; default: those that ports_alloc gave this session.",
    ),
    LAB_ID,
];

pub(super) const TAGS_SYNC_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether every node has its tags."),
    required(
        "tags",
        Kind::Object,
        "The tags that nodes have now, by label.",
    ),
    required("failed", Kind::Object, "Why one has not, by label."),
];
