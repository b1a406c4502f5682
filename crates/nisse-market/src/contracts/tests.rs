//! The hand-written interfaces against the committed artifacts: a drift fails here, before it fails on a chain.

use std::collections::BTreeMap;

use alloy::json_abi::JsonAbi;
use alloy::sol_types::{SolEventInterface, SolInterface};

use super::bytecode::artifact;
use super::*;

fn abi(name: &str) -> JsonAbi {
    let artifact: serde_json::Value = serde_json::from_str(artifact(name).unwrap()).unwrap();
    serde_json::from_value(artifact["abi"].clone()).unwrap()
}

fn calls<C: SolInterface>(name: &str) {
    let abi = abi(name);
    let known: Vec<[u8; 4]> = abi.functions().map(|function| function.selector().0).collect();
    for selector in C::selectors() {
        assert!(known.contains(&selector), "{name} has no function {:?}", C::NAME);
    }
}

fn events<E: SolEventInterface>(name: &str, selectors: &[[u8; 32]]) {
    let abi = abi(name);
    let known: Vec<[u8; 32]> = abi.events().map(|event| event.selector().0).collect();
    for selector in selectors {
        assert!(known.contains(selector), "{name} has no event 0x{} of {}", hex::encode(selector), E::NAME);
    }
}

#[test]
fn every_function_that_is_called_exists() {
    calls::<Manager::ManagerCalls>("Manager");
    calls::<Nodes::NodesCalls>("Nodes");
    calls::<Escrow::EscrowCalls>("Escrow");
    calls::<OracleFeeds::OracleFeedsCalls>("OracleFeeds");
    calls::<OracleFeed::OracleFeedCalls>("OracleFeed");
    calls::<Heartbeats::HeartbeatsCalls>("Heartbeats");
    calls::<Reputation::ReputationCalls>("Reputation");
    calls::<AddressBook::AddressBookCalls>("AddressBook");
    calls::<TalosToken::TalosTokenCalls>("TalosToken");
}

#[test]
fn every_event_that_is_read_exists() {
    events::<Manager::ManagerEvents>("Manager", Manager::ManagerEvents::SELECTORS);
    events::<Nodes::NodesEvents>("Nodes", Nodes::NodesEvents::SELECTORS);
    events::<OracleFeeds::OracleFeedsEvents>("OracleFeeds", OracleFeeds::OracleFeedsEvents::SELECTORS);
    events::<Heartbeats::HeartbeatsEvents>("Heartbeats", Heartbeats::HeartbeatsEvents::SELECTORS);
    events::<Reputation::ReputationEvents>("Reputation", Reputation::ReputationEvents::SELECTORS);
}

#[test]
fn every_event_of_the_manager_is_read() {
    let known = Manager::ManagerEvents::SELECTORS;
    let unread: Vec<String> = abi("Manager")
        .events()
        .filter(|event| !known.contains(&event.selector().0))
        .map(|event| event.signature())
        .collect();
    assert_eq!(unread, [""; 0]);
}

#[test]
fn the_deployment_has_the_contracts_fields_in_order() {
    let abi = abi("Manager");
    let output = &abi.function("deployment").unwrap()[0].outputs[0];
    let fields: Vec<(&str, &str)> =
        output.components.iter().map(|field| (field.name.as_str(), field.ty.as_str())).collect();
    let ours = "uint64 id address owner uint8 state address node uint64 publication string agentId bytes manifestCid \
                bytes artifactCid bytes32 artifactHash bytes32 configHash tuple resources uint64 gasBudget \
                uint128 rate uint128 maxRate uint32 bidWindow uint64 deadline uint64 startedAt uint64 endsAt \
                uint128 deposited uint128 paid uint128 due uint32 incarnation bool home bool paused bool verified \
                uint8 attestations address onlyNode address supersedesMarket uint64 supersedesId \
                uint32 updateRevision uint64 updatePublication";
    let words: Vec<&str> = ours.split_whitespace().collect();
    let ours: Vec<(&str, &str)> = words.chunks(2).map(|pair| (pair[1], pair[0])).collect();
    assert_eq!(fields, ours);
}

#[test]
fn every_error_that_a_caller_can_meet_has_a_sentence() {
    let mut unknown = BTreeMap::new();
    let names = [
        "Manager",
        "Nodes",
        "Escrow",
        "OracleFeeds",
        "OracleFeed",
        "Heartbeats",
        "Reputation",
        "AddressBook",
        "TalosToken",
    ];
    for name in names {
        for error in abi(name).errors() {
            let arguments = vec![0; 32 * 16];
            let data = [error.selector().as_slice(), &arguments].concat();
            if crate::revert::decode(&data).name != error.name {
                unknown.insert(format!("{name}.{}", error.signature()), ());
            }
        }
    }
    let unknown: Vec<String> = unknown.into_keys().collect();
    assert_eq!(unknown, [""; 0]);
}
