//! What one request body may cost the chain: gas is free here, and a few bytes can ask for a great deal of work.

use super::rpc::RpcError;

/// Gas that the simulations of one body use together: ten full blocks, far beyond what wallets and tools ask for.
const GAS_MAX: u64 = 300_000_000;
/// Bytes that the answers to one body have together.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget {
    gas: u64,
    bytes: usize,
}

impl Budget {
    /// For a body from outside.
    pub(super) fn of_body() -> Self {
        Self { gas: GAS_MAX, bytes: ANSWER_BYTES_MAX }
    }

    /// For the node itself.
    pub(super) fn unlimited() -> Self {
        Self { gas: u64::MAX, bytes: usize::MAX }
    }

    /// The gas that one run may use: what it asks for, as long as that much is left.
    pub(super) fn for_run(&self, gas: u64) -> Result<u64, RpcError> {
        if gas <= self.gas {
            Ok(gas)
        } else {
            Err(spent(format!("the calls of one request use at most {GAS_MAX} gas")))
        }
    }

    /// A run used this much.
    pub(super) fn ran(&mut self, gas: u64) {
        self.gas = self.gas.saturating_sub(gas);
    }

    /// An answer of that many bytes is made.
    pub(super) fn answered(&mut self, bytes: usize) -> Result<(), RpcError> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(spent(format!("the answers to one request have at most {ANSWER_BYTES_MAX} bytes"))),
        }
    }
}

fn spent(text: String) -> RpcError {
    RpcError::new(-32005, format!("{text}: ask for less at once"))
}
