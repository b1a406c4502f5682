//! The node as its owner meets it: started, asked, stopped.

mod admit;
mod admit_call;
mod admit_token;
mod audit;
mod content;
mod deploy;
mod doctor;
mod earnings;
mod elsewhere;
mod exports;
mod find;
mod gateway;
mod heartbeat;
mod home;
mod identity;
mod invitations;
mod invoke;
mod jobs;
mod life;
mod market;
mod members;
mod nodes;
mod objects;
mod offer;
mod offers;
mod offline;
mod orders;
mod pairing;
mod providing;
mod rebuild;
mod schemas;
mod space_clients;
mod space_keeping;
mod spaces;
mod standing;
mod start;
mod status;
mod tokens;
mod upgrade;
mod vault;
mod wallets;

pub use admit::OwnersRequest;
pub use admit_call::{AdmittedCall, CallRefused};
pub use admit_token::TokensRequest;
pub use audit::Frequency;
pub use doctor::{check_door, check_stopped};
pub use exports::SpaceExport;
pub(crate) use identity::cut_off;
pub(crate) use objects::{new_object_id, object_id, refused as object_refused};
pub use offer::OFFER_PATH;
pub(crate) use offline::Offline;
pub use offline::{RestoredVault, restore_vault};
pub use rebuild::{RebuiltChain, RebuiltDeployment, rebuild_chain};
pub(crate) use spaces::space_name;
pub use start::Seams;
pub use upgrade::{UpgradedMarket, upgrade_market};

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use nisse_egress::OwnAddresses;
use nisse_market::Market;
use nisse_model::{Address, AgentName, Did};

use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::public::PublicRoute;
use crate::remote::{Moments, Nonces};
use crate::routes::Route;
use crate::supervisor::Stop;
use crate::timeline::Timeline;
use crate::token::NONCE_BYTES;
use crate::wallets::KeyName;

/// How long the end of the node waits for the last lines of its agents' logs to reach the disk.
const LOGS_END_MAX: Duration = Duration::from_secs(5);

/// A running node.
pub struct Node {
    core: Arc<Core>,
    listeners: OnceLock<Listening>,
    /// What reading content for the public listener may take.
    strangers: Arc<gateway::Strangers>,
    /// What owners asked from elsewhere a moment ago.
    nonces: Nonces<Address, [u8; 32]>,
    /// What holders of tokens asked.
    token_nonces: Nonces<Did, [u8; NONCE_BYTES]>,
    moments: Moments,
}

/// Where the node is reached.
#[derive(Debug, Clone, Copy)]
struct Listening {
    api: SocketAddr,
    public: SocketAddr,
    rpc: Option<SocketAddr>,
}

impl Node {
    /// The token that opens the control API.
    pub fn token(&self) -> &str {
        self.core.home.token()
    }

    /// The node's address on chain.
    pub fn operator(&self) -> Address {
        self.core.operator
    }

    /// Says where the listeners are: agents may not dial them, and URLs name them.
    pub fn listening(&self, api: SocketAddr, public: SocketAddr, rpc: Option<SocketAddr>) {
        // Said once, by the binary, before anything is served.
        let _ = self.listeners.set(Listening { api, public, rpc });
        let own = OwnAddresses {
            addresses: Vec::new(),
            listeners: [Some(api), Some(public), rpc].into_iter().flatten().collect(),
        };
        self.core.egress.set_own_addresses(own);
    }

    /// Writes `run.json`, by which commands find the node: once it serves.
    pub fn serving(&self) -> Result<(), NodeError> {
        let Some(Listening { api, public, rpc }) = self.listeners.get() else { return Ok(()) };
        let chain = self.core.keys.chain_id();
        let json = serde_json::json!({
            "pid": std::process::id(),
            "api": api.to_string(),
            "public": public.to_string(),
            "chain": chain,
            "rpc": rpc.map(|rpc| rpc.to_string()),
        });
        self.core.home.write_run_file(&json)
    }

    /// A timeline that begins now, by the node's clock.
    pub fn timeline(&self) -> Timeline {
        self.core.timeline()
    }

