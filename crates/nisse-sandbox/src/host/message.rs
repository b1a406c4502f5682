//! The messages of the seam and their encoding (CBOR; a field keeps its number for ever).

use std::fmt;

use minicbor::{Decode, Encode};
use nisse_model::SpaceWrite;

/// Which call of which invocation: the idempotency key of what leaves the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct CallKey {
    /// The invocation's id.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub invocation: [u8; 16],
    /// The call's place among the invocation's host calls, from 0.
    #[n(1)]
    pub index: u32,
}

/// What a guest asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum HostCall {
    /// One value of the agent's committed state → [`HostReply::Value`].
    #[n(0)]
    StateGet {
        /// At most 512 bytes.
        #[n(0)]
        key: String,
    },
    /// Keys of the agent's committed state in byte order → [`HostReply::Keys`].
    #[n(1)]
    StateKeys {
        /// Keys begin with it.
        #[n(0)]
        prefix: String,
        /// Keys come after it.
        #[n(1)]
        after: Option<String>,
        /// At most so many.
        #[n(2)]
        limit: u32,
    },
    /// A whole file by CID → [`HostReply::Content`].
    #[n(2)]
    IpfsRead {
        /// As the guest wrote it.
        #[n(0)]
        cid: String,
    },
    /// An outgoing request → [`HostReply::Response`].
    #[n(3)]
    HttpSend {
        /// The request with its whole body.
        #[n(0)]
        request: HttpRequest,
    },
    /// The node's wall time → [`HostReply::Time`].
    #[n(4)]
    Now,
    /// Random bytes → [`HostReply::Random`].
    #[n(5)]
    Random {
        /// How many.
        #[n(0)]
        length: u32,
    },
    /// One line for the agent's log → [`HostReply::Done`].
    #[n(6)]
    Log {
        /// How loud.
        #[n(0)]
        level: LogLevel,
        /// Cut, and free of control characters.
        #[n(1)]
        text: String,
    },
    /// The spaces that the agent reaches → [`HostReply::Spaces`].
    #[n(7)]
    SpaceList,
    /// One object, as it is once the changes that wait were made → [`HostReply::Object`].
    #[n(8)]
    SpaceGet {
        /// The space's name.
        #[n(0)]
        space: String,
        /// The object's id, as the guest wrote it.
        #[n(1)]
        id: String,
        /// What this invocation has changed of it.
        #[n(2)]
        pending: Vec<ObjectChange>,
    },
    /// What a query finds once the changes that wait were made → [`HostReply::Objects`].
    #[n(9)]
    SpaceQuery {
        /// The space's name.
        #[n(0)]
        space: String,
        /// ECHO's query, as JSON.
        #[n(1)]
        query: String,
        /// What this invocation has changed in the space.
        #[n(2)]
        pending: Vec<ObjectChange>,
    },
    /// How an object would be after one more change. Nothing is changed → [`HostReply::Tried`].
    #[n(10)]
    SpaceTry {
        /// The space's name.
        #[n(0)]
        space: String,
        /// The object's id; none where the JSON says it, or it is a new one.
        #[n(1)]
        id: Option<String>,
        /// The change.
        #[n(2)]
        write: ObjectWrite,
        /// What this invocation has changed before.
        #[n(3)]
        pending: Vec<ObjectChange>,
    },
}

/// A change of an object that an invocation made and nobody else sees yet.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ObjectChange {
    /// The object's id.
    #[n(0)]
    pub object: String,
    /// What becomes of it.
    #[n(1)]
    pub write: ObjectWrite,
}

/// What is done with an object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ObjectWrite {
    /// It becomes what the JSON says.
    #[n(0)]
    Put {
        /// A JSON object.
        #[n(0)]
        json: String,
    },
    /// The JSON is a merge patch (RFC 7396) of it.
    #[n(1)]
    Patch {
        /// A JSON object.
        #[n(0)]
        json: String,
    },
    /// It is marked as deleted.
    #[n(2)]
    Delete,
}

impl ObjectWrite {
    /// Bytes of its JSON.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Put { json } | Self::Patch { json } => json.len(),
            Self::Delete => 0,
        }
    }
}

impl From<SpaceWrite> for ObjectWrite {
    fn from(write: SpaceWrite) -> Self {
        match write {
            SpaceWrite::Put(json) => Self::Put { json },
            SpaceWrite::Patch(json) => Self::Patch { json },
            SpaceWrite::Delete => Self::Delete,
        }
    }
}

impl From<ObjectWrite> for SpaceWrite {
    fn from(write: ObjectWrite) -> Self {
        match write {
            ObjectWrite::Put { json } => Self::Put(json),
            ObjectWrite::Patch { json } => Self::Patch(json),
            ObjectWrite::Delete => Self::Delete,
        }
    }
}

/// A space that an agent reaches.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SpaceGiven {
    /// What its home calls it.
    #[n(0)]
    pub name: String,
    /// The space.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub id: [u8; 32],
    /// Whether it may be written in.
    #[n(2)]
    pub may_edit: bool,
}

