//! `up --demo`: the TIP's own story on one machine, with nothing faked in between.
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
use nisse_node::control::{DeployRequest, PackageUpload};
use nisse_node::{AcceptList, KeyName, Node, NodeError, NodeOptions};
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
    mode: DemoMode,
    feed: Option<(Child, SocketAddr)>,
}

impl Demo {
    /// Sets the node up for the demo and starts the price feed.
    pub(crate) async fn prepare(mode: DemoMode, home: &Path, options: &mut NodeOptions) -> Result<Self, Failure> {
        options.accept = AcceptList::HomeKeys;
        options.price = PRICE;
        let feed = match mode {
            DemoMode::Live => None,
            DemoMode::Loopback => {
                make_home(home)?;
                let dir = home.join("demo-feed");
                let (child, address) = start_feed(&dir).await?;
                options.connect_to.push(connect_to(address, &dir)?);
                Some((child, address))
            }
        };
        Ok(Self { mode, feed })
    }

    /// Deploys the oracle, or finds it again, and tells what happened.
    pub(crate) async fn run(&self, node: &Node) -> Result<(), Failure> {
        match (&self.mode, &self.feed) {
            (DemoMode::Loopback, Some((_, address))) => {
                output::line(format!(
                    "A price feed with TLS of its own stands behind {PRICE_HOST}: {address} on this machine."
                ));
                output::line("`nisse up --demo=live` asks the real one.");
            }
            _ => output::line(format!("Prices come from {PRICE_HOST}.")),
        }
        if node.agent(AGENT).await.is_err() {
            node.endow_deployer(ENDOWMENT).await?;
        }
        let resumed = node.agent(AGENT).await.ok().filter(|agent| agent.state == "running");
        let endpoint = match resumed {
            Some(agent) => {
                output::line(format!("{} is live again, as it was.", agent.agent_id));
                agent.endpoint
            }
            None => deploy(node).await?,
        };
        output::line("");
        output::line(format!("The agent is live: {endpoint}"));
        output::line("");
        output::line("Try:");
        output::line(format!("  curl {endpoint}"));
        output::line(format!("  nisse status {AGENT}"));
        output::line("  nisse market show 1");
        Ok(())
    }
}

async fn deploy(node: &Node) -> Result<String, Failure> {
    use base64::Engine as _;
    let assets = node.content_add(bytes::Bytes::from_static(ASSETS.as_bytes())).await?;
    output::line(format!("assets      {} in the content store", assets.cid));
    let manifest = format!("{}\n{CONFIG}  assets: \"{}\"\n", MANIFEST.trim_end(), assets.cid);
    let request = DeployRequest {
        package: PackageUpload {
            manifest,
            artifact: base64::engine::general_purpose::STANDARD.encode(ARTIFACT),
            set: Vec::new(),
        },
        payment: Some(PAYMENT.to_owned()),
        max_rate: None,
        key: Some(KeyName::Deployer.as_str().to_owned()),
        wait_ms: None,
    };
    let deployed = node.deploy(request).await?;
    for step in &deployed.steps {
        output::line(format!("{:>6} ms  {:<13} {}", step.at_ms, step.name, step.detail));
    }
    if deployed.state != "running" {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "failed to bring the demo's agent up: it is {}{}",
                deployed.state,
                deployed.reason.map(|reason| format!(": {reason}")).unwrap_or_default()
            ),
        ));
    }
    Ok(deployed.endpoint)
}

/// The feed's authority lies in the home, so the home comes first: what stands in a folder without one is foreign.
fn make_home(path: &Path) -> Result<(), Failure> {
    let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
    let made = nisse_store::Home::open(&disk, path);
    made.map(drop).map_err(|error| NodeError::from(error).into())
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
