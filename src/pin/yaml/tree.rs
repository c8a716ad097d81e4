//! Documents as trees whose scalars know their places.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::super::{PinError, line_of};
use crate::text::shown;

/// Deeper than anybody writes, and not so deep that a stack overflows.
const MAX_DEPTH: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Scalar(Scalar),
    /// The scalar elsewhere that is meant, if it is one.
    Alias(Option<Scalar>),
    List(Vec<Self>),
    Map(Map),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) value: String,
    /// All of it, with its quotes, its tag and its anchor.
    pub(super) span: Range<usize>,
    pub(super) style: ScalarStyle,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Map {
    pub(super) entries: Vec<(Node, Node)>,
    pub(super) start: usize,
}

impl Map {
    /// The key as it stands there, and the value.
    pub(super) fn entry(&self, wanted: &str) -> Option<(&Scalar, &Node)> {
        self.entries.iter().find_map(|(key, value)| match key {
            Node::Scalar(key) if key.value == wanted => Some((key, value)),
            _ => None,
        })
    }

    pub(super) fn get(&self, wanted: &str) -> Option<&Node> {
        self.entry(wanted).map(|(_, value)| value)
    }

    pub(super) fn scalar(&self, wanted: &str) -> Option<&Scalar> {
        self.get(wanted)?.scalar()
    }
}

impl Node {
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match self {
            Self::Scalar(scalar) | Self::Alias(Some(scalar)) => Some(scalar),
            _ => None,
        }
    }

    pub(super) fn map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }
}

impl Scalar {
    /// `null` and what else YAML takes for nothing (YAML 1.2, core schema).
    pub(super) fn is_null(&self) -> bool {
        self.style == ScalarStyle::Plain && matches!(&*self.value, "" | "~" | "null" | "Null" | "NULL")
    }
}

/// A list or map on its way.
enum Open {
    List(Vec<Node>),
    Map { map: Map, key: Option<Node> },
}

/// The documents of a text that begins at `shift` in its file.
pub(super) fn read(text: &str, shift: usize) -> Result<Vec<Node>, PinError> {
    let offsets = Offsets::of(text, shift);
    let mut builder = Builder { anchors: BTreeMap::new(), open: Vec::new(), documents: Vec::new() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            // A place behind the last line is what is missing there.
            let line = error.marker().line().clamp(1, text.lines().count().max(1));
            PinError::Yaml { line, why: shown(error.info()) }
        })?;
        let place = offsets.at(span.start.index())..offsets.at(span.end.index());
        builder.take(event, place).map_err(|wrong| {
            let line = wrong.at.map_or(span.start.line(), |at| line_of(text, at - shift));
            PinError::Yaml { line, why: wrong.why }
        })?;
    }
    Ok(builder.documents)
}

/// What the parser lets pass and YAML doesn't.
struct Wrong {
    /// Where, if not where the parser is.
    at: Option<usize>,
    why: String,
}

struct Builder {
    anchors: BTreeMap<usize, Scalar>,
    open: Vec<Open>,
    documents: Vec<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Wrong> {
        if self.open.len() > MAX_DEPTH {
            return Err(Wrong { at: None, why: format!("it is nested more than {MAX_DEPTH} deep") });
        }
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let scalar = Scalar { value: value.into_owned(), span, style };
                if anchor > 0 {
                    self.anchors.insert(anchor, scalar.clone());
                }
                self.add(Node::Scalar(scalar));
            }
            Event::Alias(anchor) => self.add(Node::Alias(self.anchors.get(&anchor).cloned())),
            Event::SequenceStart(..) => {
                self.open.push(Open::List(Vec::new()));
            }
            Event::MappingStart(..) => {
                let map = Map { entries: Vec::new(), start: span.start };
                self.open.push(Open::Map { map, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(list)) => self.add(Node::List(list)),
                Some(Open::Map { map, .. }) => {
                    unique(&map)?;
                    self.add(Node::Map(map));
                }
                None => return Err(Wrong { at: None, why: "an end without a beginning".into() }),
            },
            Event::DocumentEnd => self.anchors.clear(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
        Ok(())
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open::List(list)) => list.push(node),
            Some(Open::Map { map, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => map.entries.push((key, node)),
            },
        }
    }
}

/// Of a key that is there twice nobody knows which one counts (YAML 1.2, 3.2.1.1). Compose's users merge twice.
fn unique(map: &Map) -> Result<(), Wrong> {
    let mut seen = BTreeSet::new();
    for (key, _) in &map.entries {
        if let Node::Scalar(key) = key
            && key.value != "<<"
            && !seen.insert(&key.value)
        {
            let why = format!("the key `{}` is there twice", shown(&key.value));
            return Err(Wrong { at: Some(key.span.start), why });
        }
    }
    Ok(())
}

/// From the parser's characters to bytes.
struct Offsets {
    shift: usize,
    /// Of each character; none where each is a byte.
    starts: Option<Vec<usize>>,
    end: usize,
}

impl Offsets {
    fn of(text: &str, shift: usize) -> Self {
        let starts = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { shift, starts, end: text.len() }
    }

    fn at(&self, character: usize) -> usize {
        let at = match &self.starts {
            None => character,
            Some(starts) => starts.get(character).copied().unwrap_or(self.end),
        };
        self.shift + at.min(self.end)
    }
}
