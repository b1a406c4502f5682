//! The life of agents as stories, without time passing by itself; here, what all of them begin with.

mod alarms;
mod asking;
mod ended;
mod interrupted;
mod journal;
mod leases;
mod orders;
mod pace;
mod restarts;
mod updates;

use std::collections::BTreeSet;

use nisse_model::{
    Address, Amount, AmountPerHour, ByteSize, ContentId, Cpu, DeploymentId, Hash256, PackageRef, Resources, Timestamp,
};

use super::*;
use crate::agent::{Assignment, Lease, NextPackage};
use crate::event::{ActionResult, AlarmEnd, Command, Event, MarketStep, PrepareError};
use crate::policy::{Accept, Capacity};
use crate::price::Prices;
use crate::reason::{CloseReason, FailureStage};

const OPERATOR: Address = Address([1; 20]);
const ALICE: Address = Address([2; 20]);
const NOW: Timestamp = Timestamp(1_000_000);

fn deployment(number: u64) -> DeploymentId {
    DeploymentId { chain: 7, contract: Address([9; 20]), number }
}

fn placement(owner: Address, name: &str) -> Placement {
    let agent_id = format!("{name}@v1.0.0").parse().expect("a valid id");
    let hash = Hash256::of(name.as_bytes());
    let package = PackageRef {
        agent_id,
        manifest_cid: ContentId::raw(hash),
        artifact_cid: ContentId::raw(hash),
        artifact_hash: hash,
        config_hash: hash,
    };
    let resources = Resources { cpu: Cpu { millis: 250 }, memory: ByteSize(1 << 20), gpu: false };
    Placement { owner, package, resources }
}

fn order(number: u64, name: &str) -> Order {
    Order {
        deployment: deployment(number),
        placement: placement(ALICE, name),
        max_rate: AmountPerHour(50),
        gas_budget: 500_000,
        bids_until: None,
        unverified: false,
        round: 1,
    }
}

fn lease() -> Assignment {
    Assignment::Lease(Lease { rate: AmountPerHour(50), deposited: Amount(1000) })
}

fn policy() -> Policy {
    Policy {
        operator: OPERATOR,
        accept: Accept::Listed(BTreeSet::from([ALICE])),
        capacity: Capacity { cpu: Cpu { millis: 1000 }, memory: ByteSize(8 << 20), gpu: false },
        prices: Prices::flat(AmountPerHour(50)),
        gas_budget_max: 1_000_000,
    }
}

fn orchestrator() -> Orchestrator {
    Orchestrator::new(policy())
}

fn finish(orchestrator: &mut Orchestrator, number: u64, result: ActionResult) -> Effects {
    orchestrator.handle(Event::Finished { deployment: deployment(number), result }, NOW)
}

fn assign(orchestrator: &mut Orchestrator, number: u64, owner: Address, assignment: Assignment) -> Effects {
    let placement = placement(owner, &format!("agent{number}"));
    orchestrator.handle(
        Event::Assigned { deployment: deployment(number), placement, assignment, began: 0, gas_budget: 500_000 },
        NOW,
    )
}

fn run(orchestrator: &mut Orchestrator, number: u64, owner: Address, assignment: Assignment) {
    assign(orchestrator, number, owner, assignment);
    finish(orchestrator, number, ActionResult::Prepared(Ok(())));
    finish(orchestrator, number, ActionResult::Started(Ok(())));
    orchestrator.handle(Event::Acknowledged { deployment: deployment(number), at: NOW }, NOW);
}

fn life(orchestrator: &Orchestrator, number: u64) -> &Life {
    &orchestrator.agent(&deployment(number)).expect("the agent is known").life
}

/// What a restart makes of the state: every decision through its stored bytes.
fn reborn(node: &Orchestrator) -> Orchestrator {
    let mut again = orchestrator();
    for decision in node.compacted() {
        let bytes = crate::encode(&decision);
        again.restore(&crate::decode(&bytes).expect("what was encoded decodes"));
    }
    again
}
