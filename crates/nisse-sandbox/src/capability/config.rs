//! `nisse:agent/config`: the `config:` block of agent.yaml with what the deployer set over it.
//!
//! Not recorded call by call: the block's hash stands in every record.

use wasmtime::component::HasSelf;

use super::{Capability, Need};
use crate::bindings::imports::nisse::agent::config;
use crate::guest_state::GuestState;

pub(super) const CONFIG: Capability = Capability {
    interfaces: &["nisse:agent/config"],
    need: Need::Nothing,
    link: |linker| config::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state),
};

impl config::Host for GuestState {
    fn get(&mut self) -> wasmtime::Result<String> {
        self.buffer(self.config.len() as u64)?;
        Ok(self.config.as_ref().to_owned())
    }
}
