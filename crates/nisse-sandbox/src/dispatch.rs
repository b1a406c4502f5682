//! Every host call goes through here: grant → meter → record → act.
//!
//! Calls that leave the sandbox end in [`Host`]; those that only touch the invocation's own overlay are recorded by
//! the same code. A request in flight is recorded at the place where it was made, however late its answer comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicbor::Encode;
use nisse_model::{Grants, Hash256, HostCallRecord, HostCallResult, InvocationId, Role};

use crate::host::{CallKey, Host, HostCall, HostFailureKind, HostReply, ObjectWrite};
use crate::limits::{HOST_CALL_FUEL, HOST_CALLS_MAX, HTTP_SENDS_MAX, LOG_LINES_MAX};

/// Whether host calls are written down. Without records there are no receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recording {
    /// Arguments and results are hashed into the invocation's record.
    #[default]
    On,
    /// Nothing is written down: for benches and for agents whose owner wants no receipts.
    Off,
}

/// The invocation has made as many host calls as a record can hold.
#[derive(Debug, thiserror::Error)]
#[error("make another host call: {HOST_CALLS_MAX} are allowed in one invocation")]
pub(crate) struct HostCallsSpent;

/// The calls of an invocation, in order. Shared with whoever sends its answer while it runs.
pub(crate) type HostCalls = Arc<Mutex<Vec<HostCallRecord>>>;

/// Places of calls that are still in flight, filled when their answer comes.
type Answers = Arc<Mutex<Vec<(usize, Hash256, HostCallResult)>>>;

pub(crate) struct Dispatcher {
    host: Arc<dyn Host>,
    grants: Arc<Grants>,
    recording: Recording,
    invocation: InvocationId,
    calls: HostCalls,
    made: usize,
    http_sends: u32,
    log_lines: u32,
    log_lines_dropped: u32,
    answers: Answers,
    scratch: Vec<u8>,
    /// Fuel's worth of host work that the processor share was not charged for yet.
    work: u64,
}

/// A request that was allowed and counted: what is needed to send it without the store.
pub(crate) struct Departure {
    host: Arc<dyn Host>,
    key: CallKey,
    recording: Recording,
    answers: Answers,
}

/// What a call is called in records.
fn function_name(call: &HostCall) -> &'static str {
    match call {
        HostCall::StateGet { .. } => "state.get",
        HostCall::StateKeys { .. } => "state.keys",
        HostCall::IpfsRead { .. } => "ipfs.read",
        HostCall::HttpSend { .. } => "http.send",
        HostCall::Now => "clock.now",
        HostCall::Random { .. } => "random.bytes",
        HostCall::Log { .. } => "log.write",
        HostCall::SpaceList => "spaces.list",
        HostCall::SpaceGet { .. } => "spaces.get",
        HostCall::SpaceQuery { .. } => "spaces.query",
        HostCall::SpaceTry { write: ObjectWrite::Put { .. }, .. } => "spaces.put",
        HostCall::SpaceTry { write: ObjectWrite::Patch { .. }, .. } => "spaces.patch",
        HostCall::SpaceTry { write: ObjectWrite::Delete, .. } => "spaces.delete",
    }
}

impl Dispatcher {
    pub(crate) fn new(host: Arc<dyn Host>, grants: Arc<Grants>, recording: Recording) -> Self {
        Self {
            host,
            grants,
            recording,
            invocation: InvocationId([0; 16]),
            calls: HostCalls::default(),
            made: 0,
            http_sends: 0,
            log_lines: 0,
            log_lines_dropped: 0,
            answers: Answers::default(),
            scratch: Vec::new(),
            work: 0,
        }
    }

    /// Starts a new invocation with nothing recorded.
    pub(crate) fn begin(&mut self, invocation: InvocationId) {
        self.invocation = invocation;
        lock(&self.calls).clear();
        (self.made, self.http_sends, self.log_lines, self.log_lines_dropped) = (0, 0, 0, 0);
        // A late answer of the invocation before must not land in this one's record.
        if Arc::strong_count(&self.answers) > 1 {
            self.answers = Answers::default();
        }
    }

    /// Gives the record of the invocation's calls and forgets it.
    pub(crate) fn finish(&mut self) -> Vec<HostCallRecord> {
        let mut calls = std::mem::take(&mut *lock(&self.calls));
        for (place, arguments, result) in lock(&self.answers).drain(..) {
            if let Some(call) = calls.get_mut(place) {
                (call.arguments, call.result) = (arguments, result);
            }
        }
        calls
    }

    /// The calls so far, for whoever cannot reach this while the guest runs.
    pub(crate) fn calls(&self) -> HostCalls {
        Arc::clone(&self.calls)
    }

    /// Counts one call and the bytes that the host looked at for it.
    pub(crate) fn worked(&mut self, bytes: usize) {
        self.work = self.work.saturating_add(HOST_CALL_FUEL).saturating_add(bytes as u64);
    }

    /// What the host has done for the guest since the last time.
    pub(crate) fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// Counts work that the host did beside any call: about one nanosecond, one fuel, for each thing that it looked at.
    pub(crate) fn worked_beside(&mut self, things: u64) {
        self.work = self.work.saturating_add(things);
    }

    /// How many calls are recorded so far.
    pub(crate) fn count_made(&self) -> usize {
        lock(&self.calls).len()
    }

