//! Puts nodes together, with limits on depth and aliases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ALIASED_BYTES, Entry, Kind, MAX_ALIAS_NODES, MAX_DEPTH, MAX_NODES, Mapping, Node};
use crate::decode::Sink;
use crate::diagnostic::codes::yaml;
use crate::source::Span;

/// Nothing more can be read; the sink says why.
#[derive(Debug)]
pub(super) struct Stop;

pub(super) struct Builder<'a, 's> {
    sink: &'a Sink<'s>,
    open: Vec<Open>,
    root: Option<Node>,
    /// Every key there was: a document has few, again and again.
    keys: BTreeSet<Arc<str>>,
    anchors: BTreeMap<usize, Anchored>,
    alias_nodes: usize,
    nodes: usize,
}

struct Open {
    kind: Collection,
    span: Span,
    anchor: usize,
    is_flow: bool,
    /// Nodes in it so far, and levels below it.
    size: usize,
    height: usize,
}

enum Collection {
    Seq(Vec<Node>),
    Map(Growing, Key),
}

/// A mapping that is being read.
#[derive(Default)]
struct Growing {
    map: Mapping,
    /// Where each key stands first, once there are too many to look through.
    index: BTreeMap<Arc<str>, Span>,
}

impl Growing {
    /// So many keys are looked through.
    const FEW: usize = 16;

    /// Where a key stands already.
    fn first(&self, key: &str) -> Option<Span> {
        match self.index.is_empty() {
            true => self.map.get(key).map(|it| it.key_span),
            false => self.index.get(key).copied(),
        }
    }

    fn insert(&mut self, key: Arc<str>, entry: Entry) {
        if !self.index.is_empty() {
            self.index.insert(Arc::clone(&key), entry.key_span);
        }
        self.map.entries.push((key, entry));
        if self.map.entries.len() == Self::FEW {
            let entries = self.map.entries.iter();
            let index = entries.map(|(key, entry)| (Arc::clone(key), entry.key_span));
            self.index = index.collect();
        }
    }
}

/// What a mapping waits for.
enum Key {
    /// A key.
    Awaited,
    /// The value of this key.
    Read(Arc<str>, Span),
    /// The value of a key that was refused.
    Refused,
}

#[derive(Clone)]
struct Anchored {
    node: Node,
    /// Nodes in it; a long text counts as several, so that copies of it are bounded.
    size: usize,
    height: usize,
}

impl Anchored {
    /// What an alias copies. Of what is too large for any alias only the size is kept.
    fn to_be_copied(&self) -> Self {
        if self.size <= MAX_ALIAS_NODES {
            return self.clone();
        }
        let node = Node {
            kind: Kind::Refused,
            span: self.node.span,
        };
        Self { node, ..*self }
    }
}

impl<'a, 's> Builder<'a, 's> {
    pub(super) fn new(sink: &'a Sink<'s>) -> Self {
        Self {
            sink,
            open: Vec::new(),
            root: None,
            keys: BTreeSet::new(),
            anchors: BTreeMap::new(),
            alias_nodes: 0,
            nodes: 0,
        }
    }

    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    /// Adds a scalar.
    pub(super) fn add(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        let long = match &node.kind {
            Kind::Str(text) => text.value.len() / ALIASED_BYTES,
            _ => 0,
        };
        self.place(
            Anchored {
                node,
                size: 1 + long,
                height: 0,
            },
            anchor,
        )
    }

    pub(super) fn open_seq(
        &mut self,
        span: Span,
        anchor: usize,
        is_flow: bool,
    ) -> Result<(), Stop> {
        self.open(Collection::Seq(Vec::new()), span, anchor, is_flow)
    }

    pub(super) fn open_map(
        &mut self,
        span: Span,
        anchor: usize,
        is_flow: bool,
    ) -> Result<(), Stop> {
        self.open(
            Collection::Map(Growing::default(), Key::Awaited),
            span,
            anchor,
            is_flow,
        )
    }

