//! What is looked at when a home or its node is checked.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;

/// One thing that `nisse doctor` looked at. What has several problems stands there once for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Which: `home`, `configuration`, `keys`, `token`, `lock`, `journal`, `chain`, `transactions`, `index`, `state`,
    /// `content`, `disk`, `vault`, `audit`, `agents` or `node`.
    pub check: String,
    /// What is wrong and what to do about it, in one sentence; absent where it is in order.
    pub problem: Option<String>,
    /// What was seen where it is in order.
    pub detail: Option<String>,
}

impl Check {
    /// It is in order, and this was seen.
    pub fn sound(check: &str, detail: impl fmt::Display) -> Self {
        Self { check: check.to_owned(), problem: None, detail: Some(detail.to_string()) }
    }

    /// It is not, and this is to be done about it.
    pub fn problem(check: &str, problem: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { check: check.to_owned(), problem: Some(format!("{problem}; {remedy}")), detail: None }
    }

    /// It is refused or failed: with the error's own hint, or else with this one.
    pub fn refused(check: &str, error: NodeError, remedy: &str) -> Self {
        let NodeError { text, hint, .. } = error;
        Self::problem(check, text, hint.as_deref().unwrap_or(remedy))
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problem.is_none()
    }
}
