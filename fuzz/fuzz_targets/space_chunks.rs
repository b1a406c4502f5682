//! Any bytes: reading a frame of the sync of chunks never panics, and what reads as a frame is written again byte for
//! byte. The ranges in it are answered without a panic, by what is a message again.
#![no_main]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nisse_model::Hash256;
use nisse_space::chunk_sync::{Bound, Frame, Item, Items, answer};
use nisse_space::{ChunkId, DocumentId};

struct Memory(BTreeSet<Item>);

impl Items for Memory {
    type Error = Infallible;

    fn scan(&self, from: &Item, upto: &Bound, each: &mut dyn FnMut(Item)) -> Result<(), Infallible> {
        self.0.range(from..).take_while(|item| upto.is_behind(item)).for_each(|item| each(*item));
        Ok(())
    }
}

/// A hundred chunks of three documents, and the first item that can be.
static OURS: LazyLock<Memory> = LazyLock::new(|| {
    let item = |number: u8| Item { document: DocumentId([number % 3; 16]), chunk: ChunkId(Hash256::of(&[number])) };
    Memory((0..100).map(item).chain([Item::FIRST]).collect())
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(frame) = Frame::decode(bytes) else { return };
    assert_eq!(frame.encode(), bytes);
    let (Frame::Hello { ranges, .. } | Frame::Reconcile { ranges }) = frame else { return };
    let answer = answer(&*OURS, &ranges).expect("what was read is a message");
    let frame = Frame::Reconcile { ranges: answer.ranges };
    assert_eq!(Frame::decode(&frame.encode()).as_ref(), Ok(&frame));
    for items in [answer.lacking, answer.surplus] {
        let frame = Frame::Offer { items };
        assert_eq!(Frame::decode(&frame.encode()).as_ref(), Ok(&frame));
    }
});
