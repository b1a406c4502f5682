//! A program with at most one live instance behind a bounded queue: what a node calls.
//!
//! The instance is taken out of its place for each call and put back when the call has ended well, so a call that
//! traps, or whose caller leaves half-way, takes its instance with it and the next call starts a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use nisse_model::{Failure, InstanceId, Invocation, InvocationId, Outcome};
use nisse_store::Entropy;
use tokio::sync::{Mutex, MutexGuard};

use crate::instance::{CallContext, InvocationEnd, LiveInstance};
use crate::program::AgentProgram;
use crate::trap::Trap;

/// Why a call did not reach the guest. Nothing has happened.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// As many calls wait as may wait: try again later.
    #[error("take another call: {0} are waiting")]
    Busy(u32),
    /// No instance could be brought to life.
    #[error("start an instance")]
    Start(#[source] Trap),
}

/// A program that answers one call at a time.
pub struct ResidentAgent {
    program: AgentProgram,
    entropy: Arc<dyn Entropy>,
    place: Mutex<Option<LiveInstance>>,
    waiting: AtomicU32,
}

impl ResidentAgent {
    /// No instance lives until the first call.
    pub fn new(program: AgentProgram, entropy: Arc<dyn Entropy>) -> Self {
        Self { program, entropy, place: Mutex::new(None), waiting: AtomicU32::new(0) }
    }

    /// What it runs.
    pub fn program(&self) -> &AgentProgram {
        &self.program
    }

    /// Calls that wait or run.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Linear memories and host buffers of the live instance; `None` while a call runs.
    pub fn memory_bytes(&self) -> Option<u64> {
        let place = self.place.try_lock().ok()?;
        Some(place.as_ref().map_or(0, LiveInstance::memory_bytes))
    }

    /// Brings an instance to life ahead of the first call, so that a program that cannot start is found at once.
    pub async fn warm(&self) -> Result<(), CallError> {
        let mut turn = self.turn().await?;
        let instance = turn.instance().await?;
        *turn.place = Some(instance);
        Ok(())
    }

    /// Runs `nisse:agent/handler`.
    pub async fn handle(
        &self,
        invocation: &Invocation,
        context: CallContext,
    ) -> Result<InvocationEnd<Result<Outcome, Failure>>, CallError> {
        let mut turn = self.turn().await?;
        let mut instance = turn.instance().await?;
        let end = instance.handle(invocation, context).await;
        turn.put_back(instance);
        Ok(end)
    }

    /// Runs `wasi:http/incoming-handler`.
    pub async fn http(
        &self,
        id: InvocationId,
        request: http::Request<Bytes>,
        context: CallContext,
    ) -> Result<InvocationEnd<http::Response<Bytes>>, CallError> {
        let mut turn = self.turn().await?;
        let mut instance = turn.instance().await?;
        let end = instance.http(id, request, context).await;
        turn.put_back(instance);
        Ok(end)
    }

    /// Ends an instance that nothing has used for as long as its limits say. Returns whether one was ended.
    pub fn reap_idle(&self) -> bool {
        let Ok(mut place) = self.place.try_lock() else { return false };
        place.take_if(|instance| instance.is_idle()).is_some()
    }

    /// Ends the live instance once its running call is over: the next call starts afresh.
    pub async fn end_instance(&self) {
        self.place.lock().await.take();
    }

    async fn turn(&self) -> Result<Turn<'_>, CallError> {
        let max = self.program.limits().queue;
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= max {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(CallError::Busy(max));
        }
        let waiting = Waiting(&self.waiting);
        Ok(Turn { place: self.place.lock().await, agent: self, _waiting: waiting })
    }
}

/// The right to call the one instance.
struct Turn<'a> {
    place: MutexGuard<'a, Option<LiveInstance>>,
    agent: &'a ResidentAgent,
    _waiting: Waiting<'a>,
}

struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turn<'_> {
    async fn instance(&mut self) -> Result<LiveInstance, CallError> {
        if let Some(instance) = self.place.take().filter(|instance| !instance.has_ended()) {
            return Ok(instance);
        }
        let mut birth = InstanceId([0; 16]);
        self.agent.entropy.fill(&mut birth.0);
        self.agent.program.start(birth).await.map_err(CallError::Start)
    }

    fn put_back(&mut self, instance: LiveInstance) {
        if !instance.has_ended() {
            *self.place = Some(instance);
        }
    }
}
