//! Randomness that follows from a seed.

use std::sync::Mutex;

use nisse_store::Entropy;

use crate::Random;

/// [`Entropy`] for tests: the same seed gives the same draws.
#[derive(Debug)]
pub struct SimEntropy(Mutex<Random>);

impl SimEntropy {
    /// The randomness of a seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Random::new(seed)))
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().expect("no draw panics").fill(buffer);
    }
}
