//! Filters: which objects, and which values of their data, a query takes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::run::Work;
use super::text_search::TextSearch;
use super::{Deleted, QueryError};
use crate::objects::ObjectId;
use crate::objects::object::{ForeignKey, Object};
use crate::objects::order::{compare, rank, same};

/// A condition on an object or on a value of its data.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    Object(ObjectFilter),
    Tag(String),
    TextSearch(TextSearch),
    Compare { operator: Operator, value: Value },
    In { values: Vec<Value> },
    Contains { value: Value },
    Range { from: Value, to: Value },
    Not(Box<Filter>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
}

/// All of these must hold. In a value's place only `props` is used.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ObjectFilter {
    pub(super) typename: Option<String>,
    /// One of these; empty means any.
    pub(super) ids: Vec<ObjectId>,
    pub(super) props: BTreeMap<String, Filter>,
    /// Any of these; empty means any or none.
    pub(super) foreign_keys: Vec<ForeignKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Deleted {
    pub(super) fn allows(self, object: &Object) -> bool {
        match self {
            Self::Include => true,
            Self::Exclude => !object.deleted,
            Self::Only => object.deleted,
        }
    }
}

impl Filter {
    /// Whether the filter takes an object.
    pub(super) fn takes(&self, object: &Object, work: &mut Work) -> Result<bool, QueryError> {
        work.spend(1)?;
        match self {
            Self::Object(filter) => filter.takes(object, work),
            Self::Tag(tag) => {
                let tags = object.meta.as_ref().and_then(|meta| meta.get("tags")).and_then(Value::as_array);
                Ok(tags.is_some_and(|tags| tags.iter().any(|found| found.as_str() == Some(tag))))
            }
            Self::TextSearch(search) => search.finds(object, work),
            Self::Not(filter) => Ok(!filter.takes(object, work)?),
            Self::And(filters) => all(filters, |filter| filter.takes(object, work)),
            Self::Or(filters) => any(filters, |filter| filter.takes(object, work)),
            // Refused where a query is read.
            Self::Compare { .. } | Self::In { .. } | Self::Contains { .. } | Self::Range { .. } => Ok(false),
        }
    }

    /// Whether the filter takes a value of an object's data; None where the object has none at that key.
    fn takes_value(&self, value: Option<&Value>, work: &mut Work) -> Result<bool, QueryError> {
        work.spend(1)?;
        match self {
            Self::Compare { operator, value: wanted } => Ok(operator.holds(value, wanted)),
            Self::In { values } => {
                work.spend(values.len())?;
                Ok(value.is_some_and(|value| values.iter().any(|wanted| same(value, wanted))))
            }
            Self::Contains { value: wanted } => {
                let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                work.spend(list.len())?;
                Ok(list.iter().any(|element| same(element, wanted)))
            }
            Self::Range { from, to } => Ok(Operator::Gte.holds(value, from) && Operator::Lte.holds(value, to)),
            Self::Object(filter) => match value {
                Some(Value::Object(map)) => filter.takes_props(|key| map.get(key), work),
                _ => Ok(false),
            },
            Self::Not(filter) => Ok(!filter.takes_value(value, work)?),
            Self::And(filters) => all(filters, |filter| filter.takes_value(value, work)),
            Self::Or(filters) => any(filters, |filter| filter.takes_value(value, work)),
            // Refused where a query is read.
            Self::Tag(_) | Self::TextSearch(_) => Ok(false),
        }
    }
}

impl ObjectFilter {
    fn takes(&self, object: &Object, work: &mut Work) -> Result<bool, QueryError> {
        work.spend(self.ids.len() + self.foreign_keys.len())?;
        let is_of_type = self
            .typename
            .as_ref()
            .is_none_or(|wanted| object.type_uri.as_ref().is_some_and(|found| is_type(found, wanted)));
        let is_named = self.ids.is_empty() || self.ids.contains(&object.id);
        if !is_of_type || !is_named {
            return Ok(false);
        }
        if !self.foreign_keys.is_empty() && !object.foreign_keys().iter().any(|key| self.foreign_keys.contains(key)) {
            return Ok(false);
        }
        self.takes_props(|key| object.data.get(key), work)
    }

    fn takes_props<'a>(&self, value: impl Fn(&str) -> Option<&'a Value>, work: &mut Work) -> Result<bool, QueryError> {
        for (key, filter) in &self.props {
            if !filter.takes_value(value(key), work)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Operator {
    /// Whether a value stands in this relation to the wanted one. `eq` and `neq` compare any values, and a missing one
    /// equals none; the other four hold only between values of one kind (`"10"` is neither above nor below 5).
    fn holds(self, value: Option<&Value>, wanted: &Value) -> bool {
        let order = value.map(|value| compare(value, wanted));
        let within = value.filter(|value| rank(value) == rank(wanted)).and(order);
        match self {
            Self::Eq => order.is_some_and(|order| order.is_eq()),
            Self::Neq => order.is_none_or(|order| order.is_ne()),
            Self::Gt => within.is_some_and(|order| order.is_gt()),
            Self::Gte => within.is_some_and(|order| order.is_ge()),
            Self::Lt => within.is_some_and(|order| order.is_lt()),
            Self::Lte => within.is_some_and(|order| order.is_le()),
        }
    }
}

/// Whether an object's type is the wanted one: the names are equal, and the versions are where both have one.
fn is_type(found: &str, wanted: &str) -> bool {
    let ((found, found_version), (wanted, wanted_version)) = (type_name(found), type_name(wanted));
    found == wanted && (found_version.is_none() || wanted_version.is_none() || found_version == wanted_version)
}

/// `dxn:type:<name>:<version>`, `dxn:<name>:<version>`, `<name>:<version>` as name and version; the version may be
/// missing. A URI of another scheme has none.
pub(crate) fn type_name(uri: &str) -> (&str, Option<&str>) {
    let name = uri.strip_prefix("dxn:").unwrap_or(uri);
    let name = name.strip_prefix("type:").unwrap_or(name);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once(':') {
        Some((name, version)) if version.split('.').count() == 3 && version.split('.').all(is_number) => {
            (name, Some(version))
        }
        _ => (name, None),
    }
}

fn all(filters: &[Filter], mut takes: impl FnMut(&Filter) -> Result<bool, QueryError>) -> Result<bool, QueryError> {
    for filter in filters {
        if !takes(filter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any(filters: &[Filter], mut takes: impl FnMut(&Filter) -> Result<bool, QueryError>) -> Result<bool, QueryError> {
    for filter in filters {
        if takes(filter)? {
            return Ok(true);
        }
    }
    Ok(false)
}
