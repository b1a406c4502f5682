//! What the public listener may ask: a route by host name, an agent's answer, content.

use bytes::Bytes;
use http::{Request, Response};

use crate::agent::{AgentHandle, CallError};

/// Where a host name leads.
pub enum PublicRoute {
    /// To a live agent.
    Agent(PublicAgent),
    /// To an agent that does not run now: what it is doing instead.
    Away(&'static str),
    /// To the node itself.
    Node,
    /// Nowhere.
    Unknown,
}

/// A live agent, as strangers may speak to it.
pub struct PublicAgent {
    pub(crate) handle: AgentHandle,
}

/// An answer with its receipt's id.
pub struct PublicAnswer {
    /// As the agent gave it.
    pub response: Response<Bytes>,
    /// `DEPLOYMENT/SEQ`.
    pub receipt: String,
}

/// Why an agent does not answer, in words for strangers: the owner reads more in the agent's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgentCallError {
    /// Its queue is full.
    #[error("this agent has more calls waiting than it takes; try again")]
    Busy,
    /// It is being stopped or updated.
    #[error("this agent is being stopped or updated; try again")]
    Halted,
    /// It was stopped by its own fault or by a limit.
    #[error("this agent could not answer; its owner finds the reason in its log")]
    Trapped,
    /// The node could not keep its promise.
    #[error("this node could not commit the agent's answer")]
    Node,
}

impl PublicAgent {
    /// Answers a request.
    pub async fn http(&self, request: Request<Bytes>) -> Result<PublicAnswer, AgentCallError> {
        let answer = self.handle.http(request).await.map_err(|error| match error {
            CallError::Busy(_) => AgentCallError::Busy,
            CallError::Halted => AgentCallError::Halted,
            CallError::Trap(_) | CallError::NoHandler => AgentCallError::Trapped,
            CallError::Node(_) => AgentCallError::Node,
        })?;
        let receipt = format!("{}/{}", self.handle.name(), answer.seq);
        Ok(PublicAnswer { response: answer.response, receipt })
    }
}
