//! `manifest.yaml` in its three shapes, and what kind of pod the content needs.

use serde_json::{Map, Value};

use super::ROOT;
use super::envelope::{self, DocumentKind};
use super::named;
use super::paths::Paths;
use super::pod_type::{self, POD_TYPE};
use crate::checked::{Manifest, PodType};
use crate::decode::shape::{Shape, Value as Holds, optional, required};
use crate::decode::{Fields, Sink, count, list, name, scalar_text, to_json, unique};
use crate::diagnostic::codes::document;
use crate::source::{FileId, Span, Spanned};
use crate::syntax::{self, Kind, Node};

/// The parts that a session requires.
pub(crate) struct Requirements {
    pub(crate) parts: Vec<PartRef>,
    /// Whether every part could be read.
    pub(crate) is_whole: bool,
    /// The key `parts`.
    pub(crate) span: Span,
}

/// `{requirement, order}`.
pub(crate) struct PartRef {
    /// The name of a part.
    pub(crate) requirement: Spanned<String>,
    /// Its place among the parts.
    pub(crate) order: Spanned<u64>,
}

/// What a manifest states.
#[derive(Default)]
struct Stated {
    name: Option<String>,
    title: Option<String>,
    version: Option<String>,
    pod_type: PodTypeStated,
    facts: Map<String, Value>,
    requirements: Option<Requirements>,
}

#[derive(Default)]
enum PodTypeStated {
    #[default]
    Nothing,
    /// It says something that is no pod type; reported.
    Invalid,
    Known(Spanned<PodType>),
    /// Each part has its own.
    ByPart,
}

/// The manifest of the first packages.
pub(crate) static SEED: Shape = Shape::new(
    "the manifest",
    "The manifest of a package, in its first form. PAv1/manifest.yaml.",
    &[
        required(
            "schema_version",
            Holds::Major(1),
            "The version of the form: \"1.0\".",
        ),
        optional(
            "pod_type",
            POD_TYPE,
            "What kind of pod the content needs; default: what its topology tells.",
        ),
        optional(
            "required_adapter_version",
            Holds::Any,
            "The adapter that the content was made for.",
        ),
        optional(
            "min_resources",
            Holds::Any,
            "What the pod needs: vcpus, memory_gb, storage_gb.",
        ),
        optional("features", Holds::Any, "What the pod must be able to do."),
        optional(
            "node_definitions",
            Holds::Any,
            "Kinds of nodes that the topology uses.",
        ),
    ],
);

/// The manifest without an envelope.
pub(crate) static FLAT: Shape = Shape::new(
    "the manifest",
    "The manifest of a package, in its flat form. PAv1/manifest.yaml.",
    &[
        required(
            "format_version",
            Holds::WordsInAnyCase(&["PAv1"]),
            "The version of the form: PAv1.",
        ),
        required("name", Holds::Written, "The package's name."),
        optional("description", Holds::Written, "What the package is."),
        required("version", Holds::Written, "The package's version."),
        optional(
            "pod_type",
            POD_TYPE,
            "What kind of pod the content needs; default: what its topology tells.",
        ),
        optional(
            "content_id",
            Holds::Any,
            "The caller's name for the content.",
        ),
        optional("authors", Holds::Any, "Who wrote it."),
        optional(
            "lifecycle_ref",
            Holds::Any,
            "Where the lifecycle is, for its reader.",
        ),
        optional("jobs_used", Holds::Any, "The jobs in it, for its reader."),
        optional(
            "scenarios_used",
            Holds::Any,
            "The scenarios in it, for its reader.",
        ),
    ],
);

/// Metadata of both wrapped manifests.
static METADATA: Shape = Shape::new(
    "the manifest's metadata",
    "What the package says of itself; other keys are free.",
    &[
        optional("name", Holds::Written, "The package's name."),
        optional("title", Holds::Written, "What the package is."),
        optional(
            "content_version",
            Holds::Written,
            "The package's version; default: 1.",
        ),
    ],
)
.open();

pub(super) static LABLET: DocumentKind = DocumentKind {
    kind: "LabletDefinition",
    doc: "The manifest of a package of one part. PAv1/manifest.yaml.",
    metadata: &METADATA,
    spec: &LABLET_SPEC,
};

static LABLET_SPEC: Shape = Shape::new(
    "the manifest's spec",
    "What the content needs.",
    &[
        optional(
            "pod_type",
            POD_TYPE,
            "What kind of pod the content needs; default: what its topology tells.",
        ),
        optional(
            "summary",
            Holds::Any,
            "What the content is, for its reader.",
        ),
    ],
);

