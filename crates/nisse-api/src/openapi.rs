//! The OpenAPI 3.1 document, made from the table of routes.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::problem::Problem;
use crate::routes::{Payload, ROUTES, Route, Scope};

/// The document. Its committed copy is `docs/openapi.json`; a test fails when the two differ.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>().to_value();
    let mut paths = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut generator, &problem);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "nisse control API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "Below `/api/v1`: loopback only; every route but `health` and this document needs the home's \
                            token, or a capability token that gives it, as docs/tokens.md says. Below `/.well-known/nisse/v1`: on the public listener; the owner of the deployment \
                            signs each request, as docs/remote.md says.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "capability": { "type": "http", "scheme": "nisse-capability" },
                "signature": { "type": "http", "scheme": "nisse-owner" },
            },
        },
    })
}

fn operation(route: &Route, generator: &mut schemars::SchemaGenerator, problem: &Value) -> Value {
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "responses": {
            "default": {
                "description": "Refused or failed.",
                "content": { "application/problem+json": { "schema": problem } },
            },
        },
    });
    let names: Vec<&str> = route.path.split(['{', '}']).skip(1).step_by(2).collect();
    if !names.is_empty() {
        let parameter =
            |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
        operation["parameters"] = names.into_iter().map(parameter).collect();
    }
    if let Some(content) = content(route.request, generator) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    match content(route.response, generator) {
        Some(content) => operation["responses"]["200"] = json!({ "description": "Done.", "content": content }),
        None => operation["responses"]["204"] = json!({ "description": "Done." }),
    }
    match route.scope {
        Scope::Anyone | Scope::Stranger => {}
        Scope::Owner => operation["security"] = json!([{ "token": [] }, { "capability": [] }]),
        Scope::Here => operation["security"] = json!([{ "token": [] }]),
        Scope::Signer => operation["security"] = json!([{ "signature": [] }]),
    }
    operation
}

fn content(payload: Payload, generator: &mut schemars::SchemaGenerator) -> Option<Value> {
    match payload {
        Payload::Nothing => None,
        Payload::Bytes | Payload::Stream => Some(json!({ "application/octet-stream": {} })),
        Payload::Events(schema) => Some(json!({ "text/event-stream": { "schema": schema(generator).to_value() } })),
        Payload::Json(schema) => Some(json!({ "application/json": { "schema": schema(generator).to_value() } })),
    }
}
