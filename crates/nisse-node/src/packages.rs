//! Packages and states as the content store keeps them: what an upload must be before it is published, and the exports
//! that make rollback and destruction reversible.

mod bring;
mod needed;

use std::sync::Arc;

use base64::Engine as _;
use nisse_content::{PinHold, PinKind, PinName, Profile, artifact_cid, manifest_cid};
use nisse_market::{ListedPackage, PublicationTerms};
use nisse_model::{
    Address, AgentName, AmountPerHour, Config, ConfigSetting, ContentId, Grants, Manifest, Package, PackageRef, Policy,
    Resources,
};
use nisse_sandbox::Inspection;
use nisse_store::{AgentState, Position, Snapshot};

use crate::control::PackageUpload;
use crate::core::Core;
use crate::entry::{Entry, StateChange};
use crate::error::{ErrorKind, NodeError};
use crate::supervisor::CutOff;

pub(crate) use bring::{BroughtFor, bring, is_here, near, own_keys};
pub(crate) use needed::{Needed, left_by_others, needed, pins_of};

/// Gas that a node may spend for an agent in each started hour: about sixty answers to a feed.
pub(crate) const GAS_BUDGET_PER_HOUR: u64 = 6_000_000;

/// An upload that is what it says, lies in the store and is pinned.
pub(crate) struct Stored {
    pub(crate) manifest: Manifest,
    pub(crate) reference: PackageRef,
    /// Until an order or an agent names it, nothing else says that it is needed.
    _hold: PinHold,
}

impl Stored {
    /// A package that lies in the store and stays there while this lives.
    pub(crate) fn held(core: &Core, manifest: Manifest, reference: PackageRef) -> Self {
        let hold = core.content.hold(pins_of(&reference));
        Self { manifest, reference, _hold: hold }
    }
}

/// Work on the disk for a request: where waiting is allowed, and done to its end.
pub(crate) async fn on_disk<T: Send + 'static>(
    core: &Arc<Core>,
    name: &str,
    work: impl FnOnce(&Core) -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    let own = Arc::clone(core);
    let worked = core.supervisor.blocking(name, move || work(&own)).await;
    worked.map_err(|error| cut_off(&error))?
}

fn cut_off(error: &CutOff) -> NodeError {
    NodeError::caused(ErrorKind::Failed, "cut_off", error)
}

/// Who runs what is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunBy {
    /// This node, for its own operator: nobody else needs the configuration.
    Home,
    /// Whichever node takes the order: it fetches the configuration like the package.
    Market,
}

impl RunBy {
    fn config_pin(self) -> PinKind {
        match self {
            Self::Home => PinKind::Config,
            Self::Market => PinKind::Ordered,
        }
    }
}

/// Checks an upload as strictly as the node that will run it, and stores it.
pub(crate) async fn store(
    core: &Arc<Core>,
    upload: PackageUpload,
    owner: Address,
    run_by: RunBy,
) -> Result<Stored, NodeError> {
    on_disk(core, "store a package", move |core| store_now(core, &upload, owner, run_by)).await
}

fn store_now(core: &Core, upload: &PackageUpload, owner: Address, run_by: RunBy) -> Result<Stored, NodeError> {
    let artifact = base64::engine::general_purpose::STANDARD.decode(&upload.artifact).map_err(|_| {
        NodeError::new(ErrorKind::Usage, "artifact_invalid", "failed to read the artifact: it is not base64")
    })?;
    let manifest = Manifest::parse(&upload.manifest).map_err(|errors| {
        NodeError::new(ErrorKind::Usage, "manifest_invalid", format!("failed to read agent.yaml:\n{errors}"))
    })?;
    if manifest.sealed_hash().is_none() {
        let text = "failed to deploy an unsealed package: its artifact_hash is not 64 hex digits";
        return Err(NodeError::new(ErrorKind::Refused, "package_unsealed", text)
            .with_hint("run `nisse pkg seal DIR`, which writes the artifact's hash into agent.yaml".to_owned()));
    }
    let verified = Package::seal_checked(upload.manifest.clone().into_bytes(), artifact.clone()).map_err(|error| {
        NodeError::caused(ErrorKind::Refused, "package_mismatch", &error)
            .with_hint("run `nisse pkg seal DIR` after each build".to_owned())
    })?;
    check_imports(&manifest, &artifact, owner == core.operator)?;
    let config = config(&manifest, &upload.set)?;
    let reference = PackageRef {
        agent_id: manifest.agent_id.clone(),
        manifest_cid: manifest_cid(upload.manifest.as_bytes()),
        artifact_cid: artifact_cid(&artifact),
        artifact_hash: verified.artifact_hash(),
        config_hash: config.hash(),
    };
    // Held first: once it is pinned, it is needed.
    let stored = Stored::held(core, manifest, reference);
    core.content
        .add_package(upload.manifest.as_bytes(), &artifact)
        .map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error).with_hint(error.hint()))?;
    let failed = |error: &dyn std::error::Error| NodeError::caused(ErrorKind::Failed, "content_failed", error);
    let batch = core.content.batch();
    // Far below one chunk, so this is one raw block whose digest is the configuration's hash.
    let cid = batch.add(&mut config.as_bytes(), Profile::UnixFs2025).map_err(|error| failed(&error))?;
    let pin = run_by.config_pin().name(cid);
    batch.commit_and_pin(pin.as_str(), &[cid]).map_err(|error| failed(&error))?;
    Ok(stored)
}

