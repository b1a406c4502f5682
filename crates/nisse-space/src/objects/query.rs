//! Queries over objects, in the JSON of ECHO's query AST (dxos/dxos, `echo-protocol/src/query/ast.ts`).
//!
//! Built are the query nodes `select`, `filter`, `union`, `set-difference`, `order` (by `natural` or `property`),
//! `limit`, `skip` and `options` (`deleted`), and the filters `object`, `tag`, `text-search` (full text), `not`, `and`,
//! `or`, and inside an object's `props` also `compare`, `in`, `contains` and `range`. What ECHO has beyond that is
//! refused by name, never ignored: a query that is run without one of its conditions would tell too much.

mod fields;
mod filter;
mod parse;
mod run;
mod text_search;
mod write;

use serde_json::Value;

use filter::Filter;
pub(crate) use filter::type_name;

use super::object::Object;

/// Longest JSON of a query.
pub const QUERY_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of a query's nodes.
pub const QUERY_DEPTH_MAX: usize = 32;
/// Most nodes, queries and filters together.
pub const QUERY_NODES_MAX: usize = 1_000;
/// Most words of a text search; later ones are refused.
pub const QUERY_WORDS_MAX: usize = 32;
/// Most objects that a query is run over.
pub const QUERY_OBJECTS_MAX: usize = 1_000_000;
/// Most objects that a query gives: one that finds more needs a `limit`.
pub const QUERY_RESULTS_MAX: usize = 10_000;
/// Most steps of work, of which one is the test of one value by one filter, or 32 bytes of searched text.
pub const QUERY_STEPS_MAX: u64 = 50_000_000;

/// A query, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    node: Node,
}

/// Why a query could not be read or run.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is no JSON.
    #[error("read the query as JSON")]
    Json(#[from] serde_json::Error),
    /// It has more than a query may have.
    #[error("take a query with more than {max} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        max: usize,
    },
    /// ECHO knows it, and we have not built it.
    #[error("run the query's {what} `{found}`: ECHO has it, this node does not; here are {built}")]
    NotBuilt {
        /// A query node, a filter, an option.
        what: &'static str,
        /// Its name.
        found: String,
        /// What may stand in its place.
        built: String,
    },
    /// Nobody knows it.
    #[error("read the query's {what} `{found}`: expected {expected}")]
    Unknown {
        /// A query node, a filter, a field.
        what: &'static str,
        /// What stands there, shortened.
        found: String,
        /// What may stand there.
        expected: String,
    },
    /// A field is missing or of the wrong kind.
    #[error("read `{field}` of the query's `{node}`: found {found}, expected {expected}")]
    Field {
        /// The node's type.
        node: &'static str,
        /// The field.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// A filter of values stands where one of objects must, or the reverse.
    #[error("place the filter `{filter}` {place}: {expected}")]
    Misplaced {
        /// The filter.
        filter: &'static str,
        /// Where it stands.
        place: &'static str,
        /// What may stand there.
        expected: &'static str,
    },
    /// It finds more than a query may give.
    #[error("give the {found} objects that the query finds: at most {QUERY_RESULTS_MAX} at a time, add a `limit`")]
    TooManyResults {
        /// How many it finds.
        found: usize,
    },
    /// It is run over too many objects.
    #[error("run a query over more than {QUERY_OBJECTS_MAX} objects")]
    TooManyObjects,
    /// It takes too long.
    #[error("run the query within {QUERY_STEPS_MAX} steps")]
    TooMuchWork,
}

impl Query {
    /// Reads a query from its JSON.
    pub fn from_json(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::TooLarge { what: "bytes of JSON", max: QUERY_BYTES_MAX });
        }
        let json: Value = serde_json::from_str(text)?;
        parse::query(&json).map(|node| Self { node })
    }

    /// The query as JSON that reads as the same query; what has no meaning (labels, empty lists) is left out.
    pub fn to_json(&self) -> Value {
        write::query(&self.node)
    }

    /// Runs the query over objects, which come out in the order of their ids unless the query orders them otherwise.
    ///
    /// Deleted objects take part only where `options` say so. Of two objects with one id the first counts. The outcome
    /// does not depend on the order in which the objects come.
    pub fn run<'a>(&self, objects: impl IntoIterator<Item = &'a Object>) -> Result<Vec<&'a Object>, QueryError> {
        run::run(&self.node, objects)
    }
}

/// A query node.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Select { filter: Filter },
    Filter { selection: Box<Node>, filter: Filter },
    Union { queries: Vec<Node> },
    SetDifference { source: Box<Node>, exclude: Box<Node> },
    Order { query: Box<Node>, order: Vec<Order> },
    Limit { query: Box<Node>, limit: u64 },
    Skip { query: Box<Node>, skip: u64 },
    Options { query: Box<Node>, deleted: Option<Deleted> },
}

/// Whether deleted objects take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deleted {
    Include,
    Exclude,
    Only,
}

/// One key to order by.
#[derive(Debug, Clone, PartialEq)]
struct Order {
    by: OrderBy,
    descending: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum OrderBy {
    /// By id, which is by the time of making.
    Natural,
    /// By a key of the data (or `id`); an object without it comes before all that have it, null among them.
    Property(String),
}

#[cfg(test)]
mod tests;
