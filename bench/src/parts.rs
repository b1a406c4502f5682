//! The rows that the crates' own benches measure: they print one JSON object a line, here they meet their aims.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::program;
use crate::table::{Row, time};

/// What one bench printed.
struct Figures(BTreeMap<String, f64>);

impl Figures {
    fn of(package: &str, name: &'static str) -> anyhow::Result<Self> {
        let mut command = Command::new(program::bench(package, name)?);
        let output = command.args(["--bench", "--json"]).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "{command:?} ended with {}", output.status);
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let figure = |line: &[u8]| {
            let figure: Value = serde_json::from_slice(line)?;
            let (name, value) = (figure["name"].as_str(), figure["value"].as_f64());
            Ok((name.context("its name")?.to_owned(), value.context("its value")?))
        };
        Ok(Self(lines.map(figure).collect::<anyhow::Result<_>>()?))
    }

    fn get(&self, name: &str) -> anyhow::Result<f64> {
        self.0.get(name).copied().with_context(|| format!("the bench printed no `{name}`"))
    }

    fn seconds(&self, name: &str) -> anyhow::Result<Duration> {
        Ok(Duration::from_secs_f64(self.get(name)?))
    }
}

/// Calls into the sandbox, and the memory that they leave behind.
pub(crate) fn sandbox() -> anyhow::Result<Vec<Row>> {
    let calls = Figures::of("nisse-sandbox", "sandbox")?;
    let memory = Figures::of("nisse-sandbox", "density")?;
    let journal = Figures::of("nisse-store", "journal")?;
    let micros = |what: &str, name: &str, aim: &str, limit: f64| {
        let value = calls.get(name)?;
        Ok::<_, anyhow::Error>(Row::at_most(what, aim, time(Duration::from_secs_f64(value / 1e6)), value, limit))
    };
    let share = Duration::from_secs_f64(1.0 / journal.get("appends 512")?);
    let (live, rest) = (memory.get("live")?, memory.get("resting")?);
    Ok(vec![
        micros("event, 3 host calls, fresh instance", "event fresh", "<= 25 us", 25.0)?,
        micros("event, 3 host calls, live", "event live", "<= 1.5 us", 1.5)?,
        micros("event, 3 host calls, live and recorded", "event recorded", "<= 3 us + share of commit", 3.0)?
            .beside(format!("share of a commit {}", time(share))),
        micros("instantiate", "instantiate", "<= 7 us", 7.0)?,
        micros("cached component -> first reply", "first reply", "<= 1.5 ms", 1_500.0)?,
        Row::at_most("live Rust agent, idle, with page tables", "<= 40 KiB", format!("{live:.1} KiB"), live, 40.0),
        Row::at_most("agent at rest: linked, no instance", "<= 1 KiB", format!("{rest:.1} KiB"), rest, 1.0),
    ])
}

/// The embedded chain beside the disk's own syncs.
pub(crate) fn chain() -> anyhow::Result<Vec<Row>> {
    let chain = Figures::of("nisse-market", "chain")?;
    let (sync, send, call) = (chain.seconds("fs")?, chain.seconds("send")?, chain.seconds("eth_call")?);
    let at_most = |what, aim, ours: Duration, limit: Duration| {
        Row::at_most(what, aim, time(ours), ours.as_secs_f64(), limit.as_secs_f64())
    };
    let replay = chain.get("replay")?;
    Ok(vec![
        at_most("embedded chain: send + receipt", "<= fs + 0.5 ms", send, sync + Duration::from_micros(500))
            .beside(format!("fs {}", time(sync))),
        at_most("embedded chain: eth_call", "< 0.1 ms", call, Duration::from_micros(100)),
        Row::at_least("embedded chain: replay", ">= 5000 tx/s", format!("{replay:.0} tx/s"), replay, 5_000.0),
    ])
}

