//! Everything that a guest can touch: one list, one file for each.
//!
//! A capability lives through declare (`agent.yaml`) → grant (the node's policy) → link (here, and only what was
//! granted) → meter (the dispatcher) → drop (with the instance).

mod alarm;
mod chain;
mod clock;
mod config;
mod inert;
mod ipfs;
mod log;
mod outgoing_http;
mod random;
mod spaces;
mod state;

use nisse_model::{Grants, Role};
use wasmtime::component::Linker;

pub(crate) use self::inert::StandardOutput;
pub(crate) use self::outgoing_http::OutgoingHttp;
use crate::guest_state::GuestState;

/// One thing that a guest can import.
pub(crate) struct Capability {
    /// Interfaces, without their versions; `wasi:io/` stands for all of its interfaces.
    pub(crate) interfaces: &'static [&'static str],
    /// What has to be granted for it.
    pub(crate) need: Need,
    pub(crate) link: fn(&mut Linker<GuestState>) -> wasmtime::Result<()>,
}

/// What has to be granted before a capability is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Every agent has it; where it reaches outside, each call is checked again.
    Nothing,
    /// The permission `read_ipfs`.
    ReadIpfs,
    /// The permission `publish_to_chain`.
    PublishToChain,
    /// A permission `space`; which space it is for is asked at each call.
    Space,
}

/// The list. What is not on it cannot be imported.
pub(crate) const CAPABILITIES: [&Capability; 11] = [
    &state::STATE,
    &alarm::ALARM,
    &config::CONFIG,
    &log::LOG,
    &ipfs::IPFS,
    &chain::CHAIN,
    &spaces::SPACES,
    &clock::CLOCK,
    &random::RANDOM,
    &outgoing_http::OUTGOING_HTTP,
    &inert::INERT,
];

impl Need {
    pub(crate) fn is_met(self, grants: &Grants) -> bool {
        match self {
            Self::Nothing => true,
            Self::ReadIpfs => grants.may_read_ipfs(),
            Self::PublishToChain => grants.may_publish(),
            Self::Space => grants.may_use_spaces(Role::Read),
        }
    }

    /// The line of `permissions` that meets it.
    pub(crate) fn permission(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::ReadIpfs => Some("read_ipfs"),
            Self::PublishToChain => Some("publish_to_chain"),
            Self::Space => Some("space:NAME:read"),
        }
    }
}

impl Capability {
    /// The capability that an import such as `wasi:io/streams@0.2.3` asks for.
    pub(crate) fn of_import(import: &str) -> Option<&'static Self> {
        let interface = import.split_once('@').map_or(import, |(interface, _)| interface);
        CAPABILITIES.into_iter().find(|capability| {
            let covers = |known: &&str| match known.strip_suffix('/') {
                Some(package) => interface.strip_prefix(package).is_some_and(|rest| rest.starts_with('/')),
                None => *known == interface,
            };
            capability.interfaces.iter().any(covers)
        })
    }
}
