//! Randomness for names, drawn from its source in larger portions than one name needs.

use std::sync::Arc;

use nisse_store::Entropy;

/// Bytes drawn at once.
const PORTION: usize = 512;

/// Unpredictable bytes, each given once.
pub(crate) struct Chance {
    source: Arc<dyn Entropy>,
    portion: [u8; PORTION],
    given: usize,
}

impl Chance {
    pub(crate) fn new(source: Arc<dyn Entropy>) -> Self {
        Self { source, portion: [0; PORTION], given: PORTION }
    }

    /// The next `N` bytes.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= PORTION) };
        if self.given + N > PORTION {
            self.source.fill(&mut self.portion);
            self.given = 0;
        }
        let mut drawn = [0; N];
        drawn.copy_from_slice(&self.portion[self.given..self.given + N]);
        self.given += N;
        drawn
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Fills each portion with the number of the portion.
    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    #[test]
    fn bytes_are_given_once_and_a_portion_that_is_too_short_is_replaced() {
        let source = Arc::new(Counting::default());
        let mut chance = Chance::new(source.clone());
        for _ in 0..PORTION / 10 {
            assert_eq!(chance.draw::<10>(), [0; 10]);
        }
        assert_eq!(chance.draw::<10>(), [1; 10], "two bytes were left of the first portion");
        assert_eq!(source.0.load(Ordering::Relaxed), 2);
    }
}
