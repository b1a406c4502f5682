//! A query as JSON, in ECHO's shape.

use serde_json::{Map, Value, json};

use super::filter::{Filter, ObjectFilter, Operator};
use super::{Deleted, Node, Order, OrderBy};

pub(super) fn query(node: &Node) -> Value {
    match node {
        Node::Select { filter } => json!({ "type": "select", "filter": self::filter(filter) }),
        Node::Filter { selection, filter } => {
            json!({ "type": "filter", "selection": query(selection), "filter": self::filter(filter) })
        }
        Node::Union { queries } => json!({ "type": "union", "queries": queries.iter().map(query).collect::<Vec<_>>() }),
        Node::SetDifference { source, exclude } => {
            json!({ "type": "set-difference", "source": query(source), "exclude": query(exclude) })
        }
        Node::Order { query: inner, order } => {
            let order: Vec<Value> = order.iter().map(self::order).collect();
            json!({ "type": "order", "query": query(inner), "order": order })
        }
        Node::Limit { query: inner, limit } => json!({ "type": "limit", "query": query(inner), "limit": limit }),
        Node::Skip { query: inner, skip } => json!({ "type": "skip", "query": query(inner), "skip": skip }),
        Node::Options { query: inner, deleted } => {
            let options = match deleted {
                None => json!({}),
                Some(Deleted::Include) => json!({ "deleted": "include" }),
                Some(Deleted::Exclude) => json!({ "deleted": "exclude" }),
                Some(Deleted::Only) => json!({ "deleted": "only" }),
            };
            json!({ "type": "options", "query": query(inner), "options": options })
        }
    }
}

fn order(order: &Order) -> Value {
    let direction = if order.descending { "desc" } else { "asc" };
    match &order.by {
        OrderBy::Natural => json!({ "kind": "natural", "direction": direction }),
        OrderBy::Property(key) => json!({ "kind": "property", "property": key, "direction": direction }),
    }
}

fn filter(filter: &Filter) -> Value {
    let all = |filters: &[Filter]| filters.iter().map(self::filter).collect::<Vec<_>>();
    match filter {
        Filter::Object(object) => object_filter(object),
        Filter::Tag(tag) => json!({ "type": "tag", "tag": tag }),
        Filter::TextSearch(search) => {
            json!({ "type": "text-search", "text": search.text, "searchKind": "full-text" })
        }
        Filter::Compare { operator, value } => {
            json!({ "type": "compare", "operator": operator_name(*operator), "value": value })
        }
        Filter::In { values } => json!({ "type": "in", "values": values }),
        Filter::Contains { value } => json!({ "type": "contains", "value": value }),
        Filter::Range { from, to } => json!({ "type": "range", "from": from, "to": to }),
        Filter::Not(inner) => json!({ "type": "not", "filter": self::filter(inner) }),
        Filter::And(filters) => json!({ "type": "and", "filters": all(filters) }),
        Filter::Or(filters) => json!({ "type": "or", "filters": all(filters) }),
    }
}

fn object_filter(object: &ObjectFilter) -> Value {
    let props: Map<String, Value> = object.props.iter().map(|(key, value)| (key.clone(), filter(value))).collect();
    let mut json = json!({ "type": "object", "typename": object.typename, "props": props });
    if !object.ids.is_empty() {
        json["id"] = json!(object.ids);
    }
    if !object.foreign_keys.is_empty() {
        let keys = object.foreign_keys.iter().map(|key| json!({ "source": key.source, "id": key.id }));
        json["foreignKeys"] = keys.collect();
    }
    json
}

fn operator_name(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "eq",
        Operator::Neq => "neq",
        Operator::Gt => "gt",
        Operator::Gte => "gte",
        Operator::Lt => "lt",
        Operator::Lte => "lte",
    }
}
