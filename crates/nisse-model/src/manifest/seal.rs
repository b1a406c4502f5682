//! Puts a hash into agent.yaml and leaves every other byte as it was, comments and line ends too.

use super::error::{ManifestError, ManifestErrors, ManifestProblem};
use super::tree::{self, Value};
use super::{ArtifactHash, Manifest};
use crate::Hash256;

pub(super) fn seal_text(text: &str, hash: Hash256) -> Result<String, ManifestErrors> {
    Manifest::parse(text)?;
    let root = tree::parse(text)?;
    let Value::Mapping(entries) = &root.value else {
        unreachable!("a manifest's root is a mapping");
    };
    let entry = entries.iter().find(|entry| entry.key == "artifact_hash").expect("a manifest has an artifact_hash");
    let start = byte_offset(text, entry.node.characters.start);
    let end = byte_offset(text, entry.node.characters.end);
    let scalar = text[start..end].trim_end();
    let sealed = format!("{}\"{hash}\"{}", &text[..start], &text[start + scalar.len()..]);
    // The text came from a person's editor: what is written back is read once more before anyone relies on it.
    match Manifest::parse(&sealed) {
        Ok(manifest) if manifest.artifact_hash == ArtifactHash::Sealed(hash) => Ok(sealed),
        _ => Err(not_sealable(entry.node.at)),
    }
}

fn not_sealable(at: tree::Position) -> ManifestErrors {
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
