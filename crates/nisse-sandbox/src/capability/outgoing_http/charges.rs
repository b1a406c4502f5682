//! The functions of `wasi:http/types` that make the host hold something, each charged to the agent's memory before it
//! does.
//!
//! They stand before the functions that wasmtime has linked and call those. What is dropped is given back where the table
//! of handles is reckoned, so nothing stands before a drop.

use http_body_util::BodyExt;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, HeaderError, Host, HostFields, HostOutgoingBody as _, HostOutgoingRequest as _, Method, Trailers,
};
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, HyperOutgoingBody};
use wasmtime_wasi_http::p2::types::{HostOutgoingRequest, HostOutgoingResponse};
use wasmtime_wasi_http::{FieldMap, WasiHttpView};

use crate::guest_state::GuestState;
use crate::limits::{BODY_BYTES, FIELD_BYTES, HANDLE_BYTES, HTTP_FIELDS_BYTES_MAX};
use crate::memory::{Held, HeldBody, fields_bytes, method_bytes};

type Store<'a> = StoreContextMut<'a, GuestState>;
type Interface<'a> = LinkerInstance<'a, GuestState>;
type Fields = Resource<FieldMap>;
type Request = Resource<HostOutgoingRequest>;
type Response = Resource<HostOutgoingResponse>;
type Body = Resource<HostOutgoingBody>;

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut interface = linker.instance("wasi:http/types@0.2.12")?;
    link_fields(&mut interface)?;
    link_requests(&mut interface)?;
    link_bodies(&mut interface)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn link_fields(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func_wrap("[constructor]fields", |mut store: Store<'_>, ()| {
        let state = store.data_mut();
        state.hold(HANDLE_BYTES)?;
        Ok((HostFields::new(&mut state.http())?,))
    })?;
    interface.func_wrap(
        "[static]fields.from-list",
        |mut store: Store<'_>, (entries,): (Vec<(String, Vec<u8>)>,)| {
            let state = store.data_mut();
            state.hold(HANDLE_BYTES + entries.iter().map(|(name, value)| field_bytes(name, value)).sum::<u64>())?;
            let made = state.http().from_list(entries);
            Ok((header_result(state, made)?,))
        },
    )?;
    interface.func_wrap(
        "[method]fields.append",
        |mut store: Store<'_>, (fields, name, value): (Fields, String, Vec<u8>)| {
            let state = store.data_mut();
            state.hold(field_bytes(&name, &value))?;
            let appended = state.http().append(fields, name, value);
            Ok((header_result(state, appended)?,))
        },
    )?;
    interface.func_wrap(
        "[method]fields.set",
        |mut store: Store<'_>, (fields, name, values): (Fields, String, Vec<Vec<u8>>)| {
            let state = store.data_mut();
            state.hold(values.iter().map(|value| field_bytes(&name, value)).sum())?;
            let leaves_holes = has_many(state, &fields, &name)?;
            let set = state.http().set(again(&fields), name, values);
            let set = header_result(state, set)?;
            if leaves_holes {
                close_holes(state, &fields)?;
            }
            Ok((set,))
        },
    )?;
    interface.func_wrap("[method]fields.delete", |mut store: Store<'_>, (fields, name): (Fields, String)| {
        let state = store.data_mut();
        let leaves_holes = has_many(state, &fields, &name)?;
        let deleted = HostFields::delete(&mut state.http(), again(&fields), name);
        let deleted = header_result(state, deleted)?;
        if leaves_holes {
            close_holes(state, &fields)?;
        }
        Ok((deleted,))
    })?;
    interface.func_wrap("[method]fields.clone", |mut store: Store<'_>, (fields,): (Fields,)| {
        let state = store.data_mut();
        let copied = fields_bytes(state.table.get(&fields)?);
        state.hold(HANDLE_BYTES + copied)?;
        Ok((HostFields::clone(&mut state.http(), fields)?,))
    })
}

