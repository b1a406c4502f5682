//! The chain that a node stands on: the one in its home, or one of its operator's choice.
//!
//! A home's own chain is begun once. Where a node has lived, a chain that is gone or damaged is a refusal that names
//! the way back, never a fresh beginning.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nisse_egress::OperatorClient;
use nisse_market::embedded::{ChainOptions, EmbeddedChain, OpenChainError, draw_chain_id};
use nisse_market::{ChainClient, QueueSurvey, RpcPost, RpcPostError, TxQueue, TxQueueOptions};
use nisse_orchestrator::Orchestrator;
use nisse_store::Disk;

use crate::error::{ErrorKind, NodeError, chain};
use crate::home::Home;
use crate::node::Seams;
use crate::options::{ChainChoice, NodeOptions};
use crate::timeline::Timeline;
use crate::wallets::KeyName;

/// The folder of the embedded chain and of the transaction queues.
pub(crate) const FOLDER: &str = "chain";
/// What to do about a chain that is gone.
pub(crate) const REBUILD: &str =
    "`nisse doctor --rebuild-chain` rebuilds it from the journal and keeps a copy of what is there";
/// The codes of errors after which a chain may be made anew. Any other error says nothing about what is there.
pub(crate) const LOST: [&str; 4] = ["chain_gone", "chain_damaged", "queue_gone", "queue_damaged"];
/// How long one call of a remote chain may take, and how much it may answer.
const RPC_TIME_MAX: Duration = Duration::from_secs(20);
const RPC_ANSWER_BYTES_MAX: usize = 16 << 20;

/// The chain in this process, if there is one, the way to it, and how transactions are sent.
pub(super) type OpenChain = (Option<EmbeddedChain>, ChainClient, TxQueueOptions);

/// Opens what the operator chose. `lived`: this home's journal holds something, so its chain was begun before.
pub(super) fn open_chain(
    options: &NodeOptions,
    home: &Home,
    seams: &Seams,
    lived: bool,
    timeline: &mut Timeline,
) -> Result<OpenChain, NodeError> {
    match &options.chain {
        ChainChoice::Embedded { dev } => {
            if let Some(chain) = joined(&*seams.disk, home).filter(|_| lived) {
                let text = format!("failed to begin a chain of its own: this home is on chain {chain}, elsewhere");
                return Err(NodeError::new(ErrorKind::Refused, "chain_elsewhere", text).with_hint(
                    "start it as before, with `nisse node serve --chain URL --contract ADDR`, or put both into nisse.toml"
                        .to_owned(),
                ));
            }
            let new_chain_id = (!lived).then(|| draw_chain_id(seams.entropy.as_ref()));
            let chain = open_embedded(home, seams, new_chain_id, *dev)?;
            let came = match chain.head().0 {
                0 => "begun".to_owned(),
                block => format!("resumed at block {block}"),
            };
            timeline.note("chain", format!("{}, {came}", chain.chain_id()));
            let queue = TxQueueOptions::embedded(chain.chain_id());
            Ok((Some(chain.clone()), ChainClient::embedded(chain), queue))
        }
        ChainChoice::Remote { url, chain_id, .. } => {
            let post = Arc::new(OperatorPost(OperatorClient::default()));
            timeline.note("chain", format!("{chain_id}, elsewhere"));
            Ok((None, ChainClient::remote(url.as_str(), post), TxQueueOptions::remote(*chain_id)))
        }
    }
}

/// The chain of others that a home without one of its own has sent transactions to.
fn joined(disk: &dyn Disk, home: &Home) -> Option<u64> {
    let folder = home.join(FOLDER);
    if disk.read_dir(&folder.join("blocks")).is_ok_and(|files| !files.is_empty()) {
        return None;
    }
    match TxQueue::survey(disk, &folder.join(format!("queue-{}", KeyName::Operator.as_str()))) {
        Ok(QueueSurvey { of: Some((_, chain)), made_a_market: false, .. }) => Some(chain),
        _ => None,
    }
}

/// The home's own chain, with the transactions that this home knows of it.
pub(crate) fn open_embedded(
    home: &Home,
    seams: &Seams,
    new_chain_id: Option<u64>,
    dev: bool,
) -> Result<EmbeddedChain, NodeError> {
    let options = ChainOptions { new_chain_id, expect_chain_id: None, allocations: Vec::new(), dev };
    let (disk, clock) = (Arc::clone(&seams.disk), Arc::clone(&seams.clock));
    let opened = EmbeddedChain::open(disk, clock, seams.entropy.as_ref(), &home.join(FOLDER), options);
    let chain = opened.map_err(|error| {
        let (kind, code) = match error {
            OpenChainError::Gone(_) => (ErrorKind::Refused, "chain_gone"),
            _ if error.is_lost() => (ErrorKind::Failed, "chain_damaged"),
            _ => (ErrorKind::Failed, "chain_failed"),
        };
        NodeError::caused(kind, code, &error).with_hint(error.is_lost().then(|| REBUILD.to_owned()))
    })?;
    // Without its queue the operator's key would begin at the contracts again, beside those that its leases are on.
    let queue = home.join(FOLDER).join(format!("queue-{}", KeyName::Operator.as_str()));
    if chain.head().0 > 0 && !seams.disk.exists(&queue) {
        let text = format!("failed to find {}: the chain holds transactions that this folder sent", queue.display());
        return Err(NodeError::new(ErrorKind::Refused, "queue_gone", text).with_hint(REBUILD.to_owned()));
    }
    Ok(chain)
}

/// Live agents are of the chain that this node is on, or nothing is begun: their leases would be out of sight.
pub(super) fn check_leases(orchestrator: &Orchestrator, options: &NodeOptions, chain: u64) -> Result<(), NodeError> {
    let live = orchestrator.agents().iter().filter(|(_, agent)| agent.life.is_live());
    let Some((deployment, agent)) = live.into_iter().find(|(deployment, _)| deployment.chain != chain) else {
        return Ok(());
    };
    let text = format!(
        "failed to run {} on chain {chain}: it was deployed on chain {}",
        agent.placement.package.agent_id, deployment.chain
    );
    let hint = match &options.chain {
        ChainChoice::Embedded { .. } => REBUILD.to_owned(),
        ChainChoice::Remote { .. } => {
            format!("name the chain {} with --chain and --chain-id, or use another --home", deployment.chain)
        }
    };
    Err(NodeError::new(ErrorKind::Refused, "chain_other", text).with_hint(hint))
}

/// JSON-RPC to a chain of the operator's choice goes out through the operator's client.
struct OperatorPost(OperatorClient);

#[async_trait]
impl RpcPost for OperatorPost {
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let answered = self.0.post(url, "application/json", body.into(), RPC_TIME_MAX, RPC_ANSWER_BYTES_MAX).await;
        let answer = answered.map_err(|error| RpcPostError(chain(&error)))?;
        if answer.status.as_u16() != 200 {
            return Err(RpcPostError(format!("the chain's endpoint answered {}", answer.status)));
        }
        Ok(answer.body.to_vec())
    }
}
