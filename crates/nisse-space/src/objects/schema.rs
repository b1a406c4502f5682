//! JSON Schemas of types: what an object has to be, and whether one is.
//!
//! The one thing to know: a schema may come from anybody who writes in the space, and is run over objects of up to a megabyte.
//! So only what [`outline`] has read is given to the validator: keywords that it knows, references that stay within
//! the schema and go into the object before they come back, and no more of them than the object's depth allows.

mod declared;
mod outline;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use super::object::Object;
use super::structure::json_kind;
use outline::Outline;

pub use declared::{DeclaredType, SCHEMA_TYPENAME, SCHEMA_URI, TYPENAME_BYTES_MAX};
pub(crate) use declared::{is_schema, named_object};

/// Longest schema, as JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of schemas within each other.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// Longest regular expression in one.
pub const SCHEMA_PATTERN_BYTES_MAX: usize = 512;
/// Bytes of an object, times how often the schema looks at each of them at most.
pub const SCHEMA_WORK_MAX: u64 = 64 << 20;
/// Schemas that are applied within each other while an object is checked.
pub const SCHEMA_NESTED_MAX: u32 = 512;
/// Bytes that a compiled regular expression may take.
const PATTERN_COMPILED_BYTES_MAX: usize = 256 << 10;
/// An object that any schema has to be able to look at.
const SMALL: Measured = Measured { bytes: 1024, depth: 2 };
/// Characters of a reason.
const REASON_MAX: usize = 240;

/// Why something is no schema. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Something in it means nothing, or nothing here.
    #[error("read the schema: at `{at}` {reason}")]
    Unsound {
        /// A JSON pointer.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// It refers to something that is not in it.
    #[error("read the schema: at `{at}` it refers to `{to}`, which is outside of it: only `#` and `#/…` are followed")]
    Outside {
        /// A JSON pointer.
        at: String,
        /// The reference, shortened.
        to: String,
    },
    /// It is too large, or too much work.
    #[error("read the schema: it has more than {max} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        max: u64,
    },
    /// Nothing says which type it is of.
    #[error("read the schema: {0}")]
    Untyped(String),
}

/// Why an object is not what its type's schema says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("take the object as `{type_uri}`: at `{at}` {reason}")]
pub struct Misfit {
    /// The type, as the object names it.
    pub type_uri: String,
    /// A JSON pointer; `/` for the object itself.
    pub at: String,
    /// What is wrong there.
    pub reason: String,
}

/// A schema that objects can be checked against.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    outline: Outline,
    /// Whether it speaks of `id` at its first level.
    names_id: bool,
}

/// How large a value is.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    bytes: u64,
    depth: usize,
}

impl Schema {
    /// Reads a schema of draft 2020-12 or 07.
    pub fn read(json: &Value) -> Result<Self, SchemaError> {
        if measure(json, 1).bytes > SCHEMA_BYTES_MAX as u64 {
            return Err(SchemaError::TooLarge { what: "bytes", max: SCHEMA_BYTES_MAX as u64 });
        }
        let draft = draft(json)?;
        let (known, outline) = Outline::of(json)?;
        if outline.cost(SMALL) > SCHEMA_WORK_MAX {
            let max = SCHEMA_WORK_MAX / SMALL.bytes;
            return Err(SchemaError::TooLarge { what: "looks at one value", max });
        }
        let patterns =
            PatternOptions::regex().size_limit(PATTERN_COMPILED_BYTES_MAX).dfa_size_limit(PATTERN_COMPILED_BYTES_MAX);
        let options = jsonschema::options().with_draft(draft).offline();
        let options = options.should_validate_formats(false).with_pattern_options(patterns);
        let validator = options.build(&known).map_err(|error| SchemaError::Unsound {
            at: pointer(error.instance_path().as_str()),
            reason: shortened(&error.masked_with("what stands there").to_string()),
        })?;
        let names = |keyword: &str| match known.get(keyword) {
            Some(Value::Object(map)) => map.contains_key("id"),
            Some(Value::Array(list)) => list.iter().any(|name| name == "id"),
            _ => false,
        };
        let names_id = names("properties") || names("required");
        Ok(Self { validator, outline, names_id })
    }

    /// What the check of an object costs at most, in bytes that are looked at.
    pub(crate) fn cost(&self, object: &Object) -> u64 {
        self.outline.cost(measure_map(&object.data, 1))
    }

    /// Whether an object is what the schema says: its data, with `id` where the schema speaks of it. What is deleted is
    /// not looked at.
    pub fn check(&self, object: &Object) -> Result<(), Misfit> {
        if object.deleted {
            return Ok(());
        }
        let misfit = |at: &str, reason: String| Misfit {
            type_uri: object.type_uri.clone().unwrap_or_default(),
            at: pointer(at),
            reason,
        };
        let measured = measure_map(&object.data, 1);
        if self.outline.cost(measured) > SCHEMA_WORK_MAX || self.outline.nested(measured) > SCHEMA_NESTED_MAX {
            return Err(misfit("", "it is too large or too deep to be checked against the schema".to_owned()));
        }
        let mut data = object.data.clone();
        if self.names_id {
            data.insert("id".to_owned(), object.id.to_string().into());
        }
        let data = Value::Object(data);
        match self.validator.validate(&data) {
            Ok(()) => Ok(()),
            Err(error) => {
                let found = json_kind(error.instance());
                let reason = shortened(&error.masked_with(format!("what stands there ({found})")).to_string());
                Err(misfit(error.instance_path().as_str(), reason))
            }
        }
    }
}

/// The draft that a schema says it is of.
fn draft(json: &Value) -> Result<Draft, SchemaError> {
    let unsound = |reason: String| SchemaError::Unsound { at: "/$schema".to_owned(), reason };
    match json.get("$schema") {
        None => Ok(Draft::Draft202012),
        Some(Value::String(uri)) => {
            let named = uri.trim_end_matches('#');
            match named.strip_prefix("https://").or_else(|| named.strip_prefix("http://")) {
                Some("json-schema.org/draft/2020-12/schema") => Ok(Draft::Draft202012),
                Some("json-schema.org/draft-07/schema") => Ok(Draft::Draft7),
                _ => Err(unsound(format!("is `{}`: only drafts 2020-12 and 07 are read", shortened(uri)))),
            }
        }
        Some(other) => Err(unsound(format!("is {}, expected a URI", json_kind(other)))),
    }
}

/// How large a value is at a depth. The nesting is within what serde_json and [`super::value`] read.
fn measure(value: &Value, depth: usize) -> Measured {
    match value {
        Value::Object(map) => measure_map(map, depth),
        Value::Array(list) => {
            let each = list.iter().map(|value| measure(value, depth + 1));
            each.fold(Measured { bytes: 2, depth }, |sum, one| sum.with(one, 1))
        }
        Value::String(text) => Measured { bytes: text.len() as u64 + 2, depth },
        _ => Measured { bytes: 8, depth },
    }
}

fn measure_map(map: &Map<String, Value>, depth: usize) -> Measured {
    let each = map.iter().map(|(key, value)| (key.len() as u64 + 4, measure(value, depth + 1)));
    each.fold(Measured { bytes: 2, depth }, |sum, (key, one)| sum.with(one, key))
}

impl Measured {
    fn with(self, other: Self, more: u64) -> Self {
        Self { bytes: self.bytes + other.bytes + more, depth: self.depth.max(other.depth) }
    }
}

fn pointer(at: &str) -> String {
    if at.is_empty() { "/".to_owned() } else { shortened(at) }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= REASON_MAX {
        return text.to_owned();
    }
    text.chars().take(REASON_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
