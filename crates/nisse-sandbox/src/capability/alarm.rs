//! `nisse:agent/alarm`: one durable alarm per agent, set and cleared as an effect.

use std::sync::atomic::Ordering;

use nisse_model::Timestamp;
use wasmtime::component::HasSelf;

use super::{Capability, Need};
use crate::bindings::imports::nisse::agent::{alarm, types};
use crate::guest_state::GuestState;

/// Why an alarm is not taken after the head.
const CLOSED: &str = "the response head has left: an HTTP invocation sets its alarm before it answers";

pub(super) const ALARM: Capability = Capability {
    interfaces: &["nisse:agent/alarm", "nisse:agent/types"],
    need: Need::Nothing,
    link: |linker| {
        types::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state)?;
        alarm::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state)
    },
};

impl types::Host for GuestState {}

impl alarm::Host for GuestState {
    fn set(&mut self, at: u64) -> wasmtime::Result<Result<(), String>> {
        let closed = self.call.closed.load(Ordering::Relaxed);
        self.dispatcher().note("alarm.set", &at, &closed)?;
        if closed {
            return Ok(Err(CLOSED.to_owned()));
        }
        Ok(self.call.overlay.set_alarm(Timestamp(at)).map_err(|spent| spent.to_string()))
    }

    fn clear(&mut self) -> wasmtime::Result<Result<(), String>> {
        let closed = self.call.closed.load(Ordering::Relaxed);
        self.dispatcher().note("alarm.clear", &(), &closed)?;
        if closed {
            return Ok(Err(CLOSED.to_owned()));
        }
        Ok(self.call.overlay.clear_alarm().map_err(|spent| spent.to_string()))
    }
}