fn link_requests(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func_wrap("[constructor]outgoing-request", |mut store: Store<'_>, (headers,): (Fields,)| {
        let state = store.data_mut();
        state.hold(HANDLE_BYTES)?;
        let request: Request = types::HostOutgoingRequest::new(&mut state.http(), headers)?;
        Ok((request,))
    })?;
    interface.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_>, (request, method): (Request, Method)| {
            let state = store.data_mut();
            state.hold(method_bytes(&method) as u64)?;
            Ok((state.http().set_method(request, method)?,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_>, (request, path): (Request, Option<String>)| {
            let state = store.data_mut();
            state.hold(text_bytes(path.as_deref()))?;
            Ok((state.http().set_path_with_query(request, path)?,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_>, (request, authority): (Request, Option<String>)| {
            let state = store.data_mut();
            state.hold(text_bytes(authority.as_deref()))?;
            Ok((state.http().set_authority(request, authority)?,))
        },
    )
}

fn link_bodies(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func_wrap("[method]outgoing-response.body", |mut store: Store<'_>, (response,): (Response,)| {
        let state = store.data_mut();
        state.hold(2 * HANDLE_BYTES)?;
        let held = state.hold_apart(BODY_BYTES)?;
        let this = Response::new_borrow(response.rep());
        let body: Result<Body, ()> = types::HostOutgoingResponse::body(&mut state.http(), response)?;
        if body.is_ok() {
            keep(&mut state.table.get_mut(&this)?.body, held);
        }
        Ok((body,))
    })?;
    interface.func_wrap("[method]outgoing-request.body", |mut store: Store<'_>, (request,): (Request,)| {
        let state = store.data_mut();
        state.hold(2 * HANDLE_BYTES)?;
        let held = state.hold_apart(BODY_BYTES)?;
        let this = Request::new_borrow(request.rep());
        let body: Result<Body, ()> = types::HostOutgoingRequest::body(&mut state.http(), request)?;
        if body.is_ok() {
            keep(&mut state.table.get_mut(&this)?.body, held);
        }
        Ok((body,))
    })?;
    // Trailers are handed on in neither direction, so a body does not keep them.
    interface.func_wrap(
        "[static]outgoing-body.finish",
        |mut store: Store<'_>, (body, trailers): (Body, Option<Resource<Trailers>>)| {
            let state = store.data_mut();
            if let Some(trailers) = trailers {
                drop(state.table.delete(trailers)?);
            }
            let finished = state.http().finish(body, None);
            Ok((match finished {
                Ok(()) => Ok(()),
                Err(error) => Err(state.http().convert_error_code(error)?),
            },))
        },
    )
}

/// Has a body count until it is dropped, wherever it goes.
fn keep(body: &mut Option<HyperOutgoingBody>, held: Held) {
    *body = body.take().map(|body| HeldBody::new(body, held).boxed_unsync());
}

fn field_bytes(name: &str, value: &[u8]) -> u64 {
    FIELD_BYTES + (name.len() + value.len()) as u64
}

fn text_bytes(text: Option<&str>) -> u64 {
    text.map_or(0, str::len) as u64
}

fn again(fields: &Fields) -> Fields {
    Resource::new_borrow(fields.rep())
}

fn header_result<T>(
    state: &mut GuestState,
    result: wasmtime_wasi_http::p2::HeaderResult<T>,
) -> wasmtime::Result<Result<T, HeaderError>> {
    Ok(match result {
        Ok(done) => Ok(done),
        Err(error) => Err(state.http().convert_header_error(error)?),
    })
}

/// Whether a field has more values than one. Those stand in a table of their own, which does not tell its size and keeps
/// it when they go.
fn has_many(state: &GuestState, fields: &Fields, name: &str) -> wasmtime::Result<bool> {
    Ok(state.table.get(fields)?.get_all(name).iter().nth(1).is_some())
}

/// Puts fields into a table of their size.
fn close_holes(state: &mut GuestState, fields: &Fields) -> wasmtime::Result<()> {
    let holed = state.table.get(fields)?;
    state.outgoing_http.dispatcher.worked(holed.len());
    let mut map = http::HeaderMap::with_capacity(holed.keys_len());
    for (name, value) in holed.iter() {
        map.append(name.clone(), value.clone());
    }
    let mut closed = FieldMap::new_immutable(&mut state.outgoing_http, map);
    closed.set_mutable(HTTP_FIELDS_BYTES_MAX);
    *state.table.get_mut(fields)? = closed;
    Ok(())
}
