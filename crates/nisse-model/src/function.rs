//! The functions of an agent, as agent.yaml declares them.

use std::fmt;
use std::str::FromStr;

use crate::Invocation;

/// Longest name of a function or a trigger, in bytes.
const NAME_LENGTH_MAX: usize = 63;

/// The name of a function: 1 to 63 of `a-z`, `0-9` and `-`, with a letter first and no `-` at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName(String);

/// The name of a trigger, written as a function's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerName(String);

/// Why a text is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "use {0:?} as a name: expected 1 to {NAME_LENGTH_MAX} of a-z, 0-9 and -, with a letter first and no - at the end"
)]
pub struct ParseFunctionNameError(pub String);

fn checked(text: &str) -> Result<String, ParseFunctionNameError> {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let all = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    match first && all && !text.ends_with('-') && text.len() <= NAME_LENGTH_MAX {
        true => Ok(text.to_owned()),
        false => Err(ParseFunctionNameError(text.chars().take(40).collect())),
    }
}

impl FunctionName {
    /// The function that every agent has.
    pub fn main() -> Self {
        Self(Invocation::MAIN.to_owned())
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TriggerName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FunctionName {
    type Err = ParseFunctionNameError;

    fn from_str(text: &str) -> Result<Self, ParseFunctionNameError> {
        checked(text).map(Self)
    }
}

impl FromStr for TriggerName {
    type Err = ParseFunctionNameError;

    fn from_str(text: &str) -> Result<Self, ParseFunctionNameError> {
        checked(text).map(Self)
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for TriggerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A short-lived handler of the agent's artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// What the handler is told as `function`.
    pub name: FunctionName,
    /// For people.
    pub description: String,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// How often a failed event is tried again.
    pub retry: RetryPolicy,
}

impl Function {
    /// Shortest and longest time for one attempt, and the one where nothing is said.
    pub const TIMEOUT_MS_MIN: u64 = 1_000;
    /// See [`Function::TIMEOUT_MS_MIN`].
    pub const TIMEOUT_MS_MAX: u64 = 900_000;
    /// See [`Function::TIMEOUT_MS_MIN`].
    pub const TIMEOUT_MS_DEFAULT: u64 = 30_000;

    /// The function that every agent has, as events come to it.
    pub fn main() -> Self {
        Self {
            name: FunctionName::main(),
            description: String::new(),
            timeout_ms: Self::TIMEOUT_MS_DEFAULT,
            retry: RetryPolicy::default(),
        }
    }
}

/// How often a failed event is tried again, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; 1: never again.
    pub attempts: u32,
    /// Pause before the second attempt, in milliseconds. It doubles with each.
    pub first_ms: u64,
    /// Longest pause, in milliseconds.
    pub max_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, first_ms: 1_000, max_ms: 600_000 }
    }
}

impl RetryPolicy {
    /// Most attempts.
    pub const ATTEMPTS_MAX: u32 = 100;
    /// Shortest first pause, in milliseconds.
    pub const FIRST_MS_MIN: u64 = 100;
    /// Longest first pause, in milliseconds.
    pub const FIRST_MS_MAX: u64 = 3_600_000;
    /// Longest pause of all, in milliseconds.
    pub const MAX_MS_MAX: u64 = 86_400_000;

    /// Whether nothing is tried again after so many attempts.
    pub fn is_last(&self, attempts: u32) -> bool {
        attempts >= self.attempts
    }

    /// The pause after so many attempts. `chance` shortens it by up to a quarter, so that what failed together is not tried
    /// together again.
    pub fn pause_ms(&self, attempts: u32, chance: u16) -> u64 {
        let doubled = 1u64.checked_shl(attempts.saturating_sub(1)).and_then(|times| self.first_ms.checked_mul(times));
        let pause = doubled.unwrap_or(self.max_ms).min(self.max_ms);
        pause - (u128::from(pause / 4) * u128::from(chance) / u128::from(u16::MAX)) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["a", "nightly-report", "x1", &"a".repeat(63)] {
            assert_eq!(name.parse::<FunctionName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "1a", "-a", "a-", "A", "a_b", "ä", "a b", &"a".repeat(64)] {
            name.parse::<TriggerName>().expect_err("no name");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy { attempts: 4, first_ms: 1_000, max_ms: 5_000 };
        let pauses: Vec<u64> = (1..5).map(|attempts| policy.pause_ms(attempts, 0)).collect();
        assert_eq!(pauses, [1_000, 2_000, 4_000, 5_000]);
        assert_eq!(policy.pause_ms(1, u16::MAX), 750);
        assert!(!policy.is_last(3) && policy.is_last(4));
    }

    proptest! {
        #[test]
        fn a_pause_is_never_longer_than_the_longest(attempts: u32, chance: u16, first: u64, max: u64) {
            let policy = RetryPolicy { attempts: 5, first_ms: first, max_ms: max };
            let pause = policy.pause_ms(attempts, chance);
            prop_assert!(pause <= max && pause >= policy.pause_ms(attempts, 0) / 4 * 3);
        }
    }
}
