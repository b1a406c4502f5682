//! The creation code of each contract, from the artifacts that are committed with the sources.

use alloy::primitives::Bytes;
use alloy::sol_types::SolConstructor;
use serde::Deserialize;

/// The contracts that are deployed by name; the Escrow is made by its Manager and each feed by OracleFeeds.
macro_rules! artifacts {
    ($($name:literal),*) => {
        /// The committed artifact of a contract.
        pub(crate) fn artifact(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../../../../contracts/artifacts/", $name, ".json"))),)*
                _ => None,
            }
        }
    };
}

artifacts!(
    "AddressBook",
    "Escrow",
    "Heartbeats",
    "Manager",
    "Nodes",
    "OracleFeed",
    "OracleFeeds",
    "Reputation",
    "TalosToken"
);

#[derive(Deserialize)]
struct Artifact {
    bytecode: Bytes,
}

/// A contract's creation code with its constructor's arguments behind it.
pub(crate) fn creation_code(name: &str, arguments: Option<&[u8]>) -> Bytes {
    let json = artifact(name).expect("each contract has an artifact in the tree");
    let artifact: Artifact = serde_json::from_str(json).expect("a committed artifact is well-formed");
    [artifact.bytecode.as_ref(), arguments.unwrap_or_default()].concat().into()
}

/// The arguments of a constructor.
pub(crate) fn arguments(constructor: &impl SolConstructor) -> Vec<u8> {
    constructor.abi_encode()
}
