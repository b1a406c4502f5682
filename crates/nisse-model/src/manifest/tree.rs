//! YAML text → a small tree with positions, or the first thing in it that a manifest may not hold.
//!
//! The parser's events are consumed one by one, so neither depth nor aliases can make it do more than the text's length
//! allows.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::Manifest;
use super::error::{ManifestError, ManifestProblem};
use super::read::KEYS_TEXT;
use super::scalar::{Meaning, Scalar, Style};
use super::text::{self, Position};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    /// First character and the one behind the last, counted from 0.
    pub(super) characters: std::ops::Range<usize>,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One key of a mapping; keys are text and stand once.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Position,
    pub(super) node: Node,
}

impl Node {
    /// How an error names it.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) => scalar.meaning().name(),
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, ManifestError> {
    text::check(text)?;
    let mut parser = Parser::new_from_str(text);
    let mut root = None;
    loop {
        let (event, span) = next(&mut parser)?;
        let at = position(span);
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(_) if root.is_some() => {
                let hint = Some("put each agent into a folder of its own".to_owned());
                return Err(at.error(ManifestProblem::SecondDocument, hint));
            }
            Event::DocumentStart(_) => root = Some(document(&mut parser)?),
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            _ => return Err(at.error(ManifestProblem::Syntax("content outside of a document".to_owned()), None)),
        }
    }
    root.ok_or_else(|| Position { line: 1, column: 1 }.error(ManifestProblem::Empty(KEYS_TEXT), None))
}

/// A list or mapping whose end has not been read.
struct Open {
    at: Position,
    start: usize,
    is_mapping: bool,
    nodes: Vec<Node>,
}

fn document<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> Result<Node, ManifestError> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        let (event, span) = next(parser)?;
        let at = position(span);
        let node = match event {
            Event::Scalar(text, style, anchor, tag) => {
                plain(at, anchor, tag.as_deref())?;
                scalar(&text, style, at, span)?
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if open.len() >= Manifest::DEPTH_MAX =>
            {
                plain(at, anchor, tag.as_deref())?;
                return Err(at.error(ManifestProblem::TooDeep, None));
            }
            Event::SequenceStart(anchor, tag) => {
                plain(at, anchor, tag.as_deref())?;
                open.push(Open { at, start: span.start.index(), is_mapping: false, nodes: Vec::new() });
                continue;
            }
            Event::MappingStart(anchor, tag) => {
                plain(at, anchor, tag.as_deref())?;
                open.push(Open { at, start: span.start.index(), is_mapping: true, nodes: Vec::new() });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => close(closed, span.end.index())?,
                None => return Err(at.error(ManifestProblem::Syntax("an end without a start".to_owned()), None)),
            },
            Event::Alias(_) => {
                return Err(at.error(ManifestProblem::Alias, Some("write the value out, or quote the text".to_owned())));
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                return Err(at.error(ManifestProblem::Syntax("the document ends too early".to_owned()), None));
            }
        };
        match open.last_mut() {
            Some(parent) => parent.nodes.push(node),
            None => return Ok(node),
        }
    }
}

fn next<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> Result<(Event<'a>, Span), ManifestError> {
    match parser.next_event() {
        Some(Ok(event)) => Ok(event),
        Some(Err(error)) => {
            let at = Position { line: error.marker().line().max(1), column: error.marker().col() + 1 };
            if error.info().contains("recursion limit") {
                return Err(at.error(ManifestProblem::TooDeep, None));
            }
            let text: String = error.info().chars().take(120).collect();
            let hint = match &text {
                text if text.contains("tabs") => Some("indent with spaces".to_owned()),
                text if text.contains("quoted scalar") => Some("close the quote".to_owned()),
                _ => None,
            };
            Err(at.error(ManifestProblem::Syntax(text), hint))
        }
        None => Ok((Event::StreamEnd, Span::default())),
    }
}

fn position(span: Span) -> Position {
    Position { line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn plain(at: Position, anchor: usize, tag: Option<&Tag>) -> Result<(), ManifestError> {
    if anchor != 0 {
        let hint = "write the value out, or quote a text that begins with `&`".to_owned();
        return Err(at.error(ManifestProblem::Anchor, Some(hint)));
    }
    if let Some(tag) = tag {
        let shown = format!("{}{}", tag.handle, tag.suffix).replace("tag:yaml.org,2002:", "!!");
        let hint = "remove the tag, or quote a text that begins with `!`".to_owned();
        return Err(at.error(ManifestProblem::Tag(shown.chars().take(60).collect()), Some(hint)));
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, at: Position, span: Span) -> Result<Node, ManifestError> {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    // An escape may have brought in what the plain text was not allowed to hold.
    if let Some(found) = text.chars().find(|c| text::is_hidden(*c)) {
        return Err(at.error(ManifestProblem::Character(found), None));
    }
    let characters = span.start.index()..span.end.index();
    Ok(Node { at, characters, value: Value::Scalar(Scalar { text: text.to_owned(), style }) })
}

fn close(open: Open, end: usize) -> Result<Node, ManifestError> {
    let Open { at, start, is_mapping, nodes } = open;
    let value = if is_mapping { Value::Mapping(entries(nodes)?) } else { Value::Sequence(nodes) };
    Ok(Node { at, characters: start..end, value })
}

fn entries(nodes: Vec<Node>) -> Result<Vec<Entry>, ManifestError> {
    let mut first_lines = BTreeMap::new();
    let mut entries = Vec::with_capacity(nodes.len() / 2);
    let mut nodes = nodes.into_iter();
    while let (Some(key), Some(node)) = (nodes.next(), nodes.next()) {
        let key_at = key.at;
        let key = key_text(&key)?;
        if let Some(first_line) = first_lines.insert(key.clone(), key_at.line) {
            let hint = Some("remove one of the two".to_owned());
            return Err(key_at.error(ManifestProblem::DuplicateKey { key: shortened(&key), first_line }, hint));
        }
        entries.push(Entry { key, key_at, node });
    }
    Ok(entries)
}

fn key_text(key: &Node) -> Result<String, ManifestError> {
    match &key.value {
        Value::Scalar(scalar) if scalar.style == Style::Plain && scalar.text == "<<" => {
            Err(key.at.error(ManifestProblem::MergeKey, None))
        }
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Text(text) => Ok(text.to_owned()),
            meaning => Err(key.at.error(ManifestProblem::KeyKind(meaning.name()), Some("quote it".to_owned()))),
        },
        Value::Sequence(_) | Value::Mapping(_) => Err(key.at.error(ManifestProblem::KeyKind(key.kind()), None)),
    }
}

/// As much of a text as an error repeats.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    if text.chars().nth(SHOWN_MAX).is_none() {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX).chain(['…']).collect()
}
