//! What `wit/` says, as Rust: generated, so this file only says from what.

/// What an agent imports from `nisse:agent`.
pub(crate) mod imports {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package nisse:sandbox;
            world imports {
                import nisse:agent/types@0.1.0;
                import nisse:agent/state@0.1.0;
                import nisse:agent/alarm@0.1.0;
                import nisse:agent/config@0.1.0;
                import nisse:agent/log@0.1.0;
                import nisse:agent/ipfs@0.1.0;
                import nisse:agent/chain@0.1.0;
                import nisse:agent/spaces@0.1.0;
            }
        ",
        world: "nisse:sandbox/imports",
        imports: {
            "nisse:agent/state": async | trappable,
            "nisse:agent/ipfs": async | trappable,
            "nisse:agent/spaces": async | trappable,
            "nisse:agent/log": async | trappable,
            default: trappable,
        },
    });
}

/// What an agent exports to react to events.
pub(crate) mod handler {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package nisse:sandbox;
            world events {
                export nisse:agent/handler@0.1.0;
            }
        ",
        world: "nisse:sandbox/events",
        exports: { default: async },
    });
}
