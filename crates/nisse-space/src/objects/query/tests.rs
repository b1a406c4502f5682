//! What queries give, and which are refused.

mod agreement;

use serde_json::{Map, Value, json};

use super::*;
use crate::objects::{ObjectId, ObjectKind};

fn id(number: u8) -> ObjectId {
    ObjectId::new(u64::from(number), [number; 10])
}

fn object(number: u8, type_uri: &str, data: Value) -> Object {
    let Value::Object(data) = data else { panic!("{data} is no map") };
    let (kind, deleted, meta) = (ObjectKind::Object, false, None);
    let type_uri = Some(type_uri.to_owned());
    Object { id: id(number), kind, type_uri, deleted, parent: None, source: None, target: None, meta, data }
}

fn objects() -> Vec<Object> {
    const TASK: &str = "dxn:type:example.org/type/Task:0.1.0";
    let mut objects = vec![
        object(5, "dxn:type:example.org/type/Task", json!({ "title": "Old", "priority": null })),
        object(1, TASK, json!({ "title": "Buy milk", "priority": 2, "tags": ["food", { "a": 1 }] })),
        object(2, TASK, json!({ "title": "Kaffee ÜBER alles", "priority": 1.0, "place": { "city": "Bergen" } })),
        object(3, "dxn:type:example.org/type/Task:0.2.0", json!({ "title": "milk the cow", "priority": "high" })),
        object(
            4,
            "dxn:type:example.org/type/Person:0.1.0",
            json!({ "name": "Ada", "see": { "/": "dxn:echo:@:milk" } }),
        ),
        object(6, TASK, json!({ "title": "deleted milk", "priority": 9 })),
    ];
    objects[5].deleted = true;
    objects[4].meta = json!({ "keys": [{ "source": "github.com", "id": "ada" }], "tags": ["dxn:echo:@:friend"] })
        .as_object()
        .cloned();
    objects
}

fn run(query: Value) -> Vec<u8> {
    let query = Query::from_json(&query.to_string()).expect("a query");
    let again = Query::from_json(&query.to_json().to_string()).expect("its own JSON");
    assert_eq!(query, again);
    let objects = objects();
    let found = query.run(&objects).expect("results");
    let number = |object: &&Object| (1..=9).find(|number| id(*number) == object.id).expect("one of ours");
    found.iter().map(number).collect()
}

fn select(filter: Value) -> Value {
    json!({ "type": "select", "filter": filter })
}

fn all() -> Value {
    select(json!({ "type": "object", "typename": null, "props": {} }))
}

fn props(key: &str, filter: Value) -> Value {
    let props: Map<String, Value> = [(key.to_owned(), filter)].into_iter().collect();
    select(json!({ "type": "object", "typename": null, "props": props }))
}

fn compare(operator: &str, value: Value) -> Value {
    json!({ "type": "compare", "operator": operator, "value": value })
}

#[test]
fn a_type_matches_with_and_without_its_version() {
    let typed = |name: &str| run(select(json!({ "type": "object", "typename": name, "props": {} })));
    assert_eq!(typed("dxn:type:example.org/type/Task"), [1, 2, 3, 5]);
    assert_eq!(typed("dxn:type:example.org/type/Task:0.1.0"), [1, 2, 5]);
    assert_eq!(typed("example.org/type/Task:0.2.0"), [3, 5]);
    assert_eq!(typed("dxn:type:example.org/type/Tas"), [0u8; 0]);
    assert_eq!(run(all()), [1, 2, 3, 4, 5], "in the order of ids");
}

#[test]
fn values_are_compared_within_their_kind() {
    let priority = |filter: Value| run(props("priority", filter));
    assert_eq!(priority(compare("eq", json!(1))), [2]);
    assert_eq!(priority(compare("neq", json!(1))), [1, 3, 4, 5]);
    assert_eq!(priority(compare("gt", json!(1))), [1], "text is neither above nor below a number");
    assert_eq!(priority(compare("gte", json!(1))), [1, 2]);
    assert_eq!(priority(compare("lt", json!("i"))), [3]);
    assert_eq!(priority(compare("eq", json!(null))), [5], "a missing value is not null");
    assert_eq!(priority(json!({ "type": "range", "from": 1, "to": 1.5 })), [2]);
    assert_eq!(priority(json!({ "type": "in", "values": [2, "high", null] })), [1, 3, 5]);
    assert_eq!(priority(json!({ "type": "not", "filter": compare("gt", json!(0)) })), [3, 4, 5]);
    assert_eq!(run(props("tags", json!({ "type": "contains", "value": { "a": 1.0 } }))), [1]);
    assert_eq!(run(props("title", json!({ "type": "contains", "value": "B" }))), [0u8; 0], "lists only");
    assert_eq!(run(props("see", compare("eq", json!({ "/": "dxn:echo:@:milk" })))), [4]);
    let city = json!({ "type": "object", "typename": null, "props": { "city": compare("eq", json!("Bergen")) } });
    assert_eq!(run(props("place", city)), [2]);
}

