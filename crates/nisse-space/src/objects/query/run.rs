//! Running a query: node by node over places in a list of objects that is sorted by id.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Deleted, Node, Order, OrderBy, QUERY_OBJECTS_MAX, QUERY_RESULTS_MAX, QUERY_STEPS_MAX, QueryError};
use crate::objects::compare;
use crate::objects::object::Object;

/// The work that a query may still do.
pub(super) struct Work(u64);

impl Work {
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), QueryError> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(QueryError::TooMuchWork)?;
        Ok(())
    }
}

pub(super) fn run<'a>(
    node: &Node,
    objects: impl IntoIterator<Item = &'a Object>,
) -> Result<Vec<&'a Object>, QueryError> {
    let mut objects: Vec<&Object> = objects.into_iter().take(QUERY_OBJECTS_MAX + 1).collect();
    if objects.len() > QUERY_OBJECTS_MAX {
        return Err(QueryError::TooManyObjects);
    }
    // Stable, so that the first of two with one id is the one that stays.
    objects.sort_by_key(|object| object.id);
    objects.dedup_by_key(|object| object.id);
    let places = eval(node, &objects, Deleted::Exclude, &mut Work(QUERY_STEPS_MAX))?;
    if places.len() > QUERY_RESULTS_MAX {
        return Err(QueryError::TooManyResults { found: places.len() });
    }
    Ok(places.into_iter().map(|place| objects[place]).collect())
}

/// The places of the objects that a node gives, in its order, none of them twice.
fn eval(node: &Node, objects: &[&Object], deleted: Deleted, work: &mut Work) -> Result<Vec<usize>, QueryError> {
    match node {
        Node::Select { filter } => {
            work.spend(objects.len())?;
            let mut places = Vec::new();
            for (place, object) in objects.iter().enumerate() {
                if deleted.allows(object) && filter.takes(object, work)? {
                    places.push(place);
                }
            }
            Ok(places)
        }
        Node::Filter { selection, filter } => {
            let mut places = Vec::new();
            for place in eval(selection, objects, deleted, work)? {
                if filter.takes(objects[place], work)? {
                    places.push(place);
                }
            }
            Ok(places)
        }
        Node::Union { queries } => {
            let (mut places, mut seen) = (Vec::new(), Places::none(objects, work)?);
            for query in queries {
                let more = eval(query, objects, deleted, work)?;
                work.spend(more.len())?;
                places.extend(more.into_iter().filter(|place| seen.add(*place)));
            }
            Ok(places)
        }
        Node::SetDifference { source, exclude } => {
            let mut seen = Places::none(objects, work)?;
            for place in eval(exclude, objects, deleted, work)? {
                seen.add(place);
            }
            let mut places = eval(source, objects, deleted, work)?;
            places.retain(|place| seen.add(*place));
            Ok(places)
        }
        Node::Order { query, order } => {
            let mut places = eval(query, objects, deleted, work)?;
            let rounds = places.len().checked_ilog2().unwrap_or(0) as usize + 1;
            work.spend(places.len().saturating_mul(rounds).saturating_mul(order.len()))?;
            // Places are in the order of ids, so they decide between equals.
            places.sort_by(|one, other| compare_by(order, objects[*one], objects[*other]).then_with(|| one.cmp(other)));
            Ok(places)
        }
        Node::Limit { query, limit } => {
            let mut places = eval(query, objects, deleted, work)?;
            places.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            Ok(places)
        }
        Node::Skip { query, skip } => {
            let mut places = eval(query, objects, deleted, work)?;
            places.drain(..places.len().min(usize::try_from(*skip).unwrap_or(usize::MAX)));
            Ok(places)
        }
        Node::Options { query, deleted: wanted } => eval(query, objects, wanted.unwrap_or(deleted), work),
    }
}

/// A set of places.
struct Places(Vec<bool>);

impl Places {
    fn none(objects: &[&Object], work: &mut Work) -> Result<Self, QueryError> {
        work.spend(objects.len() / 32 + 1)?;
        Ok(Self(vec![false; objects.len()]))
    }

    /// Adds a place; false when it was there.
    fn add(&mut self, place: usize) -> bool {
        !std::mem::replace(&mut self.0[place], true)
    }
}

fn compare_by(order: &[Order], one: &Object, other: &Object) -> Ordering {
    let by = |order: &Order| {
        let natural = match &order.by {
            OrderBy::Natural => one.id.cmp(&other.id),
            OrderBy::Property(key) if key == "id" => one.id.cmp(&other.id),
            OrderBy::Property(key) => compare_found(one.data.get(key), other.data.get(key)),
        };
        if order.descending { natural.reverse() } else { natural }
    };
    order.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn compare_found(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => compare(one, other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}
