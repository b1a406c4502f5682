//! What an action of the orchestrator writes to the market, and under which name: the same name is the same transaction
//! for ever, so each names what would make it another one. Pure, so a simulated world sends what a node sends.

use nisse_market::MarketCall;
use nisse_model::{DeploymentId, Timestamp};
use nisse_orchestrator::{Action, MarketStep};

/// How often a write that the contract would refuse now is tried: what it waits for (an acknowledgement under way, the
/// chain's clock) comes within these tries. Where it does not, the orchestrator asks again later.
const REFUSED_TRIES_MAX: u32 = 4;
/// How often one is tried that nobody asks for again before the next start: a minute, in which an endpoint that lags
/// behind another catches up.
const REFUSED_TRIES_LAST_MAX: u32 = 9;

/// A write to the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The deployment that it is about.
    pub deployment: DeploymentId,
    /// Its name.
    pub intent: String,
    /// What is written.
    pub call: MarketCall,
    /// The orchestrator is told of this when the market does not take it.
    pub step: Option<MarketStep>,
    /// What is written when the market does not take it.
    pub otherwise: Option<(String, MarketCall)>,
}

impl Asked {
    /// What an action writes; `None` for one that is no write. `chain` is the chain's clock.
    pub fn of(action: &Action, chain: Timestamp) -> Option<Self> {
        Some(match action {
            Action::Attest { deployment, round } => {
                let call = MarketCall::Attest { deployment: deployment.number };
                Self::plain(*deployment, format!("attest:{deployment}:{round}"), call)
            }
            Action::Bid { deployment, round, rate } => {
                let call = MarketCall::Bid { deployment: deployment.number, rate: *rate };
                Self::plain(*deployment, format!("bid:{deployment}:{round}"), call)
                    .told(MarketStep::Bid { round: *round })
            }
            Action::Assign { deployment, round, attempt } => {
                let intent = again(format!("assign:{deployment}:{round}"), *attempt);
                let call = MarketCall::Assign { deployment: deployment.number };
                Self::plain(*deployment, intent, call).told(MarketStep::Assign { round: *round })
            }
            Action::Acknowledge { deployment, incarnation, attempt } => {
                let intent = again(format!("ack:{deployment}:{incarnation}"), *attempt);
                let call = MarketCall::AckStart { deployment: deployment.number, incarnation: *incarnation };
                Self::plain(*deployment, intent, call).told(MarketStep::Acknowledge)
            }
            Action::Reject { deployment, reason } => {
                Self::given_back(*deployment, &format!("reject:{deployment}"), reason)
            }
            Action::AcknowledgeUpdate { deployment, revision, incarnation } => {
                let (revision, incarnation) = (*revision, *incarnation);
                let call = MarketCall::AckUpdate { deployment: deployment.number, revision, incarnation };
                Self::plain(*deployment, format!("ack-update:{deployment}:{revision}"), call)
            }
            Action::RefuseUpdate { deployment, revision, reason } => {
                let (revision, reason) = (*revision, shortened(reason));
                let call = MarketCall::RejectUpdate { deployment: deployment.number, revision, reason };
                Self::plain(*deployment, format!("refuse-update:{deployment}:{revision}"), call)
            }
            Action::Expire { deployment } => {
                // A lease that was topped up can run out again: the chain's time is part of the name.
                let intent = format!("expire:{deployment}:{}", chain.seconds());
                let call = MarketCall::Expire { deployment: deployment.number };
                Self::plain(*deployment, intent, call).told(MarketStep::Expire)
            }
            _ => return None,
        })
    }

    /// An order given back: rejected while money does not run, stopped when it does. What does not stop either has ended
    /// already.
    pub(crate) fn given_back(deployment: DeploymentId, intent: &str, reason: &str) -> Self {
        let number = deployment.number;
        let reject = MarketCall::Reject { deployment: number, reason: shortened(reason) };
        let otherwise = Some((format!("{intent}:stop"), MarketCall::Stop { deployment: number }));
        Self { otherwise, ..Self::plain(deployment, intent.to_owned(), reject) }
    }

    fn plain(deployment: DeploymentId, intent: String, call: MarketCall) -> Self {
        Self { deployment, intent, call, step: None, otherwise: None }
    }

    fn told(self, step: MarketStep) -> Self {
        Self { step: Some(step), ..self }
    }
}

/// How often a write is tried that the contract would refuse.
pub fn tries_max(call: &MarketCall) -> u32 {
    match call {
        // Another bid is better: that does not change.
        MarketCall::Bid { .. } => 1,
        // Others were faster: a quorum needs no further word.
        MarketCall::Attest { .. } => 1,
        MarketCall::AckUpdate { .. } | MarketCall::RejectUpdate { .. } | MarketCall::Stop { .. } => {
            REFUSED_TRIES_LAST_MAX
        }
        _ => REFUSED_TRIES_MAX,
    }
}

/// The name of another attempt: the first one has its outcome.
fn again(intent: String, attempt: u32) -> String {
    if attempt <= 1 { intent } else { format!("{intent}:{attempt}") }
}

/// Reasons on chain have a limit.
pub(crate) fn shortened(reason: &str) -> String {
    const REASON_BYTES_MAX: usize = 200;
    let mut reason = reason.to_owned();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}
