//! The smallest difference: turns what stands in a document into given JSON, touching only what differs.
//!
//! The one thing to know: *a value whose JSON is already what is wanted is left alone*, whatever it is in the document
//! (a counter, a time, an old scalar string). So JSON that was read and is put again makes no change.

use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ObjType, Prop, ReadDoc, ScalarValue, TextEncoding, Value as Stored, hydrate};
use serde_json::{Map, Number, Value};

use super::order::same;
use super::scalar::{bytes_from_json, time_from_json};
use super::value::{Budget, list_to_json, map_to_json, scalar_to_json};

/// Longest string, in characters, that is written as a text object; a longer one is one scalar, as in ECHO.
const TEXT_LENGTH_MAX: usize = 300_000;
/// Largest product of the two differing middles, in characters, of which single characters are compared: the work
/// grows with it. Beyond it the middle is replaced as a whole.
const TEXT_COMPARISONS_MAX: usize = 4_000_000;

/// What becomes of a string that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strings {
    /// Its letters change, so that what others insert at the same time stays.
    Merge,
    /// It is replaced: of two names or URIs mixed by letters neither would be right.
    Replace,
}

/// Makes a map of the document the wanted one; keys of the document that `kept` names stay as they are.
pub(super) fn set_map(
    edit: &mut Transaction<'_>,
    map: &ObjId,
    wanted: &Map<String, Value>,
    strings: Strings,
    kept: fn(&str) -> bool,
) -> Result<(), AutomergeError> {
    let gone: Vec<String> = edit.keys(map).filter(|key| !wanted.contains_key(key) && !kept(key)).collect();
    for key in gone {
        edit.delete(map, key)?;
    }
    for (key, value) in wanted {
        let strings = if key == "/" && wanted.len() == 1 { Strings::Replace } else { strings };
        set(edit, map, key.as_str().into(), value, strings)?;
    }
    Ok(())
}

/// Makes what stands at one place of a map or list the wanted value.
pub(super) fn set(
    edit: &mut Transaction<'_>,
    parent: &ObjId,
    place: Prop,
    wanted: &Value,
    strings: Strings,
) -> Result<(), AutomergeError> {
    let Some((present, id)) = edit.get(parent, place.clone())? else {
        return create(edit, parent, place, wanted);
    };
    let present = present.into_owned();
    match (&present, wanted) {
        (Stored::Object(ObjType::Map | ObjType::Table), Value::Object(map)) => {
            if bytes_from_json(map).is_none() {
                return set_map(edit, &id, map, strings, |_| false);
            }
            // The form of bytes: either a map that reads the same, or to become bytes.
            let read = map_to_json(edit, &id, 1, &mut Budget::to_read()).map(Value::Object);
            if read.is_ok_and(|read| same(&read, wanted)) { Ok(()) } else { create(edit, parent, place, wanted) }
        }
        (Stored::Object(ObjType::List), Value::Array(list)) => match list_to_json(edit, &id, 1, &mut Budget::to_read())
        {
            Ok(read) => set_list(edit, &id, &read, list, strings),
            Err(_) => create(edit, parent, place, wanted),
        },
        (Stored::Object(ObjType::Text), Value::String(text)) => {
            let read = edit.text(&id)?;
            if read == *text {
                Ok(())
            } else if strings == Strings::Merge && text.chars().count() <= TEXT_LENGTH_MAX {
                set_text(edit, &id, &read, text)
            } else {
                create(edit, parent, place, wanted)
            }
        }
        (Stored::Scalar(scalar), _) if same(&scalar_to_json(scalar), wanted) => Ok(()),
        (Stored::Scalar(scalar), _) => set_scalar(edit, parent, place, scalar, wanted),
        _ => create(edit, parent, place, wanted),
    }
}

/// A scalar that changes keeps its kind where the wanted value allows it.
fn set_scalar(
    edit: &mut Transaction<'_>,
    parent: &ObjId,
    place: Prop,
    present: &ScalarValue,
    wanted: &Value,
) -> Result<(), AutomergeError> {
    match (present, wanted) {
        (ScalarValue::Str(_), Value::String(text)) => edit.put(parent, place, text.as_str()),
        (ScalarValue::Counter(counter), Value::Number(number)) => {
            match number.as_i64().and_then(|number| number.checked_sub(i64::from(counter))) {
                Some(step) => edit.increment(parent, place, step),
                None => edit.put(parent, place, number_to_scalar(number)),
            }
        }
        (ScalarValue::Timestamp(_), Value::String(text)) => match time_from_json(text) {
            Some(ms) => edit.put(parent, place, ScalarValue::Timestamp(ms)),
            None => create(edit, parent, place, wanted),
        },
        _ => create(edit, parent, place, wanted),
    }
}

