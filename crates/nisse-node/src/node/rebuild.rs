//! A home's chain made anew from its journal, where it was lost or damaged (DESIGN §5.10).
//!
//! The new chain has the old one's id, contracts and deployment numbers, and starts leases at the times at which the old
//! one did, so that agents, receipts and ends of leases hold. It is made beside what is there and takes its place in
//! one step; what was there is kept.

mod builder;
pub(super) mod history;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nisse_market::embedded::{ChainOptions, EmbeddedChain, draw_chain_id};
use nisse_market::{ChainClient, TxQueueOptions};
use nisse_model::Timestamp;
use nisse_store::{Clock, Database};
use zeroize::Zeroizing;

use super::offline::Offline;
use super::start::Seams;
use super::start::chain::{FOLDER, LOST, open_embedded};
use crate::error::{ErrorKind, NodeError};
use crate::home::Home;
use crate::keys::Keys;
use crate::options::{ChainChoice, NodeOptions};
use crate::supervisor::Supervisor;
use crate::wallets::KeyName;
use crate::watcher;

use builder::Builder;
use history::History;

/// Where the new chain is made.
const FOLDER_NEW: &str = "chain.new";

/// What was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuiltChain {
    /// The chain's id.
    pub chain: u64,
    /// Where what was there before lies now.
    pub copy: PathBuf,
    /// Every number that the old chain had given out, as far as the journal knows.
    pub deployments: Vec<RebuiltDeployment>,
    /// What is not as it was, in sentences.
    pub lost: Vec<String>,
}

/// One deployment on the new chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuiltDeployment {
    /// (chain, contract, number), as before.
    pub deployment: String,
    /// What runs there; `None` where the journal has forgotten it.
    pub agent_id: Option<String>,
    /// Whether its lease goes on.
    pub live: bool,
    /// What became of it, in one sentence.
    pub outcome: String,
}

/// Rebuilds the chain of a home on which no node runs. Refused where the chain is in order. The passphrase is for a vault
/// that nothing else opens.
pub async fn rebuild_chain(
    options: &NodeOptions,
    seams: Seams,
    passphrase: Option<Zeroizing<Vec<u8>>>,
) -> Result<RebuiltChain, NodeError> {
    if let ChainChoice::Remote { .. } = &options.chain {
        let text = "failed to rebuild the chain: this home uses one of its operator's choice";
        return Err(NodeError::new(ErrorKind::Refused, "chain_remote", text));
    }
    let offline = Offline::open(options, &seams, passphrase).await?;
    let rebuilt = rebuild_offline(options, &offline, seams).await;
    offline.close().await;
    rebuilt
}

async fn rebuild_offline(options: &NodeOptions, offline: &Offline, seams: Seams) -> Result<RebuiltChain, NodeError> {
    let home = &offline.home;
    let history = History::read(home, offline.wallets.get(KeyName::Operator)?.address(), &seams)?;
    if is_in_order(offline, &seams, &history)? {
        let text = "failed to rebuild the chain: it is in order, and is the one that the journal speaks of";
        return Err(NodeError::new(ErrorKind::Refused, "chain_in_order", text));
    }
    let chain_id = history.chain.unwrap_or_else(|| draw_chain_id(seams.entropy.as_ref()));
    // One that a power cut left half made is of no use, and is kept all the same.
    let stamp = seams.clock.now().seconds();
    set_aside(home, &seams, FOLDER_NEW, &format!("chain.unfinished-{stamp}"))?;
    let (deployments, lost) = build(options, offline, &seams, &history, chain_id).await?;

    // The blocks of the place in the log are those of the old chain: the new one is told from its first block.
    let database = Database::open(Arc::clone(&seams.disk), &home.join("state/index.redb"));
    let forgotten = database.and_then(|database| watcher::forget_places(&database, chain_id));
    forgotten.map_err(|error| NodeError::caused(ErrorKind::Failed, "database_failed", &error))?;
    let copy = set_aside(home, &seams, FOLDER, &format!("chain.before-{stamp}"))?;
    // A power cut here leaves no chain: `up` refuses, and this runs again.
    let renamed = seams.disk.rename(&home.join(FOLDER_NEW), &home.join(FOLDER));
    renamed.and_then(|()| seams.disk.sync_dir(&options.home)).map_err(|error| moved(FOLDER_NEW, &error))?;
    Ok(RebuiltChain { chain: chain_id, copy, deployments, lost })
}

