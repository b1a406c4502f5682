//! What is wrong with an agent.yaml, where, and what to write instead.

use std::fmt;

use crate::{ConfigError, ParseAgentIdError, ParseEntryPointError, ParsePermissionError, ScheduleError, TemplateError};

/// One error. Prints as one sentence that begins with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub problem: ManifestProblem,
    /// What to write instead, where that can be told.
    pub hint: Option<String>,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}: {}", self.line, self.column, self.problem)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(formatter, "; {hint}"))
    }
}

impl std::error::Error for ManifestError {}

/// All errors found, in the order of the text; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestErrors(Vec<ManifestError>);

impl ManifestErrors {
    /// `None` without errors.
    pub(super) fn from_vec(mut errors: Vec<ManifestError>) -> Option<Self> {
        errors.sort_by_key(|error| (error.line, error.column));
        errors.truncate(super::Manifest::ERRORS_MAX);
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The first error in the text.
    pub fn first(&self) -> &ManifestError {
        &self.0[0]
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, ManifestError> {
        self.0.iter()
    }
}

impl From<ManifestError> for ManifestErrors {
    fn from(error: ManifestError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestErrors {}

/// What was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestProblem {
    /// The file is longer than [`super::Manifest::LENGTH_MAX`].
    #[error("found a file of {length} bytes, expected at most {max}", max = super::Manifest::LENGTH_MAX)]
    FileTooLong {
        /// Bytes found.
        length: usize,
    },
    /// A byte order mark.
    #[error("found a byte order mark, expected plain UTF-8 without one")]
    ByteOrderMark,
    /// A character that no terminal should be sent.
    #[error("found the character U+{code:04X}, expected printable text", code = *.0 as u32)]
    Character(char),
    /// Not YAML.
    #[error("found text that is not YAML ({0})")]
    Syntax(String),
    /// `%YAML` or `%TAG`.
    #[error("found a YAML directive, expected a mapping right away")]
    Directive,
    /// Nothing but comments.
    #[error("found nothing, expected the keys of an agent: {0}")]
    Empty(&'static str),
    /// `---` a second time.
    #[error("found a second document, expected one")]
    SecondDocument,
    /// `&name`.
    #[error("found an anchor (`&`), expected the value itself")]
    Anchor,
    /// `*name`.
    #[error("found an alias (`*`), expected the value itself")]
    Alias,
    /// `!tag`.
    #[error("found the tag `{0}`, expected a plain value")]
    Tag(String),
    /// `<<:`.
    #[error("found a merge key (`<<`), expected the keys themselves")]
    MergeKey,
    /// Deeper than [`super::Manifest::DEPTH_MAX`].
    #[error("found more than {max} levels of nesting, expected at most {max}", max = super::Manifest::DEPTH_MAX)]
    TooDeep,
    /// A key that is no text.
    #[error("found {0} as a key, expected text")]
    KeyKind(&'static str),
    /// A key that nisse does not know.
    #[error("found the unknown key {key:?}, expected one of {expected}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that may stand here.
        expected: &'static str,
    },
    /// A key for the second time.
    #[error("found the key `{key}` again, expected it once (it stands on line {first_line})")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it stands first.
        first_line: usize,
    },
    /// A key that must be there.
    #[error("found no `{key}`, expected {expected}")]
    MissingKey {
        /// The key, dotted from the root.
        key: &'static str,
        /// What it holds.
        expected: &'static str,
    },
    /// A value of the wrong type.
    #[error("found {found} for `{key}`, expected {expected}")]
    Type {
        /// The key, dotted from the root.
        key: String,
        /// What stands there.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A value of the right type that is not allowed.
    #[error("found {found:?} for `{key}`, expected {expected}")]
    Value {
        /// The key, dotted from the root.
        key: String,
        /// What stands there, shortened.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// A text that is too long.
    #[error("found {length} bytes for `{key}`, expected at most {max}")]
    TooLong {
        /// The key, dotted from the root.
        key: &'static str,
        /// Bytes found.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A list that is too long.
    #[error("found {count} entries in `{key}`, expected at most {max}")]
    TooMany {
        /// The key, dotted from the root.
        key: &'static str,
        /// Entries found.
        count: usize,
        /// Entries allowed.
        max: usize,
    },
    /// A key beyond the TIP's without the version that allows it.
    #[error("found `{0}` without `nisse: 1`, expected the version before keys that TIP-0042 does not have")]
    NeedsVersion(&'static str),
    /// A version that this nisse does not know.
    #[error("found {0} for `nisse`, expected 1")]
    Version(String),
    /// A trigger of a kind of a later version.
    #[error("found a trigger of the kind `{0}`, which this version of nisse does not have")]
    TriggerKind(String),
    /// When a timer fires is refused.
    #[error("found a wrong `{key}`: cannot {error}")]
    Schedule {
        /// The key, dotted from the root.
        key: &'static str,
        /// Why.
        error: ScheduleError,
    },
    /// What a trigger makes of an event is refused.
    #[error("found a wrong `triggers.input`: cannot {0}")]
    Input(TemplateError),
    /// A trigger of a space that the agent may not read.
    #[error("found a trigger of the space `{0}` without a permission to read it, expected both")]
    SpaceNotPermitted(String),
    /// Functions that run one another for ever.
    #[error("found functions that run one another for ever: {0}")]
    Circle(String),
    /// `agent_id` is refused.
    #[error("found a wrong `agent_id`: cannot {0}")]
    AgentId(ParseAgentIdError),
    /// `entry_point` is refused.
    #[error("found a wrong `entry_point`: cannot {0}")]
    EntryPoint(ParseEntryPointError),
    /// A permission is refused.
    #[error("found the wrong permission {text:?}: cannot {error}")]
    Permission {
        /// As written, shortened.
        text: String,
        /// Why.
        error: ParsePermissionError,
    },
    /// A secret for a host that the agent may not reach.
    #[error("found {text:?} without a `network_outbound` that reaches its host, expected both")]
    SecretWithoutHost {
        /// As written, shortened.
        text: String,
    },
    /// Two secrets for the same requests.
    #[error("found {text:?} for the same requests as the one on line {first_line}, expected one secret in a header")]
    SecretTwice {
        /// As written, shortened.
        text: String,
        /// Where the other one stands.
        first_line: usize,
    },
    /// `config` is refused.
    #[error("found a wrong `config`: cannot {0}")]
    Config(ConfigError),
}
