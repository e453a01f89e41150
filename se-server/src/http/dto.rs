//! Shapes on the wire, for the description of the API. Requests are read field by field, so that every
//! mistake is told by its place; these types say what is read.
#![expect(
    dead_code,
    reason = "these types describe; nothing reads or makes them"
)]

use serde_json::Value;
use utoipa::ToSchema;

/// An error, RFC 9457.
#[derive(ToSchema)]
pub(super) struct Problem {
    /// Names the kind of problem.
    r#type: String,
    title: String,
    status: u16,
    /// What was tried, what is wrong, what to do.
    detail: String,
    /// The single findings: `pointer` and `message` for requests, `file`, `line`, `column`, `code`,
    /// `message` and `help` for content.
    errors: Option<Vec<Value>>,
}

/// Either a phase job (`definition_id`, `phase`, …) or a single scenario (`scenario_name`, …).
#[derive(ToSchema)]
pub(super) struct JobRequest {
    /// Which content (phase job).
    #[schema(max_length = 255)]
    definition_id: Option<String>,
    /// Which version of it; default: the latest that is ready.
    #[schema(max_length = 255)]
    version: Option<String>,
    /// Which phase of its lifecycle.
    phase: Option<String>,
    /// The caller's session; what its jobs learn about the pod is kept for its later jobs.
    #[schema(max_length = 255)]
    session_id: Option<String>,
    worker: Option<Worker>,
    /// Variables that are there before any step has run.
    variables: Option<Value>,
    /// Where CloudEvents go.
    #[schema(max_length = 2000)]
    callback_url: Option<String>,
    /// Metadata for the `session` scope.
    session: Option<Value>,
    /// Facts merged over what package and worker give.
    runtime_env: Option<Value>,
    /// Secrets by name; a dot in a name makes a path.
    secrets: Option<Value>,
    /// Opaque; echoed in every event's `data.metadata`.
    metadata: Option<Value>,
    /// Only answer with the plan.
    dry_run: Option<bool>,
    /// `dag` (default) or `sequential`.
    execution: Option<String>,
    /// What to run (single scenario).
    scenario_name: Option<String>,
    /// Default `v1`.
    scenario_version: Option<String>,
    /// Inputs of the scenario.
    input_data: Option<Value>,
    /// Which content the pod is made from (single scenario).
    #[schema(max_length = 255)]
    pod_definition_id: Option<String>,
}

/// What is put over the request of the ended job.
#[derive(ToSchema)]
pub(super) struct RetryRequest {
    worker: Option<Worker>,
    runtime_env: Option<Value>,
    /// By name; a dot in a name makes a path.
    secrets: Option<Value>,
    session: Option<Value>,
    variables: Option<Value>,
    /// Inputs of a single scenario.
    input_data: Option<Value>,
    #[schema(max_length = 2000)]
    callback_url: Option<String>,
    metadata: Option<Value>,
}

/// What judges again.
#[derive(ToSchema)]
pub(super) struct RegradeRequest {
    /// Version of the content; default: the very content the job ran from.
    #[schema(max_length = 255)]
    version: Option<String>,
}

/// Where a pod is.
#[derive(ToSchema)]
pub(super) struct Worker {
    #[schema(max_length = 255)]
    ip: Option<String>,
    /// Name of an entry in the service's configuration.
    #[schema(max_length = 255)]
    name: Option<String>,
    cml_username: Option<String>,
    /// Never shown again.
    #[schema(write_only)]
    cml_password: Option<String>,
    region: Option<String>,
    /// Must fit the content's pod type.
    adapter: Option<String>,
    /// Default `https://<ip>`.
    cml_url: Option<String>,
    tls: Option<Tls>,
    capabilities: Option<Vec<String>>,
    /// How consoles can be reached, best first: `telnet`, `ssh`, `websocket`; default: all.
    consoles: Option<Vec<String>>,
    /// Port of the controller's console server; default: 22.
    console_port: Option<u16>,
}

/// Which certificate of the controller is believed.
#[derive(ToSchema)]
pub(super) struct Tls {
    verify: Option<bool>,
    ca_file: Option<String>,
    fingerprint: Option<String>,
}

/// A job that was taken in.
#[derive(ToSchema)]
pub(super) struct JobAccepted {
    job_id: String,
    id: String,
    status: String,
    definition_id: String,
    version: String,
    session_id: Option<String>,
    phase: Option<String>,
    scenario_name: Option<String>,
    scenario_version: Option<String>,
    stream_url: String,
    report_url: String,
    /// The job that it goes on from.
    retry_of: Option<String>,
    /// The job whose evidence it judges.
    regrade_of: Option<String>,
}

