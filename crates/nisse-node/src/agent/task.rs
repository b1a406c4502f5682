//! What an agent does in one turn: keeps one instance alive, runs a call on it, commits its end.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use nisse_model::{Effect, Event, Failure, FailureKind, Invocation, InvocationId, Outcome, RecordOutcome};
use nisse_sandbox::{AgentProgram, HttpAnswer as SandboxAnswer, InvocationEnd, LiveInstance, StartError};
use tokio::sync::{oneshot, watch};

use super::halt::until_halted;
use super::stream::{AnswerBody, Ending, Outlet};
use super::{AgentHandle, CallError, Committer, EventAnswer, HttpAnswer};
use crate::supervisor::Stop;

/// How often an unused instance is looked at.
const IDLE_CHECK: Duration = Duration::from_secs(5);
/// How long an `http` event's handler may take, for components without an incoming-handler.
const HTTP_EVENT_MS: u64 = 30_000;

/// Lets an unused instance go, until the agent is halted or the node stops.
pub(crate) async fn run(agent: AgentHandle, mut stop: Stop) {
    let mut halt = agent.0.halt.subscribe();
    let mut idle = tokio::time::interval(IDLE_CHECK);
    idle.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = halt.wait_for(|halt| *halt) => break,
            () = stop.requested() => break,
            _ = idle.tick() => {}
        }
        // An agent that is being called is not idle.
        if let Ok(mut task) = agent.0.task.try_lock() {
            task.as_mut().map(Task::rest);
        }
    }
    agent.halt().await;
}

pub(super) struct Task {
    program: AgentProgram,
    committer: Committer,
    instance: Option<LiveInstance>,
    /// Set while a call runs. What it finds set at its begin is what a call left that panicked.
    running: bool,
    halt: watch::Receiver<bool>,
}

impl Task {
    pub(super) fn new(program: AgentProgram, committer: Committer, halt: watch::Receiver<bool>) -> Self {
        Self { program, committer, instance: None, running: false, halt }
    }

    /// Lets an instance go that nothing has used for a while.
    fn rest(&mut self) {
        if self.instance.as_ref().is_some_and(LiveInstance::is_idle) {
            self.instance = None;
            self.committer.parts.stats.set_memory(0);
        }
    }

    /// Answers a request: in one piece, or, with `None`, through `streams`.
    pub(super) async fn http(
        &mut self,
        request: Request<Bytes>,
        streams: oneshot::Sender<HttpAnswer>,
    ) -> Result<Option<HttpAnswer>, CallError> {
        self.check_halt()?;
        self.clear().await?;
        self.running = true;
        let answer = match self.program.answers_http() {
            true => self.http_call(request, streams).await,
            false => self.http_as_event(request).await.map(Some),
        };
        self.settle();
        answer
    }

    /// Handles an event.
    pub(super) async fn event(&mut self, invocation: Invocation, keeps_answer: bool) -> Result<EventAnswer, CallError> {
        self.check_halt()?;
        self.clear().await?;
        self.running = true;
        let answer = self.event_call(invocation, keeps_answer).await;
        self.settle();
        answer
    }

    /// Lets nothing of a call that broke off in the middle mix with what comes next: its instance goes, and of its answer
    /// stands what the opening said.
    pub(super) async fn clear(&mut self) -> Result<(), CallError> {
        if std::mem::take(&mut self.running) {
            self.instance = None;
            self.committer.check_settled().map_err(CallError::Node)?;
            if self.committer.is_open() {
                self.committer.close(None).await.map_err(CallError::Node)?;
            }
        }
        Ok(())
    }

    fn check_halt(&self) -> Result<(), CallError> {
        if *self.halt.borrow() { Err(CallError::Halted) } else { Ok(()) }
    }

    async fn http_call(
        &mut self,
        request: Request<Bytes>,
        streams: oneshot::Sender<HttpAnswer>,
    ) -> Result<Option<HttpAnswer>, CallError> {
        let id = self.committer.new_invocation();
        let context = self.committer.context();
        self.enliven().await?;
        let Self { committer, instance: Some(live), halt, .. } = self else { return Err(CallError::Halted) };
        let opening = committer.opening().clone();
        let mut outlet = Outlet::new(committer, id, streams);
        let end = until_halted(halt, &opening, live.http_streamed(id, request, context, &mut outlet)).await;
        let ending = outlet.into_ending();
        if self.committer.is_open() {
            return self.close(end, ending).await.map(|()| None);
        }
        match self.finish(id, end?, true).await? {
            (SandboxAnswer::Whole(response), seq) => {
                Ok(Some(HttpAnswer { response: response.map(AnswerBody::Whole), seq }))
            }
            (SandboxAnswer::Streamed, _) => Ok(None),
        }
    }

