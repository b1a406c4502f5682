//! Griefers: nodes and strangers that do what the contracts let them, and try what they do not.

use nisse_market::{DeploymentState, DeploymentView, MarketCall};
use nisse_model::{Address, Amount, AmountPerHour, ByteSize, Cpu, Hash256, Resources};

use super::books::{Books, Stands};
use super::scene::{Happening, Scene};
use super::template::{GRIEFERS_MAX, STAKE, griefer_address};
use super::{HEALED_MS, PERIOD};

/// How a griefer spoils the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Wins orders and never starts them.
    NoShow,
    /// Starts them, and is never heard of again.
    Vanish,
    /// Bids next to nothing. Some hold their leases, and show life for them.
    Dust { holds: bool },
    /// One of many that came at once, with the least stake or with none.
    Fake { staked: bool },
    /// Says of honest nodes that they were silent.
    Accuser,
    /// Settles, assigns, expires, reopens and stops what is not its own.
    Meddler,
}

const KINDS: [Kind; 6] =
    [Kind::NoShow, Kind::Vanish, Kind::Dust { holds: true }, Kind::Dust { holds: false }, Kind::Accuser, Kind::Meddler];

pub(super) struct Griefer {
    index: usize,
    pub(super) address: Address,
    kind: Kind,
    registered: bool,
    begun: u64,
}

/// Some of each kind, and a flood of fakes at once.
pub(super) fn griefers(scene: &mut Scene) -> Vec<Griefer> {
    let begun = scene.now;
    let flood_at = begun + scene.random.below(HEALED_MS / 2);
    let loners = 4 + scene.random.index(6);
    let flood = scene.random.index(GRIEFERS_MAX - loners + 1);
    (0..loners + flood)
        .map(|index| {
            let fake = index >= loners;
            let kind = match fake {
                true => Kind::Fake { staked: scene.random.once_in(2) },
                false => KINDS[(index + scene.random.index(2)) % KINDS.len()],
            };
            let comes = if fake { flood_at } else { begun + scene.random.below(HEALED_MS / 3) };
            scene.in_ms(comes - begun, Happening::Griefer(index));
            let address = griefer_address(index);
            let registered = scene.chain.market.node(address).is_some();
            Griefer { index, address, kind, registered, begun }
        })
        .collect()
}

impl Griefer {
    pub(super) fn acts(&mut self, scene: &mut Scene, books: &Books) {
        let rest = match self.kind {
            Kind::Fake { .. } => scene.between(300_000, 1_200_000),
            Kind::Accuser | Kind::Meddler => scene.between(20_000, 90_000),
            _ => scene.between(60_000, 300_000),
        };
        // What it holds it keeps, or keeps silent about; it begins nothing more when the world is healed.
        let over = scene.now > self.begun + HEALED_MS;
        if !over {
            scene.in_ms(rest.min(60_000), Happening::Griefer(self.index));
        }
        let staked = !matches!(self.kind, Kind::Accuser | Kind::Meddler | Kind::Fake { staked: false });
        if !self.registered && !matches!(self.kind, Kind::Accuser | Kind::Meddler) {
            self.registered = true;
            scene.totals.fake_nodes += u64::from(matches!(self.kind, Kind::Fake { .. }));
            let capacity = Resources { cpu: Cpu { millis: 64_000 }, memory: ByteSize(1 << 40), gpu: true };
            let endpoint = "http://127.0.0.1:1/".to_owned();
            let stake = if staked { STAKE } else { Amount(STAKE.0 - 1) };
            return scene.write(self.address, MarketCall::Register { endpoint, capacity, stake });
        }
        if matches!(self.kind, Kind::Vanish | Kind::Dust { .. } | Kind::Fake { staked: true }) {
            self.hold(scene, books);
        }
        if scene.random.below(rest) > 60_000 {
            return;
        }
        match self.kind {
            Kind::Accuser => self.accuse(scene, books),
            Kind::Meddler => self.meddle(scene, books),
            _ => self.bid(scene, books),
        }
    }

    fn pick(&self, scene: &mut Scene, books: &Books, stands: Stands) -> Option<u64> {
        let these = books.orders.iter().filter(|(_, order)| order.stands == stands);
        let these: Vec<u64> = these.map(|(number, _)| *number).collect();
        (!these.is_empty()).then(|| *scene.random.pick(&these))
    }

    fn bid(&self, scene: &mut Scene, books: &Books) {
        let Some(deployment) = self.pick(scene, books, Stands::Open) else { return };
        let Some(view) = scene.chain.view(deployment) else { return };
        let rate = match self.kind {
            Kind::Dust { .. } | Kind::Fake { .. } => 1 + u128::from(scene.random.below(1_000)),
            _ => (view.rate.0 / 2).max(1),
        };
        scene.write(self.address, MarketCall::Bid { deployment, rate: AmountPerHour(rate) });
    }

    /// Starts what it has won, and shows life where it means to keep it.
    fn hold(&self, scene: &mut Scene, books: &Books) {
        let mine = books.orders.iter().filter(|(_, order)| order.node == Some(self.address));
        let mine: Vec<u64> = mine.map(|(number, _)| *number).collect();
        let mut runs = false;
        for deployment in mine {
            let Some(view) = scene.chain.view(deployment) else { continue };
            let DeploymentView { state, incarnation, .. } = *view;
            runs |= state == DeploymentState::Running;
            if state == DeploymentState::Assigned {
                let incarnation = incarnation + 1;
                scene.write(self.address, MarketCall::AckStart { deployment, incarnation });
            }
        }
        let period = scene.now / 1_000 / PERIOD;
        if runs && self.kind == (Kind::Dust { holds: true }) && !scene.chain.market.has_beaten(self.address, period) {
            scene.write(self.address, MarketCall::Heartbeat { root: Hash256::ZERO });
        }
    }

    fn accuse(&self, scene: &mut Scene, books: &Books) {
        let Some(deployment) = self.pick(scene, books, Stands::Running) else { return };
        let period = (scene.now / 1_000 / PERIOD + 1).saturating_sub(scene.random.below(4));
        scene.totals.accusations += 1;
        scene.write(self.address, MarketCall::SlashMissed { deployment, period });
    }

    fn meddle(&self, scene: &mut Scene, books: &Books) {
        let stands = *scene.random.pick(&[Stands::Open, Stands::Assigned, Stands::Running, Stands::Ended]);
        let Some(deployment) = self.pick(scene, books, stands) else { return };
        let call = match scene.random.below(9) {
            0 | 1 => MarketCall::Settle { deployment },
            2 => MarketCall::Assign { deployment },
            3 => MarketCall::Expire { deployment },
            4 => MarketCall::Reopen { deployment },
            5 => MarketCall::Stop { deployment },
            6 => MarketCall::AckStart { deployment, incarnation: 9 },
            7 => MarketCall::Deposit { deployment, amount: Amount(1 + u128::from(scene.random.below(1_000_000))) },
            _ => MarketCall::Reject { deployment, reason: "no".to_owned() },
        };
        scene.write(self.address, call);
    }
}
