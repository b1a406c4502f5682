//! A live instance: one store that answers one call after another, until a trap, its count of calls, its idle time or
//! an update ends it.

mod end;
mod http;
mod start;

use self::end::Streamed;
pub use self::end::{CallContext, InvocationEnd, Trace};
pub(crate) use self::http::note_heads;
pub use self::http::{HttpAnswer, Opening, Outflow};
pub use self::start::StartError;
use self::start::begin_fuel;

use std::sync::Arc;
use std::time::Duration;

use nisse_model::{
    EVENT_DATA_LENGTH_MAX, Event, Failure, FailureKind, Fuel, Hash256, InstanceId, Invocation, InvocationId, Outcome,
    RecordOutcome, TrapKind,
};
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::Proxy;

use crate::bindings::handler::Events;
use crate::bindings::handler::nisse::agent::types as wit;
use crate::dispatch::Recording;
use crate::guest_state::GuestState;
use crate::program::Program;
use crate::trap::Trap;

/// An instance that is alive. One call at a time.
pub struct LiveInstance {
    program: Arc<Program>,
    store: Store<GuestState>,
    handler: Option<Events>,
    proxy: Option<Proxy>,
    birth: InstanceId,
    calls: u32,
    /// Set while a call runs: a call that was dropped half-way leaves the store in an unknown state.
    running: bool,
    ended: bool,
    last_used: Duration,
}

impl LiveInstance {
    /// Its name in records.
    pub fn birth(&self) -> InstanceId {
        self.birth
    }

