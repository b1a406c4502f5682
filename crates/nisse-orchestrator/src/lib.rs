//! The part of a node that owns life cycles. It decides and never does.
//!
//! [`Orchestrator::handle`] takes an event and the time and returns [`Effects`]: decisions, which the node makes
//! durable in its journal, and actions, which the node performs after that. Every change of state goes through one
//! function, `apply`, over one [`Decision`]; restoring is applying the journal's decisions again. There is no clock,
//! no randomness, no async and no IO in this crate.
#![forbid(unsafe_code)]

mod action;
mod agent;
mod decision;
mod event;
mod heartbeat;
mod jobs;
mod orchestrator;
mod policy;
mod price;
mod reason;
mod stored;

pub use action::{Action, Effects};
pub use agent::{Agent, Alarm, Assignment, Lease, Life, NextPackage, Placement, Setback};
pub use decision::Decision;
pub use event::{ActionResult, AlarmEnd, Command, Event, MarketStep, Order, PrepareError};
pub use heartbeat::{Attended, Period, Whose, ran_at};
pub use jobs::{
    AgentKey, Answer, Attempt, AttemptEnd, Cursor, Declared, Job, JobAction, JobChange, JobEffects, JobEnd, JobLimits,
    JobRefusal, Jobs, News, Up, WaitingJob,
};
pub use orchestrator::{ALARM_DISTANCE_MIN_MS, CommandError, Orchestrator};
pub use policy::{Accept, Capacity, Policy};
pub use price::Prices;
pub use reason::{CloseReason, FailureStage, Refusal};
pub use stored::{DecodeError, decode, encode};