pub(super) static SESSION: DocumentKind = DocumentKind {
    kind: "SessionDefinition",
    doc: "The manifest of a session of several parts. PAv1/manifest.yaml.",
    metadata: &METADATA,
    spec: &SESSION_SPEC,
};

static SESSION_SPEC: Shape = Shape::new(
    "the session's spec",
    "The parts of the session, and who may take it.",
    &[
        optional(
            "authorization_policy",
            Holds::Text,
            "The name of a policy; the caller enforces it.",
        ),
        required(
            "parts",
            Holds::Items(&Holds::Shape(&PART_REF)),
            "The parts that it requires.",
        ),
    ],
);

static PART_REF: Shape = Shape::new(
    "a part of the session",
    "A part that the session requires.",
    &[
        required("requirement", Holds::Text, "The part's metadata.name."),
        required(
            "order",
            Holds::Count(0, u64::MAX),
            "Its place among the parts, unique.",
        ),
    ],
);

/// Checks a manifest by itself.
pub(super) fn decode_alone(sink: &Sink<'_>, node: &Node) {
    decode(sink, node);
}

/// The manifest, and the parts that it requires if it is that of a session of parts.
pub(super) fn read(
    sink: &Sink<'_>,
    paths: &Paths<'_>,
    file: Option<FileId>,
) -> Option<(Manifest, Option<Requirements>)> {
    let Some(file) = file else {
        let first = sink.sources.files().next();
        let at = first.map_or_else(Span::nowhere, Span::file);
        sink.push(document::no_manifest(at));
        return None;
    };
    let node = syntax::read(sink, file)?;
    named::check(sink, paths, &node);
    let stated = decode(sink, &node)?;
    let (pod_type, pod_type_signals) = detect(sink, paths, file, &stated.pod_type)?;
    let manifest = Manifest {
        name: stated.name.unwrap_or_default(),
        title: stated.title.unwrap_or_default(),
        version: stated.version.unwrap_or_else(|| "1".to_owned()),
        pod_type,
        pod_type_signals,
        facts: Value::Object(stated.facts),
    };
    Some((manifest, stated.requirements))
}

/// What the document itself says.
fn decode(sink: &Sink<'_>, node: &Node) -> Option<Stated> {
    let Kind::Map(map) = &node.kind else {
        let found = node.kind.describe();
        let found = document::wrong_type(node.span, "the manifest", "a mapping", found);
        sink.push(found);
        return None;
    };
    if map.get("schema_version").is_some() {
        seed(sink, node)
    } else if map.get("format_version").is_some() {
        flat(sink, node)
    } else {
        wrapped(sink, node)
    }
}

/// `schema_version: "1.0"`.
fn seed(sink: &Sink<'_>, node: &Node) -> Option<Stated> {
    let fields = Fields::open(sink, node, &SEED)?;
    let mut stated = Stated::default();
    if let Some(version) = fields.get("schema_version") {
        let text = scalar_text(sink, version, "schema_version");
        let major = |text: &String| text.split('.').next() != Some("1");
        if let Some(text) = text.filter(major) {
            sink.push(document::format_version(
                version.span,
                "schema_version",
                &text,
                "1.0",
            ));
        }
    }
    stated.pod_type = stated_pod_type(sink, fields.get("pod_type"));
    let facts = [
        "required_adapter_version",
        "min_resources",
        "features",
        "node_definitions",
    ];
    stated.facts = take_facts(&fields, &facts);
    fields.close();
    Some(stated)
}

/// `format_version: PAv1`.
fn flat(sink: &Sink<'_>, node: &Node) -> Option<Stated> {
    let fields = Fields::open(sink, node, &FLAT)?;
    if let Some(version) = fields.get("format_version") {
        let text = scalar_text(sink, version, "format_version");
        if let Some(text) = text.filter(|text| !text.eq_ignore_ascii_case("pav1")) {
            sink.push(document::format_version(
                version.span,
                "format_version",
                &text,
                "PAv1",
            ));
        }
    }
    let text =
        |node: Option<&Node>, what: &str| node.and_then(|node| scalar_text(sink, node, what));
    let stated = Stated {
        name: text(fields.get("name"), "name"),
        title: text(fields.get("description"), "description"),
        version: text(fields.get("version"), "version"),
        pod_type: stated_pod_type(sink, fields.get("pod_type")),
        facts: take_facts(
            &fields,
            &[
                "content_id",
                "authors",
                "lifecycle_ref",
                "jobs_used",
                "scenarios_used",
            ],
        ),
        requirements: None,
    };
    fields.close();
    Some(stated)
}

