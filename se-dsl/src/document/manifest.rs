//! `manifest.yaml` in its three shapes, and what kind of pod the content needs.

use serde_json::{Map, Value};

use super::ROOT;
use super::envelope;
use crate::checked::{Manifest, PodType};
use crate::decode::{Fields, Sink, name, scalar_text, to_json};
use crate::diagnostic::Severity;
use crate::diagnostic::codes::document;
use crate::source::{FileId, Span, Spanned};
use crate::syntax::{self, Kind, Node};

/// Checks a manifest by itself.
pub(super) fn decode_alone(sink: &Sink<'_>, node: &Node) {
    decode(sink, node);
}

/// What a manifest states.
#[derive(Default)]
struct Stated {
    name: Option<String>,
    title: Option<String>,
    version: Option<String>,
    pod_type: PodTypeStated,
    facts: Map<String, Value>,
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

pub(super) fn read(sink: &Sink<'_>) -> Option<Manifest> {
    let Some(file) = sink.sources.find("PAv1/manifest.yaml") else {
        let first = sink.sources.files().next();
        let at = first.map_or_else(Span::nowhere, Span::file);
        sink.push(document::no_manifest(at));
        return None;
    };
    let node = syntax::read(sink, file)?;
    let stated = decode(sink, &node)?;
    let (pod_type, pod_type_signals) = pod_type(sink, file, &stated.pod_type)?;
    Some(Manifest {
        name: stated.name.unwrap_or_default(),
        title: stated.title.unwrap_or_default(),
        version: stated.version.unwrap_or_else(|| "1".to_owned()),
        pod_type,
        pod_type_signals,
        facts: Value::Object(stated.facts),
    })
}

/// What the document itself says.
fn decode(sink: &Sink<'_>, node: &Node) -> Option<Stated> {
    let Kind::Map(map) = &node.kind else {
        let found = node.kind.describe();
        sink.push(document::wrong_type(
            node.span,
            "the manifest",
            "a mapping",
            found,
        ));
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
    let fields = Fields::open(sink, node, "the manifest")?;
    let mut stated = Stated::default();
    if let Some(version) = fields.required("schema_version") {
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
    stated.pod_type = stated_pod_type(sink, fields.optional("pod_type"));
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
    let fields = Fields::open(sink, node, "the manifest")?;
    if let Some(version) = fields.required("format_version") {
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
        name: text(fields.required("name"), "name"),
        title: text(fields.optional("description"), "description"),
        version: text(fields.required("version"), "version"),
        pod_type: stated_pod_type(sink, fields.optional("pod_type")),
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
    };
    fields.close();
    Some(stated)
}

/// `apiVersion: pav1` with `kind: LabletDefinition` or `SessionDefinition`.
fn wrapped(sink: &Sink<'_>, node: &Node) -> Option<Stated> {
    let envelope = envelope::open(sink, node, &["LabletDefinition", "SessionDefinition"])?;
    let mut stated = Stated {
        name: envelope.meta(sink, "name"),
        title: envelope.meta(sink, "title"),
        version: envelope.meta(sink, "content_version"),
        ..Stated::default()
    };
    if let Some(Value::Object(metadata)) = envelope.metadata.map(to_json) {
        stated.facts = metadata;
    }
    let fields = Fields::open(sink, envelope.spec, "the manifest's spec")?;
    if envelope.kind == "SessionDefinition" {
        stated
            .facts
            .extend(take_facts(&fields, &["authorization_policy", "parts"]));
        stated.pod_type = PodTypeStated::ByPart;
        let what = "a session of several parts";
        let help = "make a package of each part, with a LabletDefinition as its manifest";
        let at = fields.key_span("parts");
        sink.push(document::not_supported(at, what, Severity::Error, help));
    } else {
        stated.facts.extend(take_facts(&fields, &["summary"]));
        stated.pod_type = stated_pod_type(sink, fields.optional("pod_type"));
    }
    fields.close();
    Some(stated)
}

fn take_facts(fields: &Fields<'_, '_, '_>, keys: &[&'static str]) -> Map<String, Value> {
    keys.iter()
        .filter_map(|key| Some(((*key).to_owned(), to_json(fields.optional(key)?))))
        .collect()
}

fn stated_pod_type(sink: &Sink<'_>, node: Option<&Node>) -> PodTypeStated {
    let Some(node) = node else {
        return PodTypeStated::Nothing;
    };
    let Some(text) = name(sink, node, "pod_type") else {
        return PodTypeStated::Invalid;
    };
    if let Some(pod_type) = PodType::parse(&text.value) {
        return PodTypeStated::Known(Spanned::new(pod_type, node.span));
    }
    let words = PodType::ALL.map(PodType::as_str);
    sink.push(document::not_one_of(
        node.span,
        "pod_type",
        &text.value,
        &words,
    ));
    PodTypeStated::Invalid
}

/// Files that tell a pod type, in the order they are asked.
const SIGNALS: &[(&str, PodType)] = &[
    ("topology/radkit.yaml", PodType::RocRadkit),
    ("topology/proxmox.yaml", PodType::Proxmox),
    ("topology/vmware.yaml", PodType::Vmware),
    ("topology/cml.yaml", PodType::CmlOnAws),
    ("topology/cml.yml", PodType::CmlOnAws),
    ("cml.yaml", PodType::CmlOnAws),
    ("cml.yml", PodType::CmlOnAws),
    ("radkit.yaml", PodType::RocRadkit),
];

fn pod_type(
    sink: &Sink<'_>,
    manifest: FileId,
    stated: &PodTypeStated,
) -> Option<(PodType, Vec<String>)> {
    let mut signals = Vec::new();
    signals.push(match stated {
        PodTypeStated::Known(stated) => format!("manifest.yaml says `{}`", stated.value),
        PodTypeStated::Invalid => return None,
        PodTypeStated::ByPart => {
            return Some((PodType::None, vec!["each part has its own".to_owned()]));
        }
        PodTypeStated::Nothing => "manifest.yaml states no pod_type".to_owned(),
    });
    let mut found = None;
    for (path, pod_type) in SIGNALS {
        let full = format!("{ROOT}{path}");
        let is_there = sink.sources.find(&full).is_some()
            || sink.sources.assets().any(|(asset, _)| asset == full);
        if is_there {
            signals.push(format!("{path} says `{pod_type}`"));
            found = found.or(Some((*path, *pod_type)));
        } else {
            signals.push(format!("no {path}"));
        }
    }
    match (stated, found) {
        (PodTypeStated::Known(stated), found) => {
            if let Some((path, _)) = found.filter(|(_, told)| *told != stated.value) {
                let word = stated.value.as_str();
                sink.push(document::pod_type_contradicted(stated.span, word, path));
            }
            Some((stated.value, signals))
        }
        (_, Some((_, pod_type))) => Some((pod_type, signals)),
        (_, None) => {
            sink.push(document::no_pod_type(Span::file(manifest), &signals));
            None
        }
    }
}
