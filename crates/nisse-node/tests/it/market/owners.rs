//! Owners: they order agents, change their minds, and see to what waits: what nobody acknowledged is reopened, what only
//! griefers bid on is assigned, what has run out is ended. All of that anybody may; here it is the owner's own doing.

use nisse_market::{DeployOrder, DeploymentState, DeploymentView, MarketCall, OrderTerms, Selection};
use nisse_model::{Address, Amount, AmountPerHour, Timestamp};
use nisse_node::rules::is_watched;
use nisse_orchestrator::{Period, Whose};
use nisse_testkit::Random;

use super::books::Books;
use super::scene::{Happening, Scene};
use super::template::{ORDERS, OWNERS, owner_address, publication, rate, successor, terms};
use super::{DEPLOYED_MS, HEALED_MS, PATIENCE_MS, PERIOD};

/// How orders choose in a world in which nodes are known.
const SELECTIONS: [Selection; 4] =
    [Selection::LowestPrice, Selection::HighestReputation, Selection::Score, Selection::Score];
/// How often an owner looks after its orders.
const LOOK_MS: u64 = 20_000;
/// How long nothing more is written about an order that was written about.
const QUIET_MS: u64 = 40_000;
/// A node has this long to end a lease by itself when its deposit is used up, in seconds.
const EXPIRY_GRACE: u64 = 240;

/// One order of an owner's.
struct Wanted {
    agent: String,
    publication: u64,
    successor: Option<u64>,
    deploy_at: u64,
    ordered: bool,
    max_rate: AmountPerHour,
    payment: Amount,
    /// When it is stopped, if it has not ended before.
    until: u64,
    quiet_until: u64,
    selection: Selection,
}

pub(super) struct Owner {
    index: usize,
    address: Address,
    wanted: Vec<Wanted>,
    /// Its own node tells of silence; else that is left to others.
    tells: bool,
    begun: u64,
}

/// All owners of a world with all that they will order. `wishes`: where nodes are known, how orders choose.
pub(super) fn owners(scene: &mut Scene, mut wishes: Option<&mut Random>) -> Vec<Owner> {
    let begun = scene.now;
    let mut owner = |index| {
        let tells = scene.random.once_in(2);
        Owner { index, address: owner_address(index), wanted: Vec::new(), tells, begun }
    };
    let mut owners: Vec<Owner> = (0..OWNERS).map(&mut owner).collect();
    for order in 0..ORDERS {
        let deploy_at = begun + scene.random.below(DEPLOYED_MS);
        let max_rate = rate(scene.between(8, 60));
        // Between some minutes and two hours, at its own limit.
        let seconds = u128::from(scene.between(300, 7_200));
        let payment = Amount(max_rate.0 * seconds / 3_600 + u128::from(scene.random.below(1_000)));
        let until = deploy_at + scene.between(1_200_000, 9_000_000);
        let wanted = Wanted {
            agent: terms(order, 1).package.agent_id,
            publication: publication(order),
            successor: successor(order),
            deploy_at,
            ordered: false,
            max_rate,
            payment,
            until: until.min(begun + HEALED_MS + PATIENCE_MS / 2),
            quiet_until: 0,
            selection: wishes.as_mut().map(|wishes| *wishes.pick(&SELECTIONS)).unwrap_or_default(),
        };
        let owner = scene.random.index(OWNERS);
        owners[owner].wanted.push(wanted);
    }
    for index in 0..OWNERS {
        let after = scene.between(0, LOOK_MS);
        scene.in_ms(after, Happening::Owner(index));
    }
    owners
}

impl Owner {
    pub(super) fn looks(&mut self, scene: &mut Scene, books: &Books) {
        scene.in_ms(LOOK_MS, Happening::Owner(self.index));
        let now = scene.now;
        for wanted in &mut self.wanted {
            if now < wanted.deploy_at || now < wanted.quiet_until {
                continue;
            }
            let call = if !wanted.ordered {
                wanted.ordered = true;
                scene.totals.orders += 1;
                Some(MarketCall::Deploy(DeployOrder {
                    publication: wanted.publication,
                    payment: wanted.payment,
                    max_rate: Some(wanted.max_rate),
                    terms: (wanted.selection != Selection::default())
                        .then_some(OrderTerms { selection: wanted.selection, provider: None }),
                    ..DeployOrder::default()
                }))
            } else {
                let number = books.by_agent.get(&wanted.agent);
                let view = number.and_then(|number| scene.chain.view(*number));
                view.and_then(|view| wanted.due(scene, &view, self.address, self.tells, self.begun))
            };
            if let Some(call) = call {
                wanted.quiet_until = now + QUIET_MS;
                scene.tell(|| format!("owner: {call:?}"));
                scene.write(self.address, call);
            }
        }
    }
}

impl Wanted {
    /// What its owner does about an order now.
    fn due(
        &self,
        scene: &mut Scene,
        view: &DeploymentView,
        owner: Address,
        tells: bool,
        begun: u64,
    ) -> Option<MarketCall> {
        let (now, deployment) = (scene.now / 1_000, view.number);
        let passed = |at: Option<Timestamp>, seconds: u64| at.is_some_and(|at| at.seconds() + seconds < now);
        if matches!(view.state, DeploymentState::Stopped | DeploymentState::Expired) {
            return None;
        }
        match view.state {
            DeploymentState::Open if view.node.is_some() && passed(view.deadline, 15) => {
                return Some(MarketCall::Assign { deployment });
            }
            DeploymentState::Assigned if passed(view.deadline, 0) => return Some(MarketCall::Reopen { deployment }),
            DeploymentState::Running if passed(view.ends_at, EXPIRY_GRACE) => {
                return Some(MarketCall::Expire { deployment });
            }
            _ => {}
        }
        // What nobody takes is given up, and what would go on for ever.
        if scene.now >= self.until {
            return Some(MarketCall::Stop { deployment });
        }
        if view.state != DeploymentState::Running {
            return None;
        }
        let period = Period::at(Timestamp(scene.now), PERIOD);
        if let Some(node) = view.node.filter(|_| tells && period.is_to_tell(owner, Whose::Own))
            && is_watched(view, node, period)
            && !scene.chain.market.has_beaten(node, period.number)
        {
            return Some(MarketCall::SlashMissed { deployment, period: period.number });
        }
        if scene.now > begun + HEALED_MS {
            return view.paused.then_some(MarketCall::Resume { deployment });
        }
        match scene.random.below(240) {
            0 if !view.paused => Some(MarketCall::Pause { deployment }),
            1..=12 if view.paused => Some(MarketCall::Resume { deployment }),
            13 => Some(MarketCall::Deposit { deployment, amount: Amount(self.payment.0 / 3 + 1) }),
            14 => Some(MarketCall::Settle { deployment }),
            15..=18 => self.successor.map(|publication| MarketCall::Update {
                deployment,
                publication: if view.publication == publication { self.publication } else { publication },
                config_hash: None,
                artifact_cid: None,
            }),
            19 => Some(MarketCall::Stop { deployment }),
            _ => None,
        }
    }
}