#[test]
fn objects_are_found_by_id_foreign_key_tag_and_words() {
    assert_eq!(
        run(select(json!({ "type": "object", "typename": null, "props": {}, "id": [id(3), id(1), id(6)] }))),
        [1, 3]
    );
    let keys = json!([{ "source": "github.com", "id": "ada" }]);
    assert_eq!(run(select(json!({ "type": "object", "typename": null, "props": {}, "foreignKeys": keys }))), [4]);
    assert_eq!(run(select(json!({ "type": "tag", "tag": "dxn:echo:@:friend" }))), [4]);
    let words = |text: &str| run(select(json!({ "type": "text-search", "text": text, "searchKind": "full-text" })));
    assert_eq!(words("MILK"), [1, 3], "references are not searched");
    assert_eq!(words("mil bu"), [1], "all words, each the beginning of one");
    assert_eq!(words("über"), [2]);
    assert_eq!(words("ilk"), [0u8; 0]);
    assert_eq!(words(" … "), [0u8; 0], "no words find nothing");
}

#[test]
fn nodes_combine() {
    let task = select(json!({ "type": "object", "typename": "example.org/type/Task", "props": {} }));
    let order = |key: &str, direction: &str| json!({ "kind": "property", "property": key, "direction": direction });
    let ordered = |order: Value| run(json!({ "type": "order", "query": all(), "order": order }));
    assert_eq!(ordered(json!([order("priority", "asc")])), [4, 5, 2, 1, 3], "missing < null < numbers < text");
    assert_eq!(ordered(json!([order("priority", "desc")])), [3, 1, 2, 5, 4]);
    assert_eq!(ordered(json!([order("nothing", "desc"), order("id", "desc")])), [5, 4, 3, 2, 1]);
    assert_eq!(ordered(json!([order("nothing", "desc")])), [1, 2, 3, 4, 5], "equals stay in the order of ids");
    assert_eq!(ordered(json!([{ "kind": "natural", "direction": "desc" }])), [5, 4, 3, 2, 1]);
    let skip = json!({ "type": "skip", "skip": 1, "query": all() });
    assert_eq!(run(json!({ "type": "limit", "limit": 2, "query": skip })), [2, 3]);
    assert_eq!(run(json!({ "type": "skip", "skip": 99, "query": all() })), [0u8; 0]);
    assert_eq!(run(json!({ "type": "set-difference", "source": all(), "exclude": task })), [4]);
    let first = json!({ "type": "limit", "limit": 1, "query": { "type": "order", "query": all(), "order": [order("priority", "desc")] } });
    assert_eq!(run(json!({ "type": "union", "queries": [first, all()] })), [3, 1, 2, 4, 5]);
    let milk = json!({ "type": "text-search", "text": "milk" });
    assert_eq!(run(json!({ "type": "filter", "selection": task, "filter": milk })), [1, 3]);
    let nothing = json!({ "type": "not", "filter": { "type": "object", "typename": null, "props": {} } });
    assert_eq!(run(select(nothing)), [0u8; 0]);
    assert_eq!(run(select(json!({ "type": "or", "filters": [] }))), [0u8; 0]);
    assert_eq!(run(select(json!({ "type": "and", "filters": [] }))), [1, 2, 3, 4, 5]);
}

#[test]
fn deleted_objects_take_part_only_where_options_say_so() {
    let with = |options: Value, query: Value| json!({ "type": "options", "options": options, "query": query });
    assert_eq!(run(with(json!({}), all())), [1, 2, 3, 4, 5]);
    assert_eq!(run(with(json!({ "deleted": "include", "debugLabel": "x" }), all())), [1, 2, 3, 4, 5, 6]);
    assert_eq!(run(with(json!({ "deleted": "only" }), all())), [6]);
    let inner = with(json!({ "deleted": "exclude" }), all());
    assert_eq!(run(with(json!({ "deleted": "include" }), inner)), [1, 2, 3, 4, 5], "the nearest options count");
}

