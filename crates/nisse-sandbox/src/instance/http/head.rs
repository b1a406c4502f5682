//! Notes how far an invocation is when it sets its response's head.
//!
//! An answer that leaves while it is made is committed from outside, where a running guest's store cannot be reached.

use std::sync::PoisonError;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, HostResponseOutparam as _};
use wasmtime_wasi_http::p2::types::{HostOutgoingResponse, HostResponseOutparam};

use crate::guest_state::{AtHead, GuestState};

type Set = (Resource<HostResponseOutparam>, Result<Resource<HostOutgoingResponse>, ErrorCode>);

/// Puts a note before `response-outparam.set`, which `wasi:http` has linked already.
pub(crate) fn note_heads(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance("wasi:http/types@0.2.12")?;
    types.func_wrap(
        "[static]response-outparam.set",
        |mut store: StoreContextMut<'_, GuestState>, (outparam, response): Set| {
            let fuel_left = store.get_fuel()?;
            let state = store.data_mut();
            let host_calls = state.dispatcher().count_made();
            let overlay = state.call.overlay.clone();
            let noted = AtHead { overlay, fuel_left, host_calls };
            *state.call.at_head.lock().unwrap_or_else(PoisonError::into_inner) = Some(noted);
            state.http().set(outparam, response)
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
