//! Which orders this node bids on, and at what price.

use std::collections::BTreeSet;

use nisse_model::{Address, AmountPerHour, ByteSize, Cpu, Resources};

use crate::event::Order;
use crate::price::Prices;
use crate::reason::Refusal;

/// Whose agents this node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accept {
    /// Only its owner's.
    Own,
    /// Its owner's and those of the listed addresses.
    Listed(BTreeSet<Address>),
    /// Anybody's.
    Any,
}

/// What the node lends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Processors.
    pub cpu: Cpu,
    /// Memory.
    pub memory: ByteSize,
    /// Whether it has a GPU to lend.
    pub gpu: bool,
}

/// The operator's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The node's own address.
    pub operator: Address,
    /// Whose agents run here.
    pub accept: Accept,
    /// What it lends in all.
    pub capacity: Capacity,
    /// What one hour costs.
    pub prices: Prices,
    /// Gas that this node pays for one agent of somebody else in each hour, at most.
    pub gas_budget_max: u64,
}

impl Policy {
    /// The rate to bid, or why not. `used` is what live agents and open bids hold.
    pub(crate) fn bid(&self, order: &Order, used: Resources) -> Result<AmountPerHour, Refusal> {
        let resources = order.placement.resources;
        self.take(order.placement.owner, resources, order.gas_budget, used)?;
        self.price(resources, used, order.max_rate)
    }

    /// Whether this node runs agents of an owner, and has room for this one.
    pub(crate) fn take(
        &self,
        owner: Address,
        resources: Resources,
        gas_budget: u64,
        used: Resources,
    ) -> Result<(), Refusal> {
        if !self.accepts(owner) {
            return Err(Refusal::Owner { owner });
        }
        self.room(resources, used)?;
        self.gas(gas_budget)
    }

    /// Whether agents of this owner run here.
    pub(crate) fn accepts(&self, owner: Address) -> bool {
        match &self.accept {
            Accept::Own => owner == self.operator,
            Accept::Listed(owners) => owner == self.operator || owners.contains(&owner),
            Accept::Any => true,
        }
    }

    /// What an hour costs here, where no more than that is `offered`.
    pub(crate) fn price(
        &self,
        resources: Resources,
        used: Resources,
        offered: AmountPerHour,
    ) -> Result<AmountPerHour, Refusal> {
        let asked = self.prices.ask(resources, used, &self.capacity);
        if asked > offered { Err(Refusal::Price { offered, asked }) } else { Ok(asked) }
    }

    /// Whether an order may be judged otherwise once an agent has ended, a bid is lost or the node is drained no more.
    pub(crate) fn may_pass(&self, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::Taken | Refusal::Draining | Refusal::Stake { .. } => true,
            Refusal::Cpu { asked, .. } => *asked <= self.capacity.cpu,
            Refusal::Memory { asked, .. } => *asked <= self.capacity.memory,
            Refusal::Price { offered, asked } => self.prices.may_fall_to(*asked, *offered),
            Refusal::Owner { .. } | Refusal::GasBudget { .. } | Refusal::Gpu | Refusal::Package { .. } => false,
        }
    }

    /// Whether this node pays for as much gas as is `asked` for each hour. Gas is no part of a lease's price.
    pub(crate) fn gas(&self, asked: u64) -> Result<(), Refusal> {
        match asked <= self.gas_budget_max {
            true => Ok(()),
            false => Err(Refusal::GasBudget { asked, most: self.gas_budget_max }),
        }
    }

    /// Whether `asked` fits beside `used`.
    pub(crate) fn room(&self, asked: Resources, used: Resources) -> Result<(), Refusal> {
        if asked.gpu && !self.capacity.gpu {
            return Err(Refusal::Gpu);
        }
        let cpu_free = Cpu { millis: self.capacity.cpu.millis.saturating_sub(used.cpu.millis) };
        if asked.cpu > cpu_free {
            return Err(Refusal::Cpu { asked: asked.cpu, free: cpu_free });
        }
        let memory_free = ByteSize(self.capacity.memory.0.saturating_sub(used.memory.0));
        if asked.memory > memory_free {
            return Err(Refusal::Memory { asked: asked.memory, free: memory_free });
        }
        Ok(())
    }
}