/// What the node answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum HostReply {
    /// A value of the state, or none.
    #[n(0)]
    Value {
        /// The bytes under the key.
        #[cbor(n(0), with = "minicbor::bytes")]
        value: Option<Vec<u8>>,
    },
    /// Keys of the state.
    #[n(1)]
    Keys {
        /// In byte order.
        #[n(0)]
        keys: Vec<String>,
    },
    /// A file's bytes, checked against its CID.
    #[n(2)]
    Content {
        /// All of them.
        #[cbor(n(0), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// An answer from outside.
    #[n(3)]
    Response {
        /// The answer with its whole body.
        #[n(0)]
        response: HttpResponse,
    },
    /// Milliseconds since 1970-01-01 UTC.
    #[n(4)]
    Time {
        /// The time.
        #[n(0)]
        now_ms: u64,
    },
    /// Unpredictable bytes.
    #[n(5)]
    Random {
        /// As many as were asked for.
        #[cbor(n(0), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// Done, with nothing to tell.
    #[n(6)]
    Done,
    /// Spaces, by name.
    #[n(8)]
    Spaces {
        /// Those that the agent reaches.
        #[n(0)]
        spaces: Vec<SpaceGiven>,
    },
    /// An object, or none.
    #[n(9)]
    Object {
        /// As JSON.
        #[n(0)]
        object: Option<String>,
    },
    /// Objects that were found.
    #[n(10)]
    Objects {
        /// As JSON, in the query's order.
        #[n(0)]
        objects: Vec<String>,
    },
    /// What a change would come to.
    #[n(11)]
    Tried {
        /// The space that the name stands for.
        #[cbor(n(0), with = "minicbor::bytes")]
        space: [u8; 32],
        /// The object's id.
        #[n(1)]
        id: String,
        /// The object as it would be, as JSON.
        #[n(2)]
        object: String,
    },
    /// Not done.
    #[n(7)]
    Failed {
        /// Why.
        #[n(0)]
        failure: HostFailure,
    },
}

/// Why the node did not do what a guest asked.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{text}")]
pub struct HostFailure {
    /// What the guest can tell apart.
    #[n(0)]
    pub kind: HostFailureKind,
    /// For the guest's author.
    #[n(1)]
    pub text: String,
}

/// What a guest can tell apart when a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum HostFailureKind {
    /// No grant allows it, or a budget is spent.
    #[n(0)]
    Denied,
    /// The argument is not what it should be.
    #[n(1)]
    Malformed,
    /// There is no such thing.
    #[n(2)]
    NotFound,
    /// Larger than a limit.
    #[n(3)]
    TooLarge,
    /// Not in time.
    #[n(4)]
    TimedOut,
    /// The name has no address that may be dialled.
    #[n(5)]
    Unresolved,
    /// Nobody answers at the address.
    #[n(6)]
    Unreachable,
    /// The TLS handshake failed.
    #[n(7)]
    Tls,
    /// The other side does not speak the protocol.
    #[n(8)]
    Protocol,
    /// The node cannot do it now.
    #[n(9)]
    Unavailable,
}

impl HostReply {
    /// A reply that says why not.
    pub fn failed(kind: HostFailureKind, text: impl fmt::Display) -> Self {
        Self::Failed { failure: HostFailure { kind, text: text.to_string() } }
    }
}

/// One header field of a message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HttpField {
    /// Lower case.
    #[n(0)]
    pub name: String,
    /// As sent.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub value: Vec<u8>,
}

/// A request that a guest wants to send. Nothing in it has been checked against a rule.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HttpRequest {
    /// `GET`, `POST` and so on.
    #[n(0)]
    pub method: String,
    /// `https` or `http`.
    #[n(1)]
    pub scheme: String,
    /// Host and port as the guest wrote them.
    #[n(2)]
    pub authority: String,
    /// Path and query, beginning with `/`.
    #[n(3)]
    pub path: String,
    /// Without `host` and the fields that belong to a connection.
    #[n(4)]
    pub fields: Vec<HttpField>,
    /// The whole body.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub body: Vec<u8>,
    /// How long to wait for the answer, as the guest asked; the node's own deadline may be shorter.
    #[n(6)]
    pub timeout_ms: Option<u64>,
    /// A longer answer is refused.
    #[n(7)]
    pub response_bytes_max: u64,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HttpResponse {
    /// 100 to 599.
    #[n(0)]
    pub status: u16,
    /// Without the fields that belong to a connection.
    #[n(1)]
    pub fields: Vec<HttpField>,
    /// The whole body.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum LogLevel {
    /// For the author.
    #[n(0)]
    Debug,
    /// The life of the agent.
    #[n(1)]
    Info,
    /// Degraded.
    #[n(2)]
    Warn,
    /// Someone must act.
    #[n(3)]
    Error,
}
