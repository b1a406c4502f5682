//! The home's keys on the market: one transaction queue and one client for each.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nisse_market::{ChainClient, Market, MarketAddresses, Signer, TxQueue, TxQueueOptions};
use nisse_store::{Clock, Disk, Entropy};

use crate::error::{ErrorKind, NodeError};
use crate::home::{Home, KeyName};
use crate::supervisor::Supervisor;

/// Opens each key's queue once: two queues over one journal would hand out the same nonces.
pub(crate) struct Keys {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    client: ChainClient,
    options: TxQueueOptions,
    addresses: OnceLock<MarketAddresses>,
    operator: Mutex<Option<TxQueue>>,
    deployer: Mutex<Option<TxQueue>>,
}

impl Keys {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        client: ChainClient,
        options: TxQueueOptions,
    ) -> Self {
        let (operator, deployer) = (Mutex::default(), Mutex::default());
        Self { disk, clock, entropy, client, options, addresses: OnceLock::new(), operator, deployer }
    }

    /// The chain's client.
    pub(crate) fn client(&self) -> &ChainClient {
        &self.client
    }

    /// The chain's id.
    pub(crate) fn chain_id(&self) -> u64 {
        self.options.chain_id
    }

    /// Says where the contracts are; clients can be made from then on.
    pub(crate) fn set_addresses(&self, addresses: MarketAddresses) {
        // The first word holds: an upgrade of the contracts takes effect at the next start.
        let _ = self.addresses.set(addresses);
    }

    /// A key's transaction queue, opened at first use. Its task runs until the node stops.
    pub(crate) fn queue(&self, home: &Home, supervisor: &Supervisor, name: KeyName) -> Result<TxQueue, NodeError> {
        let slot = match name {
            KeyName::Operator => &self.operator,
            KeyName::Deployer => &self.deployer,
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &*slot {
            return Ok(queue.clone());
        }
        let signer: Arc<dyn Signer> = Arc::new(home.key(name, self.entropy.as_ref())?);
        let folder = home.join("chain").join(format!("queue-{}", name.as_str()));
        let (queue, driver) = TxQueue::open(
            Arc::clone(&self.disk),
            Arc::clone(&self.clock),
            self.entropy.as_ref(),
            &folder,
            self.client.clone(),
            signer,
            self.options.clone(),
        )
        .map_err(|error| NodeError::caused(ErrorKind::Failed, "queue_failed", &error))?;
        supervisor.spawn(format!("transactions of {}", name.as_str()), |mut stop| async move {
            tokio::select! {
                () = driver.run() => {}
                () = stop.requested() => {}
            }
        });
        Ok(slot.insert(queue).clone())
    }

    /// The market as this key sees it.
    pub(crate) fn market(&self, home: &Home, supervisor: &Supervisor, name: KeyName) -> Result<Market, NodeError> {
        let addresses = *self.addresses.get().ok_or_else(|| {
            let text = "the market's contracts are not known yet: the chain did not answer since this home was opened";
            NodeError::new(ErrorKind::Unreachable, "market_unknown", text)
        })?;
        let queue = self.queue(home, supervisor, name)?;
        Ok(Market::with_addresses(self.client.clone(), queue, addresses))
    }
}