fn check_imports(manifest: &Manifest, artifact: &[u8], owner_is_node_operator: bool) -> Result<(), NodeError> {
    let refused = |code, error: &dyn std::error::Error| NodeError::caused(ErrorKind::Refused, code, error);
    let inspection = Inspection::read(artifact).map_err(|error| refused("artifact_refused", &error))?;
    // What the owner's own node would not give, a stranger's will not give either, but for the local network.
    let policy = Policy { owner_is_node_operator };
    let grants = Grants::from_manifest(manifest, policy)
        .map_err(|error| refused("permission_refused", &error).with_hint(error.hint()))?;
    inspection.check(&grants).map_err(|error| refused("import_refused", &error).with_hint(error.hint()))
}

fn config(manifest: &Manifest, set: &[String]) -> Result<Config, NodeError> {
    let invalid = |error: &dyn std::error::Error| NodeError::caused(ErrorKind::Usage, "config_invalid", error);
    let settings: Vec<ConfigSetting> =
        set.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(|error| invalid(&error))?;
    manifest.config.with_settings(&settings).map_err(|error| invalid(&error))
}

/// What a package is published with.
pub(crate) fn terms(package: &PackageRef, resources: Resources, max_rate: AmountPerHour) -> PublicationTerms {
    PublicationTerms {
        package: ListedPackage::new(package, resources),
        max_rate,
        bid_window_seconds: 0,
        gas_budget: GAS_BUDGET_PER_HOUR,
    }
}

/// Keeps an export of an agent's state under a pin of its own.
pub(crate) async fn keep_state(
    core: &Arc<Core>,
    pin: PinName,
    owner: Address,
    agent: &AgentName,
) -> Result<ContentId, NodeError> {
    let agent = agent.clone();
    on_disk(core, "export a state", move |core| {
        let export = core.states.agent(owner, &agent).export().map_err(|error| state_failed(&error))?;
        keep(core, &pin, &export, Profile::UnixFs2025)
    })
    .await
}

/// Keeps bytes under a pin of their own.
fn keep(core: &Core, pin: &PinName, bytes: &[u8], profile: Profile) -> Result<ContentId, NodeError> {
    let failed = |error: &dyn std::error::Error| NodeError::caused(ErrorKind::Failed, "content_failed", error);
    let batch = core.content.batch();
    let cid = batch.add(&mut &*bytes, profile).map_err(|error| failed(&error))?;
    batch.commit_and_pin(pin.as_str(), &[cid]).map_err(|error| failed(&error))?;
    Ok(cid)
}

/// Puts an export, which the content store holds and pins as `cid`, in the place of an agent's state: into the journal,
/// then applied. The agent does not run meanwhile.
pub(crate) async fn replace_state(
    core: &Arc<Core>,
    owner: Address,
    agent: &AgentName,
    cid: ContentId,
    export: Vec<u8>,
) -> Result<(), NodeError> {
    // Read before it is promised: the journal names no export that cannot be imported.
    let export = on_disk(core, "read a state", move |_| {
        Snapshot::read(&export).map(drop).map_err(|error| state_failed(&error))?;
        Ok(export)
    })
    .await?;
    let change = StateChange { owner, agent: agent.clone(), snapshot: Some(cid) };
    change_state(core, change, "import a state", move |state, position| {
        let snapshot = Snapshot::read(&export).map_err(|error| state_failed(&error))?;
        state.import(position, &snapshot).map(drop).map_err(|error| state_failed(&error))
    })
    .await
}

pub(crate) fn state_failed(error: &dyn std::error::Error) -> NodeError {
    NodeError::caused(ErrorKind::Failed, "state_failed", error)
}

/// Removes an agent's state: into the journal, then done.
pub(crate) async fn destroy_state(core: &Arc<Core>, owner: Address, agent: &AgentName) -> Result<(), NodeError> {
    let change = StateChange { owner, agent: agent.clone(), snapshot: None };
    change_state(core, change, "destroy a state", |state, position| {
        state.destroy(position).map_err(|error| state_failed(&error))
    })
    .await
}

/// Into the journal, then done: to its end, though whoever asked for it may go away.
async fn change_state(
    core: &Arc<Core>,
    change: StateChange,
    name: &'static str,
    apply: impl FnOnce(&AgentState, Position) -> Result<(), NodeError> + Send + 'static,
) -> Result<(), NodeError> {
    let own = Arc::clone(core);
    let changed = core.supervisor.to_its_end(name, async move { change_state_now(&own, change, name, apply).await });
    changed.await.map_err(|error| cut_off(&error))?
}

async fn change_state_now(
    core: &Arc<Core>,
    change: StateChange,
    name: &str,
    apply: impl FnOnce(&AgentState, Position) -> Result<(), NodeError> + Send + 'static,
) -> Result<(), NodeError> {
    let held = core.unapplied.hold();
    let state = core.states.agent(change.owner, &change.agent);
    let entry = Entry::State(change).encode();
    let journalled = async { Core::append(&core.journal, &[&entry]).await?.durable().await };
    let position = match journalled.await {
        Ok(position) => position,
        Err(error) => {
            // It stands nowhere, or nothing more is cut.
            held.let_go();
            return Err(state_failed(&error));
        }
    };
    if let Err(error) = on_disk(core, name, move |_| apply(&state, position)).await {
        // It stands, and what came behind it would be applied without it.
        held.leave_to_the_next_start();
        core.records.end(format!("{name}: {}", error.text));
        return Err(error);
    }
    held.let_go();
    Ok(())
}
