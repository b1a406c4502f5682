//! `up --demo`: the TIP's own story on one machine, with nothing faked in between, told step by step as it happens.
//!
//! Two keys: a deployer who pays 1000 TALOS, and this node, which asks 50 per hour. The agent is the TIP's price
//! oracle. Without a way to the real price service, a TLS feed on loopback stands behind its name, reached by the
//! operator's `--connect-to` through the agent's real permission.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nisse_egress::{CaFile, ConnectTo};
use nisse_model::AmountPerHour;
use nisse_node::control::{AgentStatus, DeployRequest, Deployed, PackageUpload};
use nisse_node::{AcceptList, KeyName, Node, NodeError, NodeOptions, Prices, Timeline};
use nisse_store::{Disk, SystemDisk};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::cli::DemoMode;
use crate::failure::{Exit, Failure};
use crate::output;

/// The example agent, as it lies in the repository.
const MANIFEST: &str = include_str!("../../../examples/price-oracle/agent.yaml");
const ARTIFACT: &[u8] = include_bytes!("../../../examples/price-oracle/oracle.wasm");
/// What the demo adds to the TIP's manifest.
const CONFIG: &str = "nisse: 1\nconfig:\n  interval_seconds: 60\n";
/// The assets that the oracle asks for; it reads them from IPFS by CID.
const ASSETS: &str = "[{\"id\":\"ethereum\",\"symbol\":\"ETH\"}]\n";
/// The TIP's payment and price.
const PAYMENT: &str = "1000";
/// What the deployer is given: the payment, and as much again to try `nisse fund` with.
const ENDOWMENT: &str = "2000";
const PRICE: AmountPerHour = AmountPerHour(50 * nisse_model::Amount::TALOS.0);
/// The host of the real price service, and the port of https.
const PRICE_HOST: &str = "api.coingecko.com";
const AGENT: &str = "talos.oracle.price-eth";
/// How long the feed may take to say that it serves.
const FEED_START_MAX: Duration = Duration::from_secs(10);

/// A demo under way: its feed ends when this is dropped.
pub(crate) struct Demo {
    _feed: Option<Child>,
}

impl Demo {
    /// Makes the home, sets the node up for the demo and starts the price feed.
    pub(crate) async fn prepare(
        mode: DemoMode,
        home: &Path,
        options: &mut NodeOptions,
        timeline: &mut Timeline,
    ) -> Result<Self, Failure> {
        options.accept = AcceptList::HomeKeys;
        options.prices = Prices::flat(PRICE);
        make_home(home, timeline)?;
        let feed = match mode {
            DemoMode::Live => {
                timeline.note("prices", format!("{PRICE_HOST} is asked"));
                None
            }
            DemoMode::Loopback => {
                let dir = home.join("demo-feed");
                let (child, address) = start_feed(&dir).await?;
                options.connect_to.push(connect_to(address, &dir)?);
                let said = format!("a TLS feed on {address} stands for {PRICE_HOST}; --demo=live asks the real one");
                timeline.note("prices", said);
                Some(child)
            }
        };
        Ok(Self { _feed: feed })
    }

    /// Deploys the oracle, or waits until the one that was deployed before is up again, and says what to try.
    pub(crate) async fn run(&self, node: &Node, timeline: &mut Timeline) -> Result<(), Failure> {
        let known = node.agent(AGENT).await.ok();
        if known.is_none() {
            node.endow_deployer(ENDOWMENT).await?;
            timeline.note("endowed", format!("the deployer with {ENDOWMENT} TALOS of the faucet's"));
        }
        let agent = match known.filter(|agent| !matches!(agent.state.as_str(), "stopped" | "expired" | "failed")) {
            Some(agent) => resume(node, agent, timeline).await?,
            None => deploy(node, timeline).await?,
        };
        let Up { deployment, endpoint, paused } = agent;
        let number = deployment.rsplit(':').next().unwrap_or_default();
        output::line("");
        match paused {
            true => output::line(format!("The agent is paused: `nisse resume {AGENT}` runs it again.")),
            false => output::line(format!("The agent is live: {endpoint}")),
        }
        output::line("");
        output::line("Try:");
        output::line(format!("  curl {endpoint}"));
        output::line(format!("  nisse status {AGENT}"));
        output::line(format!("  nisse market show {number}"));
        Ok(())
    }
}

