//! Random bytes that nobody can foretell.
use crate::bindings::wasi::random::random;

/// `count` random bytes.
pub fn bytes(count: u64) -> Vec<u8> {
    random::get_random_bytes(count)
}

/// A random number.
pub fn number() -> u64 {
    random::get_random_u64()
}