/// Elements that both lists begin and end with stay; those between are matched one by one, and what one list has more
/// of is removed or inserted after them.
fn set_list(
    edit: &mut Transaction<'_>,
    list: &ObjId,
    read: &[Value],
    wanted: &[Value],
    strings: Strings,
) -> Result<(), AutomergeError> {
    let begin = read.iter().zip(wanted).take_while(|(one, other)| same(one, other)).count();
    let (read, wanted) = (&read[begin..], &wanted[begin..]);
    let end = read.iter().rev().zip(wanted.iter().rev()).take_while(|(one, other)| same(one, other)).count();
    let (read, wanted) = (&read[..read.len() - end], &wanted[..wanted.len() - end]);
    let both = read.len().min(wanted.len());
    for (place, value) in wanted[..both].iter().enumerate() {
        set(edit, list, (begin + place).into(), value, strings)?;
    }
    splice(edit, list, begin + both, read.len() - both, &wanted[both..])
}

/// Replaces elements of a list by new ones, at once: inserted singly, each would be moved past all elements that were
/// ever deleted at that place. Containers go in empty and are filled one by one, since automerge fills maps in the order
/// of a hash map, and the same put would not give the same bytes twice.
fn splice(
    edit: &mut Transaction<'_>,
    list: &ObjId,
    begin: usize,
    gone: usize,
    values: &[Value],
) -> Result<(), AutomergeError> {
    if gone == 0 && values.is_empty() {
        return Ok(());
    }
    let encoding = edit.text_encoding();
    let shallow = values.iter().map(|value| match to_scalar(value) {
        Some(scalar) => hydrate::Value::Scalar(scalar),
        None => match value {
            Value::String(text) => hydrate::Value::text(encoding, text),
            Value::Array(_) => hydrate::Value::list(),
            _ => hydrate::Value::map(),
        },
    });
    edit.splice(list, begin, gone as isize, shallow)?;
    let made: Vec<ObjId> = edit.list_range(list, begin..begin + values.len()).map(|item| item.id()).collect();
    values.iter().zip(&made).try_for_each(|(value, id)| fill(edit, id, value))
}

fn set_text(edit: &mut Transaction<'_>, text: &ObjId, read: &str, wanted: &str) -> Result<(), AutomergeError> {
    let begin = common_prefix(read, wanted);
    let (old, new) = (&read[begin..], &wanted[begin..]);
    let end = common_suffix(old, new);
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    if old.chars().count().saturating_mul(new.chars().count()) <= TEXT_COMPARISONS_MAX {
        return edit.update_text(text, wanted);
    }
    match edit.text_encoding() {
        // A grapheme may reach over the borders that were found.
        TextEncoding::GraphemeCluster => {
            let length = edit.length(text) as isize;
            edit.splice_text(text, 0, length, wanted)
        }
        encoding => edit.splice_text(text, width(encoding, &read[..begin]), width(encoding, old) as isize, new),
    }
}

fn common_prefix(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).map(|(one, _)| one.len_utf8()).sum()
}

fn common_suffix(one: &str, other: &str) -> usize {
    let pairs = one.chars().rev().zip(other.chars().rev());
    pairs.take_while(|(one, other)| one == other).map(|(one, _)| one.len_utf8()).sum()
}

fn width(encoding: TextEncoding, text: &str) -> usize {
    match encoding {
        TextEncoding::Utf8CodeUnit => text.len(),
        TextEncoding::Utf16CodeUnit => text.encode_utf16().count(),
        TextEncoding::UnicodeCodePoint | TextEncoding::GraphemeCluster => text.chars().count(),
    }
}

/// Writes a value where none is to be kept.
pub(super) fn create(
    edit: &mut Transaction<'_>,
    parent: &ObjId,
    place: Prop,
    value: &Value,
) -> Result<(), AutomergeError> {
    if let Some(scalar) = to_scalar(value) {
        return edit.put(parent, place, scalar);
    }
    let kind = match value {
        Value::String(_) => ObjType::Text,
        Value::Array(_) => ObjType::List,
        _ => ObjType::Map,
    };
    let id = edit.put_object(parent, place, kind)?;
    match value {
        Value::String(text) => edit.splice_text(&id, 0, 0, text),
        value => fill(edit, &id, value),
    }
}

/// Writes what a container that was just made holds.
fn fill(edit: &mut Transaction<'_>, id: &ObjId, value: &Value) -> Result<(), AutomergeError> {
    match value {
        Value::Array(list) => splice(edit, id, 0, 0, list),
        Value::Object(map) if bytes_from_json(map).is_none() => {
            map.iter().try_for_each(|(key, value)| create(edit, id, key.as_str().into(), value))
        }
        _ => Ok(()),
    }
}

/// The scalar that a value is written as; None for what becomes an object of automerge's.
fn to_scalar(value: &Value) -> Option<ScalarValue> {
    match value {
        Value::Null => Some(ScalarValue::Null),
        Value::Bool(value) => Some((*value).into()),
        Value::Number(number) => Some(number_to_scalar(number)),
        Value::String(text) => (text.chars().count() > TEXT_LENGTH_MAX).then(|| text.as_str().into()),
        Value::Object(map) => bytes_from_json(map).map(ScalarValue::Bytes),
        Value::Array(_) => None,
    }
}

fn number_to_scalar(number: &Number) -> ScalarValue {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => ScalarValue::Int(number),
        (None, Some(number)) => ScalarValue::Uint(number),
        (None, None) => ScalarValue::F64(number.as_f64().unwrap_or_default()),
    }
}
