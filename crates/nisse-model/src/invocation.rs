//! One run of a handler: what goes in and what comes out.
//!
//! The shapes mirror `wit/agent.wit`. The hashes are what a record keeps of them.

use crate::{Hash256, InvocationId, Timestamp};

/// Largest `data` of an event or an outcome, in bytes.
pub const EVENT_DATA_LENGTH_MAX: usize = 1 << 20;
/// Longest id, source, type, function or content type of an event, in bytes.
pub const EVENT_TEXT_LENGTH_MAX: usize = 256;
/// Longest text of a failure, in bytes; a longer one is cut.
pub const FAILURE_TEXT_LENGTH_MAX: usize = 4096;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unique for this source.
    pub id: String,
    /// Who raised it: `nisse:node`, `nisse:alarm`, `nisse:manual` or a URI.
    pub source: String,
    /// What happened: one of the constants below or a reverse-domain name.
    pub kind: String,
    /// When it happened, by the node's clock.
    pub time: Timestamp,
    /// Media type of `data`.
    pub content_type: String,
    /// At most [`EVENT_DATA_LENGTH_MAX`] bytes.
    pub data: Vec<u8>,
}

impl Event {
    /// Raised once per incarnation, before anything else.
    pub const STARTED: &'static str = "started";
    /// The agent's durable alarm went off.
    pub const ALARM: &'static str = "alarm";
    /// An HTTP request, for components without a WASI incoming-handler.
    pub const HTTP: &'static str = "http";
    /// Raised by a person.
    pub const MANUAL: &'static str = "manual";
    /// Source of `started` and `http`.
    pub const SOURCE_NODE: &'static str = "nisse:node";
    /// Source of `alarm`.
    pub const SOURCE_ALARM: &'static str = "nisse:alarm";
    /// Source of `manual`.
    pub const SOURCE_MANUAL: &'static str = "nisse:manual";

    /// Raised once per incarnation.
    pub fn started(id: String, time: Timestamp) -> Self {
        Self::without_data(id, Self::SOURCE_NODE, Self::STARTED, time)
    }

    /// Raised when the alarm is due.
    pub fn alarm(id: String, time: Timestamp) -> Self {
        Self::without_data(id, Self::SOURCE_ALARM, Self::ALARM, time)
    }

    /// Raised by a person, with what they typed.
    pub fn manual(id: String, time: Timestamp, content_type: String, data: Vec<u8>) -> Self {
        Self { content_type, data, ..Self::without_data(id, Self::SOURCE_MANUAL, Self::MANUAL, time) }
    }

    /// Refuses an event that is larger than a handler is given, before it is made durable.
    pub fn check(&self) -> Result<(), EventError> {
        let texts =
            [("id", &self.id), ("source", &self.source), ("type", &self.kind), ("content-type", &self.content_type)];
        for (field, text) in texts {
            if text.len() > EVENT_TEXT_LENGTH_MAX {
                return Err(EventError::TextTooLong { field, length: text.len() });
            }
        }
        if self.data.len() > EVENT_DATA_LENGTH_MAX {
            return Err(EventError::DataTooLong { length: self.data.len() });
        }
        Ok(())
    }

    fn without_data(id: String, source: &str, kind: &str, time: Timestamp) -> Self {
        let (source, kind) = (source.to_owned(), kind.to_owned());
        Self { id, source, kind, time, content_type: String::new(), data: Vec::new() }
    }
}

/// Why an event is not taken. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// One of its texts is longer than [`EVENT_TEXT_LENGTH_MAX`].
    #[error("take an event whose {field} has {length} bytes: at most {EVENT_TEXT_LENGTH_MAX} are allowed")]
    TextTooLong {
        /// The field, as the WIT names it.
        field: &'static str,
        /// Bytes found.
        length: usize,
    },
    /// Its data is longer than [`EVENT_DATA_LENGTH_MAX`].
    #[error("take an event with {length} bytes of data: at most {EVENT_DATA_LENGTH_MAX} are allowed")]
    DataTooLong {
        /// Bytes found.
        length: usize,
    },
}

/// One run of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Its name; the same on each attempt.
    pub id: InvocationId,
    /// The function's name; [`Invocation::MAIN`] when agent.yaml declares no functions.
    pub function: String,
    /// What it reacts to.
    pub event: Event,
    /// 1 for the first try.
    pub attempt: u32,
    /// The handler is stopped at this time.
    pub deadline: Timestamp,
}

impl Invocation {
    /// The function of an agent that declares none.
    pub const MAIN: &'static str = "main";

    /// What a record keeps of the invocation: SHA-256 over every field that the handler sees.
    pub fn input_hash(&self) -> Hash256 {
        let Event { id, source, kind, time, content_type, data } = &self.event;
        Hash256::of_parts(&[
            b"nisse invocation v1",
            &self.id.0,
            self.function.as_bytes(),
            id.as_bytes(),
            source.as_bytes(),
            kind.as_bytes(),
            &time.0.to_be_bytes(),
            content_type.as_bytes(),
            data,
            &self.attempt.to_be_bytes(),
            &self.deadline.0.to_be_bytes(),
        ])
    }
}

/// What a handler answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Media type of `data`.
    pub content_type: String,
    /// At most [`EVENT_DATA_LENGTH_MAX`] bytes.
    pub data: Vec<u8>,
}

impl Outcome {
    /// What a record keeps of an answer.
    pub fn output_hash(&self) -> Hash256 {
        Hash256::of_parts(&[b"nisse outcome v1", self.content_type.as_bytes(), &self.data])
    }
}

/// Whether trying again could help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It could.
    Retryable,
    /// It could not.
    Permanent,
}

/// Why a handler could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("handle the event: {text}")]
pub struct Failure {
    /// Whether trying again could help.
    pub kind: FailureKind,
    /// The handler's own words.
    pub text: String,
}

impl Failure {
    /// A failure with its text cut to [`FAILURE_TEXT_LENGTH_MAX`] bytes.
    pub fn new(kind: FailureKind, mut text: String) -> Self {
        text.truncate(text.floor_char_boundary(FAILURE_TEXT_LENGTH_MAX));
        Self { kind, text }
    }

    /// What a record keeps of a failure.
    pub fn output_hash(&self) -> Hash256 {
        let kind: &[u8] = match self.kind {
            FailureKind::Retryable => b"retryable",
            FailureKind::Permanent => b"permanent",
        };
        Hash256::of_parts(&[b"nisse failure v1", kind, self.text.as_bytes()])
    }
}
