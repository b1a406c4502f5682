//! What a schema is made of: which schemas it applies to a value, and which to what stands in that.
//!
//! The validator's own time and stack grow with how schemas refer to each other: `allOf` of two references doubles at each
//! level. From the outline follows how often one value is looked at in an object of a depth, before anything is run.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Measured, SCHEMA_DEPTH_MAX, SCHEMA_PATTERN_BYTES_MAX, SchemaError, shortened};
use crate::objects::value::OBJECT_DEPTH_MAX;

/// Keywords whose schemas are applied to the value itself: one, a list, or a map of them.
const HERE: [&str; 9] = ["allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then"];
/// Keywords whose schemas are applied to what stands in the value, each part to all of it.
const WITHIN: [&str; 7] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Those of whose schemas one part of the value meets one at most.
const APART: [&str; 3] = ["items", "prefixItems", "properties"];
/// Those that hold schemas for references alone.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Those that hold no schema.
const PLAIN: [&str; 20] = [
    "const",
    "dependentRequired",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "type",
    "uniqueItems",
];
/// Those whose meaning depends on more than the place where they stand.
const REFUSED: [&str; 2] = ["$dynamicRef", "$recursiveRef"];

/// How often one value is looked at, and how many schemas are applied within each other, by the depth of what is left.
#[derive(Debug)]
pub(super) struct Outline {
    visits: Vec<u64>,
    nested: Vec<u32>,
}

/// One schema within the whole.
#[derive(Default)]
struct Part {
    here: Vec<usize>,
    within: Vec<usize>,
    apart: Vec<usize>,
    /// Where it refers to, and where it does so.
    refers: Option<(String, String)>,
}

#[derive(Default)]
struct Reading {
    parts: Vec<Part>,
    /// By their JSON pointers.
    places: HashMap<String, usize>,
}

impl Outline {
    /// Reads a schema; what is returned beside the outline is the schema with known keywords alone.
    pub(super) fn of(json: &Value) -> Result<(Value, Self), SchemaError> {
        let mut reading = Reading::default();
        let (known, _) = reading.schema(json, "", (0, false))?;
        let order = reading.follow()?;
        let count = reading.parts.len();
        let (mut visits, mut nested) = (vec![0; count], vec![0; count]);
        let mut outline = Self { visits: Vec::new(), nested: Vec::new() };
        for depth in 0..=OBJECT_DEPTH_MAX {
            let (below_visits, below_nested) = (visits.clone(), nested.clone());
            for place in &order {
                let part = &reading.parts[*place];
                let here = part.here.iter().fold(1, |sum: u64, at| sum.saturating_add(visits[*at]));
                let within = part.within.iter().fold(0, |sum: u64, at| sum.saturating_add(below_visits[*at]));
                let apart = part.apart.iter().map(|at| below_visits[*at]).max().unwrap_or(0);
                let deepest = part.here.iter().map(|at| nested[*at]).max().unwrap_or(0);
                let below = part.within.iter().chain(&part.apart).map(|at| below_nested[*at]).max().unwrap_or(0);
                let is_leaf = depth == 0;
                visits[*place] = if is_leaf { here } else { here.saturating_add(within).saturating_add(apart) };
                nested[*place] = 1 + if is_leaf { deepest } else { deepest.max(below) };
            }
            outline.visits.push(visits[0]);
            outline.nested.push(nested[0]);
        }
        Ok((known, outline))
    }

    /// Bytes that are looked at while a value is checked, at most.
    pub(super) fn cost(&self, value: Measured) -> u64 {
        self.at(&self.visits, value).unwrap_or(u64::MAX).saturating_mul(value.bytes)
    }

    /// Schemas that are applied within each other meanwhile.
    pub(super) fn nested(&self, value: Measured) -> u32 {
        self.at(&self.nested, value).unwrap_or(u32::MAX)
    }

    fn at<T: Copy>(&self, by_depth: &[T], value: Measured) -> Option<T> {
        by_depth.get(value.depth).copied()
    }
}

