//! Events that an owner raises, and what the handler answers.

use base64::Engine as _;
use nisse_model::{Event, Invocation, InvocationId, Timestamp};

use super::Node;
use super::find::Found;
use super::life::not_now;
use crate::agent::CallError;
use crate::control::{InvokeRequest, Invoked};
use crate::error::{ErrorKind, NodeError};

/// How long an owner's `manual` event may take.
const INVOKE_MS: u64 = 60_000;

impl Node {
    /// Raises a `manual` event and gives the handler's answer.
    pub async fn invoke(&self, text: &str, request: InvokeRequest) -> Result<Invoked, NodeError> {
        let (deployment, agent) = match self.find_running(text).await? {
            (deployment, Found::Agent(agent)) => (deployment, *agent),
            (_, Found::Order(order)) => return self.elsewhere(*order, "invoke")?.invoke(&request).await,
        };
        // A package whose turn is not decided yet promises nothing.
        let running = self.core.running(&deployment).filter(|running| running.incarnation == agent.incarnation);
        let Some(running) = running else { return Err(not_now("invoke", &agent)) };
        let now = self.core.clock.now();
        let mut chance = [0; 10];
        self.core.entropy.fill(&mut chance);
        let id = nisse_model::InvocationId::new(now, chance);
        let event = manual(id, now, request)?;
        let deadline = now.plus_ms(INVOKE_MS);
        let invocation = Invocation { id, function: Invocation::MAIN.to_owned(), event, attempt: 1, deadline };
        let answer = running.handle.event(invocation).await.map_err(|error| call_error(&error))?;
        let outcome = answer.result.map_err(|failure| {
            NodeError::new(ErrorKind::Failed, "handler_failed", format!("the handler failed: {}", failure.text))
        })?;
        let text = String::from_utf8(outcome.data);
        let (text, base64) = match text {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(base64::engine::general_purpose::STANDARD.encode(error.into_bytes()))),
        };
        Ok(Invoked {
            invocation: answer.invocation.to_string(),
            seq: answer.seq,
            content_type: outcome.content_type,
            text,
            base64,
            fuel: answer.fuel.0,
        })
    }
}

/// The event that an owner raises. A type of the node's own would deceive the agent about who raised it.
fn manual(id: InvocationId, now: Timestamp, request: InvokeRequest) -> Result<Event, NodeError> {
    let invalid = |text: String| NodeError::new(ErrorKind::Usage, "event_invalid", text);
    let InvokeRequest { data, base64, content_type, kind } = request;
    let (given, bytes) = match (data, base64) {
        (Some(_), Some(_)) => {
            return Err(invalid("failed to read the event: it has both `data` and `base64`".to_owned()));
        }
        (data, None) => ("application/json", data.unwrap_or_default().to_string().into_bytes()),
        (None, Some(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            let bytes = bytes.map_err(|_| invalid("failed to read the event: `base64` is not base64".to_owned()))?;
            ("application/octet-stream", bytes)
        }
    };
    let content_type = content_type.unwrap_or_else(|| given.to_owned());
    let mut event = Event::manual(format!("manual:{id}"), now, content_type, bytes);
    if let Some(kind) = kind {
        if [Event::STARTED, Event::ALARM, Event::HTTP].contains(&kind.as_str()) {
            let text = format!("failed to raise a `{kind}` event: only the node raises those");
            return Err(NodeError::new(ErrorKind::Refused, "event_reserved", text)
                .with_hint("name your own, such as `com.example.order`".to_owned()));
        }
        event.kind = kind;
    }
    if event.kind.is_empty() || event.kind.chars().chain(event.content_type.chars()).any(char::is_control) {
        return Err(invalid(
            "failed to read the event: its type or media type is empty or has control characters".to_owned(),
        ));
    }
    event.check().map_err(|error| invalid(format!("failed to {error}")))?;
    Ok(event)
}

fn call_error(error: &CallError) -> NodeError {
    let (kind, code) = match error {
        CallError::Busy(_) | CallError::Full | CallError::Halted => (ErrorKind::Busy, "agent_busy"),
        CallError::Trap(_) => (ErrorKind::Failed, "agent_trapped"),
        CallError::NoHandler => (ErrorKind::Refused, "handler_absent"),
        CallError::Node(_) => (ErrorKind::Failed, "commit_failed"),
    };
    NodeError::new(kind, code, format!("failed to {error}"))
}
