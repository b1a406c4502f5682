//! From a placement to a linked program: fetch, verify, inspect, compile, link. Each step fails with its own stage.

use std::sync::Arc;
use std::time::Duration;

use nisse_content::{BlockSource, FetchError, FetchLimits, Fetching, LocalSource, Reader};
use nisse_model::{
    Address, ByteSize, Config, ContentId, Grants, Hash256, Manifest, Package, PackageRef, Policy, TriggerSpec,
};
use nisse_orchestrator::{FailureStage, Placement, PrepareError};
use nisse_sandbox::limits::AGENT_MEMORY_BYTES_MAX;
use nisse_sandbox::{AgentProgram, Compiler, Engine, Host, Inspection, Limits, ProgramOptions, Recording};
use nisse_store::Clock;

use crate::audit::{Audit, Deed};
use crate::jobs::query_of;
use crate::supervisor::Supervisor;

/// Longest manifest or configuration, in bytes.
pub(crate) const SMALL_BLOCK_BYTES_MAX: u64 = 64 << 10;
/// How long fetching one part of a package may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(60);

/// Makes programs of packages.
pub(crate) struct Preparer {
    pub(crate) content: Arc<dyn BlockSource>,
    pub(crate) engine: Engine,
    pub(crate) compiler: Compiler,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) operator: Address,
    pub(crate) audit: Arc<Audit>,
    /// What every agent's state may hold.
    pub(crate) state_quota: ByteSize,
}

/// A package as it came. Its blocks are what their CIDs say; nothing else is checked yet.
pub(crate) struct Fetched {
    manifest: Vec<u8>,
    artifact: Vec<u8>,
    /// `None`: the deployment names none.
    config: Option<Result<Vec<u8>, PrepareError>>,
}

impl Fetched {
    /// How much came.
    pub(crate) fn bytes(&self) -> usize {
        let config = self.config.as_ref().and_then(|config| config.as_ref().ok());
        self.manifest.len() + self.artifact.len() + config.map_or(0, Vec::len)
    }
}

/// A package that is what it says and asks for nothing that it was not granted.
pub(crate) struct Checked {
    pub(crate) manifest: Manifest,
    pub(crate) grants: Grants,
    pub(crate) config: Config,
    inspection: Inspection,
    artifact: Vec<u8>,
}

/// The node's own store, read where waiting for the disk is allowed.
pub(crate) struct OwnStore {
    pub(crate) source: Arc<LocalSource>,
    pub(crate) supervisor: Arc<Supervisor>,
}

impl BlockSource for OwnStore {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn fetch(&self, cid: ContentId, limits: FetchLimits) -> Fetching<'_> {
        let source = Arc::clone(&self.source);
        Box::pin(async move {
            let read = self.supervisor.blocking("read content", move || source.read(cid, limits)).await;
            read.unwrap_or(Err(FetchError::CutOff { cid }))
        })
    }
}

impl Preparer {
    /// Fetches, verifies and inspects a package, without compiling it.
    pub(crate) async fn check(&self, placement: &Placement) -> Result<Checked, PrepareError> {
        let fetched = self.fetch(&placement.package).await?;
        self.verify(placement, fetched).await
    }

    /// Fetches the parts of a package.
    pub(crate) async fn fetch(&self, reference: &PackageRef) -> Result<Fetched, PrepareError> {
        let manifest = self.file(reference.manifest_cid, SMALL_BLOCK_BYTES_MAX).await?;
        let artifact = self.file(reference.artifact_cid, Package::ARTIFACT_LENGTH_MAX as u64).await?;
        let config = match reference.config_hash {
            // "None" on the market: what agent.yaml says by itself.
            Hash256::ZERO => None,
            // A package that is not what it says is told first, whatever else is missing.
            hash => Some(self.file(ContentId::raw(hash), SMALL_BLOCK_BYTES_MAX).await),
        };
        Ok(Fetched { manifest, artifact, config })
    }

