//! `market rehearse`: the market's whole cycle on loopback, with real processes and no coin: nodes bid for an order, one
//! runs it and is killed, the next takes over, and every unit of money is accounted for.
//!
//! The market and its renter live in this process, each node in one of its own. Time is the development chain's: it is
//! moved from one heartbeat period to the next, and everybody else waits for blocks as anywhere.

mod cast;
mod chain;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use nisse_api::Listeners;
use nisse_model::Amount;
use nisse_node::control::{DeployRequest, InvokeRequest, NodeStatus, PackageUpload};
use nisse_node::{ErrorKind, KeyName, Node, Seams, Timeline};
use nisse_store::{Clock, SystemClock, SystemDisk, SystemEntropy};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use self::cast::Actor;
use self::chain::Chain;
use crate::cli::{Cli, Command, NodeCommand, Up};
use crate::failure::{Exit, Failure};
use crate::{config, output};

/// The agent of the rehearsal, as it lies in the repository: it answers with what it is told.
const MANIFEST: &str = include_str!("../../../examples/guests/echo/agent.yaml");
const ARTIFACT: &[u8] = include_bytes!("../../../examples/guests/echo/echo.wasm");
/// What the renter pays in, and is given to pay it with.
const PAYMENT: &str = "100";
/// The most that the renter pays per hour.
const MAX_RATE: u64 = 80;
/// What the first node asks per hour; each next one asks for two more.
const RATE_FIRST: u64 = 40;
const RATE_STEP: usize = 2;
/// Seconds for which the order collects bids.
const BID_WINDOW_SECONDS: u32 = 4;
/// How long each step may take.
const STEP_MAX: Duration = Duration::from_secs(90);
/// Longer than nodes leave between two looks at the clock.
const LOOKS: Duration = Duration::from_secs(3);
/// How often it is looked whether a step has come.
const LOOK: Duration = Duration::from_millis(100);

fn is_staked(node: &NodeStatus) -> bool {
    node.stake.as_ref().is_some_and(|stake| stake != "0")
}

/// Where money came from or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Entry {
    what: String,
    #[serde(skip)]
    amount: Amount,
    talos: String,
}

impl Entry {
    fn new(what: impl Into<String>, amount: Amount) -> Self {
        Self { what: what.into(), amount, talos: amount.to_string() }
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Ledger {
    paid_in: Vec<Entry>,
    paid_out: Vec<Entry>,
}

impl Ledger {
    fn sum(entries: &[Entry]) -> Amount {
        Amount(entries.iter().map(|entry| entry.amount.0).sum())
    }

    fn print(&self) {
        for (title, entries) in [("in", &self.paid_in), ("out", &self.paid_out)] {
            for Entry { what, talos, .. } in entries {
                output::line(format!("{title:>4}  {talos:>26}  {what}"));
            }
            output::line(format!("{:>4}  {:>26}  in all", "", Self::sum(entries).to_string()));
        }
    }
}

/// Runs the whole cycle in a folder of its own. Only where something went wrong does it stay behind.
pub(crate) async fn run(nodes: u64, json: bool) -> Result<(), Failure> {
    let name = format!("nisse-rehearsal-{}-{}", std::process::id(), SystemClock::default().now().0);
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).map_err(|error| {
        failed(format!("make the folder {}: {error}", folder.display())).hint("TMPDIR says where temporary folders are")
    })?;
    // Whatever ends this ends the nodes with it.
    let (rehearsed, stopped) = tokio::select! {
        rehearsed = rehearse(&folder, nodes, json) => (rehearsed, false),
        ended = signalled() => (ended, true),
    };
    if stopped || rehearsed.is_ok() {
        // What cannot be removed there is nobody's.
        let _ = std::fs::remove_dir_all(&folder);
    }
    match rehearsed {
        Ok(ledger) => {
            if json {
                output::json(&ledger);
            } else {
                ledger.print();
            }
            Ok(())
        }
        Err(failure) if stopped => Err(failure),
        Err(failure) => {
            Err(failure.hint(format!("what each node said stands in {}; it can be removed", folder.display())))
        }
    }
}

/// Waits for the word to stop.
async fn signalled() -> Result<Ledger, Failure> {
    let unheard = |error: std::io::Error| failed(format!("listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(unheard)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Err(failed("rehearse to the end: it was stopped"))
}

async fn rehearse(folder: &Path, nodes: u64, json: bool) -> Result<Ledger, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let timeline = Timeline::begin(Arc::clone(&clock));
    let mut timeline = if json { timeline } else { timeline.heard_by(output::step) };
    let ports = free_ports(nodes)?;
    let market = open_market(&folder.join("market"), clock, &ports, &mut timeline).await?;
    let played = async {
        let status = market.status().await?;
        let chain = Chain::of(&status)?;
        tokio::select! {
            failure = chain.make_blocks() => Err(failure),
            played = play(&market, &chain, Stage { folder, status, ports }, &mut timeline) => played,
        }
    };
    let played = played.await;
    market.shut_down().await;
    played
}

/// Ports of this machine that nobody listens on: each node announces its own before it is up.
fn free_ports(count: u64) -> Result<Vec<u16>, Failure> {
    let taken = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    // All are held until the last one is known.
    let taken = taken.collect::<std::io::Result<Vec<_>>>();
    let ports = taken.and_then(|taken| taken.iter().map(|port| Ok(port.local_addr()?.port())).collect());
    ports.map_err(|error| failed(format!("find free ports: {error}")))
}

/// Where the nodes are to be.
struct Stage<'a> {
    folder: &'a Path,
    status: NodeStatus,
    ports: Vec<u16>,
}

/// The renter's node, with the market's chain in it. Nodes of this machine are dialled on its owner's word alone.
async fn open_market(
    home: &Path,
    clock: Arc<dyn Clock>,
    ports: &[u16],
    timeline: &mut Timeline,
) -> Result<Arc<Node>, Failure> {
    let free = "127.0.0.1:0";
    let dialled: Vec<String> =
        (1..).zip(ports).map(|(number, port)| format!("{}:{port}:127.0.0.1:{port}", cast::host(number))).collect();
    let dialled = dialled.iter().flat_map(|exception| ["--connect-to", exception]);
    let own = ["--chain-dev", "--rpc", free, "--api", free, "--public", free];
    let flags = up(own.into_iter().chain(dialled))?;
    let mut options = config::load(home, &flags)?.options;
    let listeners = Listeners::bind(options.api, options.public, options.rpc).await;
    let listeners = listeners.map_err(|error| failed(error.to_string()))?;
    let bound = listeners.bound().map_err(|error| failed(format!("listen: {error}")))?;
    options.public = bound.public;
    let seams = Seams { disk: Arc::new(SystemDisk), clock, entropy: Arc::new(SystemEntropy) };
    let node = Node::open(options, seams, timeline).await?;
    node.listening(bound.api, bound.public, bound.rpc);
    listeners.serve(&node, u64::from(u16::MAX));
    node.serving()?;
    Ok(node)
}

/// Flags as if they had been typed.
fn up<'a>(flags: impl Iterator<Item = &'a str>) -> Result<Up, Failure> {
    let typed =
        Cli::try_parse_from(["nisse", "up"].into_iter().chain(flags)).map_err(|error| failed(error.to_string()))?;
    match typed.command {
        Command::Up(flags) | Command::Node(NodeCommand::Serve(flags)) => Ok(*flags),
        _ => Err(failed("start a node".to_owned())),
    }
}

