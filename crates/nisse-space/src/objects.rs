//! A space's objects, as DXOS's ECHO lays them in automerge documents: reading, writing, querying, history.
//!
//! The one thing to know: an object has two forms. In a document it is an *object structure* (`system`, `meta`,
//! `data`); everywhere else it is flat JSON ([`Object::to_json`]): its data, plus `id`, `@type`, `@meta` and so on.
//! Writing turns the first into the second by the smallest difference, so that what others write at the same time
//! stays. Everything here is pure over [`automerge::Automerge`]: ids, actors and times are arguments.

mod difference;
mod directory;
mod history;
mod id;
mod object;
mod order;
mod query;
mod scalar;
mod schema;
mod structure;
mod value;
mod write;

pub use directory::{ACCESS_TEXT_BYTES_MAX, Access, DIRECTORY_ENTRIES_MAX, Directory, begin_object, begin_root, link};
pub use history::{HISTORY_CHANGES_MAX, HISTORY_TOUCHED_MAX, History, HistoryChange, Touched};
pub use id::{ObjectId, ParseObjectIdError};
pub use object::{ForeignKey, Object, ObjectKind};
pub use order::compare;
pub(crate) use query::type_name;
pub use query::{
    QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_NODES_MAX, QUERY_OBJECTS_MAX, QUERY_RESULTS_MAX, QUERY_STEPS_MAX,
    QUERY_WORDS_MAX, Query, QueryError,
};
pub use schema::{
    DeclaredType, Misfit, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_NESTED_MAX, SCHEMA_PATTERN_BYTES_MAX,
    SCHEMA_TYPENAME, SCHEMA_URI, SCHEMA_WORK_MAX, Schema, SchemaError, TYPENAME_BYTES_MAX,
};
pub(crate) use schema::{is_schema, named_object};
pub use structure::{OBJECT_URI_BYTES_MAX, ObjectError};
pub use value::{OBJECT_BYTES_MAX, OBJECT_DEPTH_MAX, OBJECT_ELEMENTS_MAX, OBJECT_KEYS_MAX, OBJECT_READ_TIMES_MAX};
pub use write::{Writer, delete, patch, put};

#[cfg(test)]
mod tests;
