//! The control API against its own table of routes, on a real node.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod attacks;
mod openapi;
mod running;
mod scopes;
mod spaces;
mod tokens;
