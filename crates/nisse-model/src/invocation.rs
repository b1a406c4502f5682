//! One run of a handler: what goes in, what comes out, and which effects are committed with it.
//!
//! The shapes mirror `wit/agent.wit`. An [`Effect`] is not done when it is made: it stands in the completion record,
//! whose fsync is the only commit, and is applied after it by (invocation id, effect index) (DESIGN §5.1).

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// Largest `data` of an event or an outcome, in bytes.
pub const EVENT_DATA_LENGTH_MAX: usize = 1 << 20;
/// Longest id, source, type, function or content type of an event, in bytes.
pub const EVENT_TEXT_LENGTH_MAX: usize = 256;
/// Longest text of a failure, in bytes; a longer one is cut.
pub const FAILURE_TEXT_LENGTH_MAX: usize = 4096;
/// Longest key of an agent's state, in bytes.
pub const STATE_KEY_LENGTH_MAX: usize = 512;
/// Longest value of an agent's state, in bytes.
pub const STATE_VALUE_LENGTH_MAX: usize = 1 << 20;
/// Most effects of one invocation.
pub const EFFECTS_MAX: usize = 4096;

/// The name of one invocation: six bytes of time, ten of chance, so that names sort by the time they were given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvocationId(pub [u8; 16]);

impl InvocationId {
    /// A new name. `chance` comes from the node's entropy.
    pub fn new(now: Timestamp, chance: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&now.0.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&chance);
        Self(bytes)
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for InvocationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Why a text is not an invocation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as an invocation: expected 32 lower-case hex digits")]
pub struct ParseInvocationIdError(pub String);

impl FromStr for InvocationId {
    type Err = ParseInvocationIdError;

    fn from_str(text: &str) -> Result<Self, ParseInvocationIdError> {
        let refused = || ParseInvocationIdError(text.chars().take(60).collect());
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refused());
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| refused())?;
        Ok(Self(bytes))
    }
}

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

    fn without_data(id: String, source: &str, kind: &str, time: Timestamp) -> Self {
        let (source, kind) = (source.to_owned(), kind.to_owned());
        Self { id, source, kind, time, content_type: String::new(), data: Vec::new() }
    }
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
}

/// What a handler answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Media type of `data`.
    pub content_type: String,
    /// At most [`EVENT_DATA_LENGTH_MAX`] bytes.
    pub data: Vec<u8>,
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
}

/// The name of an OracleFeed: 1 to 31 printable ASCII characters, such as `ETH/USD`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetName(String);

impl AssetName {
    /// Longest name: what fits into one EVM word with its length.
    pub const LENGTH_MAX: usize = 31;

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text is not the name of an asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use {0:?} as an asset: expected 1 to 31 printable ASCII characters without spaces, such as ETH/USD")]
pub struct ParseAssetNameError(pub String);

impl FromStr for AssetName {
    type Err = ParseAssetNameError;

    fn from_str(text: &str) -> Result<Self, ParseAssetNameError> {
        if text.is_empty() || text.len() > Self::LENGTH_MAX || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(ParseAssetNameError(text.chars().take(40).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What an invocation changes, committed with it and applied after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Writes one key of the agent's state.
    StatePut {
        /// 1 to [`STATE_KEY_LENGTH_MAX`] bytes.
        key: String,
        /// At most [`STATE_VALUE_LENGTH_MAX`] bytes.
        value: Vec<u8>,
    },
    /// Removes one key of the agent's state; a key that is not there is no error.
    StateDelete {
        /// 1 to [`STATE_KEY_LENGTH_MAX`] bytes.
        key: String,
    },
    /// Replaces the agent's one alarm.
    AlarmSet {
        /// When it goes off; a time that has passed means at once.
        at: Timestamp,
    },
    /// Removes the agent's alarm.
    AlarmClear,
    /// Sends `value` × 10^-`decimals` to the deployment's OracleFeed of `asset`.
    PublishToChain {
        /// The feed's name.
        asset: AssetName,
        /// The answer without its decimal point.
        value: i64,
        /// Digits behind the decimal point.
        decimals: u8,
    },
}
