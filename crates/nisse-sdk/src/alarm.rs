//! The agent's one durable alarm: an `alarm` event is raised at the time set, also after a restart that missed it.
use crate::bindings::nisse::agent::alarm as host;
use crate::{Failure, clock};
use std::fmt;
use std::time::Duration;

/// The node refused to change the alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmError(pub String);

impl fmt::Display for AlarmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set the alarm: {}", self.0)
    }
}

impl std::error::Error for AlarmError {}

impl From<AlarmError> for Failure {
    fn from(error: AlarmError) -> Self {
        Failure::retryable(error.to_string())
    }
}

/// Replaces the alarm; `at` is in milliseconds since 1970. A time that has passed raises the event at once.
pub fn at(at: u64) -> Result<(), AlarmError> {
    host::set(at).map_err(AlarmError)
}

/// Replaces the alarm with one that is due after `delay`.
pub fn after(delay: Duration) -> Result<(), AlarmError> {
    at(clock::now().saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
}

/// Removes the alarm.
pub fn clear() -> Result<(), AlarmError> {
    host::clear().map_err(AlarmError)
}
