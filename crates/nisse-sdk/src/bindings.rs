//! What the WIT files say, as Rust: generated, complete and unadorned.
//!
//! The modules of this crate cover what most agents need; whoever streams bodies or wants every field of a WASI request
//! comes here. The exports stand in worlds of their own, so that a component exports only the handlers that it has.
#![allow(missing_docs, unreachable_pub, reason = "generated; the texts are those of the WIT files")]
#![allow(unsafe_code, reason = "the canonical ABI is pointers and lengths; the generator owns that code")]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks, reason = "generated")]

/// Everything that an agent may import.
mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package nisse:sdk-imports;
            world imports {
                import nisse:agent/types@0.1.0;
                import nisse:agent/state@0.1.0;
                import nisse:agent/alarm@0.1.0;
                import nisse:agent/config@0.1.0;
                import nisse:agent/log@0.1.0;
                import nisse:agent/ipfs@0.1.0;
                import nisse:agent/chain@0.1.0;
                import nisse:agent/spaces@0.1.0;
                import wasi:clocks/wall-clock@0.2.12;
                import wasi:clocks/monotonic-clock@0.2.12;
                import wasi:random/random@0.2.12;
                import wasi:http/outgoing-handler@0.2.12;
            }
        ",
        generate_all,
    });
}

pub use imports::{nisse, wasi};

/// The event handler's export.
pub mod events {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package nisse:sdk-events;
            world events { export nisse:agent/handler@0.1.0; }
        ",
        with: { "nisse:agent/types@0.1.0": crate::bindings::nisse::agent::types },
        pub_export_macro: true,
        export_macro_name: "export_events",
        default_bindings_module: "nisse_sdk::bindings::events",
    });
}

/// The HTTP handler's export.
pub mod incoming {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package nisse:sdk-incoming;
            world incoming { export wasi:http/incoming-handler@0.2.12; }
        ",
        with: {
            "wasi:clocks/monotonic-clock@0.2.12": crate::bindings::wasi::clocks::monotonic_clock,
            "wasi:http/types@0.2.12": crate::bindings::wasi::http::types,
            "wasi:io/error@0.2.12": crate::bindings::wasi::io::error,
            "wasi:io/poll@0.2.12": crate::bindings::wasi::io::poll,
            "wasi:io/streams@0.2.12": crate::bindings::wasi::io::streams,
        },
        pub_export_macro: true,
        export_macro_name: "export_incoming",
        default_bindings_module: "nisse_sdk::bindings::incoming",
    });
}
