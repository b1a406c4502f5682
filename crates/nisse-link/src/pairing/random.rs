//! Our randomness, as SPAKE2 takes it.

use std::convert::Infallible;

use nisse_store::Entropy;
use spake2::rand_core::{TryCryptoRng, TryRng};

/// [`Entropy`] for a library that wants a generator.
pub(super) struct Random<'e>(pub(super) &'e dyn Entropy);

impl TryRng for Random<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random<'_> {}
