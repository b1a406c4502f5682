//! Writes a home's history onto a new chain: contracts, stake, every deployment number, then the starts of leases in the
//! order of their times.
//!
//! Transactions that the node would send again at its next start carry the node's own names for them, so that they
//! count as sent.

mod contracts;

use std::sync::Arc;

use nisse_market::{DeployOrder, Market, MarketCall, MarketError, QueueError};
use nisse_model::{Address, Amount, AmountPerHour, ByteSize, ContentId, Cpu, DeploymentId, Hash256, Resources};
use nisse_orchestrator::{Agent, Assignment, Placement};

use super::history::{History, acknowledged};
use super::{PastClock, RebuiltDeployment};
use crate::driver::shortened;
use crate::error::NodeError;
use crate::home::Home;
use crate::keys::Keys;
use crate::node::market_error;
use crate::node::start::market::lay_down_stake;
use crate::options::NodeOptions;
use crate::packages::terms;
use crate::supervisor::Supervisor;
use crate::wallets::{KeyName, Wallets};

/// The agent that stands where the journal has forgotten which one did.
const FORGOTTEN: &str = "nisse.rebuilt.forgotten@v0.0.0";
/// Why a request for an update that stood before is answered at all: its number has to be taken.
const ANSWERED: &str = "rebuilt from the journal: the package goes on as it was";

/// What the next step of a lease needs to know.
struct Opened {
    id: DeploymentId,
    market: Market,
    owner: Market,
    publication: u64,
    agent: Agent,
}