    /// Calls so far.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Linear memories and host buffers, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.store.data().limiter.meter.used()
    }

    /// Whether no further call may be made: after a trap, a dropped call, or as many calls as one life has.
    pub fn has_ended(&self) -> bool {
        self.ended || self.running || u64::from(self.calls) >= self.program.limits.calls_per_instance
    }

    /// Whether nothing has come for as long as an idle instance is kept.
    pub fn is_idle(&self) -> bool {
        self.program.clock.elapsed().saturating_sub(self.last_used) >= self.program.limits.idle
    }

    /// Runs `nisse:agent/handler`.
    pub async fn handle(
        &mut self,
        invocation: &Invocation,
        context: CallContext,
    ) -> InvocationEnd<Result<Outcome, Failure>> {
        let recorded = self.program.recording == Recording::On;
        let input = if recorded { invocation.input_hash() } else { Hash256::ZERO };
        let time_left = Duration::from_millis(invocation.deadline.since_ms(self.program.clock.now()));
        if let Err(trap) = self.enter(invocation.id, context, time_left).await {
            return self.leave_refused(input, trap);
        }
        let Some(handler) = &self.handler else {
            let trap = Trap::new(TrapKind::Protocol, "it exports no `nisse:agent/handler`");
            let judge = |_: &Result<Outcome, Failure>| (Hash256::ZERO, RecordOutcome::Ok);
            return self.leave(input, Err(trap), None, judge).await;
        };
        let Invocation { id, function, event, attempt, deadline } = invocation;
        let Event { id: event_id, source, kind, time, content_type, data } = event;
        let call = wit::Invocation {
            id: id.to_text(),
            function: function.clone(),
            event: wit::Event {
                id: event_id.clone(),
                source: source.clone(),
                type_: kind.clone(),
                time: time.0,
                content_type: content_type.clone(),
                data: data.clone(),
            },
            attempt: *attempt,
            deadline: deadline.0,
        };
        let time_left = Duration::from_millis(deadline.since_ms(self.program.clock.now()));
        let answer = {
            let _running = self.program.engine.running();
            let call = handler.nisse_agent_handler().call_handle(&mut self.store, &call);
            tokio::time::timeout(time_left, call).await
        };
        let refused = self.store.data().limiter.refused;
        let result = match answer {
            Err(_) => Err(Trap::new(TrapKind::Deadline, "it was not done at the invocation's deadline")),
            Ok(Err(error)) => Err(Trap::from_error(&error, refused)),
            Ok(Ok(Ok(outcome))) if outcome.data.len() > EVENT_DATA_LENGTH_MAX => Err(Trap::new(
                TrapKind::Protocol,
                format!("it answered {} bytes: at most {EVENT_DATA_LENGTH_MAX} are taken", outcome.data.len()),
            )),
            Ok(Ok(Ok(wit::Outcome { content_type, data }))) => Ok(Ok(Outcome { content_type, data })),
            Ok(Ok(Err(wit::Failure { kind, text }))) => {
                let kind = match kind {
                    wit::FailureKind::Retryable => FailureKind::Retryable,
                    wit::FailureKind::Permanent => FailureKind::Permanent,
                };
                Ok(Err(Failure::new(kind, text)))
            }
        };
        self.leave(input, result, None, move |answer| match answer {
            Ok(outcome) => (if recorded { outcome.output_hash() } else { Hash256::ZERO }, RecordOutcome::Ok),
            Err(failure) => (if recorded { failure.output_hash() } else { Hash256::ZERO }, RecordOutcome::Failure),
        })
        .await
    }

    /// Waits for the processor share, at most for `time_left`, and starts an invocation with full fuel and a clean
    /// slate.
    async fn enter(&mut self, invocation: InvocationId, context: CallContext, time_left: Duration) -> Result<(), Trap> {
        if self.has_ended() {
            return Err(Trap::new(TrapKind::Stopped, "its instance has ended"));
        }
        let mut waited = Duration::ZERO;
        loop {
            let wait = self.program.cpu.charge(Fuel(0), self.program.clock.elapsed());
            if wait.is_zero() {
                break;
            }
            waited += wait;
            if waited > time_left {
                return Err(Trap::new(TrapKind::Deadline, "its processor share was spent until the deadline"));
            }
            tokio::time::sleep(wait).await;
        }
        self.running = true;
        begin_fuel(&mut self.store, self.program.limits.fuel_per_call);
        self.store.data_mut().begin(invocation, context.state_bytes, context.publish_refused);
        Ok(())
    }

    /// Ends an invocation: charges the share, collects the record and the effects, and ends the instance if need be.
    /// What a streamed answer changed has been taken with its head.
    async fn leave<T>(
        &mut self,
        input: Hash256,
        result: Result<T, Trap>,
        streamed: Option<Streamed>,
        judge: impl FnOnce(&T) -> (Hash256, RecordOutcome),
    ) -> InvocationEnd<T> {
        let left = self.store.get_fuel().unwrap_or(0);
        let elapsed = self.program.clock.elapsed();
        let state = self.store.data_mut();
        // What is owed beyond the bucket is waited for before the next call, not now.
        let burnt = state.call.fuel_charged_at.saturating_sub(left).saturating_add(state.dispatcher().take_work());
        let _ = self.program.cpu.charge(Fuel(burnt), elapsed);
        state.flush_output().await;
        state.end();
        let overlay = state.call.overlay.take();
        let host_calls = state.dispatcher().finish();
        let log_lines_dropped = state.dispatcher().log_lines_dropped();
        let recorded = self.program.recording == Recording::On;
        let in_one_piece = streamed.is_none();
        let (output, outcome) = match (&result, streamed) {
            (Ok(answer), None) => judge(answer),
            (Err(trap), None) => (Hash256::of(&[]), RecordOutcome::Trap(trap.kind)),
            (ended, Some(Streamed { hasher, cut })) => {
                let outcome = match (ended, cut) {
                    (Err(trap), _) => RecordOutcome::Trap(trap.kind),
                    (Ok(_), Some(cut)) => RecordOutcome::Cut(cut),
                    (Ok(_), None) => RecordOutcome::Ok,
                };
                (if recorded { hasher.finish() } else { Hash256::ZERO }, outcome)
            }
        };
        let keeps = outcome == RecordOutcome::Ok && in_one_piece;
        let effects = if keeps { overlay.into_effects() } else { Vec::new() };
        let fuel = Fuel(self.program.limits.fuel_per_call.0.saturating_sub(left));
        let index = self.calls;
        self.calls += 1;
        self.last_used = elapsed;
        self.ended = result.is_err();
        self.running = false;
        let trace = Trace { instance: self.birth, index, input, output, host_calls, fuel, outcome, log_lines_dropped };
        InvocationEnd { result, effects, trace, began: true }
    }

    /// The end of a call that never began: nothing ran, so the instance is as good as before.
    fn leave_refused<T>(&self, input: Hash256, trap: Trap) -> InvocationEnd<T> {
        let outcome = RecordOutcome::Trap(trap.kind);
        let trace = Trace {
            instance: self.birth,
            index: self.calls,
            input,
            output: Hash256::of(&[]),
            host_calls: Vec::new(),
            fuel: Fuel(0),
            outcome,
            log_lines_dropped: 0,
        };
        InvocationEnd { result: Err(trap), effects: Vec::new(), trace, began: false }
    }
}
