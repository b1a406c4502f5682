//! From a home folder to a running node.

pub(super) mod chain;
mod conclude;
mod keys;
pub(super) mod market;
mod reopen;

use std::sync::{Arc, OnceLock};

use nisse_content::{BlockStore, LocalSource, StoreOptions};
use nisse_egress::{
    Egress, EgressConfig, EgressDeps, EgressLimits, EgressTime, HickoryResolver, OwnAddresses, TcpDialler, TlsRoots,
    TracingAudit,
};
use nisse_orchestrator::Orchestrator;
use nisse_sandbox::{CompileLimits, Compiler, Engine, EngineOptions};
use nisse_store::{Clock, Database, Disk, Entropy, Journal, JournalError, JournalOptions, Position, StateStore};
use tokio::sync::{broadcast, mpsc};

use self::keys::{open_key, policy};
use super::Node;
use crate::agent::OUTWARD_QUEUE_MAX;
use crate::audit::{self, Audit};
use crate::bids::OnTheirWay;
use crate::core::{Core, MILESTONES_MAX, Moving, label};
use crate::driver::{Driver, DriverHandle, outbox};
use crate::error::{ErrorKind, NodeError};
use crate::heartbeats::Heard;
use crate::home::Home;
use crate::identity::device::Device;
use crate::identity::{self, Identity};
use crate::jobs::{self, JobsHandle};
use crate::keys::Keys;
use crate::lane::Lanes;
use crate::link::{self, Peers};
use crate::logs::{self, Logs};
use crate::network::Network;
use crate::options::NodeOptions;
use crate::owned::Owned;
use crate::prepare::{OwnStore, Preparer};
use crate::records::Records;
use crate::recovery::{Recovered, RecoveredChanges, Recovery};
use crate::remote::{Moments, Nonces};
use crate::routes::Routes;
use crate::spaces::{Committed, Spaces, keep_ended, keep_home};
use crate::supervisor::Supervisor;
use crate::timeline::Timeline;
use crate::unapplied::Unapplied;
use crate::vault::{self, NodeVault};
use crate::wallets::{KeyName, Wallets};

