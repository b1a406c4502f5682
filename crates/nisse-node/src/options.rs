//! What a node is started with. Parsed and checked by the binary before anything is bound.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nisse_content::GatewayUrl;
use nisse_egress::ConnectTo;
use nisse_model::{Address, Amount, ByteSize, Cpu};
use nisse_orchestrator::Prices;
use nisse_sandbox::CompileCommand;
use nisse_store::SEGMENT_BYTES_MAX;
use nisse_vault::VaultCommand;

use crate::link::PeerOptions;

/// Everything an operator chooses.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// The home folder.
    pub home: PathBuf,
    /// The control API; loopback only.
    pub api: SocketAddr,
    /// Agents, content and what strangers may see.
    pub public: SocketAddr,
    /// The embedded chain's JSON-RPC; loopback only. `None`: not served.
    pub rpc: Option<SocketAddr>,
    /// Agents are reached at `<agent>.<suffix>`.
    pub suffix: String,
    /// Where the market is.
    pub chain: ChainChoice,
    /// Whose agents run here.
    pub accept: AcceptList,
    /// On a chain elsewhere: the stake that this node is registered with, where it is not yet.
    pub stake: Option<Amount>,
    /// What one hour costs others.
    pub prices: Prices,
    /// Gas that one agent of somebody else may burn on the chain in each hour, at this node's cost.
    pub gas_budget_max: u64,
    /// Processors lent.
    pub cpu: Cpu,
    /// Memory lent.
    pub memory: ByteSize,
    /// How much the content store may hold.
    pub content_quota: ByteSize,
    /// How much state one agent may keep.
    pub state_quota: ByteSize,
    /// Trustless gateways that are asked for content, after whoever is nearer.
    pub gateways: Vec<GatewayUrl>,
    /// Routers that are asked who provides content.
    pub routers: Vec<GatewayUrl>,
    /// Where others reach the public listener; made of the suffix and the listener's port where none is given.
    pub endpoint: Option<GatewayUrl>,
    /// Origins whose pages may log in to spaces with a ticket, besides the public listener's own.
    pub origins: Vec<GatewayUrl>,
    /// The operator's exceptions from the address check, each with its own authority where one was given.
    pub connect_to: Vec<ConnectTo>,
    /// The command that compiles an artifact in a child process.
    pub compile_command: CompileCommand,
    /// Where the vault is kept.
    pub vault: VaultChoice,
    /// Recipients of age who can read each export of the vault.
    pub recovery: Vec<String>,
    /// Where it listens for its identity's other devices. `None`: it does not.
    pub peers: Option<PeerOptions>,
    /// How long the journal grows.
    pub journal: JournalLimits,
}

impl NodeOptions {
    /// Where others reach the public listener, which has this port if it is known.
    pub(crate) fn public_url(&self, port: Option<u16>) -> GatewayUrl {
        let port = port.unwrap_or(self.public.port());
        let port = if matches!(port, 0 | 80) { String::new() } else { format!(":{port}") };
        let made = || format!("http://{}{port}", self.suffix).parse();
        // The suffix is a host name: the binary read it as one.
        self.endpoint.clone().unwrap_or_else(|| made().expect("a suffix is a host name"))
    }
}

/// When the journal is cut; the default suits all but tests, which want it often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalLimits {
    /// It is cut where it holds more records, as far as all that they say is in place elsewhere.
    pub records_max: u64,
    /// How often its length is looked at.
    pub looked_at_every: Duration,
    /// Of one of its files. Whole files go.
    pub segment_bytes: u64,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self { records_max: 200_000, looked_at_every: Duration::from_secs(60), segment_bytes: SEGMENT_BYTES_MAX }
    }
}

/// Where the market's contracts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainChoice {
    /// In this process, in the home folder.
    Embedded {
        /// Clock and reorganisation methods for tests and rehearsals.
        dev: bool,
    },
    /// Any EVM chain by JSON-RPC.
    Remote {
        /// Its endpoint.
        url: String,
        /// Its id; another one is refused.
        chain_id: u64,
        /// The market's address book there.
        contract: Address,
    },
}

/// Where the vault is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultChoice {
    /// In a process of its own.
    Process(VaultCommand),
    /// In this one: for simulated worlds, whose disks no other process sees.
    Within,
}

/// `[market] accept`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptList {
    /// Only the operator's own agents.
    Own,
    /// The operator's, and those of the home's other key: what the demo accepts.
    HomeKeys,
    /// The operator's and these owners'.
    Owners(BTreeSet<Address>),
    /// Anybody's. Isolation is in-process.
    Any,
}