    /// Log lines that were over the limit in this invocation.
    pub(crate) fn log_lines_dropped(&self) -> u32 {
        self.log_lines_dropped
    }

    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Makes one call and waits for its answer.
    pub(crate) async fn call(&mut self, call: HostCall) -> Result<HostReply, HostCallsSpent> {
        let key = self.count()?;
        let function = function_name(&call);
        let arguments = self.arguments(&call);
        let reply = match self.refusal(&call) {
            Some(refusal) => refusal,
            None => self.host.call(key, call).await,
        };
        self.record(function, arguments, &reply);
        Ok(reply)
    }

    /// Sends one log line, or counts it as dropped.
    pub(crate) async fn log(&mut self, call: HostCall) -> Result<(), HostCallsSpent> {
        if self.log_lines >= LOG_LINES_MAX {
            self.log_lines_dropped = self.log_lines_dropped.saturating_add(1);
            return Ok(());
        }
        self.log_lines += 1;
        self.call(call).await.map(drop)
    }

    /// Writes down a call that is answered inside the sandbox.
    pub(crate) fn note(
        &mut self,
        function: &'static str,
        arguments: &impl Encode<()>,
        result: &impl Encode<()>,
    ) -> Result<(), HostCallsSpent> {
        self.count()?;
        let arguments = self.arguments(arguments);
        self.record(function, arguments, result);
        Ok(())
    }

    /// Allows and counts an outgoing request whose body is not there yet.
    pub(crate) fn depart(&mut self) -> Result<Result<Departure, HostReply>, HostCallsSpent> {
        let key = self.count()?;
        let refusal = if !self.grants.may_reach_network() {
            Some(HostReply::failed(HostFailureKind::Denied, "the agent has no network permission"))
        } else if self.http_sends >= HTTP_SENDS_MAX {
            let text = format!("{HTTP_SENDS_MAX} requests are allowed in one invocation");
            Some(HostReply::failed(HostFailureKind::Denied, text))
        } else {
            None
        };
        self.http_sends += 1;
        let placeholder = HostReply::failed(HostFailureKind::Unavailable, "the guest left before the answer came");
        let recorded = refusal.as_ref().unwrap_or(&placeholder);
        self.record("http.send", Hash256::ZERO, recorded);
        Ok(match refusal {
            Some(refusal) => Err(refusal),
            None => {
                let (host, recording, answers) = (self.host.clone(), self.recording, self.answers.clone());
                Ok(Departure { host, key, recording, answers })
            }
        })
    }

    fn count(&mut self) -> Result<CallKey, HostCallsSpent> {
        if self.made >= HOST_CALLS_MAX {
            return Err(HostCallsSpent);
        }
        let index = u32::try_from(self.made).expect("the limit on host calls fits into 32 bits");
        self.made += 1;
        self.worked(0);
        Ok(CallKey { invocation: self.invocation.0, index })
    }

    /// The grant that each call needs. A new call without an arm here does not compile.
    fn refusal(&self, call: &HostCall) -> Option<HostReply> {
        let in_space = |space: &str, role| self.grants.space_rules().iter().any(|rule| rule.gives(space, role));
        let of_space = |space: &str, role: Role| format!("space:{space}:{}", role.as_str());
        let (allowed, permission) = match call {
            HostCall::IpfsRead { .. } => (self.grants.may_read_ipfs(), "read_ipfs".to_owned()),
            HostCall::HttpSend { .. } => (self.grants.may_reach_network(), "network_outbound".to_owned()),
            HostCall::SpaceList => (self.grants.may_use_spaces(Role::Read), "space".to_owned()),
            HostCall::SpaceGet { space, .. } | HostCall::SpaceQuery { space, .. } => {
                (in_space(space, Role::Read), of_space(space, Role::Read))
            }
            HostCall::SpaceTry { space, .. } => (in_space(space, Role::Edit), of_space(space, Role::Edit)),
            HostCall::StateGet { .. }
            | HostCall::StateKeys { .. }
            | HostCall::Now
            | HostCall::Random { .. }
            | HostCall::Log { .. } => return None,
        };
        let text = || format!("the agent has no permission `{permission}`");
        (!allowed).then(|| HostReply::failed(HostFailureKind::Denied, text()))
    }

    fn arguments(&mut self, arguments: &impl Encode<()>) -> Hash256 {
        match self.recording {
            Recording::On => Hash256::of(encoded(&mut self.scratch, arguments)),
            Recording::Off => Hash256::ZERO,
        }
    }

    fn record(&mut self, function: &'static str, arguments: Hash256, result: &impl Encode<()>) {
        if self.recording == Recording::On {
            let result = HostCallResult::of(encoded(&mut self.scratch, result));
            lock(&self.calls).push(HostCallRecord { function: function.to_owned(), arguments, result });
        }
    }
}

impl Departure {
    /// Sends the request and writes the answer into its place in the record.
    pub(crate) async fn send(self, call: HostCall) -> HostReply {
        let mut scratch = Vec::new();
        let arguments = match self.recording {
            Recording::On => Hash256::of(encoded(&mut scratch, &call)),
            Recording::Off => Hash256::ZERO,
        };
        let reply = self.host.call(self.key, call).await;
        if self.recording == Recording::On {
            let result = HostCallResult::of(encoded(&mut scratch, &reply));
            let answer = (self.key.index as usize, arguments, result);
            lock(&self.answers).push(answer);
        }
        reply
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encoded<'a>(scratch: &'a mut Vec<u8>, message: &impl Encode<()>) -> &'a [u8] {
    scratch.clear();
    minicbor::encode(message, &mut *scratch).expect("a message encodes into memory");
    scratch
}
