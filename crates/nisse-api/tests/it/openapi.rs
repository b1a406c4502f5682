//! The committed document is the one that the table makes.

use std::path::Path;

#[test]
fn the_committed_openapi_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let made = serde_json::to_string_pretty(&nisse_api::document()).unwrap() + "\n";
    if std::env::var_os("NISSE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "docs/openapi.json differs: run this test with NISSE_WRITE_DOCS=1 and commit it");
}

#[test]
fn every_route_stands_in_the_document_once() {
    let document = nisse_api::document();
    for route in nisse_api::routes::ROUTES {
        let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        assert_eq!(operation["operationId"], route.operation, "{} {}", route.method, route.path);
    }
}
