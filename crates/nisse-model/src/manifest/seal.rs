//! Puts a hash into agent.yaml and leaves every other byte as it was, comments and line ends too.

use super::error::{ManifestError, ManifestErrors, ManifestProblem};
use super::text;
use super::tree::{self, Value};
use super::{ArtifactHash, Manifest};
use crate::Hash256;

pub(super) fn seal_text(text: &str, hash: Hash256) -> Result<String, ManifestErrors> {
    let before = Manifest::parse(text)?;
    let root = tree::parse(text)?;
    let Value::Mapping(entries) = &root.value else {
        unreachable!("a manifest's root is a mapping");
    };
    let entry = entries.iter().find(|entry| entry.key == "artifact_hash").expect("a manifest has an artifact_hash");
    let start = byte_offset(text, entry.node.characters.start);
    let length = scalar_length(&text[start..byte_offset(text, entry.node.characters.end)]);
    let sealed = format!("{}\"{hash}\"{}", &text[..start], &text[start + length..]);
    // The text came from a person's editor: what is written back is read once more before anyone relies on it.
    match Manifest::parse(&sealed) {
        Ok(manifest) if manifest == Manifest { artifact_hash: ArtifactHash::Sealed(hash), ..before } => Ok(sealed),
        _ => Err(not_sealable(entry.node.at)),
    }
}

/// How many bytes of `text` the scalar at its beginning takes: the parser's own end of a quoted one lies behind the
/// spaces and the comment that follow it.
fn scalar_length(text: &str) -> usize {
    let Some(quote @ ('"' | '\'')) = text.chars().next() else {
        return text.trim_end().len();
    };
    let bytes = text.as_bytes();
    let mut position = 1;
    while position < bytes.len() {
        let escape = if quote == '"' { bytes[position] == b'\\' } else { text[position..].starts_with("''") };
        if escape {
            position += 2;
        } else if bytes[position] == quote as u8 {
            return position + 1;
        } else {
            position += 1;
            // `starts_with` above needs a whole character.
            while !text.is_char_boundary(position) {
                position += 1;
            }
        }
    }
    text.len()
}

fn not_sealable(at: text::Position) -> ManifestErrors {
    let (found, expected) = ("a value that spans other text".to_owned(), "one quoted text on one line");
    let problem = ManifestProblem::Type { key: "artifact_hash".to_owned(), found, expected };
    ManifestErrors::from(ManifestError {
        line: at.line,
        column: at.column,
        problem,
        hint: Some("write artifact_hash: \"unsealed\"".to_owned()),
    })
}

fn byte_offset(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset)
}
