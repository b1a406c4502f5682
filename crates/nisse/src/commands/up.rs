//! nisse up: parse everything, open the home, bind everything, serve, and end in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nisse_api::Listeners;
use nisse_egress::OperatorClient;
use nisse_node::{AcceptList, ChainChoice, Node, Seams, Timeline};
use nisse_store::{Clock, SystemClock, SystemDisk, SystemEntropy};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Shared, Up};
use crate::config;
use crate::demo::Demo;
use crate::events::EventLog;
use crate::failure::{Exit, Failure};
use crate::{output, secret_input};

/// How long a chain may take to say its id, and how much it may answer.
const CHAIN_ID_TIME_MAX: Duration = Duration::from_secs(10);
const CHAIN_ID_BYTES_MAX: usize = 4 << 10;
/// Stake of a node that serves others, in TALOS: the TIP's.
const STAKE_DEFAULT: &str = "10000";

/// `node serve`: on the market of a chain elsewhere, where a node needs a stake.
pub(crate) async fn serve(shared: &Shared, mut flags: Up) -> Result<(), Failure> {
    if flags.demo.is_some() {
        return Err(Failure::usage("failed to use --demo: it is for `nisse up`"));
    }
    let home = config::home(shared.home.as_deref())?;
    super::check_home(&home)?;
    let options = config::load(&home, &flags)?.options;
    if matches!(options.chain, ChainChoice::Embedded { .. }) {
        let text = "failed to serve others: the embedded chain is this home's own";
        return Err(Failure::usage(text).hint("name the market's chain with --chain URL --contract ADDR"));
    }
    if options.stake.is_none() {
        flags.stake = Some(STAKE_DEFAULT.to_owned());
    }
    run(shared, &flags).await
}

pub(crate) async fn run(shared: &Shared, flags: &Up) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut timeline = Timeline::begin(Arc::clone(&clock));
    let events = EventLog::default();
    logging(shared.json, &events);
    secret_input::keep_memory_closed();
    let home = config::home(shared.home.as_deref())?;
    super::check_home(&home)?;
    let mut options = config::load(&home, flags)?.options;
    let demo = match flags.demo {
        Some(mode) => {
            timeline = timeline.heard_by(output::step);
            Some(Demo::prepare(mode, &home, &mut options, &mut timeline).await?)
        }
        None => None,
    };
    check_loopback("--api", options.api)?;
    options.rpc.map_or(Ok(()), |rpc| check_loopback("--rpc", rpc))?;
    know_the_chain(&mut options.chain).await?;
    let (api, public, rpc) = (options.api, options.public, options.rpc);
    let serves_elsewhere = options.stake.is_some() && options.endpoint.is_none() && options.suffix == "localhost";
    let strangers = !matches!(options.accept, AcceptList::Own | AcceptList::HomeKeys);
    let files_max = raise_files_max();
    // Bound before the home is touched: a taken port costs nothing.
    let listeners = Listeners::bind(api, public, rpc).await.map_err(|error| {
        Failure::new(Exit::Failed, format!("failed to {error}"))
            .hint("name other addresses with --api and --public; port 0 takes a free one")
    })?;
    let bound = listeners.bound().map_err(|error| Failure::new(Exit::Failed, format!("failed to listen: {error}")))?;
    options.public = bound.public;
    let seams = Seams { disk: Arc::new(SystemDisk), clock, entropy: Arc::new(SystemEntropy) };
    let node = Node::open(options, seams, &mut timeline).await?;
    events.open(&home).map_err(|error| {
        Failure::new(Exit::Failed, format!("failed to write to {}: {error}", home.join("logs").display()))
    })?;
    node.listening(bound.api, bound.public, bound.rpc);
    listeners.serve(&node, files_max);
    node.serving()?;
    if serves_elsewhere {
        output::line("others reach this node on this machine alone: say with --endpoint URL where they find it");
    }
    if strangers {
        output::line("strangers' agents are accepted: they run in this process, behind WebAssembly alone");
    }
    if let Some(told) = vault_told(&node).await {
        output::line(told);
    }
    match &demo {
        Some(demo) => demo.run(&node, &mut timeline).await?,
        None => {
            let chain = bound.rpc.map(|rpc| format!(", and its chain on {rpc}")).unwrap_or_default();
            output::line(format!("nisse serves agents on {}, its owner on {}{chain}", bound.public, bound.api));
            if let (Some(rpc), Ok(status)) = (bound.rpc, node.status().await)
                && let Some(join) = super::market::join_command(&format!("http://{rpc}"), &status)
            {
                output::line(format!("another node joins its market with `{join}`"));
            }
        }
    }
    let ended = until_the_end(&node).await;
    node.shut_down().await;
    ended
}

/// What there is to say of a vault that did not open by itself.
async fn vault_told(node: &Node) -> Option<String> {
    let status = Some(node.vault_at_start().await).filter(|status| status.sealed)?;
    let trouble = status.trouble.unwrap_or_else(|| "`nisse unlock` opens it".to_owned());
    Some(format!("the vault is sealed: {trouble}"))
}

/// Raises how many files and connections this process may have open as far as it may, and gives what came of it.
fn raise_files_max() -> u64 {
    let hard = getrlimit(Resource::Nofile).maximum;
    // Where it may not be raised, the node makes do with what there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// What only this machine may reach.
fn check_loopback(flag: &str, address: SocketAddr) -> Result<(), Failure> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(format!("failed to listen on {address} for {flag}: it is served on loopback only"))
        .hint(format!("give {flag} 127.0.0.1:{}", address.port())))
}

/// Asks a chain of the operator's choice for its id, where no id was given to hold it against.
async fn know_the_chain(chain: &mut ChainChoice) -> Result<(), Failure> {
    let ChainChoice::Remote { url, chain_id, .. } = chain else { return Ok(()) };
    if *chain_id != config::CHAIN_ID_UNKNOWN {
        return Ok(());
    }
    let unreachable = |why: String| {
        Failure::new(Exit::Unreachable, format!("failed to ask {url} for its chain id: {why}"))
            .hint("with --chain-id ID the node starts without the chain and finds it later")
    };
    let question = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] }).to_string();
    let asked = OperatorClient::default()
        .post(url, "application/json", question.into(), CHAIN_ID_TIME_MAX, CHAIN_ID_BYTES_MAX)
        .await
        .map_err(|error| unreachable(crate::failure::chain(&error)))?;
    let answer: serde_json::Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let id = answer["result"].as_str().and_then(|id| u64::from_str_radix(id.strip_prefix("0x")?, 16).ok());
    *chain_id = id
        .filter(|id| *id != config::CHAIN_ID_UNKNOWN)
        .ok_or_else(|| unreachable(format!("it answered {} without one", asked.status)))?;
    Ok(())
}

/// A signal, or a failure that the node cannot go on after.
async fn until_the_end(node: &Node) -> Result<(), Failure> {
    let unheard = |error: std::io::Error| Failure::new(Exit::Failed, format!("failed to listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        reason = node.failed() => Err(Failure::new(Exit::Failed, format!("failed to go on: {reason}"))
            .hint("nothing that was acknowledged is lost; `nisse up` recovers")),
    }
}

/// Logs go to stderr, and `RUST_LOG` chooses them; events go to the home besides.
fn logging(json: bool, events: &EventLog) {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    use tracing_subscriber::{EnvFilter, Layer as _};
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colour = output::has_colour(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr);
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    // Set once in the life of the process.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(events.layer()).try_init();
}
