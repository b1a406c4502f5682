//! What it costs to reach a peer by its key, and to talk with it.
//!
//! `cargo bench -p nisse-link --bench link [-- --json]`. Both ends are in this process, over loopback. Beside it, in the
//! same run, stands plain TCP: the same shapes without keys, encryption or a gate.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and stops at the first surprise")]

use std::time::{Duration, Instant};

use nisse_link::{Gate, Limits, Link, LinkOptions, Protocol};
use nisse_model::Did;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

/// Dials that are timed, after as many that are not.
const DIALS: usize = 200;
/// New links that are timed.
const LINKS: u8 = 50;
/// Questions that are timed.
const EXCHANGES: usize = 2_000;
/// Bytes of a question.
const QUESTION_BYTES: usize = 64;
/// What one stream carries.
const CARGO_BYTES: usize = 64 << 20;
/// Cargoes, of which the middle counts.
const CARGOES: usize = 7;
/// Bytes that are handed over at once.
const CHUNK_BYTES: usize = 256 << 10;

struct Everybody;

impl Gate for Everybody {
    fn admits(&self, _peer: &Did, _protocol: Protocol) -> bool {
        true
    }
}

async fn link(number: u8) -> Link {
    let limits = Limits { bytes_per_second: 0, streams_per_second: 0, ..Limits::default() };
    let listen = "127.0.0.1:0".parse().unwrap();
    let options = LinkOptions { seed: Zeroizing::new([number; 32]), listen, relays: vec![], nearby: false, limits };
    Link::bind(options).await.unwrap()
}

/// Says how many bytes came.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut chunk, mut count) = (vec![0; CHUNK_BYTES], 0);
    loop {
        match stream.read(&mut chunk).await.unwrap_or(0) {
            0 => break,
            read => count += read as u64,
        }
    }
    // Who is gone wants no answer.
    let _ = stream.write_u64(count).await;
    let _ = stream.shutdown().await;
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: usize) {
    let chunk = vec![7; bytes.min(CHUNK_BYTES)];
    for _ in 0..bytes / chunk.len() {
        stream.write_all(&chunk).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read_u64().await.unwrap(), bytes as u64);
}

fn serve(link: &Link) {
    let link = link.clone();
    tokio::spawn(async move {
        while let Some(connection) = link.accept(&Everybody).await {
            tokio::spawn(async move {
                while let Some(stream) = connection.accept().await {
                    tokio::spawn(answer(stream));
                }
            });
        }
    });
}

/// Measured times, by share.
struct Times(Vec<Duration>);

impl Times {
    fn at(&mut self, percent: usize) -> f64 {
        self.0.sort();
        self.0[(self.0.len() - 1) * percent / 100].as_secs_f64()
    }

    fn mebibytes_per_second(&mut self) -> f64 {
        CARGO_BYTES as f64 / f64::from(1 << 20) / self.at(50)
    }
}

async fn timed<T>(rounds: usize, skipped: usize, mut round: impl AsyncFnMut() -> T) -> Times {
    let mut times = Vec::new();
    for number in 0..rounds + skipped {
        let start = Instant::now();
        let kept = round().await;
        let took = start.elapsed();
        drop(kept);
        if number >= skipped {
            times.push(took);
        }
    }
    Times(times)
}

async fn links() -> Vec<(&'static str, f64)> {
    let (here, there) = (link(1).await, link(2).await);
    serve(&there);
    let (did, at) = (there.did(), there.addresses());
    let mut dials = timed(DIALS, DIALS, async || here.dial(did, &at, Protocol::Sync).await.unwrap()).await;
    let mut number = 2;
    let mut binds = timed(LINKS.into(), 5, async || {
        number += 1;
        let link = link(number).await;
        let connection = link.dial(did, &at, Protocol::Sync).await.unwrap();
        (connection, link)
    })
    .await;
    let connection = here.dial(did, &at, Protocol::Sync).await.unwrap();
    let mut exchanges =
        timed(EXCHANGES, 100, async || ask(&mut connection.open().await.unwrap(), QUESTION_BYTES).await).await;
    let mut cargoes = timed(CARGOES, 1, async || ask(&mut connection.open().await.unwrap(), CARGO_BYTES).await).await;
    vec![
        ("dial p50", dials.at(50)),
        ("dial p95", dials.at(95)),
        ("bind and dial p50", binds.at(50)),
        ("exchange p50", exchanges.at(50)),
        ("exchange p95", exchanges.at(95)),
        ("MiB/s", cargoes.mebibytes_per_second()),
    ]
}

async fn tcp() -> Vec<(&'static str, f64)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                // As a link does, it says that it is there.
                stream.write_u8(1).await.unwrap();
                answer(stream).await;
            });
        }
    });
    let connect = async || {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.read_u8().await.unwrap();
        stream
    };
    let mut dials = timed(DIALS, DIALS, connect).await;
    // A stream of TCP is a connection.
    let mut exchanges = timed(EXCHANGES, 100, async || ask(&mut connect().await, QUESTION_BYTES).await).await;
    let mut cargoes = timed(CARGOES, 1, async || ask(&mut connect().await, CARGO_BYTES).await).await;
    vec![
        ("tcp dial p50", dials.at(50)),
        ("tcp dial p95", dials.at(95)),
        ("tcp exchange p50", exchanges.at(50)),
        ("tcp exchange p95", exchanges.at(95)),
        ("tcp MiB/s", cargoes.mebibytes_per_second()),
    ]
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let figures = runtime.block_on(async { [links().await, tcp().await].concat() });
    let is_json = std::env::args().any(|argument| argument == "--json");
    for (name, value) in figures {
        match is_json {
            true => println!("{}", json!({ "name": name, "value": value })),
            false if name.ends_with("MiB/s") => println!("{name:<20} {value:>10.0}"),
            false => println!("{name:<20} {:>10.3} ms", value * 1e3),
        }
    }
    // What is still said at the end is nobody's measure.
    runtime.shutdown_timeout(Duration::from_secs(1));
}
