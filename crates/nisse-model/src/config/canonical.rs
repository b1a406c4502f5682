//! Canonical JSON: keys sorted by their bytes, no spaces, serde_json's spelling of texts and numbers.
//!
//! The keys are sorted here and not left to the map, whose order depends on a feature that any crate may switch on.

use serde_json::{Map, Value};

use super::{Config, ConfigError};

pub(super) fn write_object(object: &Map<String, Value>, json: &mut String, depth: usize) -> Result<(), ConfigError> {
    within_depth(depth)?;
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by_key(|(key, _)| key.as_bytes());
    json.push('{');
    for (position, (key, value)) in entries.into_iter().enumerate() {
        if position > 0 {
            json.push(',');
        }
        json.push_str(&Value::from(key.as_str()).to_string());
        json.push(':');
        write_value(value, json, depth)?;
    }
    json.push('}');
    Ok(())
}

fn write_value(value: &Value, json: &mut String, depth: usize) -> Result<(), ConfigError> {
    match value {
        Value::Object(object) => write_object(object, json, depth + 1),
        Value::Array(values) => write_array(values, json, depth + 1),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            json.push_str(&value.to_string());
            Ok(())
        }
    }
}

fn write_array(values: &[Value], json: &mut String, depth: usize) -> Result<(), ConfigError> {
    within_depth(depth)?;
    json.push('[');
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            json.push(',');
        }
        write_value(value, json, depth)?;
    }
    json.push(']');
    Ok(())
}

fn within_depth(depth: usize) -> Result<(), ConfigError> {
    if depth > Config::DEPTH_MAX { Err(ConfigError::TooDeep) } else { Ok(()) }
}
