use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::objects::compare;
use crate::objects::scalar::{bytes_from_json, bytes_to_json, time_from_json, time_to_json};

#[test]
fn bytes_are_written_as_dag_json_has_them() {
    let cases: [(&[u8], &str); 6] =
        [(b"", ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"foob", "Zm9vYg"), (b"fooba", "Zm9vYmE")];
    for (bytes, text) in cases {
        let json = bytes_to_json(bytes);
        assert_eq!(json, json!({ "/": { "bytes": text } }));
        assert_eq!(json.as_object().and_then(bytes_from_json).as_deref(), Some(bytes));
    }
    // Padding, bits left over, a lone digit, other letters, other keys: these are maps, not bytes.
    for text in ["Zg==", "Zh", "Z", "Zm-v", "Zm9v ", "é"] {
        assert_eq!(json!({ "/": { "bytes": text } }).as_object().and_then(bytes_from_json), None, "{text}");
    }
    for json in
        [json!({ "/": "uri" }), json!({ "/": { "bytes": "Zg" }, "a": 1 }), json!({ "/": { "bytes": "Zg", "a": 1 } })]
    {
        assert_eq!(json.as_object().and_then(bytes_from_json), None);
    }
}

#[test]
fn times_are_written_as_rfc_3339_has_them() {
    let cases = [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_827_696_789, "2000-02-29T12:34:56.789Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ];
    for (ms, text) in cases {
        assert_eq!(time_to_json(ms), json!(text));
        assert_eq!(time_from_json(text), Some(ms));
    }
    for ms in [i64::MIN, -62_167_219_200_001, 253_402_300_800_000, i64::MAX] {
        assert_eq!(time_to_json(ms), json!(ms), "no year of four digits");
    }
    let bad = ["", "2026", "2026-02-30T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01 00:00:00.000Z", "é"];
    for text in bad {
        assert_eq!(time_from_json(text), None, "{text}");
    }
}

#[test]
fn all_values_stand_in_one_order() {
    let sorted = [
        json!(null),
        json!(false),
        json!(true),
        json!(-1e300),
        json!(i64::MIN),
        json!(-1.5),
        json!(0),
        json!(0.5),
        json!(1),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_993_i64),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("é"),
        json!([]),
        json!([1]),
        json!([1, 2]),
        json!([2]),
        json!({}),
        json!({ "a": 1 }),
        json!({ "a": 1, "b": 0 }),
        json!({ "a": 2 }),
        json!({ "b": 0 }),
    ];
    for (place, one) in sorted.iter().enumerate() {
        for (other_place, other) in sorted.iter().enumerate() {
            assert_eq!(compare(one, other), place.cmp(&other_place), "{one} and {other}");
        }
    }
    let equal: [(Value, Value); 4] = [
        (json!(1), json!(1.0)),
        (json!(0), json!(-0.0)),
        (json!(1u64 << 63), json!(9_223_372_036_854_775_808.0)),
        (json!([{ "a": 1, "b": [2.0] }]), json!([{ "b": [2], "a": 1.0 }])),
    ];
    for (one, other) in equal {
        assert_eq!(compare(&one, &other), Ordering::Equal, "{one} and {other}");
    }
}