    /// Completes the record of a streamed answer, and lets its client see whether it is whole.
    async fn close(
        &mut self,
        end: Result<InvocationEnd<SandboxAnswer>, CallError>,
        ending: Option<Ending>,
    ) -> Result<(), CallError> {
        let (result, trace) = match end {
            Ok(end) => (end.result, Some(end.trace)),
            // Cut off in the middle of the call: what the instance is now nobody knows.
            Err(_) => (Ok(SandboxAnswer::Streamed), None),
        };
        let whole = trace.as_ref().is_some_and(|trace| trace.outcome == RecordOutcome::Ok);
        if let Err(trap) = &result {
            self.committer.log_trap(trap);
        }
        let closed = self.committer.close(trace).await;
        if let Some(ending) = ending.filter(|_| whole) {
            ending.whole();
        }
        closed.map(drop).map_err(CallError::Node)
    }

    async fn event_call(&mut self, invocation: Invocation, keeps_answer: bool) -> Result<EventAnswer, CallError> {
        if !self.program.handles_events() {
            return Err(CallError::NoHandler);
        }
        let context = self.committer.context();
        self.enliven().await?;
        let Self { committer, instance: Some(live), halt, .. } = self else { return Err(CallError::Halted) };
        let mut end = until_halted(halt, committer.opening(), live.handle(&invocation, context)).await?;
        if let (true, Ok(Ok(outcome))) = (keeps_answer, &end.result) {
            end.effects.push(Effect::Answer(outcome.clone()));
        }
        let fuel = end.trace.fuel;
        let (result, seq) = self.finish(invocation.id, end, false).await?;
        Ok(EventAnswer { invocation: invocation.id, seq, fuel, result })
    }

    /// A request for a component that only handles events: it sees `METHOD PATH` as the event's id and the body as data.
    async fn http_as_event(&mut self, request: Request<Bytes>) -> Result<HttpAnswer, CallError> {
        let (head, body) = request.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let id = self.committer.new_invocation();
        let now = self.committer.now();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let event_of_request = Event {
            id: format!("{} {path}", head.method),
            source: Event::SOURCE_NODE.to_owned(),
            kind: Event::HTTP.to_owned(),
            time: now,
            content_type: content_type.unwrap_or("application/octet-stream").to_owned(),
            data: body.to_vec(),
        };
        let invocation = Invocation {
            id,
            function: Invocation::MAIN.to_owned(),
            event: event_of_request,
            attempt: 1,
            deadline: now.plus_ms(HTTP_EVENT_MS),
        };
        let EventAnswer { seq, result, .. } = self.event_call(invocation, false).await?;
        let (status, Outcome { content_type, data }) = match result {
            Ok(outcome) => (StatusCode::OK, outcome),
            Err(Failure { kind, text }) => {
                let status = match kind {
                    FailureKind::Retryable => StatusCode::SERVICE_UNAVAILABLE,
                    FailureKind::Permanent => StatusCode::UNPROCESSABLE_ENTITY,
                };
                (status, Outcome { content_type: "text/plain; charset=utf-8".to_owned(), data: text.into_bytes() })
            }
        };
        let mut response = Response::new(AnswerBody::Whole(Bytes::from(data)));
        *response.status_mut() = status;
        if let Ok(value) = content_type.parse() {
            response.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        Ok(HttpAnswer { response, seq })
    }

    /// Sees to it that there is an instance that takes another call.
    async fn enliven(&mut self) -> Result<(), CallError> {
        if self.instance.as_ref().is_none_or(LiveInstance::has_ended) {
            let birth = self.committer.new_instance();
            let born = self.program.start(birth).await;
            self.instance = Some(born.map_err(|error| match error {
                StartError::Trap(trap) => {
                    self.committer.log_trap(&trap);
                    CallError::Trap(trap.text)
                }
                StartError::Full => CallError::Full,
            })?);
        }
        Ok(())
    }

    /// Lets an ended instance go, and says what is held.
    fn settle(&mut self) {
        self.running = false;
        if self.instance.as_ref().is_some_and(LiveInstance::has_ended) {
            self.instance = None;
        }
        self.committer.parts.stats.set_memory(self.instance.as_ref().map_or(0, LiveInstance::memory_bytes));
    }

    /// Commits the end of a call; a trap is committed as well, and then said.
    async fn finish<T>(
        &mut self,
        id: InvocationId,
        end: InvocationEnd<T>,
        may_wait: bool,
    ) -> Result<(T, u64), CallError> {
        let InvocationEnd { result, effects, trace, began } = end;
        if !began {
            // Nothing ran, so there is nothing to record.
            return Err(CallError::Trap(result.err().map_or_else(String::new, |trap| trap.text)));
        }
        let seq = self.committer.commit(id, effects, trace, may_wait).await.map_err(CallError::Node)?;
        result.map(|answer| (answer, seq)).map_err(|trap| {
            self.committer.log_trap(&trap);
            CallError::Trap(trap.text)
        })
    }
}
