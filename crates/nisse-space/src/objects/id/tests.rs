use super::*;

#[test]
fn an_id_is_written_and_read() {
    let id = ObjectId::new(1_700_000_000_000, [0xAB; 10]);
    let text = id.to_string();
    assert_eq!(text.len(), 26);
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(id.time_ms(), 1_700_000_000_000);
    // The ULID specification's own largest one.
    assert_eq!(ObjectId::new(u64::MAX, [255; 10]).to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    assert_eq!(ObjectId::new(0, [0; 10]).to_string(), "0".repeat(26));
    assert_eq!(serde_json::to_string(&id).expect("JSON"), format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<ObjectId>(&format!("\"{text}\"")).expect("an id"), id);
}

#[test]
fn ids_sort_by_their_time() {
    assert!(ObjectId::new(1, [255; 10]) < ObjectId::new(2, [0; 10]));
    assert!(ObjectId::new(1, [255; 10]).to_string() < ObjectId::new(2, [0; 10]).to_string());
}

#[test]
fn what_is_no_ulid_is_refused() {
    let bad = [
        "",
        "01HQRS7T4V8WXYZ0123456789",
        "01HQRS7T4V8WXYZ0123456789AA",
        "01hqrs7t4v8wxyz0123456789a",
        "81HQRS7T4V8WXYZ0123456789A",
        "01HQRS7T4V8WXYZ0123456789U",
        "01HQRS7T4V8WXYZ0123456789O",
        "01HQRS7T4V8WXYZ012345678é",
        "éééééééééééééééééééééééééé",
    ];
    for text in bad {
        let error = text.parse::<ObjectId>().expect_err(text);
        assert!(error.to_string().contains("expected a ULID"), "{error}");
    }
}
