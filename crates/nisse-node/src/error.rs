//! Why the node does not do what was asked: a kind, a stable code, one sentence and a hint.

use std::fmt;

/// What sort of refusal it is; the edge makes exit codes and HTTP statuses of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was sent cannot be read.
    Usage,
    /// There is no such thing.
    NotFound,
    /// It is not shown who asks.
    Unsigned,
    /// A rule forbids it.
    Refused,
    /// It does not fit the present state.
    Conflict,
    /// Something that is needed does not answer.
    Unreachable,
    /// The queue is full.
    Busy,
    /// It went wrong.
    Failed,
}

/// A refusal or a failure, ready to be shown to an owner.
#[derive(Debug, Clone)]
pub struct NodeError {
    /// What sort.
    pub kind: ErrorKind,
    /// Stable, for programs: `agent_unknown`, `manifest_invalid`.
    pub code: &'static str,
    /// One sentence and its causes, outermost first.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl NodeError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, code: &'static str, text: impl fmt::Display) -> Self {
        Self { kind, code, text: text.to_string(), hint: None }
    }

    /// An error with its causes: a fragment that completes “failed to …” becomes a sentence.
    pub fn caused(kind: ErrorKind, code: &'static str, error: &dyn std::error::Error) -> Self {
        Self::new(kind, code, format!("failed to {}", chain(error)))
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// `failed to …: …: …`, each cause once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

impl fmt::Display for NodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for NodeError {}
