//! The market: the embedded chain, the one way to any chain, transactions that are never doubled, and the contracts.
//!
//! No type of alloy or revm stands in a public signature: callers speak the words of `nisse-model`.
#![forbid(unsafe_code)]

pub mod embedded;
mod provider;
