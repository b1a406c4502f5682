//! The `config:` block of agent.yaml, with what the deployer set over it.
use crate::bindings::nisse::agent::config as host;

/// The whole block as JSON text; `{}` when there is none.
pub fn text() -> String {
    host::get()
}

/// The block as a type of the agent's own.
#[cfg(feature = "json")]
pub fn read<T: serde::de::DeserializeOwned>() -> Result<T, crate::Failure> {
    serde_json::from_str(&text()).map_err(|error| crate::Failure::permanent(format!("read the config: {error}")))
}
