//! Reading a query from JSON.

use serde_json::Value;

use super::fields::{Fields, not_built, shorten, typed};
use super::filter::{Filter, ObjectFilter, Operator};
use super::text_search::TextSearch;
use super::{Deleted, Node, Order, OrderBy, QUERY_DEPTH_MAX, QUERY_NODES_MAX, QueryError};
use crate::objects::object::ForeignKey;

const NODES: [&str; 8] = ["select", "filter", "union", "set-difference", "order", "limit", "skip", "options"];
/// What ECHO has besides [`NODES`].
const NODES_NOT_BUILT: [&str; 9] = [
    "reference-traversal",
    "incoming-references",
    "relation",
    "relation-traversal",
    "hierarchy-traversal",
    "aggregate",
    "group",
    "from",
    "vector",
];
const FILTERS: [&str; 10] = ["object", "tag", "text-search", "not", "and", "or", "compare", "in", "contains", "range"];
/// What ECHO has besides [`FILTERS`]. Times (`createdAt`, `updatedAt`) are its index's, not an object's.
const FILTERS_NOT_BUILT: [&str; 3] = ["in-query", "timestamp", "child-of"];

/// Reads a query node and all below it.
pub(super) fn query(json: &Value) -> Result<Node, QueryError> {
    Parser { nodes: 0 }.query(json, 1)
}

/// Where a filter stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Object,
    Value,
}

struct Parser {
    nodes: usize,
}

impl Parser {
    fn query(&mut self, json: &Value, depth: usize) -> Result<Node, QueryError> {
        self.count(depth)?;
        let (kind, fields) = typed(json, "node", &NODES, &NODES_NOT_BUILT)?;
        let fields = Fields { node: kind, fields };
        let node = match kind {
            "select" => Node::Select { filter: self.filter(fields.get("filter")?, Place::Object, depth + 1)? },
            "filter" => Node::Filter {
                selection: self.boxed(&fields, "selection", depth)?,
                filter: self.filter(fields.get("filter")?, Place::Object, depth + 1)?,
            },
            "union" => {
                let queries = fields.list("queries")?.iter().map(|query| self.query(query, depth + 1));
                Node::Union { queries: queries.collect::<Result<_, _>>()? }
            }
            "set-difference" => Node::SetDifference {
                source: self.boxed(&fields, "source", depth)?,
                exclude: self.boxed(&fields, "exclude", depth)?,
            },
            "order" => {
                let order = fields.list("order")?;
                self.nodes += order.len();
                let order = order.iter().map(read_order).collect::<Result<_, _>>()?;
                Node::Order { query: self.boxed(&fields, "query", depth)?, order }
            }
            "limit" => Node::Limit { query: self.boxed(&fields, "query", depth)?, limit: fields.count("limit")? },
            "skip" => Node::Skip { query: self.boxed(&fields, "query", depth)?, skip: fields.count("skip")? },
            // What `typed` lets through is on its list.
            _ => Node::Options {
                query: self.boxed(&fields, "query", depth)?,
                deleted: read_options(fields.get("options")?)?,
            },
        };
        let known: &[&str] = match kind {
            "select" => &["filter"],
            "filter" => &["selection", "filter"],
            "union" => &["queries"],
            "set-difference" => &["source", "exclude"],
            "order" => &["query", "order"],
            "limit" => &["query", "limit"],
            "skip" => &["query", "skip"],
            _ => &["query", "options"],
        };
        fields.only(known)?;
        Ok(node)
    }

    fn boxed(&mut self, fields: &Fields<'_>, field: &'static str, depth: usize) -> Result<Box<Node>, QueryError> {
        self.query(fields.get(field)?, depth + 1).map(Box::new)
    }

    fn filter(&mut self, json: &Value, place: Place, depth: usize) -> Result<Filter, QueryError> {
        self.count(depth)?;
        let (kind, fields) = typed(json, "filter", &FILTERS, &FILTERS_NOT_BUILT)?;
        check_place(kind, place)?;
        let fields = Fields { node: kind, fields };
        let (filter, known): (_, &[&str]) = match kind {
            "object" => (
                Filter::Object(self.object(&fields, place, depth)?),
                &["typename", "id", "props", "foreignKeys", "metaKey", "metaVersion"],
            ),
            "tag" => (Filter::Tag(fields.text("tag")?.to_owned()), &["tag"]),
            "text-search" => (read_text_search(&fields)?, &["text", "searchKind"]),
            "compare" => {
                let operator = read_operator(fields.text("operator")?)?;
                (Filter::Compare { operator, value: fields.get("value")?.clone() }, &["operator", "value"])
            }
            "in" => (Filter::In { values: fields.list("values")?.clone() }, &["values"]),
            "contains" => (Filter::Contains { value: fields.get("value")?.clone() }, &["value"]),
            "range" => {
                (Filter::Range { from: fields.get("from")?.clone(), to: fields.get("to")?.clone() }, &["from", "to"])
            }
            "not" => (Filter::Not(Box::new(self.filter(fields.get("filter")?, place, depth + 1)?)), &["filter"]),
            "and" => (Filter::And(self.filters(&fields, place, depth)?), &["filters"]),
            _ => (Filter::Or(self.filters(&fields, place, depth)?), &["filters"]),
        };
        fields.only(known)?;
        Ok(filter)
    }

    fn filters(&mut self, fields: &Fields<'_>, place: Place, depth: usize) -> Result<Vec<Filter>, QueryError> {
        fields.list("filters")?.iter().map(|filter| self.filter(filter, place, depth + 1)).collect()
    }

