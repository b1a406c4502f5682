//! Any bytes: measuring never panics. A document or a change with any edits, and a right check sum: what is measured
//! within small limits takes automerge no more than a second, and a panic of automerge's stays in its guard.
#![no_main]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use automerge::transaction::Transactable as _;
use automerge::{ActorId, AutoCommit, Automerge, ObjType, ROOT};
use libfuzzer_sys::fuzz_target;
use nisse_space::gauge::{Limits, guarded, measure, measure_message};
use sha2::{Digest as _, Sha256};

const LIMITS: Limits = Limits {
    inflated_bytes_max: 1 << 20,
    expanded_bytes_max: 1 << 20,
    operations_max: 10_000,
    links_max: 10_000,
    changes_max: 1_000,
    actors_max: 100,
    clocks_max: 10_000,
    actor_bytes_max: 64,
};
/// With the fuzzer's checks built in, too.
const LOAD_MAX: Duration = Duration::from_secs(1);
/// The bytes of a chunk before its length.
const PREFIX: usize = 9;

/// Whether automerge is at work: its panics are known, and caught.
static GUARDED: AtomicBool = AtomicBool::new(false);

/// The types and bodies of chunks that automerge made.
static SAMPLES: LazyLock<Vec<(u8, Vec<u8>)>> = LazyLock::new(|| {
    let mut document = AutoCommit::new().with_actor(ActorId::from([1; 4]));
    let text = document.put_object(ROOT, "text", ObjType::Text).expect("the root takes it");
    document.splice_text(&text, 0, 0, "hello").expect("a text takes it");
    document.commit();
    let mut other = document.fork().with_actor(ActorId::from([2; 4]));
    for document in [&mut document, &mut other] {
        document.splice_text(&text, 2, 2, "y").expect("a text takes it");
        document.put(ROOT, "key", 7).expect("the root takes it");
    }
    document.merge(&mut other).expect("a fork of it");
    document.delete(ROOT, "key").expect("the root has it");
    let changes = document.get_changes(&[]).into_iter().map(|change| change.raw_bytes().to_vec());
    let chunks: Vec<Vec<u8>> = changes.chain([document.save_nocompress()]).collect();
    chunks.iter().map(|chunk| (chunk[PREFIX - 1], body(chunk).to_vec())).collect()
});

fn body(chunk: &[u8]) -> &[u8] {
    let length = chunk[PREFIX..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    &chunk[PREFIX + length..]
}

fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let (mut rest, mut length) = (body.len(), Vec::new());
    while rest > 0x7f {
        length.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    length.push(rest as u8);
    let sum = Sha256::new().chain_update([kind]).chain_update(&length).chain_update(body).finalize();
    [&[0x85, 0x6f, 0x4a, 0x83], &sum[..4], &[kind], &length, body].concat()
}

/// A sample with bytes set, put in or taken out, three bytes for each edit.
fn edited(sample: u8, edits: &[u8]) -> Vec<u8> {
    let (kind, mut body) = SAMPLES[usize::from(sample) % SAMPLES.len()].clone();
    for edit in edits.chunks_exact(3) {
        let place = usize::from(edit[0]) | usize::from(edit[1] & 0x0f) << 8;
        match edit[1] >> 6 {
            0 => body.insert(place % (body.len() + 1), edit[2]),
            1 if body.len() > 1 => _ = body.remove(place % body.len()),
            _ => {
                let place = place % body.len();
                body[place] = edit[2];
            }
        }
    }
    chunk(kind, &body)
}

/// The fuzzer ends at any panic, before it is caught: let those of automerge pass.
fn let_guarded_panics_pass() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !GUARDED.load(Ordering::Relaxed) {
            end(panic);
        }
    }));
}

fuzz_target!(init: let_guarded_panics_pass(), |bytes: &[u8]| {
    let _ = measure(bytes, &LIMITS);
    let _ = measure_message(bytes, &LIMITS);
    let Some((sample, edits)) = bytes.split_first() else { return };
    let chunk = edited(*sample, edits);
    let Ok(size) = measure(&chunk, &LIMITS) else { return };
    let start = Instant::now();
    GUARDED.store(true, Ordering::Relaxed);
    let _ = guarded(|| Automerge::new().load_incremental(&chunk).is_ok());
    GUARDED.store(false, Ordering::Relaxed);
    assert!(start.elapsed() < LOAD_MAX, "{:?} for {size:?}", start.elapsed());
});