impl Reading {
    /// Reads one schema, and says what is known of it and where it stands.
    fn schema(&mut self, json: &Value, at: &str, (depth, named): (usize, bool)) -> Result<(Value, usize), SchemaError> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(SchemaError::TooLarge { what: "levels of nesting", max: SCHEMA_DEPTH_MAX as u64 });
        }
        let place = self.parts.len();
        self.parts.push(Part::default());
        self.places.insert(at.to_owned(), place);
        let Value::Object(map) = json else {
            return match json {
                Value::Bool(_) => Ok((json.clone(), place)),
                _ => Err(unsound(at, "stands what is no schema: a map, true or false is expected")),
            };
        };
        // What is below a name of its own is found from there, and not from the whole.
        let named = named || (depth > 0 && map.contains_key("$id"));
        let mut known = Map::new();
        for (keyword, value) in map {
            let below = format!("{at}/{}", escaped(keyword));
            let inner = (depth + 1, named);
            match keyword.as_str() {
                "$ref" => {
                    self.parts[place].refers = Some((reference(value, &below, named)?, below.clone()));
                    known.insert(keyword.clone(), value.clone());
                }
                keyword if REFUSED.contains(&keyword) => {
                    return Err(unsound(&below, "stands a reference whose meaning depends on where it came from"));
                }
                "pattern" => check_pattern(value.as_str().unwrap_or_default(), &below)?,
                "patternProperties" => {
                    let patterns = value.as_object().into_iter().flat_map(Map::keys);
                    patterns.into_iter().try_for_each(|pattern| check_pattern(pattern, &below))?;
                }
                _ => {}
            }
            let is = |keywords: &[&str]| keywords.contains(&keyword.as_str());
            if is(&HERE) || is(&WITHIN) || is(&APART) || is(&DEFINITIONS) {
                let (value, found) = self.schemas(keyword, value, &below, inner)?;
                let part = &mut self.parts[place];
                if is(&HERE) {
                    part.here.extend(found);
                } else if is(&WITHIN) {
                    part.within.extend(found);
                } else if is(&APART) {
                    part.apart.extend(found);
                }
                known.insert(keyword.clone(), value);
            } else if is(&PLAIN) {
                known.insert(keyword.clone(), value.clone());
            }
        }
        Ok((Value::Object(known), place))
    }

    /// Reads the schemas that stand at a keyword: one, a list, or a map of them.
    fn schemas(
        &mut self,
        keyword: &str,
        value: &Value,
        at: &str,
        inner: (usize, bool),
    ) -> Result<(Value, Vec<usize>), SchemaError> {
        let is_map = ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];
        let mut found = Vec::new();
        let mut read = |reading: &mut Self, value: &Value, at: String| {
            let (known, place) = reading.schema(value, &at, inner)?;
            found.push(place);
            Ok(known)
        };
        let known = match value {
            Value::Object(map) if is_map.contains(&keyword) => {
                let mut known = Map::new();
                for (name, value) in map {
                    // Of `dependencies` some are lists of names.
                    let is_names = keyword == "dependencies" && value.is_array();
                    let at = format!("{at}/{}", escaped(name));
                    let value = if is_names { value.clone() } else { read(self, value, at)? };
                    known.insert(name.clone(), value);
                }
                Value::Object(known)
            }
            Value::Array(list) => {
                let each = list.iter().enumerate().map(|(number, value)| read(self, value, format!("{at}/{number}")));
                Value::Array(each.collect::<Result<_, _>>()?)
            }
            value => read(self, value, at.to_owned())?,
        };
        Ok((known, found))
    }

    /// Follows the references, and orders the parts so that each stands behind those that it applies to the same value.
    fn follow(&mut self) -> Result<Vec<usize>, SchemaError> {
        for place in 0..self.parts.len() {
            let Some((to, at)) = self.parts[place].refers.take() else { continue };
            let target = self.places.get(&to).copied().ok_or_else(|| {
                unsound(&at, &format!("is a reference to `#{}`, where no schema stands", shortened(&to)))
            })?;
            self.parts[place].here.push(target);
        }
        let mut applied_by = vec![Vec::new(); self.parts.len()];
        let mut open: Vec<usize> = self.parts.iter().map(|part| part.here.len()).collect();
        for (place, part) in self.parts.iter().enumerate() {
            part.here.iter().for_each(|target| applied_by[*target].push(place));
        }
        let mut order: Vec<usize> = (0..self.parts.len()).filter(|place| open[*place] == 0).collect();
        let mut next = 0;
        while let Some(place) = order.get(next).copied() {
            next += 1;
            for above in &applied_by[place] {
                open[*above] -= 1;
                if open[*above] == 0 {
                    order.push(*above);
                }
            }
        }
        if order.len() < self.parts.len() {
            return Err(unsound("", "it comes back to where it was without going into the object"));
        }
        Ok(order)
    }
}

fn unsound(at: &str, reason: &str) -> SchemaError {
    SchemaError::Unsound { at: super::pointer(at), reason: reason.to_owned() }
}

fn check_pattern(pattern: &str, at: &str) -> Result<(), SchemaError> {
    if pattern.len() > SCHEMA_PATTERN_BYTES_MAX {
        return Err(unsound(at, &format!("stands a pattern of more than {SCHEMA_PATTERN_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// The JSON pointer that a reference names.
fn reference(value: &Value, at: &str, named: bool) -> Result<String, SchemaError> {
    let text = value.as_str().ok_or_else(|| unsound(at, "stands a reference that is no text"))?;
    let outside = || SchemaError::Outside { at: super::pointer(at), to: shortened(text) };
    let pointer = text.strip_prefix('#').ok_or_else(outside)?;
    if named || !(pointer.is_empty() || pointer.starts_with('/')) {
        return Err(outside());
    }
    if pointer.contains('%') {
        return Err(unsound(at, "stands a reference with `%`: name the definition by plain characters"));
    }
    Ok(pointer.to_owned())
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
