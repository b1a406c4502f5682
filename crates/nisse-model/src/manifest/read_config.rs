//! The `config:` block → JSON.

use serde_json::{Map, Value as Json};

use super::error::{ManifestError, ManifestProblem};
use super::scalar::Meaning;
use super::tree::{Entry, Node, Value, shortened};

/// Depth is bounded by the tree, which has checked it.
pub(super) fn object(entries: &[Entry]) -> Result<Map<String, Json>, ManifestError> {
    entries.iter().map(|entry| Ok((entry.key.clone(), json(&entry.key, &entry.node)?))).collect()
}

pub(super) fn json(key: &str, node: &Node) -> Result<Json, ManifestError> {
    match &node.value {
        Value::Mapping(entries) => object(entries).map(Json::Object),
        Value::Sequence(nodes) => nodes.iter().map(|node| json(key, node)).collect::<Result<_, _>>().map(Json::Array),
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Ok(Json::Null),
            Meaning::Bool(value) => Ok(Json::Bool(value)),
            Meaning::Number(number) => Ok(Json::Number(number)),
            Meaning::Text(text) => Ok(Json::from(text)),
            meaning @ Meaning::Unclear => {
                let found = format!("{} (`{}`)", meaning.name(), shortened(&scalar.text));
                let hint = format!("write true, false or a plain decimal number, or quote it: \"{}\"", scalar.text);
                let expected = "a value with one meaning";
                let problem = ManifestProblem::Type { key: format!("config: {}", shortened(key)), found, expected };
                Err(node.at.error(problem, Some(hint)))
            }
        },
    }
}
