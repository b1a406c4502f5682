//! The command line's grammar.

mod identity;
mod job;
mod space;
mod space_schema;
mod vault;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use identity::{DeviceCommand, IdentityCommand, KitCommand, TokenCommand};
pub(crate) use job::{InvocationCommand, TriggerCommand};
pub(crate) use space::{MemberRole, SpaceCommand, TicketRole};
pub(crate) use space_schema::SchemaCommand;
pub(crate) use vault::{AuditCommand, SecretCommand, VaultCommand, WalletCommand};

/// Your own agent: always on, on your machine or one you rent, and able to prove what it did.
#[derive(Parser)]
#[command(name = "nisse", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Args, Clone)]
pub(crate) struct Shared {
    /// The home folder [default: ~/.nisse]
    #[arg(long, global = true, env = "NISSE_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Speak to another home of this identity, or to one that runs an agent of a space of yours, over the link: by the name that it has here, or by its ticket
    #[arg(long, global = true, value_name = "NAME|TICKET")]
    pub(crate) remote: Option<String>,
    /// Use the token in this file, in place of the home's own
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "remote")]
    pub(crate) token: Option<PathBuf>,
    /// Where the node listens that --token is for [default: the one on this home, else 127.0.0.1:7474]
    #[arg(long, global = true, value_name = "ADDR", requires = "token")]
    pub(crate) at: Option<SocketAddr>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the node: agents, content, the market
    Up(Box<Up>),
    /// Deploy a package by contract and wait until it is live
    Deploy(Deploy),
    /// Show one agent, or all of them
    Status { agent: Option<String> },
    /// List the agents of this node
    Ls,
    /// Print an agent's log
    Logs {
        agent: String,
        /// Go on as lines come
        #[arg(short, long)]
        follow: bool,
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: usize,
    },
    /// Deploy the last package of a stopped agent again, with its state
    Start { agent: String },
    /// End an agent's lease; what is left of the deposit goes back
    Stop { agent: String },
    /// Run nothing; the lease and its price go on
    Pause { agent: String },
    /// Run a paused agent again
    Resume { agent: String },
    /// Swap to another package; the old one goes on until the new one is ready
    Update(Update),
    /// Go back to the package and the state before the last update
    Rollback { agent: String },
    /// Stop an agent, export its state, then delete it
    Destroy { agent: String },
    /// Raise an event and print the handler's answer
    Invoke {
        agent: String,
        /// The event's data: JSON, `@FILE`, or `-` for stdin
        #[arg(long, value_name = "DATA", allow_hyphen_values = true)]
        event: String,
        /// The event's type [default: manual]
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Media type of the data; with one that is not JSON the bytes are sent as they are [default: application/json]
        #[arg(long, value_name = "MEDIA")]
        content_type: Option<String>,
    },
    /// What raises events of an agent, by its agent.yaml
    #[command(subcommand)]
    Trigger(TriggerCommand),
    /// Say why a trigger fired last, or did not
    Why { agent: String, trigger: String },
    /// Events that an agent handled, handles and will handle
    #[command(subcommand)]
    Invocation(InvocationCommand),
    /// Pay more into an agent's lease
    Fund {
        agent: String,
        /// TALOS
        #[arg(allow_negative_numbers = true)]
        amount: String,
    },
    /// Packages on disk
    #[command(subcommand)]
    Pkg(Pkg),
    /// The content store
    #[command(subcommand)]
    Content(Content),
    /// The node itself
    #[command(subcommand)]
    Node(NodeCommand),
    /// Deployments on the market
    #[command(subcommand)]
    Market(MarketCommand),
    /// Records of invocations and the node's signatures over them
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Unlock the vault: with its passphrase, asked for or read from stdin, where it has one
    Unlock,
    /// Seal the vault: nothing that needs a secret goes on until it is unlocked
    Seal,
    /// What unlocks the vault
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Secrets that agents use and never see
    #[command(subcommand)]
    Secret(SecretCommand),
    /// The keys that own and pay on the market
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Who did what to the rights and secrets of this home
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Whose home it is
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// The words that bring an identity back
    #[command(subcommand)]
    Kit(KitCommand),
    /// Devices and agents that act for the identity
    #[command(subcommand)]
    Device(DeviceCommand),
    /// A part of what you may do on this node, for others and for a time
    #[command(subcommand)]
    Token(TokenCommand),
    /// Documents that many write, kept here while they sleep
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Check the home, running or not, and change nothing: format, keys, journal, chain, content
    Doctor {
        /// Make the home's own chain anew from the journal; what is there is kept as a copy
        #[arg(long)]
        rebuild_chain: bool,
    },
    /// Configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script
    Completions { shell: Shell },
    /// What nisse runs in child processes of its own
    #[command(hide = true, subcommand)]
    Internal(Internal),
}

