//! What agent.yaml's text may hold at all, looked at before any YAML is read.

use super::Manifest;
use super::error::{ManifestError, ManifestProblem};

/// A place in the text, both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    pub(super) fn error(self, problem: ManifestProblem, hint: Option<String>) -> ManifestError {
        ManifestError { line: self.line, column: self.column, problem, hint }
    }
}

/// Refuses what should not even reach the parser: too much text, invisible characters, directives.
pub(super) fn check(text: &str) -> Result<(), ManifestError> {
    let start = Position { line: 1, column: 1 };
    if text.len() > Manifest::LENGTH_MAX {
        let hint = Some("keep data out of agent.yaml: name it in `config` by its CID".to_owned());
        return Err(start.error(ManifestProblem::FileTooLong { length: text.len() }, hint));
    }
    if text.starts_with('\u{feff}') {
        return Err(start.error(ManifestProblem::ByteOrderMark, Some("save the file as UTF-8 without BOM".to_owned())));
    }
    let mut before_content = true;
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(column) = line.chars().position(|c| is_hidden(c) || c == '\n' || c == '\r') {
            let found = line.chars().nth(column).unwrap_or_default();
            let at = Position { line: index + 1, column: column + 1 };
            return Err(at.error(ManifestProblem::Character(found), None));
        }
        if before_content && line.starts_with('%') {
            let at = Position { line: index + 1, column: 1 };
            return Err(at.error(ManifestProblem::Directive, Some("remove the line".to_owned())));
        }
        before_content &= line.trim().is_empty() || line.starts_with('#');
    }
    Ok(())
}

/// Control characters, and those that reorder or hide what a person sees. The two joiners (U+200C, U+200D) stay: Persian
/// and emoji are written with them.
pub(super) fn is_hidden(c: char) -> bool {
    let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let breaks_or_order = matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    control
        || breaks_or_order
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
