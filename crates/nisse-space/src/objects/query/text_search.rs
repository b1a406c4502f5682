//! Full-text search without an index.
//!
//! The rule: a text is cut into words (runs of letters and digits) and written in lower case. An object is found if
//! every word of the search is the beginning of some word in some string of its data, wherever it stands; URIs of
//! references (`{"/": …}`) and keys are not searched. A search without words finds nothing.

use serde_json::Value;

use super::run::Work;
use super::{QUERY_WORDS_MAX, QueryError};
use crate::objects::object::Object;

/// Bytes of text that count as one step of work.
const BYTES_PER_STEP: usize = 32;

/// A search for words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TextSearch {
    /// As it was asked.
    pub(super) text: String,
    /// In lower case; at most [`QUERY_WORDS_MAX`].
    words: Vec<String>,
}

impl TextSearch {
    pub(super) fn new(text: &str) -> Result<Self, QueryError> {
        let folded = text.to_lowercase();
        let mut words: Vec<String> = words(&folded).map(str::to_owned).collect();
        words.sort_unstable();
        words.dedup();
        if words.len() > QUERY_WORDS_MAX {
            return Err(QueryError::TooLarge { what: "words in a text search", max: QUERY_WORDS_MAX });
        }
        Ok(Self { text: text.to_owned(), words })
    }

    /// Whether all words stand in the object's data.
    pub(super) fn finds(&self, object: &Object, work: &mut Work) -> Result<bool, QueryError> {
        if self.words.is_empty() {
            return Ok(false);
        }
        let mut missing: Vec<&str> = self.words.iter().map(String::as_str).collect();
        for value in object.data.values() {
            search(value, &mut missing, work)?;
            if missing.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes the words that stand in a value off the list of missing ones.
fn search(value: &Value, missing: &mut Vec<&str>, work: &mut Work) -> Result<(), QueryError> {
    match value {
        Value::String(text) => {
            work.spend(text.len() / BYTES_PER_STEP + 1)?;
            let folded = text.to_lowercase();
            for word in words(&folded) {
                missing.retain(|wanted| !word.starts_with(wanted));
                if missing.is_empty() {
                    break;
                }
            }
            Ok(())
        }
        Value::Array(list) => list.iter().try_for_each(|value| search(value, missing, work)),
        Value::Object(map) if map.len() == 1 && map.contains_key("/") => Ok(()),
        Value::Object(map) => map.values().try_for_each(|value| search(value, missing, work)),
        _ => work.spend(1),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}
