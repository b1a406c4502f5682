//! One attempt at a job, on the agent that is to handle it.

use nisse_model::{FailureKind, Fuel, Invocation};
use nisse_orchestrator::{Attempt, AttemptEnd, JobAction};

use super::table;
use crate::agent::{CallError, EventAnswer};
use crate::core::Core;
use crate::error::chain;
use crate::unapplied::Held;

/// Runs a job. Gives how that ended, and what holds its completion.
pub(super) async fn run(core: &Core, action: JobAction) -> (AttemptEnd, Attempt, Option<Held>) {
    let JobAction::Run { agent, deployment, incarnation, id, function, attempt, keeps_answer } = action;
    let began = core.clock.now();
    let ended = |end, answer: Option<(u64, Fuel)>, held| {
        let (seq, fuel) = answer.map_or((None, Fuel(0)), |(seq, fuel)| (Some(seq), fuel));
        (end, Attempt { began, ended: core.clock.now(), seq, fuel }, held)
    };
    let running = core.running(&deployment).filter(|running| running.incarnation == incarnation);
    let Some(running) = running else { return ended(AttemptEnd::Away, None, None) };
    let event = match table::event(&core.database, &agent, id) {
        Ok(Some(event)) => event,
        Ok(None) => return ended(failure(FailureKind::Permanent, "its event is gone".to_owned()), None, None),
        Err(error) => return ended(failure(FailureKind::Retryable, chain(&error)), None, None),
    };
    let deadline = began.plus_ms(function.timeout_ms);
    let invocation = Invocation { id, function: function.name.to_string(), event, attempt, deadline };
    match running.handle.named_event(invocation, keeps_answer, &core.unapplied).await {
        Ok((EventAnswer { seq, fuel, result, .. }, held)) => {
            let end = match result {
                Ok(outcome) => AttemptEnd::Completed(keeps_answer.then_some(outcome)),
                Err(error) => failure(error.kind, error.text),
            };
            ended(end, Some((seq, fuel)), Some(held))
        }
        Err(error) => {
            let end = match error {
                CallError::Busy(_) | CallError::Full | CallError::Halted | CallError::Node(_) => AttemptEnd::Away,
                CallError::NoHandler => failure(FailureKind::Permanent, format!("failed to {error}")),
                CallError::Trap(_) => failure(FailureKind::Retryable, format!("failed to {error}")),
            };
            ended(end, None, None)
        }
    }
}

fn failure(kind: FailureKind, reason: String) -> AttemptEnd {
    AttemptEnd::Failed { kind, reason }
}
