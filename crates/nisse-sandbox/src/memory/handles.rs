//! What the host holds behind a guest's handles, counted as the agent's memory.
//!
//! Whatever makes it grow is charged before it does. What handles that were dropped had charged is given back when the
//! table is reckoned anew: at the end of an invocation, before an instance's memory grows, and before anything is refused.

use std::any::Any;

use http::HeaderMap;
use wasmtime::component::Resource;
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::bindings::http::types::Method;
use wasmtime_wasi_http::p2::types::{
    HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};

use super::{Held, MemorySpent};
use crate::guest_state::GuestState;
use crate::limits::{FIELD_BYTES, HANDLE_BYTES, RECKON_AFTER_BYTES};

/// Places that a table of header fields has when its first field comes.
const FIRST_PLACES: usize = 8;

/// What is charged for an instance's handles.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    charged: u64,
    /// What of it was charged since the table was last reckoned.
    unreckoned: u64,
    /// Incoming requests and what their heads hold, which the handle itself does not tell.
    heads: Vec<(u32, u64)>,
}

impl GuestState {
    /// Holds more behind a handle, for as long as the handle is there.
    pub(crate) fn hold(&mut self, bytes: u64) -> wasmtime::Result<()> {
        if self.handles.unreckoned > RECKON_AFTER_BYTES {
            self.reckon();
        }
        self.take(bytes)?;
        self.handles.charged += bytes;
        self.handles.unreckoned += bytes;
        Ok(())
    }

    /// Holds a buffer apart from the table of handles.
    pub(crate) fn hold_apart(&mut self, bytes: u64) -> wasmtime::Result<Held> {
        if self.limiter.meter.left() < bytes {
            self.reckon();
        }
        self.limiter.meter.hold(bytes).map_err(|spent| self.spent(spent))
    }

    /// Takes of the agent's memory. What cannot be taken even when all that was dropped is given back stops the guest.
    pub(crate) fn take(&mut self, bytes: u64) -> wasmtime::Result<()> {
        if self.limiter.meter.take(bytes).is_ok() {
            return Ok(());
        }
        self.reckon();
        self.limiter.meter.take(bytes).map_err(|spent| self.spent(spent))
    }

    fn spent(&mut self, spent: MemorySpent) -> wasmtime::Error {
        self.limiter.refused = true;
        wasmtime::Error::new(spent)
    }

    /// Holds the head of a request that is about to come in, and gives what has to be noted with its handle.
    pub(crate) fn hold_head(&mut self, uri: &http::Uri, fields: &HeaderMap) -> wasmtime::Result<u64> {
        let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
        let head = path as u64 + fields_bytes(fields);
        self.hold(2 * HANDLE_BYTES + head)?;
        Ok(head)
    }

    /// Notes what the head of an incoming request holds.
    pub(crate) fn note_head(&mut self, request: &Resource<HostIncomingRequest>, head: u64) {
        self.handles.heads.retain(|(known, _)| *known != request.rep());
        self.handles.heads.push((request.rep(), head));
    }

    /// Charges what is behind the handles that are there, and no more.
    pub(crate) fn reckon(&mut self) {
        if self.handles.charged == 0 {
            return;
        }
        let table = &mut self.table;
        self.handles.heads.retain(|(rep, _)| table.get(&Resource::<HostIncomingRequest>::new_borrow(*rep)).is_ok());
        let heads: u64 = self.handles.heads.iter().map(|(_, head)| head).sum();
        let mut seen = 0;
        let there = heads + table.iter_mut().map(|entry| HANDLE_BYTES + weight(entry, &mut seen)).sum::<u64>();
        self.limiter.meter.settle(self.handles.charged, there);
        (self.handles.charged, self.handles.unreckoned) = (there, 0);
        // A guest that holds much and drops little keeps the host counting.
        self.dispatcher().worked_beside(seen);
    }
}

/// What an entry of the table holds besides itself, in bytes.
fn weight(entry: &(dyn Any + Send), seen: &mut u64) -> u64 {
    *seen += 1;
    let mut fields = |fields: &HeaderMap| {
        *seen += fields.len() as u64;
        fields_bytes(fields)
    };
    if let Some(entry) = entry.downcast_ref::<FieldMap>() {
        fields(entry)
    } else if let Some(HostOutgoingResponse { headers, .. }) = entry.downcast_ref() {
        fields(headers)
    } else if let Some(HostIncomingResponse { headers, .. }) = entry.downcast_ref() {
        fields(headers)
    } else if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
        let HostOutgoingRequest { method, authority, path_with_query, headers, .. } = request;
        let texts = [authority, path_with_query].into_iter().flatten().map(String::len).sum::<usize>();
        fields(headers) + (texts + method_bytes(method)) as u64
    } else {
        0
    }
}

/// What a method's text takes.
pub(crate) fn method_bytes(method: &Method) -> usize {
    if let Method::Other(text) = method { text.len() } else { 0 }
}

/// What the host holds for a table of header fields. Its places stay where fields were removed.
pub(crate) fn fields_bytes(fields: &HeaderMap) -> u64 {
    let texts = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    // A table has at most twice the places that were ever filled, which is in the cost of a field; its first few are in
    // the cost of a handle.
    let filled = if fields.capacity() > FIRST_PLACES { fields.capacity() / 2 } else { 0 };
    filled.max(fields.len()) as u64 * FIELD_BYTES + texts as u64
}
