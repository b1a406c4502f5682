//! What is known of a set without its items: how many there are, and the sum of their digests.
//!
//! The order in which items come changes neither, and tallies of disjoint sets add up to that of both, so that one pass
//! suffices for any division into ranges. Who may write chunks can seek two sets of equal fingerprints, at the price of
//! a generalised birthday search over 256 bits; all that it wins is that two peers stay different where it wrote.

use nisse_model::Hash256;

use super::Item;

/// The tally of a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// The sum of the items' digests mod 2^256, as four numbers, the least first.
    sum: [u64; 4],
    count: u64,
}

impl Tally {
    /// Counts an item.
    pub(super) fn add(&mut self, item: &Item) {
        let mut bytes = [0; Item::LENGTH];
        bytes[..32].copy_from_slice(&item.chunk.0.0);
        bytes[32..].copy_from_slice(&item.document.0);
        let Hash256(digest) = Hash256::of(&bytes);
        let (mut sum, (words, _)) = ([0; 4], digest.as_chunks::<8>());
        for (number, word) in sum.iter_mut().zip(words) {
            *number = u64::from_le_bytes(*word);
        }
        self.merge(&Self { sum, count: 1 });
    }

    /// Counts all of another set, which shares no item with this one.
    pub(super) fn merge(&mut self, other: &Self) {
        let mut carry = false;
        for (number, other) in self.sum.iter_mut().zip(&other.sum) {
            let (sum, over) = number.overflowing_add(*other);
            let (sum, over_by_carry) = sum.overflowing_add(u64::from(carry));
            (*number, carry) = (sum, over || over_by_carry);
        }
        self.count += other.count;
    }

    /// How many items there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The first half of the SHA-256 of the sum (32 bytes) and the count (eight), both with the least byte first.
    pub(super) fn fingerprint(&self) -> [u8; 16] {
        let mut bytes = [0; 40];
        let numbers = self.sum.iter().chain([&self.count]);
        for (place, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        let Hash256(digest) = Hash256::of(&bytes);
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        half
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkId;
    use crate::document_id::DocumentId;

    fn item(number: u8) -> Item {
        Item { document: DocumentId([number; 16]), chunk: ChunkId(Hash256([number; 32])) }
    }

    #[test]
    fn sums_carry_from_number_to_number_and_wrap() {
        let one = Tally { sum: [1, 0, 0, 0], count: 1 };
        let mut all = Tally { sum: [u64::MAX, u64::MAX, u64::MAX, 7], count: 1 };
        all.merge(&one);
        assert_eq!(all, Tally { sum: [0, 0, 0, 8], count: 2 });
        let mut all = Tally { sum: [u64::MAX; 4], count: 1 };
        all.merge(&one);
        assert_eq!(all, Tally { sum: [0; 4], count: 2 });
        // A carry that itself carries.
        let mut all = Tally { sum: [u64::MAX; 4], count: 1 };
        all.merge(&Tally { sum: [u64::MAX; 4], count: 1 });
        assert_eq!(all, Tally { sum: [u64::MAX - 1, u64::MAX, u64::MAX, u64::MAX], count: 2 });
    }

    #[test]
    fn a_tally_knows_no_order_and_adds_up() {
        let (mut forth, mut back, mut halves) = (Tally::default(), Tally::default(), [Tally::default(); 2]);
        for number in 0..100 {
            forth.add(&item(number));
            back.add(&item(99 - number));
            halves[usize::from(number % 2)].add(&item(number));
        }
        let [mut all, odd] = halves;
        all.merge(&odd);
        assert_eq!((forth, forth), (back, all));
        assert_eq!(forth.count(), 100);
        assert_ne!(forth.fingerprint(), odd.fingerprint());
    }

    // Computed by another program: Python's integers and hashlib.
    #[test]
    fn a_fingerprint_is_the_same_tomorrow() {
        let mut tally = Tally::default();
        assert_eq!(hex::encode(tally.fingerprint()), "2c34ce1df23b838c5abf2a7f6437cca3");
        tally.add(&item(1));
        tally.add(&item(2));
        assert_eq!(hex::encode(tally.fingerprint()), "87dbd92318077617d258bd4ab319bb38");
    }
}
