//! The home's keys on the market: one transaction queue for each, and where the contracts are that they write to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use nisse_market::{ChainClient, Market, MarketAddresses, QueueError, Signer, TxQueue, TxQueueOptions};
use nisse_model::Address;
use nisse_store::{Clock, Disk, Entropy};

use crate::error::{ErrorKind, NodeError};
use crate::home::Home;
use crate::node::Seams;
use crate::supervisor::Supervisor;
use crate::wallets::{KeyName, Wallets, maker_name};

/// Opens each key's queue once: two queues over one journal would hand out the same nonces.
pub(crate) struct Keys {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    wallets: Arc<Wallets>,
    client: ChainClient,
    options: TxQueueOptions,
    /// The folder of the home in which the queues' journals lie.
    folder: &'static str,
    /// Every version of the market, oldest first.
    versions: RwLock<Vec<MarketAddresses>>,
    /// The newest version that the address book lists, which may be younger than this run.
    newest: AtomicU64,
    queues: Mutex<BTreeMap<String, TxQueue>>,
    /// Why no version of the market is known, as the last look said.
    unknown: Mutex<Option<String>>,
}

impl Keys {
    pub(crate) fn new(
        Seams { disk, clock, entropy }: Seams,
        wallets: Arc<Wallets>,
        client: ChainClient,
        options: TxQueueOptions,
        folder: &'static str,
    ) -> Self {
        let (versions, newest, queues) = (RwLock::default(), AtomicU64::default(), Mutex::default());
        let unknown = Mutex::default();
        Self { disk, clock, entropy, wallets, client, options, folder, versions, newest, queues, unknown }
    }

    /// The chain's client.
    pub(crate) fn client(&self) -> &ChainClient {
        &self.client
    }

    /// The chain's id.
    pub(crate) fn chain_id(&self) -> u64 {
        self.options.chain_id
    }

    /// Says where the contracts are, oldest version first; clients can be made from then on.
    pub(crate) fn set_versions(&self, versions: Vec<MarketAddresses>) {
        *self.versions.write().unwrap_or_else(PoisonError::into_inner) = versions;
    }

    /// Says why the contracts were not found.
    pub(crate) fn set_unknown(&self, why: &str) {
        *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    fn unknown(&self) -> NodeError {
        let why = self.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = why.unwrap_or_else(|| "the chain has not answered since this home was opened".to_owned());
        let why = why.strip_prefix("failed to ").unwrap_or(&why);
        let text = format!("failed to find the market's contracts: {why}");
        NodeError::new(ErrorKind::Unreachable, "market_unknown", text).with_hint(
            "the node looks again every few seconds; `--chain` and `--contract` of `nisse up` say where".to_owned(),
        )
    }

    /// Every version of the market that is known, oldest first.
    pub(crate) fn versions(&self) -> Vec<MarketAddresses> {
        self.versions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what the address book lists now.
    pub(crate) fn set_newest_version(&self, newest: u64) {
        let before = self.newest.swap(newest, Ordering::Relaxed);
        if before < newest && self.versions().last().is_some_and(|known| known.version < newest) {
            tracing::warn!(
                version = newest,
                "the market has a newer version; this node uses it from its next start on"
            );
        }
    }

    /// A version that the address book lists and this run does not use.
    pub(crate) fn newer_version(&self) -> Option<u64> {
        let newest = self.newest.load(Ordering::Relaxed);
        self.versions().last().filter(|known| known.version < newest).map(|_| newest)
    }

    /// A key's transaction queue, opened at first use. Its task runs until the node stops.
    pub(crate) fn queue(&self, home: &Home, supervisor: &Supervisor, name: KeyName) -> Result<TxQueue, NodeError> {
        self.open(home, supervisor, name.as_str(), self.wallets.get(name)?)
    }

    /// Draws a key where it is not there yet: from then on it has a queue.
    pub(crate) async fn draw(&self, home: &Home, name: KeyName) -> Result<(), NodeError> {
        self.wallets.draw(home, name).await.map(|_| ())
    }

    /// The queue of the key that makes the contracts of one version and nothing else, so that their addresses follow
    /// from the operator's key: a chain that is rebuilt has them where they were.
    pub(crate) async fn maker(&self, home: &Home, supervisor: &Supervisor, version: u64) -> Result<TxQueue, NodeError> {
        self.open(home, supervisor, &maker_name(version), self.wallets.maker(version).await?)
    }

    /// The key that makes them.
    pub(crate) async fn maker_address(&self, version: u64) -> Result<Address, NodeError> {
        self.wallets.maker_address(version).await
    }

    fn open(
        &self,
        home: &Home,
        supervisor: &Supervisor,
        name: &str,
        key: Arc<dyn Signer>,
    ) -> Result<TxQueue, NodeError> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(name) {
            return Ok(queue.clone());
        }
        let folder = home.join(self.folder).join(format!("queue-{name}"));
        let (queue, driver) = TxQueue::open(
            Arc::clone(&self.disk),
            Arc::clone(&self.clock),
            self.entropy.as_ref(),
            &folder,
            self.client.clone(),
            key,
            self.options.clone(),
        )
        .map_err(|error| {
            let lost = matches!(error, QueueError::Damaged(_) | QueueError::OtherJournal { .. });
            let code = if lost { "queue_damaged" } else { "queue_failed" };
            NodeError::caused(ErrorKind::Failed, code, &error)
        })?;
        supervisor.spawn(format!("transactions of {name}"), |mut stop| async move {
            tokio::select! {
                () = driver.run() => {}
                () = stop.requested() => {}
            }
        });
        queues.insert(name.to_owned(), queue.clone());
        Ok(queue)
    }

    /// The newest version of the market as this key sees it.
    pub(crate) fn market(&self, home: &Home, supervisor: &Supervisor, name: KeyName) -> Result<Market, NodeError> {
        let newest = self.versions().last().copied().ok_or_else(|| self.unknown())?;
        self.at(home, supervisor, name, newest)
    }

    /// The version of the market whose Manager is `contract`, as this key sees it.
    pub(crate) fn market_of(
        &self,
        home: &Home,
        supervisor: &Supervisor,
        name: KeyName,
        contract: Address,
    ) -> Result<Market, NodeError> {
        let versions = self.versions();
        if versions.is_empty() {
            return Err(self.unknown());
        }
        let found = versions.into_iter().find(|addresses| addresses.manager == contract).ok_or_else(|| {
            let text = format!("failed to find the market {contract} in the address book of this chain");
            NodeError::new(ErrorKind::NotFound, "market_other", text)
        })?;
        self.at(home, supervisor, name, found)
    }

    fn at(
        &self,
        home: &Home,
        supervisor: &Supervisor,
        name: KeyName,
        addresses: MarketAddresses,
    ) -> Result<Market, NodeError> {
        let queue = self.queue(home, supervisor, name)?;
        Ok(Market::with_addresses(self.client.clone(), queue, addresses))
    }
}