/// A job.
#[derive(ToSchema)]
pub(super) struct Job {
    job_id: String,
    id: String,
    /// accepted, running, cancelling, completed, faulted or cancelled.
    status: String,
    definition_id: String,
    pod_definition_id: String,
    version: String,
    content_hash: String,
    session_id: Option<String>,
    phase: Option<String>,
    scenario_name: Option<String>,
    scenario_version: Option<String>,
    progress_pct: u8,
    progress: u8,
    progress_message: String,
    created_at: String,
    started_at: Option<String>,
    completed_at: Option<String>,
    steps: Vec<Step>,
    /// Step → what it captured.
    results: Value,
    output_data: Option<Value>,
    error: Option<Value>,
    error_message: Option<String>,
    report_url: String,
    stream_url: String,
    metadata: Option<Value>,
    worker: Option<Worker>,
    /// The job that it goes on from.
    retry_of: Option<String>,
    /// The job whose evidence it judges.
    regrade_of: Option<String>,
}

/// A step of a job.
#[derive(ToSchema)]
pub(super) struct Step {
    id: String,
    uses: String,
    target: Option<String>,
    stage: String,
    /// pending, running, waiting, completed, faulted, skipped or cancelled.
    status: String,
    attempt: u32,
    started_at: Option<String>,
    completed_at: Option<String>,
    duration_ms: Option<u64>,
    error: Option<Value>,
}

/// A page of jobs.
#[derive(ToSchema)]
pub(super) struct JobList {
    jobs: Vec<Job>,
    next_cursor: Option<String>,
}

/// A page of a job's journal.
#[derive(ToSchema)]
pub(super) struct EventList {
    events: Vec<Value>,
    /// Pass it on as `after`.
    next_after: Option<u64>,
}

/// What to sync: `s3_uri` or `source_uri`, and `definition_id` or `name`.
#[derive(ToSchema)]
pub(super) struct SyncRequest {
    #[schema(max_length = 255)]
    definition_id: Option<String>,
    #[schema(max_length = 255)]
    name: Option<String>,
    /// Default `v1`.
    #[schema(max_length = 255)]
    version: Option<String>,
    s3_uri: Option<String>,
    source_uri: Option<String>,
    pod_type: Option<String>,
    /// Refuse anything else.
    content_hash: Option<String>,
    /// Sync though the same content serves already.
    force: Option<bool>,
}

/// How a sync stands.
#[derive(ToSchema)]
pub(super) struct Synced {
    definition_id: String,
    version: String,
    /// ready or synchronizing.
    status: String,
    content_hash: Option<String>,
    pod_type: Option<String>,
    message: Option<String>,
    /// Other pod definitions whose versions it replaces.
    superseded_ids: Vec<String>,
    /// The versions it replaces, as `definition@version`.
    superseded_versions: Vec<String>,
}

/// What a check found.
#[derive(ToSchema)]
pub(super) struct Findings {
    valid: bool,
    errors: u64,
    warnings: u64,
    diagnostics: Vec<Value>,
}

/// A version of a pod definition.
#[derive(ToSchema)]
pub(super) struct Definition {
    definition_id: String,
    id: String,
    version: String,
    name: Option<String>,
    pod_type: Option<String>,
    status: String,
    synchronizing: bool,
    content_hash: Option<String>,
    package_hash: Option<String>,
    source_uri: String,
    error: Option<String>,
    error_message: Option<String>,
    warnings: Vec<Value>,
    created_at: String,
    synced_at: Option<String>,
}

/// A page of versions.
#[derive(ToSchema)]
pub(super) struct DefinitionList {
    definitions: Vec<Definition>,
    next_cursor: Option<String>,
}

/// Something steps can use.
#[derive(ToSchema)]
pub(super) struct Scenario {
    name: String,
    version: String,
    description: String,
    effect: String,
    stage: String,
    input_schema: Value,
    output_schema: Value,
    pod_types: Vec<String>,
}

/// A page of deliveries.
#[derive(ToSchema)]
pub(super) struct DeliveryList {
    deliveries: Vec<Value>,
    next_cursor: Option<String>,
}

/// How the service is.
#[derive(ToSchema)]
pub(super) struct Health {
    status: String,
    timestamp: String,
}
