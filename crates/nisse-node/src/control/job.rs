//! Triggers of an agent, and the invocations that its jobs are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One trigger, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The function that it runs.
    pub function: String,
    /// `timer`, `function`, `space` or `manual`.
    pub kind: String,
    /// What raises it, such as `every 15m`.
    pub spec: String,
    /// `on`; `off`: agent.yaml says so; `paused`: a person did; `down`: the agent takes no events now.
    pub state: String,
    /// How often it fired.
    pub count: u64,
    /// Of a timer that is on: when it fires next, at most ten times ahead.
    pub next: Vec<u64>,
    /// What it raised last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<InvocationEntry>,
    /// Why it fired last or did not, in one sentence.
    pub why: String,
}

/// What a person fires a trigger with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FireRequest {
    /// The event's data; `null` without one.
    #[serde(default)]
    pub data: Value,
    /// Names the event: fired again under the same name, it comes to the same job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What was fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fired {
    /// The invocation that handles it.
    pub invocation: String,
    /// `false`: an event of the same name was fired before.
    pub new: bool,
}

/// One invocation of a function by an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvocationEntry {
    /// Its name, the same on each attempt.
    pub invocation: String,
    /// The function.
    pub function: String,
    /// What raised it; absent: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// `waiting`, `running`, `completed`, `failed` or `cancelled`.
    pub state: String,
    /// The event's type.
    pub event: String,
    /// When that happened.
    pub time: u64,
    /// Attempts that were made.
    pub attempts: u32,
    /// When it is tried next, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<u64>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// How the last attempt went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<InvocationAttempt>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvocationAttempt {
    /// When it began.
    pub began: u64,
    /// How long it took.
    pub took_ms: u64,
    /// What it burnt.
    pub fuel: u64,
    /// Position of its record in the deployment's chain, if it came to one: the second part of the receipt's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// One invocation with its event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvocationShown {
    /// How it stands.
    #[serde(flatten)]
    pub entry: InvocationEntry,
    /// The event's id.
    pub event_id: String,
    /// Who raised it.
    pub event_source: String,
    /// Media type of the event's data.
    pub content_type: String,
    /// The data, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The data in base64, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}
