//! A node on the release binary: what it takes when nothing happens, how soon an agent is live, and how soon it serves
//! again after it was killed.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::load::ask;
use crate::program;
use crate::server::{Node, memory_kib};
use crate::table::{Row, median, time};

/// Starts of an idle node, and deploys, whose median counts.
const TIMES: usize = 9;
/// Processor share of each agent here, so that all of them find room.
const SHARE: &str = "0.1";
/// Kills. Of so few the 99th percentile is the worst.
const KILLS: usize = 25;
/// Acknowledged writes before each kill.
const WRITES: u64 = 20;
/// An idle node's memory is read when it has served for so long.
const SETTLE: Duration = Duration::from_secs(1);
/// How long a node may take until its agent answers.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let program = program::nisse()?;
    let folder = tempfile::tempdir()?;
    let sync = sync_p50(folder.path())?;
    let mut rows = idle(&program, &folder.path().join("idle"))?;
    rows.push(deploys(&program, &folder.path().join("deploys"), sync)?);
    rows.extend(kills(&program, &folder.path().join("kills"))?);
    Ok(rows)
}

fn idle(program: &Path, home: &Path) -> anyhow::Result<Vec<Row>> {
    // The first start makes keys, chain and contracts.
    drop(Node::up(program, home)?);
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let begun = Instant::now();
        let node = Node::up(program, home)?;
        starts.push(begun.elapsed().as_secs_f64());
        std::thread::sleep(SETTLE);
        memory.push(memory_kib(node.server.pid(), "VmRSS")? / 1024.0);
    }
    let (start, memory) = (median(starts), median(memory));
    let took = time(Duration::from_secs_f64(start));
    Ok(vec![
        Row::at_most("idle node: memory", "<= 60 MiB RSS", format!("{memory:.1} MiB"), memory, 60.0),
        Row::at_most("idle node: start -> serving", "<= 150 ms + replay", took, start, 0.15),
    ])
}

fn deploys(program: &Path, home: &Path, sync: Duration) -> anyhow::Result<Row> {
    let mut node = Node::up(program, home)?;
    // The first one compiles.
    node.deploy("proxy-hello", "first", SHARE)?;
    let mut times = Vec::new();
    for number in 0..TIMES {
        let begun = Instant::now();
        node.deploy("proxy-hello", &format!("again{number}"), SHARE)?;
        times.push(begun.elapsed().as_secs_f64());
    }
    let (ours, limit) = (median(times), 0.1 + 12.0 * sync.as_secs_f64());
    let took = time(Duration::from_secs_f64(ours));
    let row = Row::at_most("deploy -> live at home, compiled before", "< 100 ms + 12 fs", took, ours, limit);
    Ok(row.beside(format!("fs {}, the limit {}", time(sync), time(Duration::from_secs_f64(limit)))))
}

/// `kill -9` under an agent that has just acknowledged writes.
fn kills(program: &Path, home: &Path) -> anyhow::Result<Vec<Row>> {
    let mut node = Node::up(program, home)?;
    node.deploy("counter", "counter", SHARE)?;
    let name = node.server.host.split(':').next().context("the agent's host")?.to_owned();
    let (mut times, mut expected, mut lost) = (Vec::new(), 0_u64, 0);
    for _ in 0..KILLS {
        for _ in 0..WRITES {
            expected += 1;
            let answer = ask(node.server.address, &name, "POST")?;
            ensure!(answer.trim().parse() == Ok(expected), "the count is {answer} after {expected} writes");
        }
        // Dropping it kills it; what follows is what a service manager does.
        drop(node);
        let begun = Instant::now();
        node = Node::up(program, home)?;
        let count: u64 = loop {
            match ask(node.server.address, &name, "GET") {
                Ok(answer) => break answer.trim().parse()?,
                Err(error) => ensure!(begun.elapsed() < PATIENCE, "it does not serve again: {error:#}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        times.push(begun.elapsed().as_secs_f64());
        lost += expected.saturating_sub(count);
    }
    let (middle, worst) = (median(times.iter().copied()), times.iter().copied().fold(0.0, f64::max));
    let took = |seconds| time(Duration::from_secs_f64(seconds));
    Ok(vec![
        Row::at_most("kill -9 -> serving again, worst", "<= 1 s p99", took(worst), worst, 1.0)
            .beside(format!("median {} of {KILLS}", took(middle))),
        Row {
            ratio: String::new(),
            ..Row::at_most("kill -9: acknowledged writes lost", "0", format!("{lost} of {expected}"), lost as f64, 0.0)
        },
    ])
}

/// What the disk needs to make 4 KiB durable.
fn sync_p50(folder: &Path) -> anyhow::Result<Duration> {
    let mut file = std::fs::File::create(folder.join("fs"))?;
    let mut times = Vec::new();
    for _ in 0..300 {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(times)))
}