    fn object(&mut self, fields: &Fields<'_>, place: Place, depth: usize) -> Result<ObjectFilter, QueryError> {
        for field in ["metaKey", "metaVersion"] {
            if fields.fields.contains_key(field) {
                return Err(not_built(
                    "field of the filter `object`",
                    field,
                    &["typename", "id", "props", "foreignKeys"],
                ));
            }
        }
        let mut filter = ObjectFilter::default();
        match fields.fields.get("typename") {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if place == Place::Object => filter.typename = Some(name.clone()),
            Some(other) => return Err(fields.refused("typename", Some(other), "a URI, and in `props` null")),
        }
        for id in fields.optional_list("id")? {
            let parsed = id.as_str().and_then(|id| id.parse().ok()).filter(|_| place == Place::Object);
            filter
                .ids
                .push(parsed.ok_or_else(|| fields.refused("id", Some(id), "ids of objects, and in `props` none"))?);
        }
        for key in fields.optional_list("foreignKeys")? {
            let text = |field: &str| key.get(field).and_then(Value::as_str).map(str::to_owned);
            match (text("source"), text("id")) {
                (Some(source), Some(id)) if place == Place::Object => {
                    filter.foreign_keys.push(ForeignKey { source, id })
                }
                _ => {
                    return Err(fields.refused(
                        "foreignKeys",
                        Some(key),
                        "a list of {source, id}, and in `props` none",
                    ));
                }
            }
        }
        match fields.fields.get("props") {
            None => {}
            Some(Value::Object(props)) => {
                for (key, value) in props {
                    filter.props.insert(key.clone(), self.filter(value, Place::Value, depth + 1)?);
                }
            }
            Some(other) => return Err(fields.refused("props", Some(other), "a map from keys to filters")),
        }
        Ok(filter)
    }

    fn count(&mut self, depth: usize) -> Result<(), QueryError> {
        self.nodes += 1;
        if depth > QUERY_DEPTH_MAX {
            return Err(QueryError::TooLarge { what: "levels of nesting", max: QUERY_DEPTH_MAX });
        }
        if self.nodes > QUERY_NODES_MAX {
            return Err(QueryError::TooLarge { what: "nodes", max: QUERY_NODES_MAX });
        }
        Ok(())
    }
}

fn check_place(kind: &'static str, place: Place) -> Result<(), QueryError> {
    match (kind, place) {
        ("compare" | "in" | "contains" | "range", Place::Object) => Err(QueryError::Misplaced {
            filter: kind,
            place: "on a whole object",
            expected: "it takes a value, so it stands in `props` of the filter `object`",
        }),
        ("tag" | "text-search", Place::Value) => {
            Err(QueryError::Misplaced { filter: kind, place: "in `props`", expected: "it takes a whole object" })
        }
        _ => Ok(()),
    }
}

fn read_order(json: &Value) -> Result<Order, QueryError> {
    let fields = json.as_object().map(|fields| Fields { node: "order", fields });
    let refused = || QueryError::Unknown {
        what: "order",
        found: shorten(json),
        expected: "{kind: natural or property, property, direction: asc or desc}".into(),
    };
    let fields = fields.ok_or_else(refused)?;
    let descending = match fields.text("direction")? {
        "asc" => false,
        "desc" => true,
        _ => return Err(refused()),
    };
    let (by, known): (_, &[&str]) = match fields.text("kind")? {
        "natural" => (OrderBy::Natural, &["kind", "direction"]),
        "property" => (OrderBy::Property(fields.text("property")?.to_owned()), &["kind", "property", "direction"]),
        kind @ ("rank" | "timestamp") => return Err(not_built("order", kind, &["natural", "property"])),
        _ => return Err(refused()),
    };
    fields.only(known)?;
    Ok(Order { by, descending })
}

fn read_options(json: &Value) -> Result<Option<Deleted>, QueryError> {
    let unknown = |what, found: String, expected: &str| QueryError::Unknown { what, found, expected: expected.into() };
    let options = json.as_object().ok_or_else(|| unknown("options", shorten(json), "{deleted: …}"))?;
    for key in options.keys() {
        match key.as_str() {
            // A label for logs has no meaning.
            "deleted" | "debugLabel" => {}
            "spaceIds" | "allQueuesFromSpaces" | "queues" => return Err(not_built("option", key, &["deleted"])),
            _ => return Err(unknown("option", key.chars().take(60).collect(), "`deleted`")),
        }
    }
    match options.get("deleted").map(Value::as_str) {
        None => Ok(None),
        Some(Some("include")) => Ok(Some(Deleted::Include)),
        Some(Some("exclude")) => Ok(Some(Deleted::Exclude)),
        Some(Some("only")) => Ok(Some(Deleted::Only)),
        Some(_) => Err(unknown("option `deleted`", shorten(&options["deleted"]), "include, exclude or only")),
    }
}

fn read_text_search(fields: &Fields<'_>) -> Result<Filter, QueryError> {
    match fields.fields.get("searchKind").map(Value::as_str) {
        None | Some(Some("full-text")) => Ok(Filter::TextSearch(TextSearch::new(fields.text("text")?)?)),
        Some(Some("vector")) => Err(not_built("search kind", "vector", &["full-text"])),
        Some(_) => Err(fields.refused("searchKind", fields.fields.get("searchKind"), "`full-text`")),
    }
}

fn read_operator(name: &str) -> Result<Operator, QueryError> {
    match name {
        "eq" => Ok(Operator::Eq),
        "neq" => Ok(Operator::Neq),
        "gt" => Ok(Operator::Gt),
        "gte" => Ok(Operator::Gte),
        "lt" => Ok(Operator::Lt),
        "lte" => Ok(Operator::Lte),
        _ => Err(QueryError::Unknown {
            what: "operator",
            found: name.chars().take(60).collect(),
            expected: "eq, neq, gt, gte, lt or lte".into(),
        }),
    }
}
