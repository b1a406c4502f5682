//! Cases E1 to E33. What counts is the dial log and the canaries, never our own error alone.

mod addresses;
mod floods;
mod lifetime;
mod names;
mod own_addresses;
mod public_reach;
mod rewriting;
mod tls;