    fn open(
        &mut self,
        kind: Collection,
        span: Span,
        anchor: usize,
        is_flow: bool,
    ) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            self.sink.push(yaml::too_deep(span));
            return Err(Stop);
        }
        self.open.push(Open {
            kind,
            span,
            anchor,
            is_flow,
            size: 1,
            height: 0,
        });
        Ok(())
    }

    /// Ends the innermost collection and says whether it was written in flow style.
    pub(super) fn close(&mut self, end: Span) -> Result<bool, Stop> {
        let Some(done) = self.open.pop() else {
            return Err(Stop);
        };
        let (kind, last) = match done.kind {
            Collection::Seq(mut items) => {
                items.shrink_to_fit();
                let last = items.last().map(|node| node.span.end);
                (Kind::Seq(items), last)
            }
            Collection::Map(Growing { mut map, .. }, _) => {
                map.entries.shrink_to_fit();
                let last = map.entries.last();
                let last = last.map(|(_, entry)| entry.value.span.end.max(entry.key_span.end));
                (Kind::Map(map), last)
            }
        };
        // A block ends where its last value ends, not where the parser notices.
        let end = match last {
            Some(last) if !done.is_flow => last.max(done.span.start),
            _ => end.end,
        };
        let node = Node {
            kind,
            span: Span { end, ..done.span },
        };
        let anchored = Anchored {
            node,
            size: done.size,
            height: done.height,
        };
        self.place(anchored, done.anchor)?;
        Ok(done.is_flow)
    }

    pub(super) fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            // An alias inside the very node it stands for.
            self.sink.push(yaml::self_alias(span));
            return Err(Stop);
        };
        self.alias_nodes += anchored.size;
        if self.alias_nodes > MAX_ALIAS_NODES {
            self.sink.push(yaml::too_many_alias_nodes(span));
            return Err(Stop);
        }
        if self.open.len() + anchored.height > MAX_DEPTH {
            self.sink.push(yaml::too_deep(span));
            return Err(Stop);
        }
        let copy = anchored.clone();
        self.place(copy, 0)
    }

    fn place(&mut self, anchored: Anchored, anchor: usize) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.sink.push(yaml::too_many_nodes(anchored.node.span));
            return Err(Stop);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, anchored.to_be_copied());
        }
        let Anchored { node, size, height } = anchored;
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.size += size;
        parent.height = parent.height.max(height + 1);
        match &mut parent.kind {
            Collection::Seq(items) => items.push(node),
            Collection::Map(map, key) => match std::mem::replace(key, Key::Awaited) {
                Key::Awaited => *key = self::key(self.sink, &mut self.keys, map, node),
                Key::Refused => {}
                Key::Read(name, key_span) => {
                    let value = node;
                    map.insert(name, Entry { key_span, value });
                }
            },
        }
        Ok(())
    }
}

fn key(sink: &Sink<'_>, keys: &mut BTreeSet<Arc<str>>, map: &Growing, node: Node) -> Key {
    let name = match node.kind {
        Kind::Str(text) => text.value,
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
            sink.sources.slice(node.span).to_owned()
        }
        Kind::Refused | Kind::Seq(_) | Kind::Map(_) => String::new(),
    };
    if name.is_empty() {
        sink.push(yaml::key(node.span));
        return Key::Refused;
    }
    if name == "<<" {
        sink.push(yaml::merge_key(node.span));
        return Key::Refused;
    }
    if let Some(first) = map.first(&name) {
        sink.push(yaml::duplicate_key(node.span, &name, first));
        return Key::Refused;
    }
    let name = match keys.get(name.as_str()) {
        Some(known) => Arc::clone(known),
        None => {
            let name: Arc<str> = Arc::from(name);
            keys.insert(Arc::clone(&name));
            name
        }
    };
    Key::Read(name, node.span)
}
