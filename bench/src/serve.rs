//! The bare sandbox behind hyper beside `wasmtime serve`, with the same component, in turns; and how soon the sandbox's
//! process answers.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::http::{Medians, compare, cpu_us, per_second};
use crate::load::ask;
use crate::program::{self, repository};
use crate::server::{Says, Server};
use crate::table::{Row, median, time};

/// What `wasmtime serve` 48 offers to make a fresh instance cheaper. The best of them counts.
const KEEP_RESIDENT: &[&str] = &["-O", "pooling-memory-keep-resident=131072,pooling-table-keep-resident=16384"];
const NO_P3: &[&str] = &["-S", "p3=n", "-W", "component-model-async=n"];
const STACKS_RESIDENT: &[&str] = &["-O", "pooling-async-stack-keep-resident=65536"];
const PAGEMAP_SCAN: &[&str] = &["-O", "pooling-pagemap-scan=y"];
/// As often as its own default for p3 components, and as often as nisse.
const REUSE: [&[&str]; 2] = [&["--max-instance-reuse-count", "128"], &["--max-instance-reuse-count", "100000"]];
/// Starts of the process whose median counts.
const SPAWNS: usize = 15;

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let artifact = repository().join("examples/guests/proxy-hello/proxy-hello.wasm");
    let cache = tempfile::tempdir()?;
    let mut rows = reused(&artifact, cache.path())?;
    rows.extend(fresh(&artifact, cache.path())?);
    rows.push(first_answer(&artifact, cache.path())?);
    Ok(rows)
}

fn reused(artifact: &Path, cache: &Path) -> anyhow::Result<Vec<Row>> {
    let ours = ours("live", artifact, cache)?;
    let best = [REUSE[1], KEEP_RESIDENT, NO_P3].concat();
    let (few, many) = (wasmtime(artifact, REUSE[0], &[])?, wasmtime(artifact, &best, &[])?);
    let medians = compare(&[&ours, &few, &many])?;
    let [ours, peers @ ..] = &medians[..] else { unreachable!("three servers were compared") };
    Ok(vec![row("sandbox, live instances: rps", ">= 1.1 of wasmtime serve", ours, fastest(peers), 1.1)])
}

fn fresh(artifact: &Path, cache: &Path) -> anyhow::Result<Vec<Row>> {
    let ours = ours("fresh", artifact, cache)?;
    let one_worker = &[("TOKIO_WORKER_THREADS", "1")];
    let best = [KEEP_RESIDENT, NO_P3].concat();
    let peers = [
        wasmtime(artifact, &[], &[])?,
        wasmtime(artifact, KEEP_RESIDENT, &[])?,
        wasmtime(artifact, &[&best[..], STACKS_RESIDENT].concat(), &[])?,
        wasmtime(artifact, &[&best[..], PAGEMAP_SCAN].concat(), &[])?,
        wasmtime(artifact, &[&best[..], PAGEMAP_SCAN].concat(), one_worker)?,
    ];
    let medians = compare(&std::iter::once(&ours).chain(&peers).collect::<Vec<_>>())?;
    let [ours, default, others @ ..] = &medians[..] else { unreachable!("six servers were compared") };
    Ok(vec![
        row("sandbox, fresh instance each: rps, default flags", ">= 1.5 of wasmtime serve", ours, default, 1.5),
        row("sandbox, fresh instance each: rps, best flags", ">= 1.2 of wasmtime serve", ours, fastest(others), 1.2),
    ])
}

fn fastest(peers: &[Medians]) -> &Medians {
    peers.iter().max_by(|one, other| one.rate.total_cmp(&other.rate)).expect("there are peers")
}

fn row(what: &str, aim: &str, ours: &Medians, peer: &Medians, least: f64) -> Row {
    let ratio = ours.rate / peer.rate;
    let cell = |medians| format!("{} {}", per_second(medians), cpu_us(medians));
    Row { ratio: format!("{ratio:.2}"), ..Row::at_least(what, aim, cell(ours), ratio, least).beside(cell(peer)) }
}

/// From the start of the process to the end of its first answer, compiled code being in the cache.
fn first_answer(artifact: &Path, cache: &Path) -> anyhow::Result<Row> {
    let mut times = Vec::new();
    for _ in 0..SPAWNS {
        let begun = Instant::now();
        let server = ours("live", artifact, cache)?;
        ask(server.address, &server.host, "GET")?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let spawn = median(times);
    let ours = time(std::time::Duration::from_secs_f64(spawn / 1e3));
    Ok(Row::at_most("spawn of the sandbox -> first 200", "<= 5 ms", ours, spawn, 5.0))
}

fn ours(how: &str, artifact: &Path, cache: &Path) -> anyhow::Result<Server> {
    let mut command = Command::new(program::bench("nisse-sandbox", "serve")?);
    command.arg(how).args([artifact, cache]);
    Server::start(&format!("sandbox, {how}"), command, Says::Stdout)
}

fn wasmtime(artifact: &Path, flags: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Server> {
    let mut command = Command::new(program::wasmtime_serve()?);
    command.args(["--addr", "127.0.0.1:0"]).args(flags).arg(artifact).envs(environment.iter().copied());
    let named = environment.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
    Server::start(&format!("wasmtime serve {}{named}", flags.join(" ")), command, Says::Stderr)
}
