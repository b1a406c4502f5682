//! Events in, outcomes out: the trait that an agent implements and the small constructors around it.
//!
//! What an invocation wrote is kept when `handle` returns `Ok` and dropped when it returns `Err` or traps.
pub use crate::bindings::nisse::agent::types::{Event, Failure, FailureKind, Invocation, Outcome};

/// An agent's reaction to events.
pub trait Handler {
    /// Runs once per event, one at a time.
    fn handle(invocation: Invocation) -> Result<Outcome, Failure>;
}

impl Event {
    /// Raised once when this incarnation of the agent starts.
    pub fn is_started(&self) -> bool {
        self.type_ == "started"
    }

    /// Raised at the time given to [`crate::alarm::at`].
    pub fn is_alarm(&self) -> bool {
        self.type_ == "alarm"
    }

    /// `data` where it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.data).ok()
    }
}

impl Outcome {
    /// Nothing to say.
    pub fn empty() -> Self {
        Self::text("")
    }

    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { content_type: "text/plain; charset=utf-8".into(), data: text.into().into_bytes() }
    }

    /// A value as JSON.
    #[cfg(feature = "json")]
    pub fn json(value: &impl serde::Serialize) -> Result<Self, Failure> {
        let data = serde_json::to_vec(value).map_err(|error| Failure::permanent(error.to_string()))?;
        Ok(Self { content_type: "application/json".into(), data })
    }
}

impl Failure {
    /// Trying again could help.
    pub fn retryable(text: impl Into<String>) -> Self {
        Self { kind: FailureKind::Retryable, text: text.into() }
    }

    /// Trying again could not help.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { kind: FailureKind::Permanent, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_kind_and_gives_only_valid_text() {
        let mut event = Event {
            id: "1".into(),
            source: "nisse:alarm".into(),
            type_: "alarm".into(),
            time: 0,
            content_type: "text/plain".into(),
            data: b"due".to_vec(),
        };
        assert!(event.is_alarm() && !event.is_started());
        assert_eq!(event.text(), Some("due"));
        event.data = vec![0xff];
        assert_eq!(event.text(), None);
    }

    #[test]
    fn a_failure_says_whether_trying_again_could_help() {
        assert_eq!(Failure::retryable("later").kind, FailureKind::Retryable);
        assert_eq!(Failure::permanent("never").kind, FailureKind::Permanent);
    }
}