#[test]
fn what_is_not_built_or_unknown_is_refused_by_name() {
    let object = json!({ "type": "object", "typename": null, "props": {} });
    let with = |key: &str, value: Value| {
        let mut object = object.clone();
        object[key] = value;
        select(object)
    };
    let cases = [
        (
            json!({ "type": "reference-traversal", "anchor": all(), "property": "x" }),
            "node `reference-traversal`: ECHO has it",
        ),
        (json!({ "type": "from", "query": all(), "from": {} }), "node `from`: ECHO has it"),
        (json!({ "type": "selekt" }), "node `selekt`: expected one of select"),
        (json!({}), "node `without a type`"),
        (json!([]), "node `[]`"),
        (json!({ "type": "select" }), "`filter` of the query's `select`: found nothing"),
        (json!({ "type": "select", "filter": object, "more": 1 }), "field `more`: expected one of filter"),
        (select(json!({ "type": "timestamp" })), "filter `timestamp`: ECHO has it"),
        (
            select(json!({ "type": "text-search", "text": "x", "searchKind": "vector" })),
            "search kind `vector`: ECHO has it",
        ),
        (select(compare("eq", json!(1))), "place the filter `compare` on a whole object"),
        (props("a", json!({ "type": "tag", "tag": "x" })), "place the filter `tag` in `props`"),
        (props("a", compare("like", json!(1))), "operator `like`: expected eq"),
        (with("metaKey", json!("x")), "field of the filter `object` `metaKey`"),
        (with("typename", json!(7)), "`typename` of the query's `object`: found 7"),
        (with("id", json!(["x"])), "`id` of the query's `object`: found \"x\""),
        (with("foreignKeys", json!([1])), "`foreignKeys` of the query's `object`"),
        (with("props", json!([])), "`props` of the query's `object`"),
        (json!({ "type": "limit", "query": all(), "limit": -1 }), "`limit` of the query's `limit`: found -1"),
        (json!({ "type": "order", "query": all(), "order": [{ "kind": "rank", "direction": "asc" }] }), "order `rank`"),
        (json!({ "type": "order", "query": all(), "order": [{ "kind": "natural", "direction": "up" }] }), "order `{"),
        (json!({ "type": "options", "query": all(), "options": { "spaceIds": [] } }), "option `spaceIds`: ECHO has it"),
        (
            json!({ "type": "options", "query": all(), "options": { "deleted": "maybe" } }),
            "option `deleted` `\"maybe\"`",
        ),
        (
            select(json!({ "type": "text-search", "text": (0..33).map(|n| format!("w{n} ")).collect::<String>() })),
            "more than 32 words",
        ),
    ];
    for (query, wanted) in cases {
        let error = Query::from_json(&query.to_string()).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}\n{wanted}");
    }
    assert!(matches!(Query::from_json("{"), Err(QueryError::Json(_))));
}

#[test]
fn a_query_has_limits() {
    let mut deep = json!({ "type": "object", "typename": null, "props": {} });
    for _ in 0..QUERY_DEPTH_MAX {
        deep = json!({ "type": "not", "filter": deep });
    }
    let refused = |query: Value, wanted: &str| {
        let error = Query::from_json(&query.to_string()).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused(select(deep), "more than 32 levels");
    refused(
        select(json!({ "type": "and", "filters": vec![json!({ "type": "and", "filters": [] }); QUERY_NODES_MAX] })),
        "more than 1000 nodes",
    );
    refused(props("a", compare("eq", json!("x".repeat(QUERY_BYTES_MAX)))), "more than 65536 bytes");
    let many: Vec<Object> = (0..=QUERY_RESULTS_MAX as u64)
        .map(|number| Object { id: ObjectId::new(number, [0; 10]), ..object(0, "x", json!({ "list": vec![0; 100] })) })
        .collect();
    let query = |json: Value| Query::from_json(&json.to_string()).expect("a query");
    assert!(matches!(query(all()).run(&many), Err(QueryError::TooManyResults { found: 10_001 })));
    assert_eq!(query(json!({ "type": "limit", "limit": 10, "query": all() })).run(&many).expect("ten").len(), 10);
    let contains = json!({ "type": "contains", "value": 1 });
    let work = props("list", json!({ "type": "or", "filters": vec![contains; 60] }));
    assert!(matches!(query(work).run(&many), Err(QueryError::TooMuchWork)));
}