/// `apiVersion: pav1` with `kind: LabletDefinition` or `SessionDefinition`.
fn wrapped(sink: &Sink<'_>, node: &Node) -> Option<Stated> {
    let envelope = envelope::open(sink, node, &[&LABLET, &SESSION])?;
    let mut stated = Stated {
        name: envelope.meta("name"),
        title: envelope.meta("title"),
        version: envelope.meta("content_version"),
        ..Stated::default()
    };
    if let Some(Value::Object(metadata)) = envelope.metadata.map(to_json) {
        stated.facts = metadata;
    }
    if envelope.kind.kind == SESSION.kind {
        session(sink, envelope.spec, &mut stated)?;
    } else {
        let fields = Fields::open(sink, envelope.spec, &LABLET_SPEC)?;
        stated.pod_type = stated_pod_type(sink, fields.get("pod_type"));
        stated.facts.extend(take_facts(&fields, &["summary"]));
        fields.close();
    }
    Some(stated)
}

fn session(sink: &Sink<'_>, spec: &Node, stated: &mut Stated) -> Option<()> {
    let fields = Fields::open(sink, spec, &SESSION_SPEC)?;
    if let Some(policy) = fields.get("authorization_policy") {
        name(sink, policy, "authorization_policy");
    }
    let facts = take_facts(&fields, &["authorization_policy", "parts"]);
    stated.facts.extend(facts);
    stated.pod_type = PodTypeStated::ByPart;
    let span = fields.key_span("parts");
    let parts = fields.get("parts");
    fields.close();
    let items = parts.and_then(|node| list(sink, node, "parts"));
    if items.is_some_and(<[Node]>::is_empty) {
        sink.push(document::nothing_in_it(span, "the session", "part"));
    }
    let all: Vec<Option<PartRef>> = items
        .unwrap_or_default()
        .iter()
        .map(|item| part_ref(sink, item))
        .collect();
    let is_whole = !all.is_empty() && all.iter().all(Option::is_some);
    let parts: Vec<PartRef> = all.into_iter().flatten().collect();
    unique(sink, "part", parts.iter().map(|part| &part.requirement));
    let orders: Vec<Spanned<String>> = parts
        .iter()
        .map(|part| Spanned::new(part.order.value.to_string(), part.order.span))
        .collect();
    unique(sink, "order", orders.iter());
    stated.requirements = Some(Requirements {
        parts,
        is_whole,
        span,
    });
    Some(())
}

fn part_ref(sink: &Sink<'_>, node: &Node) -> Option<PartRef> {
    let fields = Fields::open(sink, node, &PART_REF)?;
    let requirement = fields
        .get("requirement")
        .and_then(|node| name(sink, node, "requirement"));
    let order = fields.get("order").and_then(|node| {
        let order = count(sink, node, "order")?;
        Some(Spanned::new(order, node.span))
    });
    fields.close();
    Some(PartRef {
        requirement: requirement?,
        order: order?,
    })
}

fn take_facts(fields: &Fields<'_, '_, '_>, keys: &[&'static str]) -> Map<String, Value> {
    keys.iter()
        .filter_map(|key| Some(((*key).to_owned(), to_json(fields.get(key)?))))
        .collect()
}

fn stated_pod_type(sink: &Sink<'_>, node: Option<&Node>) -> PodTypeStated {
    let Some(node) = node else {
        return PodTypeStated::Nothing;
    };
    pod_type::decode(sink, node).map_or(PodTypeStated::Invalid, PodTypeStated::Known)
}

/// The pod type, first signal wins, and every signal.
fn detect(
    sink: &Sink<'_>,
    paths: &Paths<'_>,
    manifest: FileId,
    stated: &PodTypeStated,
) -> Option<(PodType, Vec<String>)> {
    let first = match stated {
        PodTypeStated::Known(stated) => format!("manifest.yaml says `{}`", stated.value),
        PodTypeStated::Invalid => return None,
        PodTypeStated::ByPart => {
            return Some((PodType::None, vec!["each part has its own".to_owned()]));
        }
        PodTypeStated::Nothing => "manifest.yaml states no pod_type".to_owned(),
    };
    let (signals, found) = pod_type::signals(paths, ROOT, first);
    match (stated, found) {
        (PodTypeStated::Known(stated), found) => {
            pod_type::contradicted(sink, stated, found);
            Some((stated.value, signals))
        }
        (_, Some((_, pod_type))) => Some((pod_type, signals)),
        (_, None) => {
            sink.push(document::no_pod_type(Span::file(manifest), &signals));
            None
        }
    }
}
