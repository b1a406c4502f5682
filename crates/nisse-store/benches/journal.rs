//! Durable appends per second under concurrent appenders, beside the disk's own rate of syncs.
//!
//! `cargo bench -p nisse-store --bench journal [-- FOLDER] [--json]`; the folder decides the disk, the temporary folder
//! by default. Prints one line each; the ratio is appends per raw sync.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nisse_store::{Disk, FileMode, Journal, JournalError, SystemDisk, SystemEntropy};

const RECORD: [u8; 256] = [7; 256];
const TIME: Duration = Duration::from_secs(3);

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("nisse-bench-{}", std::process::id()));
    SystemDisk.create_dir_durable(&folder).expect("a folder to measure in");
    let json = std::env::args().any(|argument| argument == "--json");
    let raw = raw_syncs(&folder, json);
    for appenders in [1, 64, 512] {
        let rate = appends(&folder.join(format!("journal-{appenders}")), appenders);
        match json {
            true => println!("{{\"name\":\"appends {appenders}\",\"value\":{rate}}}"),
            false => {
                println!("{appenders} appenders: {rate:.0} durable appends/s, {:.1} per raw sync", rate / raw);
            }
        }
    }
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

/// Appends one record's bytes and syncs, as fast as one thread can.
fn raw_syncs(folder: &Path, json: bool) -> f64 {
    let file = SystemDisk.open(&folder.join("raw"), FileMode::CreateNew).expect("a file");
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < TIME {
        let before = Instant::now();
        file.write_all_at(&RECORD, (times.len() * RECORD.len()) as u64).expect("a write");
        file.sync_data().expect("a sync");
        times.push(before.elapsed());
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100];
    match json {
        true => println!("{{\"name\":\"fs\",\"value\":{}}}", at(50).as_secs_f64()),
        false => println!("raw: {rate:.0} writes with fdatasync/s, p50 {:?}, p99 {:?}", at(50), at(99)),
    }
    rate
}

fn appends(folder: &Path, appenders: usize) -> f64 {
    let journal = Journal::open(Arc::new(SystemDisk), &SystemEntropy, folder, |_, _| Ok::<_, JournalError>(()));
    let journal = Arc::new(journal.expect("a journal"));
    let (stop, total) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let start = Instant::now();
    let tasks: Vec<_> = (0..appenders)
        .map(|_| {
            let (journal, stop, total) = (journal.clone(), stop.clone(), total.clone());
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    journal.append(&RECORD).expect("room").durable().await.expect("a durable record");
                    total.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    std::thread::sleep(TIME);
    let rate = total.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("no appender panics");
        }
    });
    rate
}
