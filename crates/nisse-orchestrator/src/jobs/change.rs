//! What a job is, and what becomes of it: the words that the journal keeps.

use nisse_model::{
    Address, AgentName, Event, Fuel, FunctionName, Hash256, InvocationId, Outcome, Timestamp, TriggerName,
};

/// Whose job: an agent across its deployments, as its state is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey {
    /// Who deployed it.
    pub owner: Address,
    /// Its name.
    pub name: AgentName,
}

/// An event that is to be handled once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Of the job and of the invocation that handles it, whichever attempt.
    pub id: InvocationId,
    /// Who handles it.
    pub agent: AgentKey,
    /// By which of its functions.
    pub function: FunctionName,
    /// What raised it; `None`: a person.
    pub trigger: Option<TriggerName>,
    /// What happened.
    pub event: Event,
    /// How many functions that ended led to it.
    pub depth: u16,
    /// Not before this.
    pub due: Timestamp,
}

impl Job {
    /// The name of the job that an event is, by the event's source and id. The same event of the same time has the same one,
    /// however often it is told.
    pub fn name(
        agent: &AgentKey,
        trigger: Option<&TriggerName>,
        (source, event): (&str, &str),
        time: Timestamp,
    ) -> InvocationId {
        let trigger = trigger.map_or("", TriggerName::as_str);
        let parts: [&[u8]; 6] = [
            b"nisse job v1",
            &agent.owner.0,
            agent.name.as_str().as_bytes(),
            trigger.as_bytes(),
            source.as_bytes(),
            event.as_bytes(),
        ];
        let digest = Hash256::of_parts(&parts);
        let mut chance = [0; 10];
        chance.copy_from_slice(&digest.0[..10]);
        InvocationId::new(time, chance)
    }

    /// What the machine keeps of it: all but the event.
    pub fn waiting(&self) -> WaitingJob {
        WaitingJob {
            id: self.id,
            function: self.function.clone(),
            trigger: self.trigger.clone(),
            attempts: 0,
            depth: self.depth,
            due: self.due,
            handled: None,
        }
    }
}

/// A job that has not ended, without its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingJob {
    /// Of the job.
    pub id: InvocationId,
    /// Who handles it.
    pub function: FunctionName,
    /// What raised it.
    pub trigger: Option<TriggerName>,
    /// How often it was tried.
    pub attempts: u32,
    /// How many functions that ended led to it.
    pub depth: u16,
    /// Not before this.
    pub due: Timestamp,
    /// Its handler completed before the node went down, with this answer; what follows from that is still to be raised.
    pub handled: Option<Answer>,
}

/// What a handler answered, where somebody waits for it.
pub type Answer = Option<Outcome>;

/// How far a trigger has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Of a timer: everything up to this moment was fired or passed over.
    pub at: Timestamp,
    /// How often it fired.
    pub count: u64,
    /// A person paused it: nothing comes of its events.
    pub is_paused: bool,
}

/// One attempt, as it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Where its record stands in the chain of the deployment, if it came to one.
    pub seq: Option<u64>,
    /// What it burnt.
    pub fuel: Fuel,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// It was handled; what the handler answered, where somebody waits for it.
    Completed(Answer),
    /// It failed for ever: a dead letter.
    Failed(String),
    /// A person called it off.
    Cancelled,
}

impl JobEnd {
    /// One word for people and programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Completed(_) => "completed",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One thing that the journal keeps of jobs. Each says how it is now and not by how much it changed, so that taking it
/// twice comes to the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobChange {
    /// A job is to be done.
    Added(Job),
    /// It failed, and is tried again; or a person wants it tried again.
    Retried {
        /// Whose.
        agent: AgentKey,
        /// Which.
        id: InvocationId,
        /// Attempts that count.
        attempts: u32,
        /// When.
        due: Timestamp,
        /// Why it failed; nothing where a person asked.
        reason: Option<String>,
        /// How the last attempt went.
        attempt: Option<Attempt>,
    },
    /// Its handler completed before the node went down: it is not run again.
    Handled {
        /// Whose.
        agent: AgentKey,
        /// Which.
        id: InvocationId,
        /// What the handler answered.
        answer: Answer,
    },
    /// It ended.
    Ended {
        /// Whose.
        agent: AgentKey,
        /// Which.
        id: InvocationId,
        /// Attempts that were made.
        attempts: u32,
        /// How.
        end: JobEnd,
        /// When.
        at: Timestamp,
        /// How the last attempt went.
        attempt: Option<Attempt>,
    },
    /// A trigger went on.
    Moved {
        /// Whose.
        agent: AgentKey,
        /// Which.
        trigger: TriggerName,
        /// How far.
        cursor: Cursor,
    },
    /// A trigger has told how something is, by a name of the trigger's own.
    Seen {
        /// Whose.
        agent: AgentKey,
        /// Which.
        trigger: TriggerName,
        /// What.
        item: String,
        /// How it is; `None`: it is no more.
        mark: Option<Hash256>,
    },
    /// The agent is destroyed, and all of this with it.
    Forgotten {
        /// Whose.
        agent: AgentKey,
    },
}
