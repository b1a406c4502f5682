//! What the public listener may ask: a route by host name, an agent's answer, content.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response};

use crate::access::Guard;
use crate::agent::{AgentHandle, AnswerBody, CallError};

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
#[derive(Clone)]
pub struct PublicAgent {
    pub(crate) handle: AgentHandle,
    /// Whom it takes requests of; nothing, for an agent that takes everybody's.
    pub(crate) guard: Option<Arc<Guard>>,
}

/// An answer with its receipt's id.
pub struct PublicAnswer {
    /// As the agent gave it.
    pub response: Response<AnswerBody>,
    /// `DEPLOYMENT/SEQ`.
    pub receipt: HeaderValue,
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
    /// Answers a request. The answer's record is complete once its body has come to its end. Whoever drops this while the
    /// request waits for its turn takes it back.
    pub async fn http(&self, request: Request<Bytes>) -> Result<PublicAnswer, AgentCallError> {
        let answer = self.handle.http(request).await.map_err(|error| match error {
            CallError::Busy(_) | CallError::Full => AgentCallError::Busy,
            CallError::Halted => AgentCallError::Halted,
            CallError::Trap(_) | CallError::NoHandler => AgentCallError::Trapped,
            CallError::Node(_) => AgentCallError::Node,
        })?;
        Ok(PublicAnswer { response: answer.response, receipt: receipt(self.handle.receipts(), answer.seq) })
    }
}

/// `DEPLOYMENT/SEQ`, where `begin` is all before the number.
fn receipt(begin: &str, seq: u64) -> HeaderValue {
    let mut text = BytesMut::with_capacity(begin.len() + 20);
    text.extend_from_slice(begin.as_bytes());
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), seq);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
    HeaderValue::from_maybe_shared(text.freeze()).expect("a deployment's name is made of visible characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_named_by_deployment_and_number() {
        for seq in [0, 7, 10, 1234567890, u64::MAX] {
            assert_eq!(receipt("1:0xab:3/", seq), format!("1:0xab:3/{seq}"));
        }
    }
}
