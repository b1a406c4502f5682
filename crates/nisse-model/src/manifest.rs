//! `agent.yaml`: what an agent is, needs and asks for (DESIGN §5.8).
//!
//! The reader is strict: whatever two YAML readers could understand differently, and whatever this version of nisse
//! would not act upon, is refused with its line and column. Nothing is read past the first error of the YAML itself;
//! of the errors in its meaning, up to [`Manifest::ERRORS_MAX`] are told at once.

mod check;
mod error;
mod read;
mod read_config;
mod scalar;
mod seal;
mod text;
mod tree;

use std::fmt;

pub use check::{Warning, check};
pub use error::{ManifestError, ManifestErrors, ManifestProblem};

use crate::{Access, AgentId, Config, EntryPoint, Function, Hash256, Permission, Resources, Trigger};

/// What `agent.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name and version.
    pub agent_id: AgentId,
    /// For people; at most [`Manifest::DESCRIPTION_LENGTH_MAX`] bytes.
    pub description: String,
    /// Standards that the agent says it keeps; nothing checks them.
    pub compliance: Vec<String>,
    /// What it needs of a node.
    pub resources: Resources,
    /// The artifact's path inside the package's folder.
    pub entry_point: EntryPoint,
    /// SHA-256 of the artifact, once sealed.
    pub artifact_hash: ArtifactHash,
    /// What it asks for.
    pub permissions: Vec<Permission>,
    /// The `config:` block; `{}` without one.
    pub config: Config,
    /// Who may ask it at its public endpoint.
    pub access: Access,
    /// Its functions besides `main`.
    pub functions: Vec<Function>,
    /// What raises events for them.
    pub triggers: Vec<Trigger>,
}

impl Manifest {
    /// Longest agent.yaml, in bytes: one raw block that any contract or gateway can carry.
    pub const LENGTH_MAX: usize = 64 << 10;
    /// Deepest nesting of mappings and lists.
    pub const DEPTH_MAX: usize = Config::DEPTH_MAX + 2;
    /// Most errors told at once.
    pub const ERRORS_MAX: usize = 20;
    /// Longest description, in bytes.
    pub const DESCRIPTION_LENGTH_MAX: usize = 1024;
    /// Most entries of `compliance`.
    pub const COMPLIANCE_MAX: usize = 32;
    /// Longest entry of `compliance`, in bytes.
    pub const COMPLIANCE_LENGTH_MAX: usize = 64;
    /// Most entries of `permissions`.
    pub const PERMISSIONS_MAX: usize = 64;
    /// Most entries of `functions`.
    pub const FUNCTIONS_MAX: usize = 64;
    /// Most entries of `triggers`.
    pub const TRIGGERS_MAX: usize = 128;
    /// Longest text of an unsealed `artifact_hash`, in bytes.
    pub const UNSEALED_LENGTH_MAX: usize = 256;

    /// Reads agent.yaml.
    pub fn parse(text: &str) -> Result<Self, ManifestErrors> {
        let root = tree::parse(text)?;
        read::manifest(&root)
    }

    /// `text` with `hash` as its `artifact_hash` and every other byte as it was. Fails where `text` is no manifest.
    pub fn seal_text(text: &str, hash: Hash256) -> Result<String, ManifestErrors> {
        seal::seal_text(text, hash)
    }

    /// The artifact's hash, if the manifest is sealed.
    pub fn sealed_hash(&self) -> Option<Hash256> {
        match self.artifact_hash {
            ArtifactHash::Sealed(hash) => Some(hash),
            ArtifactHash::Unsealed(_) => None,
        }
    }
}

/// `artifact_hash`: a digest, or whatever stands there before `nisse pkg seal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactHash {
    /// 64 lower-case hex digits.
    Sealed(Hash256),
    /// Anything else, such as the printed example's `a1b2c3… (SHA-256 hash of oracle.wasm)`.
    Unsealed(String),
}

impl fmt::Display for ArtifactHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed(hash) => fmt::Display::fmt(hash, formatter),
            Self::Unsealed(text) => write!(formatter, "unsealed ({text})"),
        }
    }
}
