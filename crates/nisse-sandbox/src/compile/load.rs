//! The one unsafe place of nisse: native code that we compiled ourselves becomes executable.
#![allow(unsafe_code, reason = "loading compiled code is unsafe by nature and stands alone in this file")]

use nisse_model::Hash256;
use wasmtime::component::Component;

use crate::engine::Engine;

/// An artifact's native code, loaded. Cheap to clone.
#[derive(Clone)]
pub struct CompiledArtifact {
    hash: Hash256,
    component: Component,
}

impl CompiledArtifact {
    /// Loads code that this node's own compile child or own sealed cache gave.
    pub(super) fn from_own_code(engine: &Engine, hash: Hash256, code: &[u8]) -> Result<Self, String> {
        // SAFETY: `deserialize` runs whatever the bytes say. They come from `precompile_component` of this very engine
        // configuration, out of the child that this process has spawned over a pipe of its own, or out of the cache,
        // where a seal with the node's key has been checked over every byte. The network has no way here: both callers
        // are in `compile.rs`, and wasmtime itself refuses code of another version or configuration.
        let component = unsafe { Component::deserialize(engine.wasmtime(), code) };
        let component = component.map_err(|error| format!("{error:#}"))?;
        Ok(Self { hash, component })
    }

    /// Compiles and loads in this process: for tests and benches, whose artifacts are their own.
    pub fn compile_here(engine: &Engine, artifact: &[u8]) -> Result<Self, String> {
        let component = Component::from_binary(engine.wasmtime(), artifact).map_err(|error| format!("{error:#}"))?;
        Ok(Self { hash: Hash256::of(artifact), component })
    }

    /// SHA-256 of the artifact that the code was compiled from.
    pub fn artifact_hash(&self) -> Hash256 {
        self.hash
    }

    pub(crate) fn component(&self) -> &Component {
        &self.component
    }
}

impl std::fmt::Debug for CompiledArtifact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CompiledArtifact").field("hash", &self.hash).finish_non_exhaustive()
    }
}
