//! What the market says of a package.

use alloy::primitives::{B256, Bytes};
use nisse_model::{ByteSize, ContentId, Cpu, Hash256, PackageRef, ParseAgentIdError, Resources};

use crate::contracts;

/// A package as it is published: a publication, an order and a deployment each name one. Anybody may publish anything,
/// so nothing of it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPackage {
    /// `NAME@vVERSION`, or any other text.
    pub agent_id: String,
    /// The raw block of agent.yaml; its digest is the manifest's hash.
    pub manifest_cid: ContentId,
    /// The artifact, raw or dag-pb.
    pub artifact_cid: ContentId,
    /// SHA-256 of the artifact's bytes.
    pub artifact_hash: Hash256,
    /// SHA-256 of the merged configuration; `Hash256::ZERO` for none.
    pub config_hash: Hash256,
    /// What the agent needs.
    pub resources: Resources,
}

impl ListedPackage {
    /// As a package is published.
    pub fn new(package: &PackageRef, resources: Resources) -> Self {
        let PackageRef { agent_id, manifest_cid, artifact_cid, artifact_hash, config_hash } = package.clone();
        Self { agent_id: agent_id.to_string(), manifest_cid, artifact_cid, artifact_hash, config_hash, resources }
    }

    /// The package's name for all others; refused where its id is not one.
    pub fn reference(&self) -> Result<PackageRef, ParseAgentIdError> {
        let Self { ref agent_id, manifest_cid, artifact_cid, artifact_hash, config_hash, .. } = *self;
        Ok(PackageRef { agent_id: agent_id.parse()?, manifest_cid, artifact_cid, artifact_hash, config_hash })
    }
}

/// A package in the contracts' shapes, wherever they keep its parts.
pub(crate) struct FoundPackage<'a> {
    pub(crate) agent_id: &'a str,
    pub(crate) manifest_cid: &'a Bytes,
    pub(crate) artifact_cid: &'a Bytes,
    pub(crate) artifact_hash: B256,
    pub(crate) config_hash: B256,
    pub(crate) resources: &'a contracts::Resources,
}

impl FoundPackage<'_> {
    /// `None` for what no healthy market holds.
    pub(crate) fn read(self) -> Option<ListedPackage> {
        Some(ListedPackage {
            agent_id: self.agent_id.to_owned(),
            manifest_cid: ContentId::from_bytes(self.manifest_cid).ok()?,
            artifact_cid: ContentId::from_bytes(self.artifact_cid).ok()?,
            artifact_hash: Hash256(self.artifact_hash.0),
            config_hash: Hash256(self.config_hash.0),
            resources: resources(self.resources),
        })
    }
}

pub(crate) fn resources(found: &contracts::Resources) -> Resources {
    Resources { cpu: Cpu { millis: found.cpuMillis }, memory: ByteSize(found.memoryBytes), gpu: found.gpu }
}
