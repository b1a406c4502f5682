//! A live instance: one store that answers one call after another, until a trap, its count of calls, its idle time or
//! an update ends it.

mod http;

pub(crate) use http::note_heads;
pub use http::{HttpAnswer, Opening, Outflow};

use std::sync::Arc;
use std::time::Duration;

use nisse_model::{
    CutKind, EVENT_DATA_LENGTH_MAX, Effect, Event, Failure, FailureKind, Fuel, Hash256, HostCallRecord, InstanceId,
    Invocation, InvocationId, MessageHasher, Outcome, RecordOutcome, TrapKind,
};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi_http::p2::bindings::Proxy;

use crate::bindings::handler::Events;
use crate::bindings::handler::nisse::agent::types as wit;
use crate::dispatch::Recording;
use crate::guest_state::GuestState;
use crate::program::Program;
use crate::trap::Trap;

/// What the node knows about an invocation besides its event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallContext {
    /// Bytes of the agent's committed state, which its quota is counted against.
    pub state_bytes: u64,
    /// Why nothing may be published on chain (a spent gas budget), when nothing may.
    pub publish_refused: Option<String>,
}

/// How one invocation ended, and everything that its completion record needs.
#[derive(Debug)]
pub struct InvocationEnd<T> {
    /// The guest's answer, or why it was stopped.
    pub result: Result<T, Trap>,
    /// What it changed, to be committed as one; empty after a failure or a trap.
    pub effects: Vec<Effect>,
    /// The parts of the invocation record that the sandbox knows.
    pub trace: Trace,
    /// Whether the guest was entered at all. A call that never began is no invocation: it has no place in the chain of
    /// records.
    pub began: bool,
}

/// The parts of an invocation record that the sandbox knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Which instance ran it.
    pub instance: InstanceId,
    /// Position within the instance's life, from 0.
    pub index: u32,
    /// SHA-256 of what the handler was given. Zero when nothing is recorded.
    pub input: Hash256,
    /// SHA-256 of what it answered; of nothing after a trap; of what had left, where a streamed answer did not come to
    /// its end.
    pub output: Hash256,
    /// Every host call, in order.
    pub host_calls: Vec<HostCallRecord>,
    /// Fuel burnt.
    pub fuel: Fuel,
    /// How it ended.
    pub outcome: RecordOutcome,
    /// Log lines that were dropped because there were too many.
    pub log_lines_dropped: u32,
}

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
    pub(crate) async fn start(program: Arc<Program>, birth: InstanceId) -> Result<Self, Trap> {
        let mut store = program.store();
        let limits = &program.limits;
        watch(&mut store, program.clone());
        begin_fuel(&mut store, limits.fuel_per_call);
        let instance = {
            let _running = program.engine.running();
            let instantiating = program.pre.instantiate_async(&mut store);
            tokio::time::timeout(limits.http_time, instantiating).await
        };
        let trap =
            |error: &wasmtime::Error, store: &Store<GuestState>| Trap::from_error(error, store.data().limiter.refused);
        let instance = match instance {
            Ok(instance) => instance.map_err(|error| trap(&error, &store))?,
            Err(_) => return Err(Trap::new(TrapKind::Deadline, "it did not start in time")),
        };
        let load = |store: &mut Store<GuestState>| {
            let handler = program.handler.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?;
            let proxy = program.proxy.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?;
            Ok::<_, wasmtime::Error>((handler, proxy))
        };
        let (handler, proxy) = load(&mut store).map_err(|error| trap(&error, &store))?;
        let last_used = program.clock.elapsed();
        Ok(Self { program, store, handler, proxy, birth, calls: 0, running: false, ended: false, last_used })
    }

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
            id: id.to_string(),
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

/// Gives a call its fuel. A store always counts fuel, so this cannot fail.
fn begin_fuel(store: &mut Store<GuestState>, fuel: Fuel) {
    store.set_fuel(fuel.0).expect("the engine counts fuel");
    store.data_mut().call.fuel_charged_at = fuel.0;
    store.set_epoch_deadline(1);
}

/// At each beat of the epoch: charge the processor share, and let others run or wait until the share allows more.
/// Between calls wasmtime writes the fuel counter down only where a slice of fuel ends, so what is charged here is
/// right to a slice; [`LiveInstance::leave`] charges the rest.
fn watch(store: &mut Store<GuestState>, program: Arc<Program>) {
    store.epoch_deadline_callback(move |mut store| {
        let left = store.get_fuel()?;
        let charged_at = std::mem::replace(&mut store.data_mut().call.fuel_charged_at, left);
        let burnt = charged_at.saturating_sub(left).saturating_add(store.data_mut().dispatcher().take_work());
        let wait = program.cpu.charge(Fuel(burnt), program.clock.elapsed());
        Ok(UpdateDeadline::YieldCustom(
            1,
            match wait.is_zero() {
                true => Box::pin(tokio::task::yield_now()),
                false => Box::pin(tokio::time::sleep(wait)),
            },
        ))
    });
}

/// What has left of an answer that is streamed.
struct Streamed {
    hasher: MessageHasher,
    /// Why it did not come to its end, where that was not the guest's doing.
    cut: Option<CutKind>,
}
