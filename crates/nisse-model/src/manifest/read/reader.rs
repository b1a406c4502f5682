//! What every part of the manifest is read with: typed access to the tree, and a list of what was wrong.

use super::super::Manifest;
use super::super::error::{ManifestError, ManifestProblem};
use super::super::scalar::{Meaning, Style};
use super::super::text::Position;
use super::super::tree::{Entry, Node, Value, shortened};
use crate::suggestion::nearest;

/// Collects errors while it reads; `None` from a method means that it has reported why.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) errors: Vec<ManifestError>,
    /// Keys that unknown ones were probably meant to be: they are not reported as missing too.
    meant: Vec<&'static str>,
}

impl Reader {
    /// Reports keys that are not in `known`, as many as are ever told.
    pub(super) fn known_keys(&mut self, entries: &[Entry], known: &[&'static str], expected: &'static str) {
        let unknown = entries.iter().filter(|entry| !known.contains(&entry.key.as_str()));
        for entry in unknown.take(Manifest::ERRORS_MAX) {
            let meant = nearest(&entry.key, known);
            self.meant.extend(meant);
            let hint = meant.map(|key| format!("did you mean `{key}`?"));
            let key = shortened(&entry.key);
            self.report(entry.key_at, ManifestProblem::UnknownKey { key, expected }, hint);
        }
    }

    pub(super) fn required<'a>(
        &mut self,
        entries: &'a [Entry],
        at: Position,
        key: &'static str,
        expected: &'static str,
    ) -> Option<&'a Node> {
        let name = key.rsplit('.').next().unwrap_or(key);
        let found = find(entries, name);
        if found.is_none() && !self.meant.contains(&name) {
            self.report(at, ManifestProblem::MissingKey { key, expected }, None);
        }
        found
    }

    pub(super) fn mapping<'a>(&mut self, key: &str, node: &'a Node, expected: &'static str) -> Option<&'a [Entry]> {
        if let Value::Mapping(entries) = &node.value {
            return Some(entries);
        }
        self.wrong_type(key, node, expected, None);
        None
    }

    pub(super) fn sequence<'a>(
        &mut self,
        key: &'static str,
        node: &'a Node,
        expected: &'static str,
        max: usize,
    ) -> Option<&'a [Node]> {
        let Value::Sequence(nodes) = &node.value else {
            self.wrong_type(key, node, expected, Some("write each entry on a line of its own after `- `".to_owned()));
            return None;
        };
        if nodes.len() > max {
            self.report(node.at, ManifestProblem::TooMany { key, count: nodes.len(), max }, None);
            return None;
        }
        Some(nodes)
    }

    pub(super) fn text<'a>(&mut self, key: &str, node: &'a Node, expected: &'static str) -> Option<&'a str> {
        let hint = match &node.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Text(text) => return Some(text),
                Meaning::Null => None,
                Meaning::Bool(_) | Meaning::Number(_) | Meaning::Unclear => Some(format!("write \"{}\"", scalar.text)),
            },
            Value::Sequence(_) | Value::Mapping(_) => None,
        };
        self.wrong_type(key, node, expected, hint);
        None
    }

    pub(super) fn length(&mut self, key: &'static str, text: &str, max: usize, at: Position) -> Option<()> {
        if text.len() <= max {
            return Some(());
        }
        self.report(at, ManifestProblem::TooLong { key, length: text.len(), max }, None);
        None
    }

    pub(super) fn wrong_type(&mut self, key: &str, node: &Node, expected: &'static str, hint: Option<String>) {
        let found = match &node.value {
            Value::Scalar(scalar) if scalar.style == Style::Plain && !scalar.text.is_empty() => {
                format!("{} (`{}`)", node.kind(), shortened(&scalar.text))
            }
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => node.kind().to_owned(),
        };
        self.report(node.at, ManifestProblem::Type { key: key.to_owned(), found, expected }, hint);
    }

    pub(super) fn report(&mut self, at: Position, problem: ManifestProblem, hint: Option<String>) {
        self.errors.push(at.error(problem, hint));
    }
}

pub(super) fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Node> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
}
