//! Adding and fetching 10 MB, beside plain SHA-256 of the same bytes in the same run: the limit that hashing sets.
//!
//! `cargo bench -p nisse-content [-- --json]`. The fetch over loopback has a server in a thread of its own.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its table and fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use nisse_content::car::{CarStream, DagScope, assemble};
use nisse_content::unixfs::{Resolved, cid_of};
use nisse_content::{BlockStore, Profile, StoreOptions};
use nisse_model::Hash256;
use nisse_store::{Clock, SystemClock, SystemDisk};

const BYTES: usize = 10_000_000;
const ROUNDS: usize = 15;

fn main() {
    let clock = SystemClock::default();
    // A generator whose period is longer than the file: equal chunks would be kept and sent once, and flatter us.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let bytes: Vec<u8> = (0..BYTES).map(|_| next()).collect();
    let folder = tempfile::tempdir().unwrap();
    let open =
        |name: &str| BlockStore::open(Arc::new(SystemDisk), folder.path().join(name), StoreOptions::default()).unwrap();
    let time = |work: &mut dyn FnMut(usize)| {
        let round = |round| {
            let start = clock.elapsed();
            work(round);
            clock.elapsed() - start
        };
        let mut times: Vec<Duration> = (0..ROUNDS).map(round).collect();
        times.sort();
        times[ROUNDS / 2]
    };

    let hash = time(&mut |_| {
        std::hint::black_box(Hash256::of(&bytes));
    });
    let cut = time(&mut |_| {
        std::hint::black_box(cid_of(&bytes, Profile::UnixFs2025));
    });
    let stores: Vec<BlockStore> = (0..ROUNDS).map(|round| open(&format!("add-{round}"))).collect();
    let add = time(&mut |round| {
        stores[round].add_bytes(&bytes, Profile::UnixFs2025).unwrap();
    });
    let store = &stores[0];
    let root = cid_of(&bytes, Profile::UnixFs2025);
    let pin = time(&mut |round| store.pin(&format!("added/{round}"), &[root]).unwrap());
    let read = time(&mut |_| {
        std::hint::black_box(store.read_file(root, BYTES as u64).unwrap());
    });
    let stream = || CarStream::new(store, Resolved { through: vec![], target: root }, DagScope::All);
    let write_car = time(&mut |_| {
        stream().for_each(|piece| {
            std::hint::black_box(piece.unwrap());
        });
    });
    assert!(store.usage().blocks == 11, "ten leaves and their root");
    let car = stream().map(|piece| piece.unwrap()).collect::<Vec<_>>().concat();
    let fetch = time(&mut |_| {
        std::hint::black_box(assemble(&mut &*car, root, BYTES as u64).unwrap());
    });

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = car.clone();
    // Ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(&served).unwrap();
        }
    });
    let moved = time(&mut |_| {
        let mut bytes = Vec::with_capacity(BYTES);
        TcpStream::connect(address).unwrap().read_to_end(&mut bytes).unwrap();
        std::hint::black_box(bytes);
    });
    let over_loopback = time(&mut |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        std::hint::black_box(assemble(&mut stream, root, BYTES as u64).unwrap());
    });

    let rate = |took: Duration| BYTES as f64 / 1e6 / took.as_secs_f64();
    if std::env::args().any(|argument| argument == "--json") {
        for (name, took) in [("sha256", hash), ("loopback", moved), ("fetch", over_loopback), ("add", add)] {
            println!("{{\"name\":\"{name}\",\"value\":{}}}", rate(took));
        }
        return;
    }
    println!("10 MB, median of {ROUNDS} rounds");
    for (name, took) in [
        ("SHA-256 alone (the limit)", hash),
        ("CID without storing", cut),
        ("add to the store, one sync", add),
        ("read from the store, hashed again", read),
        ("write as CAR, hashed again", write_car),
        ("verify and assemble from CAR", fetch),
        ("bytes over loopback alone", moved),
        ("verify and assemble over loopback", over_loopback),
    ] {
        let rate = rate(took);
        let share = hash.as_secs_f64() / took.as_secs_f64() * 100.0;
        println!("{name:<36} {:>8.2} ms {rate:>8.0} MB/s {share:>5.0} % of the limit", took.as_secs_f64() * 1e3);
    }
    println!("{:<36} {:>8.2} ms", "pin (one sync)", pin.as_secs_f64() * 1e3);
}
