//! The home's keys on the market: one transaction queue and one client for each.

use std::sync::{Arc, OnceLock};

use nisse_market::{ChainClient, LocalKey, Market, MarketAddresses, Signer, TxQueue, TxQueueOptions};
use nisse_store::{Clock, Disk, Entropy};

use crate::error::{ErrorKind, NodeError};
use crate::home::{Home, KeyName};
use crate::supervisor::Supervisor;

/// Opens market clients by key, each once.
pub(crate) struct Keys {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    client: ChainClient,
    queue: TxQueueOptions,
    addresses: OnceLock<MarketAddresses>,
    operator: OnceLock<Market>,
    deployer: OnceLock<Market>,
}

impl Keys {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        client: ChainClient,
        queue: TxQueueOptions,
    ) -> Self {
        Self {
            disk,
            clock,
            entropy,
            client,
            queue,
            addresses: OnceLock::new(),
            operator: OnceLock::new(),
            deployer: OnceLock::new(),
        }
    }

    /// The chain's client.
    pub(crate) fn client(&self) -> &ChainClient {
        &self.client
    }

    /// The chain's id.
    pub(crate) fn chain_id(&self) -> u64 {
        self.queue.chain_id
    }

    /// Says where the contracts are; clients can be opened from then on.
    pub(crate) fn set_addresses(&self, addresses: MarketAddresses) {
        // The first word holds: an upgrade of the contracts takes effect at the next start.
        let _ = self.addresses.set(addresses);
    }

    /// Where the contracts are.
    pub(crate) fn addresses(&self) -> Result<&MarketAddresses, NodeError> {
        self.addresses.get().ok_or_else(|| {
            let text = "the market's contracts are not known yet: the chain did not answer since this home was made";
            NodeError::new(ErrorKind::Unreachable, "market_unknown", text)
        })
    }

    /// Opens a key's transaction queue; its task runs until the node stops.
    pub(crate) fn open_queue(&self, home: &Home, supervisor: &Supervisor, name: KeyName) -> Result<TxQueue, NodeError> {
        let key: LocalKey = home.key(name, self.entropy.as_ref())?;
        let signer: Arc<dyn Signer> = Arc::new(key);
        let folder = home.join("chain").join(format!("queue-{}", name.as_str()));
        let (disk, clock) = (Arc::clone(&self.disk), Arc::clone(&self.clock));
        let (queue, driver) =
            TxQueue::open(disk, clock, self.entropy.as_ref(), &folder, self.client.clone(), signer, self.queue.clone())
                .map_err(|error| NodeError::caused(ErrorKind::Failed, "queue_failed", &error))?;
        supervisor.spawn(format!("transactions of {}", name.as_str()), |mut stop| async move {
            tokio::select! {
                () = driver.run() => {}
                () = stop.requested() => {}
            }
        });
        Ok(queue)
    }

    /// The market as this key sees it.
    pub(crate) fn market(&self, home: &Home, supervisor: &Supervisor, name: KeyName) -> Result<Market, NodeError> {
        let slot = match name {
            KeyName::Operator => &self.operator,
            KeyName::Deployer => &self.deployer,
        };
        if let Some(market) = slot.get() {
            return Ok(market.clone());
        }
        let queue = self.open_queue(home, supervisor, name)?;
        let market = Market::with_addresses(self.client.clone(), queue, *self.addresses()?);
        Ok(slot.get_or_init(|| market).clone())
    }

    /// The operator's market, opened at start with the queue that deployed the contracts.
    pub(crate) fn set_operator(&self, market: Market) {
        let _ = self.operator.set(market);
    }
}