/// The demo's agent, once nothing more is waited for.
struct Up {
    deployment: String,
    endpoint: String,
    paused: bool,
}

/// What was deployed before goes on where it was.
async fn resume(node: &Node, agent: AgentStatus, timeline: &mut Timeline) -> Result<Up, Failure> {
    timeline.note("resumed", format!("{} as it was deployed before", agent.agent_id));
    let agent = node.until_up(&agent.deployment).await?;
    let AgentStatus { state, reason, hint, deployment, endpoint, .. } = agent;
    match state.as_str() {
        "running" => timeline.note("live", "it answers, with the state that it kept"),
        "paused" => timeline.note("paused", "it rests, as it was left"),
        _ => return Err(not_up(&state, reason, hint)),
    }
    Ok(Up { deployment, endpoint, paused: state == "paused" })
}

async fn deploy(node: &Node, timeline: &mut Timeline) -> Result<Up, Failure> {
    let assets = node.content_add(bytes::Bytes::from_static(ASSETS.as_bytes())).await?;
    timeline.note("assets", format!("{} in the content store", assets.cid));
    let manifest = format!("{}\n{CONFIG}  assets: \"{}\"\n", MANIFEST.trim_end(), assets.cid);
    let request = DeployRequest {
        package: PackageUpload::of(manifest, ARTIFACT),
        payment: Some(PAYMENT.to_owned()),
        max_rate: Some(PRICE.to_string()),
        bid_window_seconds: None,
        select: None,
        instant: false,
        key: Some(KeyName::Deployer.as_str().to_owned()),
        wait_ms: None,
        space: None,
    };
    let Deployed { state, reason, hint, deployment, endpoint, .. } = node.deploy(request, timeline).await?;
    if state != "running" {
        return Err(not_up(&state, reason, hint));
    }
    Ok(Up { deployment, endpoint, paused: false })
}

fn not_up(state: &str, reason: Option<String>, hint: Option<String>) -> Failure {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let failure = Failure::new(Exit::Failed, format!("failed to bring the demo's agent up: it is {state}{reason}"));
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The feed's authority lies in the home, so the home comes first: what stands in a folder without one is foreign.
fn make_home(path: &Path, timeline: &mut Timeline) -> Result<(), Failure> {
    let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
    let home = nisse_store::Home::open(&disk, path).map_err(NodeError::from)?;
    let came = if home.is_fresh() { "made in" } else { "resumed from" };
    timeline.note("home", format!("{came} {}", path.display()));
    Ok(())
}

/// The same program in another process: a server that the node knows nothing of.
async fn start_feed(dir: &Path) -> Result<(Child, SocketAddr), Failure> {
    let failed = |text: String| Failure::new(Exit::Failed, format!("failed to start the demo's price feed: {text}"));
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let listen = remembered_address(dir);
    let mut child = Command::new(program)
        .args(["internal", "feed", "--dir"])
        .arg(dir)
        .args(["--listen", &listen.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let out = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
    let mut lines = BufReader::new(out).lines();
    let first = tokio::time::timeout(FEED_START_MAX, lines.next_line()).await;
    match first {
        Ok(Ok(Some(line))) => {
            let address = line.trim().parse().map_err(|_| failed(format!("it said `{line}`")))?;
            Ok((child, address))
        }
        _ => Err(failed("it did not say where it serves".to_owned())),
    }
}

/// The port of the demo before, so that a second one resumes where the first one was.
fn remembered_address(dir: &Path) -> SocketAddr {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    std::fs::read_to_string(dir.join("address")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(free)
}

fn connect_to(address: SocketAddr, dir: &Path) -> Result<ConnectTo, Failure> {
    let failed = |text: String| Failure::new(Exit::Failed, format!("failed to trust the demo's price feed: {text}"));
    let path: PathBuf = dir.join("ca.pem");
    let pem = std::fs::read_to_string(&path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
    let authority = CaFile::from_pem(&pem).map_err(|error| failed(error.to_string()))?;
    let text = format!("{PRICE_HOST}:443:{}:{}", address.ip(), address.port());
    let exception: ConnectTo = text.parse().map_err(|error| failed(format!("{error}")))?;
    Ok(exception.with_ca(authority))
}
