//! One total order over all JSON values, and the equality that follows from it.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// Compares any two JSON values: null < booleans < numbers < strings < lists < maps.
///
/// Numbers compare by their exact value, whatever their form (`1` equals `1.0`); strings by code points; lists element
/// by element; maps as lists of their entries sorted by key.
pub fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Number(one), Value::Number(other)) => compare_numbers(one, other),
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Array(one), Value::Array(other)) => compare_lists(one, other),
        (Value::Object(one), Value::Object(other)) => compare_maps(one, other),
        _ => rank(one).cmp(&rank(other)),
    }
}

/// Whether two JSON values are the same by [`compare`].
pub(super) fn same(one: &Value, other: &Value) -> bool {
    compare(one, other).is_eq()
}

/// The place of a value's kind in the order of kinds.
pub(super) fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn compare_lists(one: &[Value], other: &[Value]) -> Ordering {
    let differs = one.iter().zip(other).map(|(one, other)| compare(one, other)).find(|order| order.is_ne());
    differs.unwrap_or_else(|| one.len().cmp(&other.len()))
}

fn compare_maps(one: &Map<String, Value>, other: &Map<String, Value>) -> Ordering {
    let (one, other) = (sorted(one), sorted(other));
    let entry = |((key, value), (other_key, other_value)): (&(&String, &Value), &(&String, &Value))| {
        key.cmp(other_key).then_with(|| compare(value, other_value))
    };
    let differs = one.iter().zip(&other).map(entry).find(|order| order.is_ne());
    differs.unwrap_or_else(|| one.len().cmp(&other.len()))
}

/// The entries by key: whether serde_json keeps them so depends on a feature that any crate may turn on.
fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

fn compare_numbers(one: &Number, other: &Number) -> Ordering {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(one), None) => compare_mixed(one, float(other)),
        (None, Some(other)) => compare_mixed(other, float(one)).reverse(),
        (None, None) => float(one).partial_cmp(&float(other)).unwrap_or(Ordering::Equal),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// A JSON number is never NaN or infinite.
fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}

/// A whole number of at most 65 bits against a finite float, without rounding either.
fn compare_mixed(whole: i128, float: f64) -> Ordering {
    const BEYOND: f64 = 36_893_488_147_419_103_232.0; // 2^65
    if float.abs() >= BEYOND {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    let floor = float.floor();
    whole.cmp(&(floor as i128)).then(if float > floor { Ordering::Less } else { Ordering::Equal })
}
