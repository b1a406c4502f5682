//! The fields of a query's nodes: each is asked for by name, and one that nobody asked for is refused.

use serde_json::{Map, Value};

use super::QueryError;

/// The fields of a node or filter.
pub(super) struct Fields<'a> {
    pub(super) node: &'static str,
    pub(super) fields: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, field: &'static str) -> Result<&'a Value, QueryError> {
        self.fields.get(field).ok_or_else(|| self.refused(field, None, "a value"))
    }

    pub(super) fn text(&self, field: &'static str) -> Result<&'a str, QueryError> {
        let value = self.get(field)?;
        value.as_str().ok_or_else(|| self.refused(field, Some(value), "text"))
    }

    pub(super) fn list(&self, field: &'static str) -> Result<&'a Vec<Value>, QueryError> {
        let value = self.get(field)?;
        value.as_array().ok_or_else(|| self.refused(field, Some(value), "a list"))
    }

    pub(super) fn optional_list(&self, field: &'static str) -> Result<&'a [Value], QueryError> {
        if self.fields.contains_key(field) { self.list(field).map(Vec::as_slice) } else { Ok(&[]) }
    }

    pub(super) fn count(&self, field: &'static str) -> Result<u64, QueryError> {
        let value = self.get(field)?;
        value.as_u64().ok_or_else(|| self.refused(field, Some(value), "a whole number from 0"))
    }

    pub(super) fn refused(&self, field: &'static str, found: Option<&Value>, expected: &'static str) -> QueryError {
        let found = found.map_or_else(|| "nothing".to_owned(), shorten);
        QueryError::Field { node: self.node, field, found, expected }
    }

    pub(super) fn only(&self, known: &[&str]) -> Result<(), QueryError> {
        match self.fields.keys().find(|key| *key != "type" && !known.contains(&key.as_str())) {
            Some(key) => {
                let expected = format!("one of {} in `{}`", known.join(", "), self.node);
                Err(QueryError::Unknown { what: "field", found: key.chars().take(60).collect(), expected })
            }
            None => Ok(()),
        }
    }
}

/// A node's `type`, if it is one of the known, and its fields.
pub(super) fn typed<'a>(
    json: &'a Value,
    what: &'static str,
    known: &[&'static str],
    others: &[&str],
) -> Result<(&'static str, &'a Map<String, Value>), QueryError> {
    let unknown = |found: String| QueryError::Unknown { what, found, expected: format!("one of {}", known.join(", ")) };
    let fields = json.as_object().ok_or_else(|| unknown(shorten(json)))?;
    let Some(kind) = fields.get("type").and_then(Value::as_str) else {
        return Err(unknown(fields.get("type").map_or_else(|| "without a type".into(), shorten)));
    };
    match known.iter().find(|name| **name == kind) {
        Some(name) => Ok((*name, fields)),
        None if others.contains(&kind) => Err(not_built(what, kind, known)),
        None => Err(unknown(kind.chars().take(60).collect())),
    }
}

/// The error of what ECHO has and we have not.
pub(super) fn not_built(what: &'static str, found: &str, built: &[&str]) -> QueryError {
    QueryError::NotBuilt { what, found: found.to_owned(), built: built.join(", ") }
}

/// The beginning of a value, for an error.
pub(super) fn shorten(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
