//! `wasi:clocks`: the node's time, a millisecond coarse, each reading a recorded host call.
//!
//! Coarse, because fine clocks let one guest measure another; recorded, because a replay must read the same times.

use std::time::Duration;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::{Capability, Need};
use crate::guest_state::GuestState;
use crate::host::{HostCall, HostReply};
use crate::limits::{CLOCK_RESOLUTION, HANDLE_BYTES, SLEEP_MAX};

const NANOSECONDS_PER_MS: u64 = 1_000_000;

pub(super) const CLOCK: Capability =
    Capability { interfaces: &["wasi:clocks/wall-clock", "wasi:clocks/monotonic-clock"], need: Need::Nothing, link };

fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut wall = linker.instance("wasi:clocks/wall-clock@0.2.12")?;
    wall.func_wrap_async("now", |mut store: StoreContextMut<'_, GuestState>, ()| {
        Box::new(async move {
            let now_ms = store.data_mut().now_ms().await?;
            Ok((datetime(Duration::from_millis(now_ms)),))
        })
    })?;
    wall.func_wrap("resolution", |_, ()| Ok((datetime(CLOCK_RESOLUTION),)))?;

    let mut monotonic = linker.instance("wasi:clocks/monotonic-clock@0.2.12")?;
    monotonic.func_wrap_async("now", |mut store: StoreContextMut<'_, GuestState>, ()| {
        Box::new(async move { Ok((store.data_mut().monotonic_now().await?,)) })
    })?;
    monotonic.func_wrap("resolution", |_, ()| Ok((CLOCK_RESOLUTION.as_nanos() as u64,)))?;
    monotonic.func_wrap_async("subscribe-instant", |mut store: StoreContextMut<'_, GuestState>, (when,): (u64,)| {
        Box::new(async move {
            let state = store.data_mut();
            let now = state.monotonic_now().await?;
            state.sleep(when.saturating_sub(now))
        })
    })?;
    monotonic.func_wrap_async("subscribe-duration", |mut store: StoreContextMut<'_, GuestState>, (wait,): (u64,)| {
        Box::new(async move { store.data_mut().sleep(wait) })
    })
}

fn datetime(since_1970: Duration) -> Datetime {
    Datetime { seconds: since_1970.as_secs(), nanoseconds: since_1970.subsec_nanos() }
}

impl GuestState {
    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        match self.dispatcher().call(HostCall::Now).await? {
            HostReply::Time { now_ms } => Ok(now_ms),
            other => Err(wasmtime::format_err!("the host answered a clock call with {other:?}")),
        }
    }

    /// Wall time that never goes back, so that one recorded source feeds both clocks.
    async fn monotonic_now(&mut self) -> wasmtime::Result<u64> {
        let now = self.now_ms().await?.saturating_mul(NANOSECONDS_PER_MS);
        self.monotonic = self.monotonic.max(now);
        Ok(self.monotonic)
    }

    fn sleep(&mut self, nanoseconds: u64) -> wasmtime::Result<(Resource<DynPollable>,)> {
        // A sleep of nothing, again and again, keeps the host busy and burns next to no fuel.
        self.dispatcher().worked(0);
        self.hold(2 * HANDLE_BYTES)?;
        let sleep = Sleep { length: Duration::from_nanos(nanoseconds).min(SLEEP_MAX), done: false };
        let sleep = self.table.push(sleep)?;
        Ok((subscribe(&mut self.table, sleep)?,))
    }
}

struct Sleep {
    length: Duration,
    done: bool,
}

#[async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        if !self.done {
            tokio::time::sleep(self.length).await;
            self.done = true;
        }
    }
}
