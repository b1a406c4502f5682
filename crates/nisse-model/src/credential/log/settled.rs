//! What followed from a log, kept for as long as nothing is added to it.

use super::{Log, State};

/// Which credentials of a log count, as long as it has as many.
#[derive(Debug, Clone, Default)]
pub struct Settled(Vec<bool>);

impl Log {
    /// As [`Self::state`], without following the rules once more where `settled` still fits.
    pub fn state_by(&self, settled: &mut Settled) -> State<'_> {
        if settled.0.len() != self.len() {
            settled.0 = self.state().into_valid();
        }
        State::of(self, settled.0.clone())
    }
}