async fn play(market: &Node, chain: &Chain, stage: Stage<'_>, timeline: &mut Timeline) -> Result<Ledger, Failure> {
    let mut cast = Vec::new();
    for (rate, port) in (RATE_FIRST..).step_by(RATE_STEP).zip(&stage.ports) {
        let number = cast.len() + 1;
        let mut actor = Actor::start(stage.folder, number, rate, *port, &stage.status)?;
        let up = actor.wait_for(is_staked, "register").await?;
        let stake = up.stake.unwrap_or_default();
        timeline.note("node", format!("{} asks {rate} TALOS per hour, with {stake} staked", actor.name));
        actor.operator = up.operator;
        cast.push(actor);
    }

    let deployment = rent(market, timeline).await?;
    let first = holder(market, &cast, &deployment, None).await?;
    timeline.note("runs", format!("{} has it: the lowest bid", cast[first].name));
    speak(market, &deployment, timeline).await?;

    chain.go_to_next_period(chain::Moment::Shown).await?;
    timeline.note("clock", "moved on from one heartbeat period to the next, here and below: money runs by it");
    let period = chain.period().await?;
    cast[first].wait_for(|node| node.heartbeat_last >= Some(period), "show life").await?;
    timeline.note("lives", format!("{} said so on the chain", cast[first].name));
    chain.go_to_next_period(chain::Moment::Begun).await?;
    cast[first].kill().await?;
    timeline.note("killed", format!("{}, without a word", cast[first].name));
    // It misses a whole period, of which the others see the beginning.
    chain.go_to_next_period(chain::Moment::Begun).await?;
    tokio::time::sleep(LOOKS).await;
    chain.go_to(chain::Moment::Told).await?;
    let second = holder(market, &cast, &deployment, Some(first)).await?;
    timeline.note("taken over", format!("{} has it: the lowest bid of those that are left", cast[second].name));
    speak(market, &deployment, timeline).await?;
    chain.go_to_next_period(chain::Moment::Shown).await?;
    let period = chain.period().await?;
    cast[second].wait_for(|node| node.heartbeat_last >= Some(period), "show life").await?;

    market.stop(&deployment).await?;
    let refund = told(market, &deployment, "stopped").await?;
    timeline.note("stopped", format!("{refund} TALOS go back to the renter"));
    cast[first].start_again()?;
    cast[first].wait_for(|node| node.agents == 0 && is_staked(node), "come back and let go of it").await?;
    let lost = told(market, &deployment, "missed").await?;
    timeline.note(
        "back",
        format!("{} comes back without the lease, and has lost {lost} TALOS of its stake", cast[first].name),
    );
    settle(market, &cast, lost, refund, timeline).await
}

