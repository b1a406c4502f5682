//! Random queries over random objects, against a second evaluation that works on the query's JSON and knows no type of
//! ours.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2i64..3).prop_map(Value::from),
        (-4i64..5).prop_map(|half| json!(half as f64 / 2.0)),
        "[ab]{0,2}".prop_map(Value::from),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let operator = prop::sample::select(vec!["eq", "neq", "gt", "gte", "lt", "lte"]);
    let compare = (operator, leaf()).prop_map(|(operator, value)| super::compare(operator, value));
    let other = prop_oneof![
        prop::collection::vec(leaf(), 0..4).prop_map(|values| json!({ "type": "in", "values": values })),
        (leaf(), leaf()).prop_map(|(from, to)| json!({ "type": "range", "from": from, "to": to })),
    ];
    prop_oneof![4 => compare, 1 => other].prop_recursive(3, 12, 3, combine)
}

fn combine(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(inner.clone(), 0..3);
    prop_oneof![
        inner.prop_map(|filter| json!({ "type": "not", "filter": filter })),
        list.clone().prop_map(|filters| json!({ "type": "and", "filters": filters })),
        list.prop_map(|filters| json!({ "type": "or", "filters": filters })),
    ]
}

fn filter() -> impl Strategy<Value = Value> {
    let props = prop::collection::btree_map("[xyz]", condition(), 0..3);
    props
        .prop_map(|props| json!({ "type": "object", "typename": null, "props": props }))
        .prop_recursive(3, 12, 3, combine)
}

fn found() -> impl Strategy<Value = Vec<Object>> {
    let data = prop::collection::btree_map("[xyz]", leaf(), 0..4).prop_map(|data| json!(data));
    prop::collection::vec((any::<u8>(), data, any::<bool>()), 0..12).prop_map(|entries| {
        let made = |(number, data, deleted)| Object { deleted, ..object(number, "dxn:type:t", data) };
        entries.into_iter().map(made).collect()
    })
}

fn kind(value: &Value) -> usize {
    [Value::is_null, Value::is_boolean, Value::is_number, Value::is_string]
        .iter()
        .position(|is| is(value))
        .expect("a leaf")
}

/// Leaves only, and numbers that a float holds exactly.
fn naive_order(one: &Value, other: &Value) -> Ordering {
    kind(one).cmp(&kind(other)).then_with(|| match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Number(_), _) => one.as_f64().partial_cmp(&other.as_f64()).expect("no NaN"),
        _ => one.as_str().cmp(&other.as_str()),
    })
}

fn naive_value(filter: &Value, value: Option<&Value>) -> bool {
    let list = |key: &str| filter[key].as_array().expect("a list").clone();
    let within =
        |wanted: &Value| value.filter(|value| kind(value) == kind(wanted)).map(|value| naive_order(value, wanted));
    match filter["type"].as_str().expect("a type") {
        "not" => !naive_value(&filter["filter"], value),
        "and" => !list("filters").iter().any(|filter| !naive_value(filter, value)),
        "or" => list("filters").iter().any(|filter| naive_value(filter, value)),
        "in" => list("values").iter().any(|wanted| within(wanted) == Some(Ordering::Equal)),
        "range" => {
            [Some(Ordering::Greater), Some(Ordering::Equal)].contains(&within(&filter["from"]))
                && [Some(Ordering::Less), Some(Ordering::Equal)].contains(&within(&filter["to"]))
        }
        _ => match (filter["operator"].as_str().expect("an operator"), within(&filter["value"])) {
            ("neq", order) => order != Some(Ordering::Equal),
            ("eq" | "gte" | "lte", Some(Ordering::Equal)) => true,
            ("gt" | "gte", Some(Ordering::Greater)) => true,
            ("lt" | "lte", Some(Ordering::Less)) => true,
            _ => false,
        },
    }
}

fn naive(filter: &Value, object: &Object) -> bool {
    let list = || filter["filters"].as_array().expect("a list").iter();
    match filter["type"].as_str().expect("a type") {
        "not" => !naive(&filter["filter"], object),
        "and" => list().filter(|filter| !naive(filter, object)).count() == 0,
        "or" => list().filter(|filter| naive(filter, object)).count() > 0,
        _ => filter["props"]
            .as_object()
            .expect("a map")
            .iter()
            .all(|(key, filter)| naive_value(filter, object.data.get(key))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_query_finds_what_a_second_evaluation_finds(filter in filter(), objects in found()) {
        let query = Query::from_json(&select(filter.clone()).to_string()).expect("a query");
        let mut wanted: Vec<&Object> = Vec::new();
        for object in &objects {
            if !wanted.iter().any(|other| other.id == object.id) {
                wanted.push(object);
            }
        }
        wanted.retain(|object| !object.deleted && naive(&filter, object));
        wanted.sort_by_key(|object| object.id);
        prop_assert_eq!(query.run(&objects).expect("results"), wanted);
        let again = Query::from_json(&query.to_json().to_string()).expect("its own JSON");
        prop_assert_eq!(query, again);
    }

    #[test]
    fn results_stand_in_the_order_that_was_asked_for(objects in found(), descending in any::<bool>()) {
        let direction = if descending { "desc" } else { "asc" };
        let order = json!([{ "kind": "property", "property": "x", "direction": direction }]);
        let query = json!({ "type": "order", "query": all(), "order": order });
        let sorted = Query::from_json(&query.to_string()).expect("a query").run(&objects).expect("results");
        for pair in sorted.windows(2) {
            let order = match (pair[0].data.get("x"), pair[1].data.get("x")) {
                (Some(one), Some(other)) => naive_order(one, other),
                (one, other) => one.is_some().cmp(&other.is_some()),
            };
            let order = if descending { order.reverse() } else { order };
            prop_assert!(order.is_lt() || (order.is_eq() && pair[0].id < pair[1].id));
        }
    }

    #[test]
    fn any_text_is_a_query_or_an_error(text in "\\PC{0,60}", mut json in filter(), place in any::<prop::sample::Index>()) {
        let _ = Query::from_json(&text);
        // And JSON that is nearly one.
        json["type"] = Value::from(["object", "in", "contains", "text-search", "tag", "child-of"][place.index(6)]);
        let _ = Query::from_json(&select(json).to_string());
    }
}
