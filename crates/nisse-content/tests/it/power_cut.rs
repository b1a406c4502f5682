//! Power cuts at random moments: what was acknowledged stands, and every block that a pin names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use nisse_content::{BlockStore, GcError, PinError, PinState, StoreError, StoreOptions, VerifiedBlock};
use nisse_model::{ByteSize, ContentId, Hash256};
use nisse_testkit::{Failure, PowerCuts, Random, SimDisk, Subject, check};

use crate::support::node;

/// What the outside world was told.
#[derive(Default)]
struct Told {
    pins: BTreeMap<String, u64>,
    /// The change that was asked for and not acknowledged when the power went: the pin may stand either way.
    doubt: Option<(String, Option<u64>)>,
    /// Committed blocks since the last collection began.
    durable: BTreeSet<u64>,
}

/// A file of a few blocks, some of them shared with other numbers.
fn file(number: u64) -> (Vec<VerifiedBlock>, ContentId, Vec<u8>) {
    let leaves = [number, number / 2, number % 3].map(|seed| {
        let length = 20 + (seed % 5) as usize * 300;
        let bytes = Bytes::from(vec![seed as u8 + 1; length]);
        VerifiedBlock::check(ContentId::raw(Hash256::of(&bytes)), bytes).unwrap()
    });
    let sizes = leaves.each_ref().map(|leaf| leaf.bytes().len() as u64);
    let links = leaves.each_ref().map(|leaf| (leaf.cid(), ""));
    let root = node(&links, 2, b"", sizes.iter().sum(), &sizes);
    let content = leaves.iter().flat_map(|leaf| leaf.bytes().to_vec()).collect();
    let cid = root.cid();
    (leaves.into_iter().chain([root]).collect(), cid, content)
}

impl Told {
    fn check(&mut self, store: &BlockStore) -> Result<(), Failure> {
        let pins: BTreeMap<String, _> = store.pins().into_iter().map(|pin| (pin.name.clone(), pin)).collect();
        if let Some((name, wanted)) = self.doubt.take() {
            let found = pins.get(&name).map(|pin| pin.roots[0]);
            let before = self.pins.get(&name).map(|number| file(*number).1);
            let after = wanted.map(|number| file(number).1);
            check(found == before || found == after, || format!("pin {name} is neither old nor new"))?;
            if found == after {
                match wanted {
                    Some(number) => self.pins.insert(name, number),
                    None => self.pins.remove(&name),
                };
            }
        }
        check(pins.keys().eq(self.pins.keys()), || format!("pins {:?}, told {:?}", pins.keys(), self.pins.keys()))?;
        for (name, number) in &self.pins {
            let (_, root, content) = file(*number);
            let pin = &pins[name];
            check(pin.state == PinState::Complete, || format!("pin {name} is {:?}", pin.state))?;
            check(pin.roots == [root], || format!("pin {name} names another root"))?;
            let read = store.read_file(root, 1 << 20);
            check(read.as_ref().is_ok_and(|read| *read == content), || format!("pin {name} reads as {read:?}"))?;
        }
        for number in &self.durable {
            let (_, root, content) = file(*number);
            let read = store.read_file(root, 1 << 20);
            check(read.as_ref().is_ok_and(|read| *read == content), || format!("file {number} reads as {read:?}"))?;
        }
        Ok(())
    }

    fn work(&mut self, store: &BlockStore, random: &mut Random) -> Result<(), Failure> {
        let number = random.below(40);
        let name = format!("added/{}", random.below(4));
        let (blocks, root, _) = file(number);
        match random.below(7) {
            0..=2 => {
                let batch = store.batch();
                blocks.iter().try_for_each(|block| batch.put(block))?;
                self.doubt = Some((name.clone(), Some(number)));
                batch.commit_and_pin(&name, &[root])?;
                self.doubt = None;
                self.pins.insert(name, number);
            }
            3 => {
                let batch = store.batch();
                blocks.iter().try_for_each(|block| batch.put(block))?;
                batch.commit()?;
                self.durable.insert(number);
            }
            4 => {
                // Left unsynced: a later batch may count on these blocks, in this process or the next.
                let batch = store.batch();
                blocks.iter().try_for_each(|block| batch.put(block))?;
            }
            5 => {
                self.doubt = Some((name.clone(), None));
                match store.unpin(&name) {
                    Err(PinError::NoSuchPin(_)) => {}
                    other => other?,
                }
                self.doubt = None;
                self.pins.remove(&name);
            }
            _ => {
                self.durable.clear();
                match store.gc() {
                    Err(GcError::BrokenPin { name, source })
                        if !matches!(source, nisse_content::WalkError::Store(StoreError::Io { .. })) =>
                    {
                        return Err(Failure::Violation(format!("pin {name} is broken: {source}")));
                    }
                    other => other?,
                };
            }
        }
        Ok(())
    }
}

impl Subject for Told {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        let options = StoreOptions { quota: ByteSize(1 << 30), pack_bytes_max: 6000 };
        for _ in 0..3 {
            let store = BlockStore::open(Arc::new(disk.clone()), PathBuf::from("/content"), options)?;
            match self.check(&store) {
                // What cannot be read because the power went again is no violation; the next life looks again.
                Err(_) if disk.is_off() => return Ok(()),
                other => other?,
            }
            for _ in 0..6 {
                self.work(&store, random)?;
            }
            // The process dies, and the disk keeps what was not synced, until the power goes.
            if random.below(2) == 0 {
                disk.kill();
            }
        }
        Ok(())
    }
}

#[test]
fn every_block_that_a_pin_names_is_there_after_a_power_cut() {
    let report = PowerCuts::share("content", 20).operations_max(150).run(Told::default).unwrap();
    assert!(report.lossy > report.cuts / 10 && report.interrupting > report.cuts / 2, "{report:?}");
}

#[test]
fn a_sync_that_lies_is_noticed() {
    let report = PowerCuts::new("content", 2_000).operations_max(150).planting(|disk| disk.skip_sync_every(5));
    assert!(report.run(Told::default).is_err());
    let report = PowerCuts::new("content", 2_000).operations_max(150).planting(|disk| disk.skip_dir_sync_every(3));
    assert!(report.run(Told::default).is_err());
}
