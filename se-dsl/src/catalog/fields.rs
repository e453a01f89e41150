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

const VIA_PORT: Field = optional(
    "via_port",
    Kind::Count,
    "Port of the address translation in front of the device.",
);

const MODE: Field = optional("mode", Kind::String, "Octal permissions, as 0644.");

const BYTES: Field = required("bytes", Kind::Count, "Size of the file.");

const SHA256: Field = required(
    "sha256",
    Kind::String,
    "Lower-case hex digest, compared with the device's file where the device can tell.",
);

pub(super) const COPY_INPUTS: &[Field] = &[
    required(
        "source",
        Kind::String,
        "Handle of a content file: ${ content.files.<stem> }.",
    ),
    required("dest", Kind::String, "Path on the device."),
    VIA_PORT,
    MODE,
];

pub(super) const COPY_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether it was done."),
    BYTES,
    SHA256,
];

pub(super) const TRANSFER_INPUTS: &[Field] = &[
    optional(
        "direction",
        Kind::OneOf(&["put", "get"]),
        "put: to the device (the default); get: from it.",
    ),
    required(
        "source",
        Kind::String,
        "What to copy: with put a handle of a content file, ${ content.files.<stem> }; with get a path on the device.",
    ),
    optional(
        "dest",
        Kind::String,
        "Path on the device; with put it must be there, with get it may not.",
    ),
    VIA_PORT,
    MODE,
];

pub(super) const TRANSFER_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether it was done."),
    BYTES,
    SHA256,
    optional(
        "output",
        Kind::String,
        "With get what is in the file, if it is text (UTF-8) of at most 16 MiB; else null.",
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

const LDS_SESSION: Field = optional(
    "lds_session_id",
    Kind::String,
    "The session in LDS; default: the one this session knows.",
);

const LDS_LAB: Field = optional(
    "lab_id",
    Kind::String,
    "The lab that the devices are in; for the reader, LDS is not told.",
);

const LDS_REGION: Field = optional(
    "region",
    Kind::String,
    "Which LDS of the engine's configuration; default: that of the worker's region, else `default`.",
);

pub(super) const LDS_PROVISION_INPUTS: &[Field] = &[
    optional(
        "devices",
        Kind::Any,
        "A list of {device_label, protocol, host?, port?, password?}, or a mapping from <label>_<protocol> to ports; default: every device whose port is known, by vnc, ssh or serial.",
    ),
    optional(
        "form_qualified_name",
        Kind::String,
        "The form to show; default: the session's, else the content's.",
    ),
    optional(
        "candidate_id",
        Kind::String,
        "Who sees it; default: the session's candidate_id, else its id.",
    ),
    optional(
        "auth_id",
        Kind::String,
        "What the candidate's right hangs on; default: the session's id.",
    ),
    optional("first_name", Kind::String, "Default: the session's."),
    optional("last_name", Kind::String, "Default: the session's."),
    optional("rack_group", Kind::Any, "Default: the session's."),
    optional("rack_number", Kind::Any, "Default: the session's."),
    optional("scheduled_date", Kind::String, "Default: the session's."),
    optional("timezone_offset", Kind::Any, "Default: the session's."),
    optional("variables", Kind::Object, "Variables of the form."),
    LDS_REGION,
    LDS_SESSION,
    LDS_LAB,
];

pub(super) const LDS_PROVISION_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether it was done."),
    required("lds_session_id", Kind::String, "The session in LDS."),
    required("launch_url", Kind::String, "The address that opens it."),
    required("devices", Kind::Count, "How many devices it shows."),
    required(
        "reused",
        Kind::Boolean,
        "Whether the session was there already; it shows these devices now.",
    ),
];

pub(super) const LDS_DEREGISTER_INPUTS: &[Field] = &[LDS_SESSION, LDS_REGION, LDS_LAB];

pub(super) const LDS_DEREGISTER_OUTPUTS: &[Field] = &[
    required("ok", Kind::Boolean, "Whether it was done."),
    required(
        "released",
        Kind::Boolean,
        "Whether there was a session to release.",
    ),
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
