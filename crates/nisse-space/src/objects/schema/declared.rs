//! Which type a schema is of, and how a space keeps it: as the object that ECHO keeps it as (`StoredSchema`).

use std::fmt;

use semver::Version;
use serde_json::{Map, Value, json};

use super::{Schema, SchemaError, shortened};
use crate::objects::ObjectId;
use crate::objects::object::Object;
use crate::objects::query::type_name;

/// The type of the objects that hold schemas.
pub const SCHEMA_TYPENAME: &str = "dxos.org/type/Schema";
/// The same as objects name it.
pub const SCHEMA_URI: &str = "dxn:type:dxos.org/type/Schema:0.1.0";
/// Longest name of a type that a schema is of.
pub const TYPENAME_BYTES_MAX: usize = 256;

/// A type that a schema says what it is: `example.org/type/Task` and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredType {
    /// Its name, without `dxn:type:`.
    pub name: String,
    /// Its version.
    pub version: Version,
}

impl fmt::Display for DeclaredType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, self.version)
    }
}

impl DeclaredType {
    /// The type that a text names, `dxn:type:NAME:VERSION` or `NAME:VERSION`.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let (name, version) = type_name(text);
        let version = version.ok_or_else(|| {
            SchemaError::Untyped(format!("`{}` has no version: name it as `{name}:0.1.0`", shortened(text)))
        })?;
        Self::checked(name, version)
    }

    /// The type that a schema names itself: by `$id`, `dxn:type:NAME:VERSION`, or by `typename` and `version`, as ECHO's do.
    pub fn of_schema(schema: &Value) -> Result<Self, SchemaError> {
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        if let (Some(name), Some(version)) = (text("typename"), text("version")) {
            return Self::checked(name, version);
        }
        match text("$id").filter(|id| id.starts_with("dxn:type:")) {
            Some(id) => Self::parse(id),
            None => Err(SchemaError::Untyped(
                "it does not say which type it is of: name one, or let its `$id` be `dxn:type:NAME:VERSION`".to_owned(),
            )),
        }
    }

    fn checked(name: &str, version: &str) -> Result<Self, SchemaError> {
        let untyped = |text: String| Err(SchemaError::Untyped(text));
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > TYPENAME_BYTES_MAX || name.contains(is_odd) || name.contains(':') {
            return untyped(format!("`{}` is no name of a type: it is like example.org/type/Task", shortened(name)));
        }
        if name == SCHEMA_TYPENAME {
            return untyped(format!("{SCHEMA_TYPENAME} is the type of schemas themselves"));
        }
        match version.parse() {
            Ok(version) => Ok(Self { name: name.to_owned(), version }),
            Err(_) => untyped(format!("`{}` is no version: it is like 0.1.0", shortened(version))),
        }
    }

    /// The object that holds a schema of this type.
    pub(crate) fn object(&self, schema: &Value) -> Map<String, Value> {
        let fields = json!({
            "@type": SCHEMA_URI, "typename": self.name, "version": self.version.to_string(), "jsonSchema": schema,
        });
        fields.as_object().cloned().unwrap_or_default()
    }

    /// The type and the schema that an object holds.
    pub(crate) fn of_object(object: &Object) -> Result<(Self, Value), SchemaError> {
        let text = |key: &str| object.data.get(key).and_then(Value::as_str).unwrap_or_default();
        let declared = Self::checked(text("typename"), text("version"))?;
        match object.data.get("jsonSchema") {
            Some(schema) => Ok((declared, schema.clone())),
            None => Err(SchemaError::Untyped("it has no `jsonSchema`".to_owned())),
        }
    }

    /// The same, and the schema read.
    pub(crate) fn read(object: &Object) -> Result<(Self, Schema), SchemaError> {
        let (declared, schema) = Self::of_object(object)?;
        Ok((declared, Schema::read(&schema)?))
    }
}

/// Whether an object holds a schema.
pub(crate) fn is_schema(object: &Object) -> bool {
    object.type_uri.as_deref().is_some_and(|uri| type_name(uri).0 == SCHEMA_TYPENAME)
}

/// The object that a type names by its id, as ECHO's clients name the types that they made in the space: `dxn:echo:@:ID`.
pub(crate) fn named_object(uri: &str) -> Option<ObjectId> {
    uri.strip_prefix("dxn:echo:")?.rsplit_once(':')?.1.parse().ok()
}
