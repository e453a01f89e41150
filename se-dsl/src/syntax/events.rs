//! The YAML parser's events → a tree. The only file that knows the parser.

use std::borrow::Cow;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, StructureStyle};

use super::build::{Builder, Stop};
use super::place::Text;
use super::scalar::{self, Plain};
use super::unquoted::{self, Mask};
use super::{Kind, MAX_DEPTH, Node};
use crate::decode::Sink;
use crate::diagnostic::codes::yaml;
use crate::source::{FileId, Span};

/// What reading gave.
pub(super) enum Outcome {
    /// These masks (by start) lie in quoted text, where an expression stands by itself: read again without.
    Again(Vec<usize>),
    /// The tree, or nothing: then the sink says why.
    Done(Option<Node>),
}

struct Reader<'a, 's> {
    sink: &'a Sink<'s>,
    file: FileId,
    text: &'a str,
    masks: &'a [Mask],
    builder: Builder<'a, 's>,
    /// Flow collections that are open.
    flows: usize,
    documents: usize,
    wrong_masks: Vec<usize>,
}

/// Reads `masked`, which is the file's text with `masks` filled in.
pub(super) fn build(sink: &Sink<'_>, file: FileId, masked: &str, masks: &[Mask]) -> Outcome {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    let mut reader = Reader {
        sink,
        file,
        text: sink.sources.text(file),
        masks,
        builder: Builder::new(sink),
        flows: 0,
        documents: 0,
        wrong_masks: Vec::new(),
    };
    for next in Parser::new_from_str_with_options(masked, options) {
        let step = match next {
            Ok((event, span)) => reader.event(event, span),
            Err(error) => {
                let at = offset(error.marker());
                sink.push(match error.kind() {
                    ErrorKind::RecursionLimitExceeded => {
                        yaml::too_deep(Span::new(file, at, at + 1))
                    }
                    _ => yaml::syntax(sink.sources, file, at, &error.info()),
                });
                Err(Stop)
            }
        };
        if step.is_err() {
            // A mask inside quotes may be what broke it.
            return if reader.wrong_masks.is_empty() {
                Outcome::Done(None)
            } else {
                Outcome::Again(reader.wrong_masks)
            };
        }
    }
    if !reader.wrong_masks.is_empty() {
        return Outcome::Again(reader.wrong_masks);
    }
    let root = reader.builder.finish();
    if root.as_ref().is_none_or(|node| node.kind == Kind::Null) {
        sink.push(yaml::empty(file));
        return Outcome::Done(None);
    }
    Outcome::Done(root)
}

impl Reader<'_, '_> {
    fn event(&mut self, event: Event<'_>, at: granit_parser::Span) -> Result<(), Stop> {
        let span = self.span(&at);
        if let Some(tag) = event.tag() {
            self.sink.push(yaml::tag(span, &tag.original()));
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.sink.push(yaml::several_documents(span));
                    return Err(Stop);
                }
                Ok(())
            }
            Event::Scalar(value, style, anchor, _) => {
                let node = self.scalar(value, style, span);
                self.builder.add(node, anchor)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.flows += usize::from(style == StructureStyle::Flow);
                self.builder
                    .open_seq(span, anchor, style == StructureStyle::Flow)
            }
            Event::MappingStart(style, anchor, _) => {
                self.flows += usize::from(style == StructureStyle::Flow);
                self.builder
                    .open_map(span, anchor, style == StructureStyle::Flow)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let was_flow = self.builder.close(span)?;
                self.flows -= usize::from(was_flow);
                Ok(())
            }
            Event::Alias(anchor) => self.builder.alias(anchor, span),
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_) => Ok(()),
            // Comments are off.
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, value: Cow<'_, str>, style: ScalarStyle, span: Span) -> Node {
        let (start, end) = (span.start as usize, span.end as usize);
        let inside = self.masks.partition_point(|mask| mask.start < start);
        let masks: Vec<Mask> = self.masks[inside..]
            .iter()
            .take_while(|mask| mask.start < end)
            .cloned()
            .collect();
        let raw = self.sink.sources.slice(span);
        let is_quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        if is_quoted {
            self.wrong_masks.extend(masks.iter().map(|mask| mask.start));
        }
        let value = if masks.is_empty() {
            value.into_owned()
        } else {
            unquoted::restore(&value, self.text, &masks)
        };
        let kind = match style {
            ScalarStyle::Plain => self.plain(value, raw, span, &masks),
            ScalarStyle::Literal => Kind::Str(Text::literal(value, self.text, start)),
            ScalarStyle::Folded => Kind::Str(Text::plain(value, raw, start)),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                Kind::Str(Text::quoted(value, raw, start))
            }
        };
        Node { kind, span }
    }

    fn plain(&self, value: String, raw: &str, span: Span, masks: &[Mask]) -> Kind {
        let unquotable =
            |mask: &Mask| unquoted::needs_quotes(&self.text[mask.start..mask.end], self.flows > 0);
        if masks.iter().any(unquotable) && self.wrong_masks.is_empty() {
            self.sink.push(yaml::unquoted_expression(span, raw));
        }
        match scalar::resolve(&value) {
            Plain::Null => Kind::Null,
            Plain::Bool(value) => Kind::Bool(value),
            Plain::Int(value) => Kind::Int(value),
            Plain::Float(value) => Kind::Float(value),
            Plain::Text => Kind::Str(Text::plain(value, raw, span.start as usize)),
            Plain::OutOfRange => {
                self.sink.push(yaml::number(span, raw));
                Kind::Refused
            }
        }
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        Span::new(self.file, offset(&span.start), offset(&span.end))
    }
}

fn offset(marker: &Marker) -> usize {
    marker.byte_offset().unwrap_or_else(|| marker.index())
}