/// The seams that a node stands on.
#[derive(Clone)]
pub struct Seams {
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Node {
    /// Opens the home and brings everything back. Agents of the journal come up without the chain. What is made and what
    /// is found stands on the timeline.
    pub async fn open(options: NodeOptions, seams: Seams, timeline: &mut Timeline) -> Result<Arc<Self>, NodeError> {
        let Seams { disk, clock, entropy } = seams.clone();
        let home = Home::open(Arc::clone(&disk), entropy.as_ref(), &options.home)?;
        let supervisor = Arc::new(Supervisor::default());
        let vault = vault::start(&options, &seams, &supervisor);
        let wallets = Arc::new(Wallets::open(vault.clone(), &home).await?);
        let signer = open_key(&wallets, &home, KeyName::Operator, timeline).await?;
        let operator = signer.address();
        let policy = policy(&options, &wallets, &home, operator, timeline).await?;

        let content = BlockStore::open(
            Arc::clone(&disk),
            home.join("content"),
            StoreOptions { quota: options.content_quota, ..StoreOptions::default() },
        );
        let content = Arc::new(content.map_err(|error| failed("content_failed", &error))?);
        timeline.note("store", holding(content.usage().blocks));
        let database = Database::open(Arc::clone(&disk), &home.join("state/index.redb"));
        let database = Arc::new(database.map_err(|error| failed("database_failed", &error))?);
        let states = StateStore::open(Arc::clone(&disk), &home.join("state/agents.redb"))
            .map_err(|error| failed("state_failed", &error))?;

        let make = || Orchestrator::new(policy.clone());
        let mut recovery = Recovery::new((&states, &database), &content, &make);
        recovery.outbox = outbox::begins_at(&database).map_err(|error| failed("database_failed", &error))?;
        let layout = JournalOptions { segment_bytes: options.journal.segment_bytes };
        let folder = home.join("journal");
        let journal = Journal::open_with(Arc::clone(&disk), entropy.as_ref(), &folder, layout, |position, bytes| {
            recovery.take(position, bytes).map_err(OpenError::Recovery)
        })
        .map_err(|error| match error {
            OpenError::Journal(error) => failed("journal_failed", &error),
            OpenError::Recovery(error) => error,
        })?;
        let Recovered { mut orchestrator, outward: mut recovered, spaces, completed, places } = recovery.finish()?;

        let lived = journal.next() > Position(0);
        let (chain, client, queue) = chain::open_chain(&options, &home, &seams, lived, timeline)?;
        chain::check_leases(&orchestrator, &options, queue.chain_id)?;
        let keys = Keys::new(seams.clone(), Arc::clone(&wallets), client, queue, chain::FOLDER);
        let (audit, writer) = audit::open(Arc::clone(&disk), Arc::clone(&clock), entropy.as_ref(), &home)?;
        let audit = Arc::new(audit);
        supervisor.spawn("audit", |stop| writer.run(stop));
        let device = Device::open(vault.clone(), &home).await?;
        let identity = Identity::open(&disk, &clock, &entropy, &home, device)?;
        let preparer = preparer(&options, &home, &seams, &supervisor, &content, (operator, &audit))?;
        let owned = Owned::open(disk.as_ref(), home.path())?;
        let vault = NodeVault::new(vault, operator, Arc::clone(&audit));
        vault.tell_of_start().await?;
        let egress = egress(&options, &clock, vault.clone());
        let (gateways, routers) = (options.gateways.clone(), options.routers.clone());
        let network = Network::new(egress.clone(), gateways, routers, Arc::clone(&clock));
        let agents = orchestrator.agents().values().map(|agent| agent.placement.key());
        let labels = agents.map(|(owner, name)| label(operator, owner, &name)).collect();
        let logs = Logs::open(Arc::clone(&disk), home.join(logs::FOLDER), &labels);
        let (driver, inbox) = DriverHandle::new();
        let (jobs, jobs_inbox) = JobsHandle::new();
        let (outward_sender, outward) = mpsc::channel(OUTWARD_QUEUE_MAX.max(recovered.len() + 1));
        let journal = Arc::new(journal);
        let records = Arc::new(Records::new(Arc::clone(&journal), Arc::clone(&database), places));
        let core = Arc::new(Core {
            since: clock.now(),
            options,
            home,
            unapplied: Unapplied::new(Arc::clone(&journal), Arc::clone(&clock)),
            clock,
            entropy,
            journal,
            database,
            states,
            content,
            egress,
            network,
            preparer,
            chain,
            keys,
            wallets,
            signer,
            operator,
            logs,
            records: Arc::clone(&records),
            outward: outward_sender,
            routes: Routes::default(),
            driver,
            jobs,
            supervisor,
            milestones: broadcast::Sender::new(MILESTONES_MAX),
            lanes: Lanes::default(),
            ledger: Arc::default(),
            heard: Heard::default(),
            bids: OnTheirWay::default(),
            moving: Moving::default(),
            vault,
            audit,
            identity,
            peers: Peers::default(),
            spaces: Spaces::default(),
            owned,
        });
        let failing = Arc::clone(&core);
        core.supervisor.spawn("records", |stop| async move {
            if let Err(error) = records.run(stop).await {
                let reason = crate::error::chain(&error);
                tracing::error!(reason, "nothing can be recorded any more: the node cannot go on");
                failing.fail(reason);
            }
        });
        let reached = Arc::clone(&core);
        core.supervisor.spawn("link", |stop| link::run(reached, stop));
        let holding = Arc::clone(&core);
        core.supervisor.spawn("device key", |stop| identity::device::follow_vault(holding, stop));
        let homing = Arc::clone(&core);
        core.supervisor.spawn("home space", |stop| keep_home(homing, stop));
        let ending = Arc::clone(&core);
        core.supervisor.spawn("ended agents", |stop| keep_ended(ending, stop));
        let logging = Arc::clone(&core);
        core.supervisor.spawn("logs", |stop| async move { logging.logs.run(stop).await });
        conclude::conclude(&core, &completed, &mut orchestrator).await?;
        let market = match &core.chain {
            // The embedded chain always answers, so the market is there before anything is served.
            Some(_) => {
                let market = market::open_market(&core, timeline).await?;
                reopen::reopen_home_leases(&core, &mut orchestrator, &mut recovered).await?;
                Some(market)
            }
            None => None,
        };
        // Before anything is decided, so that no agent reads what is older than what it wrote.
        for RecoveredChanges { deployment, owner, agent, position, space, changes } in spaces {
            let (label, held) = (core.label(owner, &agent), Some(core.unapplied.hold_from(position)));
            core.spaces.outbox.push(&core, Committed { deployment, label, position, space, changes, held });
        }
        for effect in recovered {
            // The queue was made long enough for all of them.
            let _ = core.outward.try_send(effect);
        }
        let jobs = jobs::restore(&core, &completed).await?;
        let doing = Arc::clone(&core);
        core.supervisor.spawn("jobs", |stop| jobs::run(doing, jobs, jobs_inbox, stop));
        // Before anybody can ask: an agent that is known is away for a moment, and not unknown.
        core.publish_routes(&orchestrator);
        let decider = Driver::new(Arc::clone(&core), orchestrator, inbox, outward);
        // Agents come up at once; what they want from a chain elsewhere waits until it answers.
        core.supervisor.spawn("orchestrator", |_| decider.run());
        let market_core = Arc::clone(&core);
        core.supervisor.spawn("market", |stop| async move {
            let mut waiting = stop.clone();
            let open = async {
                match market {
                    Some(market) => market,
                    None => market::open_market_patiently(&market_core).await,
                }
            };
            let market = tokio::select! {
                () = waiting.requested() => return,
                market = open => market,
            };
            market::follow(market_core, market, stop).await;
        });
        let moments = Moments::new(core.clock.now(), core.clock.elapsed());
        let node = Arc::new(Self {
            core,
            listeners: OnceLock::new(),
            strangers: Arc::default(),
            nonces: Nonces::default(),
            token_nonces: Nonces::default(),
            moments,
        });
        node.follow_updates();
        Ok(node)
    }
}

enum OpenError {
    Journal(JournalError),
    Recovery(NodeError),
}

impl From<JournalError> for OpenError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

fn failed(code: &'static str, error: &dyn std::error::Error) -> NodeError {
    NodeError::caused(ErrorKind::Failed, code, error)
}

fn holding(blocks: u64) -> String {
    match blocks {
        0 => "a content store, empty".to_owned(),
        1 => "the content store, with 1 block".to_owned(),
        _ => format!("the content store, with {blocks} blocks"),
    }
}

fn preparer(
    options: &NodeOptions,
    home: &Home,
    Seams { disk, clock, entropy }: &Seams,
    supervisor: &Arc<Supervisor>,
    content: &Arc<BlockStore>,
    (operator, audit): (nisse_model::Address, &Arc<Audit>),
) -> Result<Preparer, NodeError> {
    let engine = Engine::new(EngineOptions::default()).map_err(|error| failed("engine_failed", &error))?;
    let compiler = Compiler::new(
        engine.clone(),
        Arc::clone(disk),
        home.join("cwasm"),
        entropy.as_ref(),
        options.compile_command.clone(),
        CompileLimits::default(),
    )
    .map_err(|error| failed("compiler_failed", &error))?;
    let source = Arc::new(LocalSource::new(Arc::clone(content), Arc::clone(clock)));
    Ok(Preparer {
        content: Arc::new(OwnStore { source, supervisor: Arc::clone(supervisor) }),
        engine,
        compiler,
        clock: Arc::clone(clock),
        supervisor: Arc::clone(supervisor),
        operator,
        audit: Arc::clone(audit),
        state_quota: options.state_quota,
    })
}

fn egress(options: &NodeOptions, clock: &Arc<dyn Clock>, vault: NodeVault) -> Egress {
    let (wall, steady) = (Arc::clone(clock), Arc::clone(clock));
    let config = EgressConfig {
        limits: EgressLimits::default(),
        connect_to: options.connect_to.clone(),
        own: OwnAddresses::default(),
        roots: TlsRoots::WebPki,
    };
    let deps = EgressDeps {
        resolver: Arc::new(HickoryResolver::new(&[])),
        dialler: Arc::new(TcpDialler),
        audit: Arc::new(TracingAudit),
        secrets: Arc::new(vault),
        time: EgressTime::new(move || wall.now(), move || steady.elapsed()),
    };
    Egress::new(config, deps)
}
