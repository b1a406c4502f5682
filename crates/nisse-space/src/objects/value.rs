//! From automerge values to JSON, and the limits on an object's size.

use std::io;

use automerge::{ObjId, ObjType, ReadDoc, ScalarValue, Value as Stored};
use serde_json::{Map, Value};

use super::scalar::{bytes_to_json, time_to_json};
use super::structure::ObjectError;

/// Longest JSON of an object that is written.
pub const OBJECT_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of maps and lists in an object's JSON; the object itself is the first.
pub const OBJECT_DEPTH_MAX: usize = 64;
/// Most keys, of all maps together, in an object's JSON.
pub const OBJECT_KEYS_MAX: usize = 10_000;
/// Most elements, of all lists together, in an object's JSON.
pub const OBJECT_ELEMENTS_MAX: usize = 100_000;
/// How many times larger than what one may write an object may be read: several may have written at once.
pub const OBJECT_READ_TIMES_MAX: usize = 8;

/// What is still allowed while an object is measured or read.
pub(super) struct Budget {
    bytes: usize,
    keys: usize,
    elements: usize,
    times: usize,
}

impl Budget {
    pub(super) fn to_read() -> Self {
        Self::times(OBJECT_READ_TIMES_MAX)
    }

    fn times(times: usize) -> Self {
        Self {
            bytes: OBJECT_BYTES_MAX * times,
            keys: OBJECT_KEYS_MAX * times,
            elements: OBJECT_ELEMENTS_MAX * times,
            times,
        }
    }

    fn key(&mut self, key: &str) -> Result<(), ObjectError> {
        let max = OBJECT_KEYS_MAX * self.times;
        self.keys = self.keys.checked_sub(1).ok_or(ObjectError::TooLarge { what: "keys", max })?;
        self.bytes(key.len())
    }

    fn element(&mut self) -> Result<(), ObjectError> {
        let max = OBJECT_ELEMENTS_MAX * self.times;
        self.elements = self.elements.checked_sub(1).ok_or(ObjectError::TooLarge { what: "elements of lists", max })?;
        Ok(())
    }

    fn bytes(&mut self, count: usize) -> Result<(), ObjectError> {
        let max = OBJECT_BYTES_MAX * self.times;
        self.bytes = self.bytes.checked_sub(count).ok_or(ObjectError::TooLarge { what: "bytes", max })?;
        Ok(())
    }
}

fn check_depth(depth: usize) -> Result<(), ObjectError> {
    if depth > OBJECT_DEPTH_MAX {
        return Err(ObjectError::TooLarge { what: "levels of nesting", max: OBJECT_DEPTH_MAX });
    }
    Ok(())
}

/// Checks that an object's JSON is not larger than what one may write.
pub(super) fn check_size(json: &Map<String, Value>) -> Result<(), ObjectError> {
    let mut budget = Budget::times(1);
    measure_map(json, 1, &mut budget)?;
    // Only now is the nesting known to be shallow enough for serde_json's own recursion.
    serde_json::to_writer(Counter(OBJECT_BYTES_MAX), json)
        .map_err(|_| ObjectError::TooLarge { what: "bytes", max: OBJECT_BYTES_MAX })
}

fn measure(value: &Value, depth: usize, budget: &mut Budget) -> Result<(), ObjectError> {
    match value {
        Value::Object(map) => measure_map(map, depth, budget),
        Value::Array(list) => {
            check_depth(depth)?;
            list.iter().try_for_each(|element| {
                budget.element()?;
                measure(element, depth + 1, budget)
            })
        }
        Value::String(text) => budget.bytes(text.len()),
        _ => Ok(()),
    }
}

fn measure_map(map: &Map<String, Value>, depth: usize, budget: &mut Budget) -> Result<(), ObjectError> {
    check_depth(depth)?;
    map.iter().try_for_each(|(key, value)| {
        budget.key(key)?;
        measure(value, depth + 1, budget)
    })
}

/// Takes in as many bytes as it holds and fails at one more.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The JSON of a stored value at a depth.
pub(super) fn to_json<D: ReadDoc>(
    document: &D,
    value: &Stored<'_>,
    id: &ObjId,
    depth: usize,
    budget: &mut Budget,
) -> Result<Value, ObjectError> {
    match value {
        Stored::Object(ObjType::Map | ObjType::Table) => map_to_json(document, id, depth, budget).map(Value::Object),
        Stored::Object(ObjType::List) => list_to_json(document, id, depth, budget).map(Value::Array),
        Stored::Object(ObjType::Text) => {
            budget.bytes(document.length(id))?;
            Ok(Value::String(document.text(id)?))
        }
        Stored::Scalar(scalar) => {
            if let ScalarValue::Str(text) = scalar.as_ref() {
                budget.bytes(text.len())?;
            } else if let ScalarValue::Bytes(bytes) = scalar.as_ref() {
                budget.bytes(bytes.len().saturating_mul(4) / 3)?;
            }
            Ok(scalar_to_json(scalar))
        }
    }
}

/// The JSON of a map in a document.
pub(super) fn map_to_json<D: ReadDoc>(
    document: &D,
    id: &ObjId,
    depth: usize,
    budget: &mut Budget,
) -> Result<Map<String, Value>, ObjectError> {
    check_depth(depth)?;
    let mut map = Map::new();
    for item in document.map_range(id, ..) {
        budget.key(&item.key)?;
        let (key, child) = (item.key.to_string(), item.id());
        map.insert(key, to_json(document, &item.value.into_value(), &child, depth + 1, budget)?);
    }
    Ok(map)
}

/// The JSON of a list in a document.
pub(super) fn list_to_json<D: ReadDoc>(
    document: &D,
    id: &ObjId,
    depth: usize,
    budget: &mut Budget,
) -> Result<Vec<Value>, ObjectError> {
    check_depth(depth)?;
    let mut list = Vec::new();
    for item in document.list_range(id, ..) {
        budget.element()?;
        let child = item.id();
        list.push(to_json(document, &item.value.into_value(), &child, depth + 1, budget)?);
    }
    Ok(list)
}

/// The JSON of a scalar. What JSON cannot say (a float that is no finite number, a kind of a later automerge) is null:
/// a later put of the same JSON leaves it as it is.
pub(super) fn scalar_to_json(scalar: &ScalarValue) -> Value {
    match scalar {
        ScalarValue::Bytes(bytes) => bytes_to_json(bytes),
        ScalarValue::Str(text) => Value::String(text.to_string()),
        ScalarValue::Int(number) => (*number).into(),
        ScalarValue::Uint(number) => (*number).into(),
        ScalarValue::F64(number) => (*number).into(),
        ScalarValue::Counter(counter) => i64::from(counter).into(),
        ScalarValue::Timestamp(ms) => time_to_json(*ms),
        ScalarValue::Boolean(value) => (*value).into(),
        ScalarValue::Unknown { .. } | ScalarValue::Null => Value::Null,
    }
}
