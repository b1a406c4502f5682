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
    /// Objects of a space change.
    Space {
        /// What the home calls it.
        space: String,
        /// Which objects: a query of ECHO as JSON; all without one.
        query: Option<String>,
        /// Which changes.
        events: Vec<SpaceEvent>,
        /// How long an object is left alone after a change, in milliseconds.
        debounce_ms: u64,
        /// Whether what is there at the begin is told as created.
        existing: bool,
    },
    /// A person, and nothing else.
    Manual,
}

/// What becomes of an object that a query finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpaceEvent {
    /// It is found now, and was not before.
    Created,
    /// It is another than it was.
    Updated,
    /// It is found no more.
    Deleted,
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
    pub const KINDS: [&'static str; 4] = ["timer", "function", "space", "manual"];
    /// Those that a later one does.
    pub const KINDS_TO_COME: [&'static str; 6] = ["http", "webhook", "identity", "message", "queue", "chain"];
    /// Longest `debounce`, in milliseconds.
    pub const DEBOUNCE_MS_MAX: u64 = 3_600_000;

    /// Its kind, as `spec.kind` names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Timer { .. } => "timer",
            Self::Function { .. } => "function",
            Self::Space { .. } => "space",
            Self::Manual => "manual",
        }
    }
}

impl fmt::Display for TriggerSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timer { schedule, .. } => write!(formatter, "timer {schedule}"),
            Self::Function { function, on_end } => write!(formatter, "function {function} {}", on_end.as_str()),
            Self::Space { space, events, .. } => {
                let events: Vec<&str> = events.iter().map(|event| event.as_str()).collect();
                write!(formatter, "space {space} {}", events.join(", "))
            }
            Self::Manual => formatter.write_str("manual"),
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

impl SpaceEvent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    /// As agent.yaml writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
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