/// Whether `up` would take the chain as it is. What cannot be read now may be sound: that is an error, and no reason to
/// put another chain in its place.
fn is_in_order(Offline { home, wallets, .. }: &Offline, seams: &Seams, history: &History) -> Result<bool, NodeError> {
    let or_lost = |error: NodeError| if LOST.contains(&error.code) { Ok(false) } else { Err(error) };
    let chain = match open_embedded(home, seams, None, false) {
        Ok(chain) => chain,
        Err(error) => return or_lost(error),
    };
    if history.chain.is_some_and(|id| id != chain.chain_id()) {
        return Ok(false);
    }
    let (supervisor, options) = (Supervisor::default(), TxQueueOptions::embedded(chain.chain_id()));
    let keys = Keys::new(seams.clone(), Arc::clone(wallets), ChainClient::embedded(chain), options, FOLDER);
    let names = KeyName::ALL.into_iter().filter(|name| wallets.has(*name));
    for name in names {
        if let Err(error) = keys.queue(home, &supervisor, name) {
            return or_lost(error);
        }
    }
    Ok(true)
}

async fn build(
    options: &NodeOptions,
    Offline { home, wallets, .. }: &Offline,
    seams: &Seams,
    history: &History,
    chain_id: u64,
) -> Result<(Vec<RebuiltDeployment>, Vec<String>), NodeError> {
    let begun = history.begun().unwrap_or_else(|| seams.clock.now());
    let clock = Arc::new(PastClock { at: AtomicU64::new(begun.0), steady: Arc::clone(&seams.clock) });
    let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let chain_options =
        ChainOptions { new_chain_id: Some(chain_id), expect_chain_id: None, allocations: Vec::new(), dev: false };
    let chain = EmbeddedChain::open(
        Arc::clone(&seams.disk),
        Arc::clone(&as_clock),
        seams.entropy.as_ref(),
        &home.join(FOLDER_NEW),
        chain_options,
    );
    let chain = chain.map_err(|error| NodeError::caused(ErrorKind::Failed, "chain_failed", &error))?;
    let queue = TxQueueOptions { poll: Duration::from_millis(1), ..TxQueueOptions::embedded(chain_id) };
    let past = Seams { clock: as_clock, ..seams.clone() };
    let keys = Keys::new(past, Arc::clone(wallets), ChainClient::embedded(chain), queue, FOLDER_NEW);
    let supervisor = Supervisor::default();
    let built = Builder::new(options, (home, wallets), &keys, &supervisor, &clock).run(history).await;
    // Every file is closed before the folder moves.
    supervisor.shut_down().await;
    built
}

/// Gives a folder of the home another name, under which nothing looks for it.
fn set_aside(home: &Home, seams: &Seams, name: &str, aside: &str) -> Result<PathBuf, NodeError> {
    let (from, to) = (home.join(name), home.join(aside));
    if seams.disk.exists(&from) {
        seams.disk.rename(&from, &to).map_err(|error| moved(name, &error))?;
    }
    Ok(to)
}

fn moved(name: &str, error: &std::io::Error) -> NodeError {
    NodeError::new(ErrorKind::Failed, "home_failed", format!("failed to move the folder {name}: {error}"))
}

/// A clock that stands at the time of what is being told.
struct PastClock {
    at: AtomicU64,
    steady: Arc<dyn Clock>,
}

impl PastClock {
    /// Goes on to `at`; never back.
    fn go_to(&self, at: Timestamp) {
        self.at.fetch_max(at.0, Ordering::Relaxed);
    }
}

impl Clock for PastClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.at.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.steady.elapsed()
    }
}