    /// Whether what was fetched is what the deployment names, and asks for nothing that it is not granted.
    pub(crate) async fn verify(&self, placement: &Placement, fetched: Fetched) -> Result<Checked, PrepareError> {
        let (placement, operator, owner) = (placement.clone(), self.operator, placement.owner);
        // To hash an artifact and to read it takes as long as it is large.
        let work = move || verify(&placement, operator, fetched);
        let verified = self.supervisor.blocking("check a package", work).await;
        verified.map_err(|error| at(FailureStage::Node, &error))?.map_err(|refused| match refused {
            Refused::Package(error) => error,
            Refused::Rights(name, error) => {
                let (by, about) = (format!("owner {owner}"), name);
                self.audit.tried(Deed {
                    by,
                    act: "agent.refuse".into(),
                    about,
                    outcome: format!("failed to {}", error.reason),
                });
                error
            }
        })
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

    async fn file(&self, cid: ContentId, bytes_max: u64) -> Result<Vec<u8>, PrepareError> {
        let limits = FetchLimits { bytes_max, deadline: FETCH_TIME_MAX, reader: Reader::Node };
        let fetched = self.content.fetch(cid, limits).await.map_err(|error| at(FailureStage::Fetch, &error))?;
        Ok(Vec::from(fetched.bytes))
    }
}

/// Why a package is not taken.
enum Refused {
    Package(PrepareError),
    /// The agent of this name asks for what it is not given.
    Rights(String, PrepareError),
}

impl From<PrepareError> for Refused {
    fn from(error: PrepareError) -> Self {
        Self::Package(error)
    }
}

fn verify(placement: &Placement, operator: Address, fetched: Fetched) -> Result<Checked, Refused> {
    let Fetched { manifest, artifact, config } = fetched;
    let package =
        Package::verify(manifest, artifact, &placement.package).map_err(|error| at(FailureStage::Verify, &error))?;
    let config = match config {
        Some(bytes) => Config::from_bytes(&bytes?).map_err(|error| at(FailureStage::Verify, &error))?,
        None => package.manifest().config.clone(),
    };
    let owner_is_node_operator = placement.owner == operator;
    let manifest = package.manifest().clone();
    if manifest.resources != placement.resources {
        let text = "verify the package: the deployment names other resources than agent.yaml";
        return Err(PrepareError { stage: FailureStage::Verify, reason: text.to_owned() }.into());
    }
    if manifest.resources.memory.0 > AGENT_MEMORY_BYTES_MAX {
        let most = ByteSize(AGENT_MEMORY_BYTES_MAX);
        let reason = format!("it asks for {} of memory: an agent has at most {most}", manifest.resources.memory);
        return Err(PrepareError { stage: FailureStage::Link, reason }.into());
    }
    let rights = |error| Refused::Rights(manifest.agent_id.to_string(), error);
    let grants = Grants::from_manifest(&manifest, Policy { owner_is_node_operator })
        .map_err(|error| rights(at(FailureStage::Link, &error)))?;
    let artifact = package.artifact_bytes().to_vec();
    let inspection = Inspection::read(&artifact).map_err(|error| at(FailureStage::Compile, &error))?;
    inspection.check(&grants).map_err(|error| {
        let PrepareError { stage, reason } = at(FailureStage::Link, &error);
        rights(PrepareError { stage, reason: format!("{reason}; {}", error.hint()) })
    })?;
    let declares = !manifest.functions.is_empty() || !manifest.triggers.is_empty();
    if declares && !inspection.handles_events() {
        let reason = "link the package: agent.yaml declares functions or triggers, and the component exports no \
                      `nisse:agent/handler`, so it takes no events";
        return Err(PrepareError { stage: FailureStage::Link, reason: reason.to_owned() }.into());
    }
    let of_spaces = manifest.triggers.iter().filter(|trigger| matches!(trigger.spec, TriggerSpec::Space { .. }));
    for trigger in of_spaces {
        query_of(trigger).map_err(|error| {
            let reason = format!("link the package: {}", error.text);
            PrepareError { stage: FailureStage::Link, reason }
        })?;
    }
    Ok(Checked { manifest, grants, config, inspection, artifact })
}

fn at(stage: FailureStage, error: &dyn std::error::Error) -> PrepareError {
    PrepareError { stage, reason: crate::error::chain(error) }
}

#[cfg(test)]
mod tests;
