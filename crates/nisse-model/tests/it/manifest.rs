//! What agent.yaml may hold, and what is refused with which words.

use nisse_model::{ArtifactHash, Manifest, Permission};

/// The example of TIP-0042 §3.1, as printed.
pub(crate) const TIP_EXAMPLE: &str = r#"# agent.yaml
agent_id: "talos.oracle.price-eth@v1.2.0"
description: "Fetches the current price of ETH from a trusted API and provides it on-chain."
compliance:
  - "TIP-3" # Decentralized Oracle Network
  - "TIP-7" # Agent-to-Agent Communication
resources:
  cpu: "0.25"      # 0.25 vCPU core
  memory: "256MiB" # 256 Mebibytes of RAM
  gpu: "false"
entry_point: "oracle.wasm"
artifact_hash: "a1b2c3d4e5f6... (SHA-256 hash of oracle.wasm)"
permissions:
  - "network_outbound:api.coingecko.com"
  - "read_ipfs"
  - "publish_to_chain"
"#;

#[test]
fn the_printed_example_of_the_tip_parses() {
    let manifest = Manifest::parse(TIP_EXAMPLE).unwrap();
    assert_eq!(manifest.agent_id.to_string(), "talos.oracle.price-eth@v1.2.0");
    assert_eq!(manifest.compliance, ["TIP-3", "TIP-7"]);
    assert_eq!(manifest.resources.to_string(), "cpu 0.25, memory 256MiB");
    assert_eq!(manifest.entry_point.as_str(), "oracle.wasm");
    let unsealed = "a1b2c3d4e5f6... (SHA-256 hash of oracle.wasm)".to_owned();
    assert_eq!(manifest.artifact_hash, ArtifactHash::Unsealed(unsealed));
    let permissions: Vec<String> = manifest.permissions.iter().map(Permission::to_string).collect();
    assert_eq!(permissions, ["network_outbound:api.coingecko.com", "read_ipfs", "publish_to_chain"]);
    assert_eq!(manifest.config.as_str(), "{}");
}
