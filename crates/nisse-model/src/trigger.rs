//! The triggers of an agent, as agent.yaml declares them.

use std::fmt;

use crate::{FunctionName, Schedule, Template, TriggerName};

/// An event source bound to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: TriggerName,
    /// Which function it runs.
    pub function: FunctionName,
    /// What raises its events.
    pub spec: TriggerSpec,
    /// What the handler is given of an event's data; `None`: the data itself.
    pub input: Option<Template>,
    /// Whether it raises any.
    pub enabled: bool,
}

/// What raises events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerSpec {
    /// Time goes by.
    Timer {
        /// When.
        schedule: Schedule,
        /// What becomes of runs that were missed.
        missed: Missed,
    },
    /// A function of the same agent ended.
    Function {
        /// Which.
        function: FunctionName,
        /// How.
        on_end: OnEnd,
    },
}

/// What becomes of the runs of a timer that were missed, for whatever reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// None of them is caught up on, but for the newest if it is less than a minute old.
    Skip,
    /// One run stands for all of them.
    Once,
    /// Each is caught up on.
    All,
}

/// Which end of a function is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEnd {
    /// Its handler answered.
    Completed,
    /// It failed for ever.
    Failed,
}

impl TriggerSpec {
    /// The kinds that this version acts upon.
    pub const KINDS: [&'static str; 2] = ["timer", "function"];
    /// Those that a later one does.
    pub const KINDS_TO_COME: [&'static str; 8] =
        ["http", "webhook", "space", "identity", "message", "queue", "chain", "manual"];

    /// Its kind, as `spec.kind` names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Timer { .. } => "timer",
            Self::Function { .. } => "function",
        }
    }
}

impl fmt::Display for TriggerSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timer { schedule, .. } => write!(formatter, "timer {schedule}"),
            Self::Function { function, on_end } => write!(formatter, "function {function} {}", on_end.as_str()),
        }
    }
}

impl Missed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Once, Self::All];

    /// As agent.yaml writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

impl OnEnd {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Completed, Self::Failed];

    /// As agent.yaml writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}