#[derive(Args, Default)]
pub(crate) struct Up {
    /// Show the main job on an empty home; `live` asks the real price service
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "loopback")]
    pub(crate) demo: Option<DemoMode>,
    /// Where the control API listens; loopback, port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) api: Option<SocketAddr>,
    /// Where agents are reached
    #[arg(long, value_name = "ADDR")]
    pub(crate) public: Option<SocketAddr>,
    /// Serve the embedded chain's JSON-RPC here; loopback
    #[arg(long, value_name = "ADDR")]
    pub(crate) rpc: Option<SocketAddr>,
    /// Where the identity's other devices are listened for; UDP, port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) link: Option<SocketAddr>,
    /// `embedded`, or the URL of any EVM chain's JSON-RPC
    #[arg(long, value_name = "CHAIN")]
    pub(crate) chain: Option<String>,
    /// The market's address book on that chain
    #[arg(long, value_name = "ADDR")]
    pub(crate) contract: Option<String>,
    /// That chain's id; another one is refused
    #[arg(long, value_name = "ID")]
    pub(crate) chain_id: Option<u64>,
    /// Serve the clock and reorganisation methods of the embedded chain
    #[arg(long)]
    pub(crate) chain_dev: bool,
    /// Where others reach the public listener
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Register this node on a chain elsewhere with this stake, in TALOS
    #[arg(long, value_name = "TALOS", allow_negative_numbers = true)]
    pub(crate) stake: Option<String>,
    /// Ask this trustless gateway for content that is not here; may be repeated
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Vec<String>,
    /// Ask this router who provides content; may be repeated
    #[arg(long, value_name = "URL")]
    pub(crate) router: Vec<String>,
    /// Dial ADDR:PORT where an agent may reach HOST:PORT (as curl's option)
    #[arg(long, value_name = "HOST:PORT:ADDR:PORT")]
    pub(crate) connect_to: Vec<String>,
    /// Trust this authority for the host and port of the --connect-to before it, and for nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Vec<PathBuf>,
    /// Whose agents run here: `own`, `any`, an address (may be repeated), or a file of addresses
    #[arg(long, value_name = "WHO")]
    pub(crate) accept: Vec<String>,
    /// What one hour costs others, in TALOS
    #[arg(long, value_name = "TALOS", allow_negative_numbers = true)]
    pub(crate) price: Option<String>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DemoMode {
    /// A price feed with TLS on loopback
    Loopback,
    /// The real price service
    Live,
}

#[derive(Args)]
pub(crate) struct Deploy {
    /// The folder of agent.yaml
    pub(crate) dir: PathBuf,
    /// Take the artifact that lies in IPFS under this CID, in place of the folder's
    #[arg(long, value_name = "CID")]
    pub(crate) artifact_cid: Option<String>,
    /// Override `config:` of agent.yaml
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// TALOS for a lease on the market; without it the agent runs here as a home lease
    #[arg(long, value_name = "TALOS", allow_negative_numbers = true)]
    pub(crate) payment: Option<String>,
    /// The most to pay per hour
    #[arg(long, value_name = "TALOS", requires = "payment", allow_negative_numbers = true)]
    pub(crate) max_rate: Option<String>,
    /// Collect bids for so long, and take the best [default: the first valid bid wins]
    #[arg(long, value_name = "SECONDS", requires = "payment")]
    pub(crate) bid_window: Option<u32>,
    /// Ask the nodes for signed offers and take the best at once, without a round of bids
    #[arg(long, requires = "payment", conflicts_with = "bid_window")]
    pub(crate) instant: bool,
    /// How the best is chosen of the bids of a window or of the offers: `lowest-price`, `highest-reputation`, `score`, and of bids that nobody sees before all are made `sealed-price` or `sealed-score` [default: the lowest price]
    #[arg(long, value_name = "RULE", requires = "payment")]
    pub(crate) select: Option<String>,
    /// Which key of the home deploys: `operator` or `deployer`
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// How long to wait until it is live; 0 returns at once [default: 180, and 10 once this node has refused it; a bid window is added]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<u64>,
    /// Give it to a space: its admins control it as well, from their own homes
    #[arg(long, value_name = "SPACE", conflicts_with = "payment")]
    pub(crate) space: Option<String>,
}