/// The renter's order, with money of the faucet's.
async fn rent(market: &Node, timeline: &mut Timeline) -> Result<String, Failure> {
    market.endow_deployer(PAYMENT).await?;
    let request = DeployRequest {
        package: PackageUpload::of(MANIFEST.to_owned(), ARTIFACT),
        payment: Some(PAYMENT.to_owned()),
        max_rate: Some(MAX_RATE.to_string()),
        bid_window_seconds: Some(BID_WINDOW_SECONDS),
        select: None,
        instant: false,
        key: Some(KeyName::Deployer.as_str().to_owned()),
        wait_ms: Some(u64::try_from(STEP_MAX.as_millis()).unwrap_or(u64::MAX)),
        space: None,
    };
    Ok(market.deploy(request, timeline).await?.deployment)
}

/// Which of the cast runs it, once one does that is not `lost`.
async fn holder(market: &Node, cast: &[Actor], deployment: &str, lost: Option<usize>) -> Result<usize, Failure> {
    within("see a node run the agent", async {
        loop {
            let agent = market.agent(deployment).await?;
            let holds = |actor: &Actor| agent.node.as_deref() == Some(actor.operator.as_str());
            let found = cast.iter().position(holds).filter(|place| Some(*place) != lost);
            if let Some(place) = found.filter(|_| agent.state == "running") {
                return Ok(place);
            }
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
}

/// Asks the agent something, through its node.
async fn speak(market: &Node, deployment: &str, timeline: &mut Timeline) -> Result<(), Failure> {
    let asked = serde_json::json!("are you there?");
    let request = || InvokeRequest { data: Some(asked.clone()), base64: None, content_type: None, kind: None };
    let answer = within("hear the agent", async {
        loop {
            match market.invoke(deployment, request()).await {
                Ok(answer) => return Ok(answer),
                // A node that has just taken it may still be on its way.
                Err(error) if error.kind == ErrorKind::Unreachable || error.kind == ErrorKind::Conflict => {
                    tokio::time::sleep(LOOK).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    });
    let answer = answer.await?;
    if answer.text != Some(asked.to_string()) {
        return Err(failed(format!("hear the agent: it said {:?}", answer.text)));
    }
    timeline.note("answers", format!("record {} of the deployment, signed by its node", answer.seq));
    Ok(())
}

/// The amount that an event of the order's life tells of.
async fn told(market: &Node, deployment: &str, name: &str) -> Result<Amount, Failure> {
    let entry = market.market_show(deployment).await?;
    let event = entry.events.iter().find(|event| event.event == name);
    amount(event.and_then(|event| event.detail.split(' ').next()).unwrap_or_default())
}

/// Everybody draws what is theirs; then all that went in must have come out.
async fn settle(
    market: &Node,
    cast: &[Actor],
    lost: Amount,
    refund: Amount,
    timeline: &mut Timeline,
) -> Result<Ledger, Failure> {
    let paid_in = vec![
        Entry::new("paid in by the renter", amount(PAYMENT)?),
        Entry::new("taken from the silent node's stake", lost),
    ];
    let mut paid_out = vec![Entry::new("back to the renter", refund)];
    for actor in cast {
        if let Some(drawn) = actor.withdraw().await? {
            timeline.note("withdrawn", format!("{drawn} TALOS by {}", actor.name));
            paid_out.push(Entry::new(format!("drawn by {}", actor.name), drawn));
        }
    }
    if amount(&market.earnings().await?.withdrawable)? > Amount(0) {
        let drawn = amount(&market.withdraw(None).await?.amount)?;
        timeline.note("withdrawn", format!("{drawn} TALOS by the renter and the market"));
        paid_out.push(Entry::new("drawn by the renter, for the silence, and by the market's treasury", drawn));
    }
    let ledger = Ledger { paid_in, paid_out };
    let [paid_in, paid_out] = [&ledger.paid_in, &ledger.paid_out].map(|entries| Ledger::sum(entries));
    if paid_in != paid_out {
        return Err(failed(format!("account for all money: {paid_in} TALOS went in, {paid_out} came out")));
    }
    Ok(ledger)
}

/// Bounds a step.
async fn within<T>(what: &str, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = || failed(format!("{what} within {} s", STEP_MAX.as_secs()));
    tokio::time::timeout(STEP_MAX, step).await.map_err(|_| late())?
}

fn amount(text: &str) -> Result<Amount, Failure> {
    text.parse().map_err(|error| failed(format!("read the amount `{text}`: {error}")))
}

fn failed(text: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("failed to {text}"))
}
