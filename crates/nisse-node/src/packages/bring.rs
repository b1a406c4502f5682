//! Brings a package that is not all here from other nodes, block by verified block.
//!
//! What is private here (configurations and states of agents at home) is never taken for a part of a stranger's package:
//! its id stands on the chain, and whoever names it must have it from somewhere else. Nothing is pinned before the package
//! is found to be what its deployment says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nisse_content::download::{DownloadError, DownloadLimits};
use nisse_content::{Batch, BlockStore, GatewayUrl, PinError, PinHold, PinKind, StoreError, VerifiedBlock};
use nisse_model::{Address, ContentId, DeploymentId, Package, PackageRef};
use nisse_orchestrator::{FailureStage, Placement, PrepareError};

use super::needed::{config_of, package_pin};
use crate::core::Core;
use crate::error::chain;
use crate::prepare::SMALL_BLOCK_BYTES_MAX;
use crate::supervisor::CutOff;
use crate::wallets::KeyName;
use crate::watcher::named_provider;

/// How long the chain may take to say where a node is.
const CHAIN_TIME_MAX: Duration = Duration::from_secs(3);
/// How long all of a package may take, its turn included.
const BRING_TIME_MAX: Duration = Duration::from_secs(120);

/// What a package is brought for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BroughtFor {
    /// A look before a bid on this order: it may be gone before its turn comes.
    Bid(DeploymentId),
    /// The same for an order that nobody gave the package of: one after the other, by whoever looks.
    SecondLook(DeploymentId),
    /// An agent of this node.
    Agent(DeploymentId),
}

impl BroughtFor {
    fn deployment(self) -> DeploymentId {
        let (Self::Bid(deployment) | Self::SecondLook(deployment) | Self::Agent(deployment)) = self;
        deployment
    }
}

/// A package that is all here. No collection takes it while this lives.
pub(crate) struct Brought {
    core: Arc<Core>,
    package: PackageRef,
    is_own: bool,
    _batch: Arc<Holding>,
    _hold: PinHold,
}

/// Blocks on their way to a pin.
pub(super) type Holding = Batch<Arc<BlockStore>>;

/// What a package consists of, each with the most bytes it may have.
fn parts(package: &PackageRef) -> impl Iterator<Item = (ContentId, u64)> {
    let config = config_of(package).map(|config| (config, SMALL_BLOCK_BYTES_MAX));
    let artifact = (package.artifact_cid, Package::ARTIFACT_LENGTH_MAX as u64);
    [(package.manifest_cid, SMALL_BLOCK_BYTES_MAX), artifact].into_iter().chain(config)
}

/// Fetches what is missing of a package. Its blocks are what their CIDs say; nothing else is checked.
pub(crate) async fn bring(
    core: &Arc<Core>,
    placement: &Placement,
    brought_for: BroughtFor,
) -> Result<Brought, PrepareError> {
    let package = placement.package.clone();
    let hold = core.content.hold(super::pins_of(&package));
    let (own, batch, wanted) = (Arc::clone(core), Arc::new(core.content.shared_batch()), package.clone());
    let (taking, owner) = (Arc::clone(&batch), placement.owner);
    let look = move || {
        let is_own = own_keys(&own).contains(&owner);
        let missing = parts(&wanted).filter(|(cid, _)| !taking.take(*cid, !is_own));
        (is_own, missing.collect::<Vec<_>>())
    };
    let looked = core.supervisor.blocking("look for a package", look).await;
    let (is_own, missing) = looked.map_err(|error| failed(&error))?;
    let brought = Brought { core: Arc::clone(core), package, is_own, _batch: Arc::clone(&batch), _hold: hold };
    if missing.is_empty() {
        return Ok(brought);
    }
    let fetched = tokio::time::timeout(BRING_TIME_MAX, fetch(core, placement, brought_for, &batch, missing));
    let reason = match fetched.await {
        Ok(Ok(())) => return Ok(brought),
        // There is nobody to ask: whoever reads it here says what is missing.
        Ok(Err(Missed::Nobody(_))) if is_own => return Ok(brought),
        Ok(Err(Missed::Failed(error))) => return Err(error),
        Ok(Err(Missed::Nobody(cid))) => format!("fetch {cid}: it is not public here, and nobody is known who holds it"),
        Err(_) => format!("fetch the package within {} s", BRING_TIME_MAX.as_secs()),
    };
    Err(PrepareError { stage: FailureStage::Fetch, reason })
}

/// Whether nothing of a package has to be fetched.
pub(crate) fn is_here(core: &Core, package: &PackageRef) -> bool {
    parts(package).all(|(cid, _)| core.content.has(&cid))
}

/// Why a part is still missing.
enum Missed {
    /// Nobody is known who could be asked for it.
    Nobody(ContentId),
    Failed(PrepareError),
}