pub(super) struct Builder<'a> {
    options: &'a NodeOptions,
    home: &'a Home,
    wallets: &'a Wallets,
    keys: &'a Keys,
    supervisor: &'a Supervisor,
    clock: &'a Arc<PastClock>,
    told: Vec<RebuiltDeployment>,
    names: u64,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        options: &'a NodeOptions,
        (home, wallets): (&'a Home, &'a Wallets),
        keys: &'a Keys,
        supervisor: &'a Supervisor,
        clock: &'a Arc<PastClock>,
    ) -> Self {
        Self { options, home, wallets, keys, supervisor, clock, told: Vec::new(), names: 0 }
    }

    /// Makes everything; what became of each deployment, and what is not as it was.
    pub(super) async fn run(mut self, history: &History) -> Result<(Vec<RebuiltDeployment>, Vec<String>), NodeError> {
        self.make_contracts(history).await?;
        lay_down_stake(self.keys, self.home, self.supervisor, self.options).await?;
        let mut opened = Vec::new();
        for version in self.keys.versions() {
            for number in 1..=history.highest.get(&version.manager).copied().unwrap_or(0) {
                let id = DeploymentId { chain: version.chain, contract: version.manager, number };
                let made = self.order(id, history.agent(&id)).await;
                opened.extend(made.map_err(|error| market_error(&error))?);
            }
        }
        // Money runs from the moments at which it began to run before.
        opened.sort_by_key(|one| acknowledged(&one.agent));
        for one in &opened {
            self.start(one).await.map_err(|error| market_error(&error))?;
        }
        let lost = lost(&self.told);
        Ok((self.told, lost))
    }

    fn market(&self, name: KeyName, at: Address) -> Result<Market, MarketError> {
        let found = self.keys.market_of(self.home, self.supervisor, name, at);
        found.map_err(|_| MarketError::Missing("Manager"))
    }

    fn name(&mut self, step: &str) -> String {
        self.names += 1;
        format!("rebuild/{}/{step}", self.names)
    }

    /// Gives out one number, as it was given out before.
    async fn order(&mut self, id: DeploymentId, agent: Option<&Agent>) -> Result<Option<Opened>, MarketError> {
        let market = self.market(KeyName::Operator, id.contract)?;
        let Some(agent) = agent.filter(|agent| agent.life.is_live()) else {
            let placement = agent.map_or_else(|| forgotten(market.key()), |agent| agent.placement.clone());
            self.close(&market, id, &placement).await?;
            let outcome = match agent {
                Some(agent) => format!("{} already; its number is kept by a closed home lease", agent.life.word()),
                None => "not known to the journal any more; its number is kept by a closed home lease".to_owned(),
            };
            self.tell(id, agent, false, outcome);
            return Ok(None);
        };
        let owner = match self.key_of(agent.placement.owner, id.contract)? {
            Some(owner) => owner,
            None => {
                self.close(&market, id, &agent.placement).await?;
                let outcome =
                    format!("not made anew: the key of its owner {} is not in this home", agent.placement.owner);
                self.tell(id, Some(agent), false, outcome);
                return Ok(None);
            }
        };
        let rate = match &agent.assignment {
            Assignment::Home => AmountPerHour(0),
            Assignment::Lease(lease) => lease.rate,
        };
        let publication = self.publish(&owner, &agent.placement, rate).await?;
        let order = DeployOrder { publication, ..DeployOrder::default() };
        let opened = Opened { id, market, owner, publication, agent: agent.clone() };
        match &agent.assignment {
            Assignment::Home => {
                let number = opened.owner.deploy_home(&self.name("deploy"), order).await?;
                assert_eq!(number, id.number, "numbers are given out in their order");
                self.tell(id, Some(agent), true, "its home lease goes on".to_owned());
                Ok(Some(opened))
            }
            Assignment::Lease(lease) => {
                self.endow(&opened.owner, lease.deposited).await?;
                let order = DeployOrder { payment: lease.deposited, ..order };
                let number = opened.owner.deploy(&self.name("deploy"), order).await?;
                assert_eq!(number, id.number, "numbers are given out in their order");
                match opened.market.bid(&self.name("bid"), number, lease.rate).await {
                    Ok(_) => {
                        self.tell(id, Some(agent), true, "its lease goes on from when it began".to_owned());
                        Ok(Some(opened))
                    }
                    Err(MarketError::Queue(QueueError::Refused(reason))) => {
                        opened.owner.stop(&self.name("stop"), number).await?;
                        self.tell(id, Some(agent), false, format!("not made anew: the market refuses, {reason}"));
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Starts a lease when it was started before, with the updates that it had seen.
    async fn start(&mut self, one: &Opened) -> Result<(), MarketError> {
        let Some(at) = acknowledged(&one.agent) else { return Ok(()) };
        self.clock.go_to(at);
        let (id, number, agent) = (one.id, one.id.number, &one.agent);
        let (answered, incarnation) = (agent.revision_done, agent.incarnation);
        let updated = answered > 0 && agent.update_refused.is_none() && incarnation > 1;
        let first = if updated { incarnation - 1 } else { incarnation };
        one.market.ack_start(&format!("ack:{id}:{first}"), number, first).await?;
        for _ in 0..answered {
            self.update(one, one.publication, &agent.placement).await?;
        }
        match &agent.update_refused {
            _ if answered == 0 => {}
            None if updated => {
                let name = format!("ack-update:{id}:{answered}");
                one.market.ack_update(&name, number, answered, incarnation).await?;
            }
            refused => {
                let reason = refused.as_deref().map_or_else(|| ANSWERED.to_owned(), shortened);
                one.market.reject_update(&format!("refuse-update:{id}:{answered}"), number, answered, &reason).await?;
            }
        }
        // A request that was under way is asked for again under its old number.
        let Some(next) = agent.queued.as_ref().or(agent.next.as_ref()) else { return Ok(()) };
        let rate = match &agent.assignment {
            Assignment::Home => AmountPerHour(0),
            Assignment::Lease(lease) => lease.rate,
        };
        let publication = self.publish(&one.owner, &next.placement, rate).await?;
        for _ in answered..next.revision {
            self.update(one, publication, &next.placement).await?;
        }
        Ok(())
    }

    async fn update(&mut self, one: &Opened, publication: u64, placement: &Placement) -> Result<(), MarketError> {
        let config = Some(placement.package.config_hash).filter(|hash| *hash != Hash256::ZERO);
        let name = self.name("update");
        one.owner.update(&name, one.id.number, publication, config, None).await.map(drop)
    }

    /// Gives out a number and ends what it stands for.
    async fn close(&mut self, market: &Market, id: DeploymentId, placement: &Placement) -> Result<(), MarketError> {
        let publication = self.publish(market, placement, AmountPerHour(0)).await?;
        let order = DeployOrder { publication, ..DeployOrder::default() };
        let number = market.deploy_home(&self.name("deploy"), order).await?;
        assert_eq!(number, id.number, "numbers are given out in their order");
        market.stop(&self.name("stop"), number).await.map(drop)
    }

    async fn publish(
        &mut self,
        owner: &Market,
        placement: &Placement,
        max_rate: AmountPerHour,
    ) -> Result<u64, MarketError> {
        let terms = terms(&placement.package, placement.resources, max_rate);
        owner.publish(&self.name("publish"), terms).await
    }

    /// Test tokens for a deposit, by calls that the faucet takes.
    async fn endow(&mut self, owner: &Market, amount: Amount) -> Result<(), MarketError> {
        const FAUCET_MAX: Amount = Amount(1_000_000 * Amount::TALOS.0);
        let mut missing = amount.0.saturating_sub(owner.balance(owner.key()).await?.0);
        while missing > 0 {
            let part = missing.min(FAUCET_MAX.0);
            let name = self.name("faucet");
            owner.write(&name, &MarketCall::Faucet { amount: Amount(part) }).await?;
            missing -= part;
        }
        Ok(())
    }

    /// The market as an owner sees it, where this home has the owner's key.
    fn key_of(&self, owner: Address, contract: Address) -> Result<Option<Market>, MarketError> {
        for name in KeyName::ALL {
            if self.wallets.has(name) {
                let market = self.market(name, contract)?;
                if market.key() == owner {
                    return Ok(Some(market));
                }
            }
        }
        Ok(None)
    }

    fn tell(&mut self, id: DeploymentId, agent: Option<&Agent>, live: bool, outcome: String) {
        let agent_id = agent.map(|agent| agent.placement.package.agent_id.to_string());
        self.told.push(RebuiltDeployment { deployment: id.to_string(), agent_id, live, outcome });
    }
}

/// A package that stands for one that nothing is known of.
fn forgotten(owner: Address) -> Placement {
    let nothing = Hash256::of(FORGOTTEN.as_bytes());
    let package = nisse_model::PackageRef {
        agent_id: FORGOTTEN.parse().expect("it is an agent id"),
        manifest_cid: ContentId::raw(nothing),
        artifact_cid: ContentId::raw(nothing),
        artifact_hash: nothing,
        config_hash: Hash256::ZERO,
    };
    let resources = Resources { cpu: Cpu { millis: 1 }, memory: ByteSize(1), gpu: false };
    Placement { owner, package, resources }
}

/// What a new chain cannot have, whatever the journal knows.
fn lost(told: &[RebuiltDeployment]) -> Vec<String> {
    let mut lost = vec![
        "blocks, transactions and events from before: `market show` begins anew".to_owned(),
        "token balances beside stake and deposits; what a lease paid out before is due to the node again".to_owned(),
        "publication numbers, and the answers of oracle feeds: their rounds begin at 1".to_owned(),
    ];
    if told.iter().any(|one| !one.live) {
        lost.push("what ended deployments had paid: their numbers stand for closed home leases".to_owned());
    }
    lost
}
