//! The schemas of a space's types.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `nisse space schema put`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemaRequest {
    /// The type that it is of, `NAME:VERSION` or `dxn:type:NAME:VERSION`; without it the schema itself says so, by `typename` and
    /// `version` or by `$id`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The JSON Schema, of draft 2020-12 or 07.
    pub schema: serde_json::Value,
}

/// What objects of a type have to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceSchema {
    /// The type, as objects name it: `dxn:type:NAME:VERSION`.
    #[serde(rename = "type")]
    pub of: String,
    /// The object that holds it.
    pub object: String,
    /// The JSON Schema.
    pub schema: serde_json::Value,
    /// Why nothing is checked against it, if that is so.
    pub trouble: Option<String>,
}

/// `nisse space schema check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchemaCheck {
    /// Objects of a type that a schema is declared of, which were looked at.
    pub checked: u64,
    /// Whether those are all; otherwise it was too much for one answer.
    pub whole: bool,
    /// Those that do not fit.
    pub misfits: Vec<ObjectMisfit>,
}

/// An object that is not what its type's schema says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectMisfit {
    /// The object.
    pub object: String,
    /// Its type, as it names it.
    #[serde(rename = "type")]
    pub of: String,
    /// Where it does not fit: a JSON pointer, `/` for the object itself.
    pub at: String,
    /// Why.
    pub reason: String,
}
