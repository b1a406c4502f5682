//! A range that is read once, item by item, and divided when it turns out how many there were.

use super::tally::Tally;
use super::{Bound, Item, LISTED_MAX, PARTS, Part, Range};

/// Blocks that are kept at most. There are half of them or more when a range is divided, so that parts are of a size.
const BLOCKS_MAX: usize = 16 * PARTS;

/// What is kept of a range: its first items, and the tallies of blocks that grow as it does.
pub(super) struct Division {
    /// The items, while there are few.
    few: Vec<Item>,
    /// All but the last count [`Self::size`] items.
    blocks: Vec<Block>,
    size: u64,
    last: Option<Item>,
}

struct Block {
    from: Item,
    tally: Tally,
}

impl Division {
    pub(super) fn new() -> Self {
        Self { few: Vec::new(), blocks: Vec::new(), size: 1, last: None }
    }

    /// Takes the next item of the range.
    pub(super) fn add(&mut self, item: &Item) {
        if self.few.len() <= LISTED_MAX {
            self.few.push(*item);
        }
        if self.blocks.last().is_none_or(|block| block.tally.count() == self.size) {
            if self.blocks.len() == BLOCKS_MAX {
                self.double();
            }
            let from = self.last.map_or(*item, |last| between(&last, item));
            self.blocks.push(Block { from, tally: Tally::default() });
        }
        if let Some(block) = self.blocks.last_mut() {
            block.tally.add(item);
        }
        self.last = Some(*item);
    }

    /// Makes one of each two blocks. All are full.
    fn double(&mut self) {
        for place in 0..BLOCKS_MAX / 2 {
            let Block { from, mut tally } = self.blocks[2 * place];
            tally.merge(&self.blocks[2 * place + 1].tally);
            self.blocks[place] = Block { from, tally };
        }
        self.blocks.truncate(BLOCKS_MAX / 2);
        self.size *= 2;
    }

    /// The tally of the range.
    pub(super) fn tally(&self) -> Tally {
        total(&self.blocks)
    }

    /// The items, if there are at most [`LISTED_MAX`].
    pub(super) fn few(&self) -> Option<&[Item]> {
        if self.few.len() <= LISTED_MAX { Some(&self.few) } else { None }
    }

    /// The range in [`PARTS`], if it has more items than that.
    pub(super) fn parts(&self, upto: Bound) -> impl Iterator<Item = Range> {
        let place = |part: usize| part * self.blocks.len() / PARTS;
        (0..PARTS).map(move |part| {
            let blocks = &self.blocks[place(part)..place(part + 1)];
            let upto = self.blocks.get(place(part + 1)).map_or(upto, |next| Bound::Before(next.from));
            Range { upto, part: Part::Fingerprint(total(blocks).fingerprint()) }
        })
    }
}

fn total(blocks: &[Block]) -> Tally {
    let mut all = Tally::default();
    blocks.iter().for_each(|block| all.merge(&block.tally));
    all
}

/// The shortest prefix that separates two neighbours: the first byte in which the next differs is its last.
fn between(last: &Item, next: &Item) -> Item {
    debug_assert!(last < next, "items come in order");
    let (last, mut bytes) = (last.to_bytes(), next.to_bytes());
    let shared = last.iter().zip(&bytes).take_while(|(one, other)| one == other).count();
    bytes[Item::LENGTH.min(shared + 1)..].fill(0);
    Item::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document_id::DocumentId;

    fn item(number: u32) -> Item {
        let mut bytes = [9; Item::LENGTH];
        bytes[14..18].copy_from_slice(&number.to_be_bytes());
        Item::from_bytes(bytes)
    }

    #[test]
    fn parts_are_of_a_size_and_hold_all() {
        for count in (33..70).chain([255, 256, 257, 511, 512, 513, 4_095, 5_000, 70_000]) {
            let mut division = Division::new();
            (0..count).for_each(|number| division.add(&item(number)));
            assert_eq!((division.few(), division.tally().count()), (None, u64::from(count)));
            let parts: Vec<Range> = division.parts(Bound::End).collect();
            assert_eq!((parts.len(), parts[PARTS - 1].upto), (PARTS, Bound::End));
            let mut from = 0;
            for Range { upto, part } in parts {
                let end = (from..count).find(|number| !upto.is_behind(&item(*number))).unwrap_or(count);
                let (size, even) = (end - from, count / PARTS as u32);
                assert!(even * 7 / 8 <= size + 1 && size <= even * 9 / 8 + 1, "{size} of {count}");
                let mut tally = Tally::default();
                (from..end).for_each(|number| tally.add(&item(number)));
                assert_eq!(part, Part::Fingerprint(tally.fingerprint()));
                from = end;
            }
            assert_eq!(from, count);
        }
    }

    #[test]
    fn few_items_are_kept() {
        let mut division = Division::new();
        assert_eq!(division.few(), Some(&[][..]));
        (0..32).for_each(|number| division.add(&item(number)));
        assert_eq!(division.few().map(<[Item]>::len), Some(LISTED_MAX));
        division.add(&item(32));
        assert_eq!(division.few(), None);
    }

    #[test]
    fn a_bound_is_as_short_as_can_be() {
        let (one, mut next) = (item(1), item(2));
        assert_eq!(between(&one, &next).to_bytes()[..18], next.to_bytes()[..18]);
        assert_eq!(between(&one, &next).to_bytes()[18..], [0; 30]);
        next.document = DocumentId([10; 16]);
        assert_eq!(between(&one, &next).to_bytes()[..2], [10, 0]);
        let mut next = one.to_bytes();
        next[47] += 1;
        assert_eq!(between(&one, &Item::from_bytes(next)), Item::from_bytes(next));
    }
}
