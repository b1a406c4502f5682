//! From an agent's traits to a component's exports.
//!
//! The adapters carry no state: the canonical ABI calls a type's associated functions.
use crate::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use crate::{Failure, Handler, Invocation, Outcome, http};
use std::marker::PhantomData;

/// Makes the agent `T` the component's exports. Used by [`export!`](crate::export).
pub struct Exported<T>(PhantomData<T>);

impl<T: Handler> crate::bindings::events::exports::nisse::agent::handler::Guest for Exported<T> {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        T::handle(invocation)
    }
}

impl<T: http::Serve> crate::bindings::incoming::exports::wasi::http::incoming_handler::Guest for Exported<T> {
    fn handle(request: IncomingRequest, response: ResponseOutparam) {
        http::serve::<T>(request, response);
    }
}

/// As [`Exported`], for agents that speak `wasi:http` themselves.
pub struct ExportedRaw<T>(PhantomData<T>);

impl<T: http::ServeRaw> crate::bindings::incoming::exports::wasi::http::incoming_handler::Guest for ExportedRaw<T> {
    fn handle(request: IncomingRequest, response: ResponseOutparam) {
        T::serve(request, response);
    }
}

/// Exports an agent: `export!(Agent)` for events and HTTP, `export!(Agent: events)` or `export!(Agent: http)` for one of
/// them, `export!(Agent: raw_http)` for a type that implements [`http::ServeRaw`](crate::http::ServeRaw).
#[macro_export]
macro_rules! export {
    ($agent:ident) => {
        $crate::export!($agent: events, http);
    };
    ($agent:ident : $($handler:ident),+ $(,)?) => {
        $($crate::export_one!($handler $agent);)+
    };
}

/// One export of [`export!`](crate::export).
#[doc(hidden)]
#[macro_export]
macro_rules! export_one {
    (events $agent:ident) => {
        const _: () = {
            type Events = $crate::Exported<$agent>;
    $crate::bindings::events::export_events!(Events with_types_in $crate::bindings::events);
        };
    };
    (http $agent:ident) => {
        const _: () = {
            type Http = $crate::Exported<$agent>;
    $crate::bindings::incoming::export_incoming!(Http with_types_in $crate::bindings::incoming);
        };
    };
    (raw_http $agent:ident) => {
        const _: () = {
            type Http = $crate::ExportedRaw<$agent>;
    $crate::bindings::incoming::export_incoming!(Http with_types_in $crate::bindings::incoming);
        };
    };
}