#[derive(Args)]
pub(crate) struct Update {
    pub(crate) agent: String,
    /// The folder of agent.yaml
    pub(crate) dir: PathBuf,
    /// Take the artifact that lies in IPFS under this CID, in place of the folder's
    #[arg(long, value_name = "CID")]
    pub(crate) artifact_cid: Option<String>,
    /// Override `config:` of agent.yaml
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Take a lower version
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
}

#[derive(Subcommand)]
pub(crate) enum Pkg {
    /// Read agent.yaml and its artifact as strictly as a node does
    Check { dir: PathBuf },
    /// Write the artifact's hash into agent.yaml
    Seal { dir: PathBuf },
    /// Print what the package is and asks for
    Show { dir: PathBuf },
}

#[derive(Subcommand)]
pub(crate) enum Content {
    /// Add a file and print its CID
    Add { file: PathBuf },
    /// Print or save a file by CID
    Get {
        cid: String,
        /// Where to
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List what is held
    Ls,
    /// Ask who has a file besides this node
    Find { cid: String },
    /// Let everybody read a file that is held here, and print where
    Provide { cid: String },
    /// Unpin what a CID or the name of a pin names
    Rm {
        #[arg(value_name = "CID|PIN")]
        named: String,
    },
    /// Drop what no pin holds
    Gc,
}

#[derive(Subcommand)]
pub(crate) enum NodeCommand {
    /// Run the node as `up` does, for others: registered on the market of the chain that --chain names
    Serve(Box<Up>),
    /// Addresses, chain, room, money
    Status,
    /// What leases pay this node, and what can be drawn
    Earnings,
    /// Settle what is due and draw all of it
    Withdraw {
        /// Whose it is to be; the operator's own without it
        #[arg(long, value_name = "ADDR")]
        to: Option<String>,
    },
    /// Take no new work
    Drain {
        /// Take work again
        #[arg(long)]
        off: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum MarketCommand {
    /// List deployments, newest first
    Ls,
    /// Show a deployment with the events of its life
    Show {
        /// Its number, its full name, or an agent
        deployment: String,
    },
    /// Show what running leases pay, and what open orders offer
    Rates,
    /// List the registered nodes, and what they are known for
    Nodes,
    /// Ask the nodes what an hour of an agent would cost now
    Offers {
        /// The folder of agent.yaml
        dir: PathBuf,
    },
    /// Rehearse the whole cycle on this machine, without coin: bid, run, kill a node, take over, settle, withdraw
    Rehearse {
        /// How many nodes, 2 to 8
        #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u64).range(2..=8))]
        nodes: u64,
    },
    /// Make a new version of the contracts on this home's own chain, while no node runs
    Upgrade,
}

#[derive(Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Print a record and the node's signature
    Show {
        /// DEPLOYMENT/SEQ, as in the `nisse-receipt` header
        receipt: String,
    },
    /// Print what the last heartbeat of a paid lease's node said of it, proven under the root that the chain has
    Heartbeat {
        /// The deployment's number or full name
        deployment: String,
    },
    /// Check signatures and the chain of records up to a receipt
    Verify {
        /// DEPLOYMENT/SEQ, or a file that `receipt show --json` wrote
        receipt: String,
        /// The node that must have signed [default: this home's; for a file, the one that it names]
        #[arg(long, value_name = "ADDR")]
        node: Option<String>,
        /// How many records before it to check as well
        #[arg(long, default_value_t = 100)]
        depth: u64,
    },
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each value and where it came from
    Show,
}

#[derive(ValueEnum, Clone, Copy)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Subcommand)]
pub(crate) enum Internal {
    /// Compile one artifact from stdin to stdout
    Compile,
    /// Keep the vault of a home for the node at the other end of stdin
    Vault {
        /// The home
        #[arg(long)]
        dir: PathBuf,
        /// What systemd gives to this unit
        #[arg(long)]
        credential: Option<PathBuf>,
        /// It was sealed by its owner: what lies there does not unlock it
        #[arg(long)]
        sealed: bool,
        /// Another process may have it: it is read, and nothing is changed
        #[arg(long)]
        read_only: bool,
    },
    /// Serve the demo's price feed
    Feed {
        /// Where its CA and key are kept
        #[arg(long)]
        dir: PathBuf,
        /// Where it listens
        #[arg(long)]
        listen: SocketAddr,
    },
}
