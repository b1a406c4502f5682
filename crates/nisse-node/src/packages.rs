//! Packages and states as the content store keeps them: what an upload must be before it is published, and the exports
//! that make rollback and destruction reversible.

mod bring;
mod needed;
mod upload;

use std::sync::Arc;

use nisse_content::{PinHold, PinKind, PinName, Profile};
use nisse_market::{ListedPackage, PublicationTerms};
use nisse_model::{Address, AgentName, AmountPerHour, ContentId, Manifest, PackageRef, Resources};
use nisse_store::{AgentState, Position, Snapshot};

use crate::core::Core;
use crate::entry::{Entry, StateChange};
use crate::error::{ErrorKind, NodeError};
use crate::supervisor::CutOff;

pub(crate) use bring::{BroughtFor, bring, is_here, near, own_keys};
pub(crate) use needed::{Needed, left_by_others, needed, pins_of};
pub(crate) use upload::store;

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

/// What a user names by its CID.
pub(crate) fn parse_cid(text: &str) -> Result<ContentId, NodeError> {
    text.parse().map_err(|error: nisse_model::ParseContentIdError| {
        NodeError::new(ErrorKind::Usage, "cid_invalid", format!("failed to {error}"))
            .with_hint("give the CID by itself and whole, without `ipfs://` or a path".to_owned())
    })
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
