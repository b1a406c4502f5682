//! One file's bytes: as programs see them, as they were last synced, and what was written in between.

use std::collections::BTreeMap;
use std::io;

use crate::Random;

/// What a disk writes at once or not at all.
pub const SECTOR_BYTES: u64 = 512;

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Length { before: u64, after: u64 },
}

impl Change {
    /// The bytes that it touches.
    fn range(&self) -> (u64, u64) {
        match self {
            Self::Write { offset, bytes } => (*offset, offset + bytes.len() as u64),
            // Growing writes nothing: what no sector was written for reads as zeros.
            Self::Length { before, after } => (*after, (*before).max(*after)),
        }
    }

    fn sectors(&self) -> std::ops::Range<u64> {
        match self.range() {
            (start, end) if start == end => 0..0,
            (start, end) => start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES),
        }
    }

    /// Applies the part that lies inside one sector.
    fn apply_to(&self, sector: u64, content: &mut [u8]) {
        let (start, end) = self.range();
        let (from, to) = (start.max(sector * SECTOR_BYTES), end.min((sector + 1) * SECTOR_BYTES));
        // What a failed sync forgot may have been longer than what the disk ever held.
        let to = to.min(content.len() as u64);
        if from >= to {
            return;
        }
        let target = &mut content[from as usize..to as usize];
        match self {
            Self::Write { offset, bytes } => {
                target.copy_from_slice(&bytes[(from - offset) as usize..(to - offset) as usize]);
            }
            Self::Length { .. } => target.fill(0),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = self.seen.get(start..start.saturating_add(buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        write_into(&mut self.seen, bytes, offset);
        self.pending.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, length: u64) {
        self.pending.push(Change::Length { before: self.len(), after: length });
        self.seen.resize(length as usize, 0);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write { offset, bytes } => write_into(&mut self.durable, &bytes, offset),
                Change::Length { after, .. } => self.durable.resize(after as usize, 0),
            }
        }
    }

    /// A failed sync: what is seen stays, and nothing of it will be written any more.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) {
        self.sync();
        self.durable[offset as usize] ^= 1 << bit;
        self.seen = self.durable.clone();
    }

    pub(super) fn power_cut(&mut self, random: &mut Random, keep_per_8: u64) -> bool {
        let before = std::mem::take(&mut self.seen);
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.tear(&pending, random, keep_per_8);
        }
        self.seen = self.durable.clone();
        before != self.seen
    }

    fn tear(&mut self, pending: &[Change], random: &mut Random, keep_per_8: u64) {
        let mut lengths = vec![self.durable.len() as u64];
        // Sector → how many changes touched it; then, how many of them reached the disk.
        let mut sectors: BTreeMap<u64, u64> = BTreeMap::new();
        for change in pending {
            let length = lengths[lengths.len() - 1];
            lengths.push(match change {
                Change::Write { .. } => length.max(change.range().1),
                Change::Length { after, .. } => *after,
            });
            for sector in change.sectors() {
                *sectors.entry(sector).or_default() += 1;
            }
        }
        let mut reached = |changes: u64| {
            if random.below(8) < keep_per_8 { changes } else { random.below(changes + 1) * u64::from(keep_per_8 > 0) }
        };
        let length = lengths[reached(pending.len() as u64) as usize];
        sectors.values_mut().for_each(|count| *count = reached(*count));
        let longest = lengths.iter().copied().max().unwrap_or_default();
        self.durable.resize(longest as usize, 0);
        for change in pending {
            for sector in change.sectors() {
                let left = sectors.get_mut(&sector).expect("each touched sector was counted");
                if *left > 0 {
                    *left -= 1;
                    change.apply_to(sector, &mut self.durable);
                }
            }
        }
        self.durable.resize(length as usize, 0);
    }
}

fn write_into(content: &mut Vec<u8>, bytes: &[u8], offset: u64) {
    let end = offset as usize + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset as usize..end].copy_from_slice(bytes);
}
