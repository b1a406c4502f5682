//! Configurations: one canonical form, and settings over it.

use nisse_model::{Config, ConfigError, ConfigSetting, Hash256};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn config(value: Value) -> Config {
    Config::new(value.as_object().unwrap()).unwrap()
}

fn settings(texts: &[&str]) -> Vec<ConfigSetting> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn the_canonical_form_sorts_keys_and_has_no_spaces() {
    let config = config(json!({"b": [1, {"z": null, "a": "é\n"}], "a": 1.5, "B": true}));
    assert_eq!(config.as_str(), r#"{"B":true,"a":1.5,"b":[1,{"a":"é\n","z":null}]}"#);
    assert_eq!(config.hash(), Hash256::of(config.as_bytes()));
    assert!(config.content_id().to_string().starts_with("bafkrei"));
    assert_eq!(Config::default().as_bytes(), b"{}");
}

#[test]
fn a_setting_goes_over_the_block_and_makes_what_leads_to_it() {
    let block = config(json!({"interval_s": 60, "assets": {"eth": true}}));
    let merged = block
        .with_settings(&settings(&["interval_s=5", "assets.btc=false", "name=price oracle", "a.b.c=[1,2]", "q=\"5\""]))
        .unwrap();
    assert_eq!(
        merged.as_str(),
        r#"{"a":{"b":{"c":[1,2]}},"assets":{"btc":false,"eth":true},"interval_s":5,"name":"price oracle","q":"5"}"#
    );
}

#[test]
fn the_last_setting_of_a_key_counts() {
    let merged = Config::default().with_settings(&settings(&["a=1", "a=two=2", "b="])).unwrap();
    assert_eq!(merged.as_str(), r#"{"a":"two=2","b":""}"#);
}

#[test]
fn a_setting_through_a_value_is_refused() {
    let error = config(json!({"a": {"b": 1}})).with_settings(&settings(&["a.b.c=2"])).unwrap_err();
    insta::assert_snapshot!(error, @"set `a.b.c`: `a.b` is not a mapping");
}

#[test]
fn what_is_no_setting_is_refused() {
    let refused = |text: &str| text.parse::<ConfigSetting>().unwrap_err().to_string();
    insta::assert_snapshot!(refused("interval"), @"find `=` in `interval`: expected KEY=VALUE, such as interval_s=60 or assets.eth=true");
    insta::assert_snapshot!(refused("a..b=1"), @"use the key `a..b`: it has an empty part");
    insta::assert_snapshot!(refused("=1"), @"use the key ``: it has an empty part");
    insta::assert_snapshot!(refused(&format!("{}a=1", "a.".repeat(16))), @"use the key `a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a`: at most 16 parts are allowed");
}

#[test]
fn a_configuration_has_limits() {
    let long = settings(&[&format!("a={}", "x".repeat(20_000)), &format!("b={}", "x".repeat(20_000))]);
    assert_eq!(Config::default().with_settings(&long), Err(ConfigError::TooLong { length: 40_015 }));
    let deep = settings(&[&format!("a={}{}", "[".repeat(16), "]".repeat(16))]);
    assert_eq!(Config::default().with_settings(&deep), Err(ConfigError::TooDeep));
    let deepest = settings(&[&format!("a={}{}", "[".repeat(15), "]".repeat(15))]);
    assert!(Config::default().with_settings(&deepest).is_ok());
}

#[test]
fn only_the_canonical_bytes_are_read() {
    for bytes in [r#"{"a": 1}"#, r#"{"b":1,"a":2}"#, r#"{"a":1,"a":1}"#, "{\"a\":\"\\u0061\"}", "{} "] {
        assert_eq!(Config::from_bytes(bytes.as_bytes()), Err(ConfigError::NotCanonical), "{bytes}");
    }
    for bytes in ["[]", "", "{\"a\":", "\u{feff}{}"] {
        assert!(matches!(Config::from_bytes(bytes.as_bytes()), Err(ConfigError::NotAnObject(_))), "{bytes}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |number| serde_json::Number::from_f64(number).map(Value::Number)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(".{0,6}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_bytes_of_a_configuration_give_it_back(object in prop::collection::btree_map(".{0,6}", values(), 0..5)) {
        let object: Map<String, Value> = object.into_iter().collect();
        let config = Config::new(&object).unwrap();
        prop_assert_eq!(Config::from_bytes(config.as_bytes()).unwrap(), config.clone());
        prop_assert_eq!(Config::new(&config.to_object()).unwrap(), config);
    }

    #[test]
    fn no_bytes_make_the_reader_of_configurations_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Config::from_bytes(&bytes);
    }
}
