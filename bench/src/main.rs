//! `cargo run --release --manifest-path bench/Cargo.toml`: an HTTP agent on the release binary's public listener beside
//! bare hyper, in one run, in turns, with the processor time of each server per request.
//!
//! The agent is live and only reads; receipts are on. The machine's noise is in both columns: read the ratios.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Connections at once, as in the aim.
const CONNECTIONS: usize = 16;
/// Turns of each server; the median is printed.
const ROUNDS: usize = 5;
/// Load in one turn.
const ROUND: Duration = Duration::from_secs(3);
/// What a turn spends before it counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// Clock ticks per second of `/proc/PID/stat` on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("hyper") {
        return bare_hyper();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(compare())
}

/// One server under load.
struct Server {
    name: &'static str,
    child: Child,
    address: SocketAddr,
    host: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn compare() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let servers = [start_hyper()?, start_nisse(home.path())?];
    let mut turns: Vec<Vec<(f64, f64)>> = vec![Vec::new(); servers.len()];
    for _ in 0..ROUNDS {
        for (server, turns) in servers.iter().zip(&mut turns) {
            turns.push(turn(server).await?);
        }
    }
    let medians: Vec<(f64, f64)> = turns
        .iter()
        .map(|turns| (median(turns.iter().map(|turn| turn.0)), median(turns.iter().map(|turn| turn.1))))
        .collect();
    println!("{:<28} {:>10} {:>14}", "server", "rps", "CPU us/request");
    for (server, (rps, cpu)) in servers.iter().zip(&medians) {
        println!("{:<28} {rps:>10.0} {cpu:>14.1}", server.name);
    }
    println!("rps    nisse / hyper: {:.2} (aim >= 0.50)", medians[1].0 / medians[0].0);
    println!("CPU    nisse / hyper: {:.2} (aim <= 2.2)", medians[1].1 / medians[0].1);
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Requests per second, and microseconds of the server's processor time per request.
async fn turn(server: &Server) -> anyhow::Result<(f64, f64)> {
    let done = Arc::new(AtomicU64::new(0));
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(load(server.address, server.host.clone(), Arc::clone(&done)));
    }
    tokio::time::sleep(WARM_UP).await;
    let (begun, ticks) = (Instant::now(), ticks(server.child.id())?);
    let before = done.load(Ordering::Relaxed);
    tokio::time::sleep(ROUND).await;
    let (elapsed, used) = (begun.elapsed().as_secs_f64(), self::ticks(server.child.id())? - ticks);
    let count = (done.load(Ordering::Relaxed) - before) as f64;
    connections.abort_all();
    ensure!(count > 0.0, "{} answered nothing", server.name);
    Ok((count / elapsed, used / TICKS_PER_SECOND * 1e6 / count))
}

async fn load(address: SocketAddr, host: String, done: Arc<AtomicU64>) -> anyhow::Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    loop {
        let request = Request::get("/").header("host", &host).body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        ensure!(response.status().is_success(), "{host} answered {}", response.status());
        response.into_body().collect().await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// User and system time of a process, in clock ticks.
fn ticks(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).context("a process's times");
    Ok(field(11)? + field(12)?)
}

fn start_hyper() -> anyhow::Result<Server> {
    let mut child = Command::new(std::env::current_exe()?).arg("hyper").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
    let address = line.trim().parse().context("hyper's address")?;
    Ok(Server { name: "bare hyper", child, address, host: "localhost".to_owned() })
}

fn start_nisse(home: &Path) -> anyhow::Result<Server> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository")?;
    let program = repository.join("target/release/nisse");
    let any = "127.0.0.1:0";
    let mut up = Command::new(&program);
    up.arg("--home").arg(home).args(["up", "--api", any, "--public", any]).stdout(Stdio::piped());
    let mut child = up.spawn().context("build it first: cargo build --release")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
    let guest = repository.join("examples/guests/proxy-hello");
    let deployed = Command::new(&program).arg("--home").arg(home).args(["--json", "deploy"]).arg(guest).output()?;
    ensure!(deployed.status.success(), "{}", String::from_utf8_lossy(&deployed.stderr));
    let deployed: serde_json::Value = serde_json::from_slice(&deployed.stdout)?;
    let endpoint = deployed["endpoint"].as_str().context("an endpoint")?;
    let host = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let port: u16 = host.rsplit(':').next().context("a port")?.parse()?;
    Ok(Server { name: "nisse, live agent, receipts", child, address: ([127, 0, 0, 1], port).into(), host })
}

/// The peer: an HTTP server that does nothing but answer.
fn bare_hyper() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let service = service_fn(|_| async {
                    Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"hello\n"))))
                });
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}