    /// Runs a task of the edge under the node's supervisor.
    pub fn spawn<F>(&self, name: &str, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.core.supervisor.spawn(name, task);
    }

    /// Waits until the node cannot go on, and says why.
    pub async fn failed(&self) -> String {
        self.core.failed().await
    }

    /// Stops everything in order: listeners, agents, the journal's last batch.
    pub async fn shut_down(&self) {
        self.core.supervisor.shut_down().await;
        self.core.records.settle().await;
        // The last lines of those that just ended; a disk that hangs is not waited for.
        let _ = tokio::time::timeout(LOGS_END_MAX, self.core.logs.end(self.core.clock.now())).await;
        self.core.home.remove_run_file();
        self.core.flush();
    }

    /// Where a host name leads.
    pub fn route(&self, host: &str) -> PublicRoute {
        match self.core.routes.find(host) {
            Some(Route::Agent(agent)) => PublicRoute::Agent(agent),
            Some(Route::Away(state)) => PublicRoute::Away(state),
            None if self.is_own_name(host) => PublicRoute::Node,
            None => PublicRoute::Unknown,
        }
    }

    /// Answers JSON-RPC for the embedded chain; blocks while a transaction is made durable.
    pub fn chain_rpc(&self, body: &[u8]) -> Bytes {
        match &self.core.chain {
            Some(chain) => chain.handle_json(body).into(),
            None => Bytes::from_static(
                br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"this node uses a chain of its operator's choice: ask that one"}}"#,
            ),
        }
    }

    fn is_own_name(&self, host: &str) -> bool {
        let public = self.listeners.get().map(|listening| listening.public.ip().to_string());
        host == self.core.options.suffix || host == "localhost" || Some(host) == public.as_deref()
    }

    fn endpoint(&self, owner: Address, name: &AgentName) -> String {
        let [host, _] = crate::routes::host_names(name, owner, self.core.operator, &self.core.options.suffix);
        self.public_url().page_of(&host)
    }

    fn market(&self, key: KeyName) -> Result<Market, NodeError> {
        self.core.keys.market(&self.core.home, &self.core.supervisor, key)
    }

    /// The version of the market that a deployment is on.
    fn market_of(&self, key: KeyName, deployment: &nisse_model::DeploymentId) -> Result<Market, NodeError> {
        self.core.keys.market_of(&self.core.home, &self.core.supervisor, key, deployment.contract)
    }

    /// The key of this home that owns a deployment.
    fn owner_key(&self, owner: Address) -> Result<KeyName, NodeError> {
        if owner == self.core.operator {
            return Ok(KeyName::Operator);
        }
        if self.core.wallets.address(KeyName::Deployer) == Some(owner) {
            return Ok(KeyName::Deployer);
        }
        let text = format!("failed to act for {owner}: its key is not in this home");
        Err(NodeError::new(ErrorKind::Refused, "owner_elsewhere", text)
            .with_hint("run the command with the home of the agent's owner".to_owned()))
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&nisse_orchestrator::Orchestrator) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        Ok(self.core.driver.look(look).await?)
    }

    /// For what is shown: answered while the disk refuses decisions, too.
    async fn glance<T: Send + 'static>(
        &self,
        look: impl FnOnce(&nisse_orchestrator::Orchestrator) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        Ok(self.core.driver.glance(look).await?)
    }
}

/// What the market refused or did not answer, as the owner reads it.
fn market_error(error: &nisse_market::MarketError) -> NodeError {
    use nisse_market::{MarketError, QueueError};
    match error {
        MarketError::Reverted { reason, .. } | MarketError::Queue(QueueError::Refused(reason)) => {
            let text = format!("failed to have the market carry this out: {reason}");
            NodeError::new(ErrorKind::Refused, "market_refused", text)
        }
        MarketError::Queue(QueueError::Sign(_)) => NodeError::caused(ErrorKind::Conflict, "signing_failed", error)
            .with_hint("`nisse unlock` opens the vault; `nisse vault status` says what it waits for".to_owned()),
        MarketError::Queue(_) => NodeError::caused(ErrorKind::Unreachable, "market_unreachable", error),
        _ => NodeError::caused(ErrorKind::Failed, "market_failed", error),
    }
}
