//! `wasi:random`: the node's randomness, each draw a recorded host call.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::{Capability, Need};
use crate::guest_state::GuestState;
use crate::host::{HostCall, HostReply};
use crate::limits::RANDOM_BYTES_MAX;

pub(super) const RANDOM: Capability = Capability {
    interfaces: &["wasi:random/random", "wasi:random/insecure", "wasi:random/insecure-seed"],
    need: Need::Nothing,
    link,
};

/// There is one source, so the insecure interfaces give secure bytes.
fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    for (instance, bytes, number) in [
        ("wasi:random/random@0.2.12", "get-random-bytes", "get-random-u64"),
        ("wasi:random/insecure@0.2.12", "get-insecure-random-bytes", "get-insecure-random-u64"),
    ] {
        let mut random = linker.instance(instance)?;
        random.func_wrap_async(bytes, |mut store: StoreContextMut<'_, GuestState>, (length,): (u64,)| {
            Box::new(async move { Ok((store.data_mut().random(length).await?,)) })
        })?;
        random.func_wrap_async(number, |mut store: StoreContextMut<'_, GuestState>, ()| {
            Box::new(async move { Ok((store.data_mut().random_u64().await?,)) })
        })?;
    }
    let mut seed = linker.instance("wasi:random/insecure-seed@0.2.12")?;
    seed.func_wrap_async("insecure-seed", |mut store: StoreContextMut<'_, GuestState>, ()| {
        Box::new(async move {
            let state = store.data_mut();
            Ok(((state.random_u64().await?, state.random_u64().await?),))
        })
    })
}

impl GuestState {
    async fn random(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES_MAX {
            wasmtime::bail!("draw {length} random bytes: at most {RANDOM_BYTES_MAX} are given at once");
        }
        match self.dispatcher().call(HostCall::Random { length: length as u32 }).await? {
            HostReply::Random { bytes } if bytes.len() as u64 == length => Ok(bytes),
            other => Err(wasmtime::format_err!("the host answered a draw of {length} bytes with {other:?}")),
        }
    }

    async fn random_u64(&mut self) -> wasmtime::Result<u64> {
        let bytes = self.random(8).await?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("as many bytes came as were asked for")))
    }
}