async fn fetch(
    core: &Arc<Core>,
    placement: &Placement,
    brought_for: BroughtFor,
    batch: &Arc<Holding>,
    missing: Vec<(ContentId, u64)>,
) -> Result<(), Missed> {
    let refused = |reason: &str| Missed::Failed(PrepareError { stage: FailureStage::Fetch, reason: reason.to_owned() });
    let owner = placement.owner;
    let _turn = match brought_for {
        BroughtFor::SecondLook(_) => None,
        BroughtFor::Agent(_) => Some(core.network.turns.of_agent().await),
        BroughtFor::Bid(deployment) => {
            let turn = core.network.turns.of_bid(owner).await;
            let turn = turn.ok_or_else(|| refused("fetch the package: too many are waited for already"))?;
            let wanted = move |all: &nisse_orchestrator::Orchestrator| all.orders().any(|(open, _)| open == deployment);
            match core.driver.look(wanted).await {
                Ok(true) => Some(turn),
                _ => return Err(refused("fetch the package: its order is gone")),
            }
        }
    };
    // Whom the order names, then where its owner's node is registered.
    let mut near = near(core, owner).await;
    if let Some(named) = named_provider(&core.database, &brought_for.deployment())
        && !near.contains(&named)
    {
        near.insert(0, named);
    }
    for (cid, bytes_max) in missing {
        let limits = DownloadLimits::file_bytes(bytes_max);
        let blocks = match core.network.download(owner, cid, limits, near.clone()).await {
            Ok(blocks) => blocks,
            Err(DownloadError::NobodyLeft { tried, .. }) if tried.is_empty() => return Err(Missed::Nobody(cid)),
            Err(error) => {
                tracing::warn!(%owner, error = chain(&error), "a package could not be fetched");
                let reason = error.outline();
                let stage = if error.is_of_the_content() { FailureStage::Verify } else { FailureStage::Fetch };
                return Err(Missed::Failed(PrepareError { stage, reason }));
            }
        };
        let put = hold_blocks(core, batch, blocks).await;
        put.map_err(|error| Missed::Failed(failed(&error)))?.map_err(|error| Missed::Failed(failed(&error)))?;
    }
    Ok(())
}

/// Keeps blocks as long as their batch lives, where waiting for the disk is allowed.
pub(super) async fn hold_blocks(
    core: &Core,
    batch: &Arc<Holding>,
    blocks: Vec<VerifiedBlock>,
) -> Result<Result<(), StoreError>, CutOff> {
    let (content, batch) = (Arc::clone(&core.content), Arc::clone(batch));
    core.supervisor.blocking("keep blocks", move || put(&content, &batch, &blocks)).await
}

/// Keeps blocks. What nobody keeps makes room for what is needed.
fn put(content: &BlockStore, batch: &Holding, blocks: &[VerifiedBlock]) -> Result<(), StoreError> {
    let put = || blocks.iter().try_for_each(|block| batch.put_found(block));
    match put() {
        Err(full @ StoreError::Quota { .. }) => match content.gc() {
            Ok(_) => put(),
            Err(error) => {
                tracing::warn!(error = chain(&error), "no room could be made for a package");
                Err(full)
            }
        },
        put => put,
    }
}

impl Brought {
    /// Pins it, as long as its agent is known here. That of others is public from then on, so its deployer may go away.
    pub(crate) async fn keep(self) -> Result<(), PrepareError> {
        let (content, package, is_own) = (Arc::clone(&self.core.content), self.package.clone(), self.is_own);
        let keep = move || -> Result<(), PinError> {
            let name = package_pin(&package);
            if !content.has_pin(&name) {
                content.pin(name.as_str(), &[package.manifest_cid, package.artifact_cid])?;
            }
            let Some(config) = config_of(&package) else { return Ok(()) };
            let [home, ordered] = [PinKind::Config, PinKind::Ordered].map(|kind| kind.name(config));
            if content.has_pin(&ordered) || (is_own && content.has_pin(&home)) {
                return Ok(());
            }
            // This home's own is not made public by being found again.
            content.pin(if is_own { home } else { ordered }.as_str(), &[config])
        };
        let kept = self.core.supervisor.blocking("keep a package", keep).await;
        kept.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

/// The node that its owner runs, where one is registered: it has what its owner deployed.
pub(crate) async fn near(core: &Core, owner: Address) -> Vec<GatewayUrl> {
    if owner == core.operator {
        return Vec::new();
    }
    let now = core.clock.elapsed();
    if let Some(near) = core.network.near(owner, now) {
        return near;
    }
    let Ok(market) = core.keys.market(&core.home, &core.supervisor, KeyName::Operator) else { return Vec::new() };
    match tokio::time::timeout(CHAIN_TIME_MAX, market.node(owner)).await {
        Ok(Ok(node)) => {
            let near: Vec<GatewayUrl> = node.and_then(|node| node.endpoint.parse().ok()).into_iter().collect();
            core.network.set_near(owner, near.clone(), now);
            near
        }
        _ => {
            tracing::debug!(%owner, "the chain does not say where the owner's node is");
            Vec::new()
        }
    }
}

/// The addresses of this home's keys.
pub(crate) fn own_keys(core: &Core) -> BTreeSet<Address> {
    let mut own = BTreeSet::from([core.operator]);
    own.extend(core.wallets.address(KeyName::Deployer));
    own
}

fn failed(error: &dyn std::error::Error) -> PrepareError {
    PrepareError { stage: FailureStage::Node, reason: chain(error) }
}
