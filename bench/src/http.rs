//! An HTTP agent on the release binary's public listener beside bare hyper, in turns. The agent is live and only reads;
//! receipts are on.

use std::process::Command;
use std::time::Duration;

use crate::load::{Turn, turn};
use crate::program;
use crate::server::{Node, Says, Server};
use crate::table::{Row, median};

/// Turns of each server; the median counts.
const ROUNDS: usize = 9;
/// Load in one turn.
const ROUND: Duration = Duration::from_secs(1);

/// Medians of all turns of one server.
pub(crate) struct Medians {
    pub(crate) rate: f64,
    pub(crate) cpu_us: f64,
}

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut node = Node::up(&program::nisse()?, &folder.path().join("home"))?;
    node.deploy("proxy-hello", "hello", "1")?;
    let hyper = hyper()?;
    let medians = compare(&[&hyper, &node.server])?;
    let [hyper, ours] = &medians[..] else { unreachable!("two servers were compared") };
    let (rate, cpu) = (ours.rate / hyper.rate, ours.cpu_us / hyper.cpu_us);
    Ok(vec![
        Row {
            ratio: format!("{rate:.2}"),
            ..Row::at_least("HTTP agent, live, receipts on: rps", ">= 0.50 of hyper", per_second(ours), rate, 0.5)
                .beside(per_second(hyper))
        },
        Row {
            ratio: format!("{cpu:.2}"),
            ..Row::at_most("HTTP agent, live, receipts on: CPU/request", "<= 2.2 of hyper", cpu_us(ours), cpu, 2.2)
                .beside(cpu_us(hyper))
        },
    ])
}

pub(crate) fn per_second(medians: &Medians) -> String {
    format!("{:.0}/s", medians.rate)
}

pub(crate) fn cpu_us(medians: &Medians) -> String {
    format!("{:.1} us", medians.cpu_us)
}

fn hyper() -> anyhow::Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("hyper");
    Server::start("bare hyper", command, Says::Stdout)
}

/// Every server in turn, round after round, so that the machine's noise falls on all of them alike.
pub(crate) fn compare(servers: &[&Server]) -> anyhow::Result<Vec<Medians>> {
    let mut turns: Vec<Vec<Turn>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (server, turns) in servers.iter().zip(&mut turns) {
            turns.push(turn(server.address, &server.host, ROUND, || server.cpu_seconds())?);
        }
    }
    let of = |turns: &[Turn], pick: fn(&Turn) -> f64| median(turns.iter().map(pick));
    for (server, turns) in servers.iter().zip(&turns) {
        let of = |pick| of(turns, pick);
        let (rate, cpu) = (of(|turn| turn.rate), of(|turn| turn.cpu_us));
        let (p50, p99) = (of(|turn| turn.p50_us), of(|turn| turn.p99_us));
        eprintln!("{:<44} {rate:>8.0}/s {cpu:>7.1} us CPU/request  p50 {p50:>6.0} us  p99 {p99:>6.0} us", server.name);
    }
    let medians =
        |turns: &Vec<Turn>| Medians { rate: of(turns, |turn| turn.rate), cpu_us: of(turns, |turn| turn.cpu_us) };
    Ok(turns.iter().map(medians).collect())
}
