//! What somebody may do: a command, and on what. Commands and their attenuation are those of UCAN 1.0 (delegation,
//! §Command and §Policy), with equality as the only test of a policy.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A command such as `/agent/logs`. It covers itself and what stands below it; `/` covers everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command(String);

impl Command {
    /// Bytes of the longest.
    pub const LENGTH_MAX: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether whoever may do this may do the other: `/agent` covers `/agent/logs`, and not `/agents`.
    pub fn covers(&self, other: &Self) -> bool {
        let rest = other.0.strip_prefix(self.0.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseScopeError {
    /// Not a command.
    #[error("read `{0}` as a command: expected `/` or words such as `/agent/logs`, at most 64 bytes")]
    Command(String),
    /// Not a condition.
    #[error("read `{0}` as a condition: expected `key=value`, each key once, at most 8 of them")]
    Condition(String),
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

impl FromStr for Command {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        let words = text.strip_prefix('/');
        let sound = words.is_some_and(|words| words.is_empty() || words.split('/').all(is_word));
        if sound && text.len() <= Self::LENGTH_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseScopeError::Command(text.chars().take(80).collect()))
        }
    }
}

/// A command, and what it is about: each condition names one argument and the only value that it may have.
///
/// Written as `/agent/logs?agent=org.example.notes`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    command: Command,
    conditions: BTreeMap<String, String>,
}

impl Scope {
    /// Conditions of one scope.
    pub const CONDITIONS_MAX: usize = 8;
    /// Bytes of an argument's value.
    pub const VALUE_LENGTH_MAX: usize = 256;

    /// This command under these conditions.
    pub fn new(command: Command, conditions: BTreeMap<String, String>) -> Result<Self, ParseScopeError> {
        let value_is_sound = |value: &str| {
            !value.is_empty()
                && value.len() <= Self::VALUE_LENGTH_MAX
                && value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'&' | b'=' | b'?' | b','))
        };
        let broken = conditions.iter().find(|(key, value)| !is_word(key) || key.len() > 64 || !value_is_sound(value));
        if let Some((key, value)) = broken {
            let shown = format!("{key}={value}");
            return Err(ParseScopeError::Condition(shown.chars().take(80).collect()));
        }
        if conditions.len() > Self::CONDITIONS_MAX {
            return Err(ParseScopeError::Condition(format!("{} conditions", conditions.len())));
        }
        Ok(Self { command, conditions })
    }

    /// What the product itself asks for: a command of its own under one condition.
    pub(super) fn about(command: &str, key: &str, value: String) -> Self {
        let command = Command(command.to_owned());
        Self { command, conditions: BTreeMap::from([(key.to_owned(), value)]) }
    }

    /// What may be done.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// On what.
    pub fn conditions(&self) -> &BTreeMap<String, String> {
        &self.conditions
    }

    /// Whether whoever has this has the other: its command covers the other's, and the other keeps all its conditions.
    pub fn covers(&self, other: &Self) -> bool {
        let kept = |(key, value): (&String, &String)| other.conditions.get(key) == Some(value);
        self.command.covers(&other.command) && self.conditions.iter().all(kept)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.command, formatter)?;
        for (place, (key, value)) in self.conditions.iter().enumerate() {
            write!(formatter, "{}{key}={value}", if place == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        let (command, query) = text.split_once('?').map_or((text, None), |(command, query)| (command, Some(query)));
        let mut conditions = BTreeMap::new();
        for condition in query.map(|query| query.split('&')).into_iter().flatten() {
            let refused = || ParseScopeError::Condition(condition.chars().take(80).collect());
            let (key, value) = condition.split_once('=').ok_or_else(refused)?;
            if conditions.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(refused());
            }
        }
        Self::new(command.parse()?, conditions)
    }
}