/// Heartbeats, and the way back to a chain's head beside its bare logs.
pub(crate) fn market() -> anyhow::Result<Vec<Row>> {
    let market = Figures::of("nisse-market", "market")?;
    let (root, keccak) = (market.seconds("root")?, market.seconds("keccak")?);
    let heartbeat = |leases: u32, beside: String| {
        let (what, gas) = (format!("gas: heartbeat, leases: {leases}"), market.get(&format!("heartbeat {leases}"))?);
        let row = Row::at_most(&what, "<= 33k", format!("{:.1}k", gas / 1e3), gas, 33e3);
        Ok::<_, anyhow::Error>(row.beside(beside))
    };
    let hashed = format!("its root {}, Keccak-256 {}", time(root), time(keccak));
    let (read, bare) = (market.seconds("catch up")?, market.seconds("eth_getLogs")?);
    let rate = market.get("blocks")? / read.as_secs_f64();
    Ok(vec![
        heartbeat(1, String::new())?,
        heartbeat(100, String::new())?,
        heartbeat(10_000, hashed)?,
        Row::at_most(
            "catch up with 1,000,000 blocks over loopback",
            "< 60 s",
            format!("{} {rate:.0}/s", time(read)),
            read.as_secs_f64(),
            60.0,
        )
        .beside(format!("bare eth_getLogs {}", time(bare))),
    ])
}

/// A fetch beside what loopback and hashing allow.
pub(crate) fn content() -> anyhow::Result<Vec<Row>> {
    let content = Figures::of("nisse-content", "content")?;
    let (fetch, hash, moved) = (content.get("fetch")?, content.get("sha256")?, content.get("loopback")?);
    Ok(vec![
        Row::at_least(
            "verify and assemble 10 MB over loopback",
            ">= 250 MB/s",
            format!("{fetch:.0} MB/s"),
            fetch,
            250.0,
        )
        .beside(format!("SHA-256 {hash:.0}, loopback {moved:.0} MB/s")),
    ])
}

/// A cold log of credentials beside its signatures alone.
pub(crate) fn credentials() -> anyhow::Result<Vec<Row>> {
    let figures = Figures::of("nisse-model", "credentials")?;
    let (cold, rules, signatures) =
        (figures.seconds("10,000 cold")?, figures.seconds("its rules")?, figures.seconds("its signatures")?);
    let row = Row::at_most("10,000 credentials, cold", "<= 1 s", time(cold), cold.as_secs_f64(), 1.0);
    Ok(vec![row.beside(format!("signatures {}, rules {}", time(signatures), time(rules)))])
}

/// Peers over loopback, beside TCP without keys and encryption.
pub(crate) fn link() -> anyhow::Result<Vec<Row>> {
    let figures = Figures::of("nisse-link", "link")?;
    let shown = |name: &str| figures.seconds(name).map(time);
    let dial = figures.seconds("dial p50")?;
    let (rate, tcp_rate) = (figures.get("MiB/s")?, figures.get("tcp MiB/s")?);
    let beside_dial = format!(
        "TCP {}; p95 {}, with a new link {}",
        shown("tcp dial p50")?,
        shown("dial p95")?,
        shown("bind and dial p50")?
    );
    let beside_rate = format!(
        "TCP {tcp_rate:.0} MiB/s; a question on a fresh stream {}, p95 {}, TCP {}",
        shown("exchange p50")?,
        shown("exchange p95")?,
        shown("tcp exchange p50")?
    );
    Ok(vec![
        Row::at_most("dial by key, warm, until admitted", "<= 3 ms", time(dial), dial.as_secs_f64(), 3e-3)
            .beside(beside_dial),
        Row::at_least("one stream, 64 MiB", ">= 300 MiB/s", format!("{rate:.0} MiB/s"), rate, 300.0)
            .beside(beside_rate),
    ])
}

/// What the contracts cost: the figures that CI measures and holds within 2 %.
pub(crate) fn gas() -> anyhow::Result<Vec<Row>> {
    let figures = std::fs::read(program::repository().join("contracts/gas.json"))?;
    let figures: BTreeMap<String, f64> = serde_json::from_slice(&figures)?;
    let row = |name: &str, limit: f64| {
        let gas = *figures.get(name).with_context(|| format!("gas.json has no `{name}`"))?;
        let aim = format!("<= {:.0}k", limit / 1e3);
        Ok(Row::at_most(&format!("gas: {name}"), &aim, format!("{:.1}k", gas / 1e3), gas, limit))
    };
    [
        ("deploy", 160e3),
        ("bid first", 55e3),
        ("bid better", 55e3),
        ("assign", 60e3),
        ("settle", 50e3),
        ("whole life, bid assigned at once", 380e3),
        ("whole life, with a bid window", 380e3),
    ]
    .into_iter()
    .map(|(name, limit)| row(name, limit))
    .collect()
}
