//! From a placement to a linked program: fetch, verify, inspect, compile, link. Each step fails with its own stage.

use std::sync::Arc;
use std::time::Duration;

use nisse_content::{BlockSource, FetchLimits};
use nisse_model::{Address, ByteSize, Config, ContentId, Grants, Manifest, Package, PackageRef, Policy};
use nisse_orchestrator::{FailureStage, Placement, PrepareError};
use nisse_sandbox::limits::AGENT_MEMORY_BYTES_MAX;
use nisse_sandbox::{AgentProgram, Compiler, Engine, Host, Inspection, Limits, ProgramOptions, Recording};
use nisse_store::Clock;

/// Longest manifest or configuration, in bytes.
const SMALL_BLOCK_BYTES_MAX: u64 = 64 << 10;
/// How long fetching one part of a package may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(60);

/// Makes programs of packages.
pub(crate) struct Preparer {
    pub(crate) content: Arc<dyn BlockSource>,
    pub(crate) engine: Engine,
    pub(crate) compiler: Compiler,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) operator: Address,
    /// What every agent's state may hold.
    pub(crate) state_quota: ByteSize,
}

/// A package that is what it says and asks for nothing that it was not granted.
pub(crate) struct Checked {
    pub(crate) manifest: Manifest,
    pub(crate) grants: Grants,
    pub(crate) config: Config,
    inspection: Inspection,
    artifact: Vec<u8>,
}

impl Preparer {
    /// Fetches, verifies and inspects a package, without compiling it.
    pub(crate) async fn check(&self, placement: &Placement) -> Result<Checked, PrepareError> {
        let reference = &placement.package;
        let manifest = self.fetch(reference.manifest_cid, SMALL_BLOCK_BYTES_MAX).await?;
        let artifact = self.fetch(reference.artifact_cid, Package::ARTIFACT_LENGTH_MAX as u64).await?;
        let package =
            Package::verify(manifest, artifact, reference).map_err(|error| at(FailureStage::Verify, &error))?;
        let config = self.config(reference).await?;
        let owner_is_node_operator = placement.owner == self.operator;
        let manifest = package.manifest().clone();
        if manifest.resources != placement.resources {
            let text = "verify the package: the deployment names other resources than agent.yaml";
            return Err(PrepareError { stage: FailureStage::Verify, reason: text.to_owned() });
        }
        if manifest.resources.memory.0 > AGENT_MEMORY_BYTES_MAX {
            let most = ByteSize(AGENT_MEMORY_BYTES_MAX);
            let reason = format!("it asks for {} of memory: an agent has at most {most}", manifest.resources.memory);
            return Err(PrepareError { stage: FailureStage::Link, reason });
        }
        let grants = Grants::from_manifest(&manifest, Policy { owner_is_node_operator })
            .map_err(|error| at(FailureStage::Link, &error))?;
        let artifact = package.artifact_bytes().to_vec();
        let inspection = Inspection::read(&artifact).map_err(|error| at(FailureStage::Compile, &error))?;
        inspection.check(&grants).map_err(|error| {
            let PrepareError { stage, reason } = at(FailureStage::Link, &error);
            PrepareError { stage, reason: format!("{reason}; {}", error.hint()) }
        })?;
        Ok(Checked { manifest, grants, config, inspection, artifact })
    }

    /// Compiles, or finds the code in the cache.
    pub(crate) async fn compile(&self, checked: &Checked) -> Result<(), PrepareError> {
        self.compiler.compile(&checked.artifact).await.map(drop).map_err(|error| at(FailureStage::Compile, &error))
    }

    /// Compiles (or takes from the cache) and links.
    pub(crate) async fn link(&self, checked: &Checked, host: Arc<dyn Host>) -> Result<AgentProgram, PrepareError> {
        let compiled =
            self.compiler.compile(&checked.artifact).await.map_err(|error| at(FailureStage::Compile, &error))?;
        let limits = Limits {
            memory: checked.manifest.resources.memory,
            cpu: checked.manifest.resources.cpu,
            state: self.state_quota,
            ..Limits::default()
        };
        let options = ProgramOptions {
            grants: checked.grants.clone(),
            config: checked.config.clone(),
            limits,
            recording: Recording::On,
            host,
            clock: Arc::clone(&self.clock),
        };
        AgentProgram::link(&self.engine, &compiled, &checked.inspection, options)
            .map_err(|error| at(FailureStage::Link, &error))
    }

    async fn config(&self, reference: &PackageRef) -> Result<Config, PrepareError> {
        let bytes = self.fetch(ContentId::raw(reference.config_hash), SMALL_BLOCK_BYTES_MAX).await?;
        Config::from_bytes(&bytes).map_err(|error| at(FailureStage::Verify, &error))
    }

    async fn fetch(&self, cid: ContentId, bytes_max: u64) -> Result<Vec<u8>, PrepareError> {
        let limits = FetchLimits { bytes_max, deadline: FETCH_TIME_MAX };
        let fetched = self.content.fetch(cid, limits).await.map_err(|error| at(FailureStage::Fetch, &error))?;
        Ok(fetched.bytes.to_vec())
    }
}

fn at(stage: FailureStage, error: &dyn std::error::Error) -> PrepareError {
    PrepareError { stage, reason: crate::error::chain(error) }
}
