//! What agent.yaml may hold.

use nisse_model::{ArtifactHash, Hash256, Manifest, Permission, Warning, check};
use proptest::prelude::*;

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

/// The example with `from` replaced by `to` once.
pub(crate) fn changed(from: &str, to: &str) -> String {
    assert!(TIP_EXAMPLE.contains(from), "the example holds {from:?}");
    TIP_EXAMPLE.replacen(from, to, 1)
}

/// What is said about the changed example.
pub(crate) fn refused(from: &str, to: &str) -> String {
    Manifest::parse(&changed(from, to)).unwrap_err().to_string()
}

fn accepted(from: &str, to: &str) -> Manifest {
    Manifest::parse(&changed(from, to)).unwrap_or_else(|errors| panic!("{errors}"))
}

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

#[test]
fn the_printed_example_parses_with_windows_line_ends() {
    let windows = TIP_EXAMPLE.replace('\n', "\r\n");
    assert_eq!(Manifest::parse(&windows).unwrap(), Manifest::parse(TIP_EXAMPLE).unwrap());
}

#[test]
fn a_gpu_is_wanted_or_not_in_quotes_or_without() {
    for (written, wanted) in [("\"true\"", true), ("true", true), ("\"false\"", false), ("false", false)] {
        assert_eq!(accepted("gpu: \"false\"", &format!("gpu: {written}")).resources.gpu, wanted, "{written}");
    }
    assert!(!accepted("  gpu: \"false\"\n", "").resources.gpu);
}

#[test]
fn cpu_may_stand_in_quotes_or_without() {
    for (written, millis) in [("0.25", 250), ("'0.25'", 250), ("1", 1000), ("\"2.005\"", 2005), ("64", 64_000)] {
        assert_eq!(accepted("\"0.25\"", written).resources.cpu.millis, millis, "{written}");
    }
}

#[test]
fn lists_may_be_left_out() {
    let manifest = Manifest::parse(TIP_EXAMPLE.split("permissions:").next().unwrap()).unwrap();
    assert_eq!(manifest.permissions, []);
}

#[test]
fn a_hash_of_64_lower_case_digits_is_sealed() {
    let hash = Hash256::of(b"oracle");
    let written = "\"a1b2c3d4e5f6... (SHA-256 hash of oracle.wasm)\"";
    for text in [format!("\"{hash}\""), hash.to_string(), "1".repeat(64)] {
        assert!(accepted(written, &text).sealed_hash().is_some(), "{text}");
    }
    let upper_case = accepted(written, &hash.to_string().to_ascii_uppercase());
    assert_eq!(upper_case.sealed_hash(), None);
    assert_eq!(check(&upper_case), [Warning::UpperCaseHash]);
}

#[test]
fn a_configuration_keeps_the_types_of_its_values() {
    let block =
        "nisse: 1\nconfig:\n  z: [1, -2.5, 1e3, ~]\n  a: { on: yes please, \"off\": true, v: 1.2.0-rc, q: '012' }\n";
    let manifest = accepted("permissions:", &format!("{}permissions:", block.replace("on:", "\"on\":")));
    assert_eq!(
        manifest.config.as_str(),
        r#"{"a":{"off":true,"on":"yes please","q":"012","v":"1.2.0-rc"},"z":[1,-2.5,1000.0,null]}"#
    );
}

#[test]
fn warnings_name_what_is_probably_not_meant() {
    let text = TIP_EXAMPLE
        .replace("oracle.wasm\"\nartifact", "oracle\"\nartifact")
        .replace("\"false\"", "true")
        .replace("  - \"read_ipfs\"", "  - read_ipfs\n  - read_ipfs\n  - network_outbound:http://example.org");
    let warnings: Vec<String> = check(&Manifest::parse(&text).unwrap()).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @r#"
    `artifact_hash` is not sealed, so `deploy` will refuse it: run `nisse pkg seal`
    `entry_point` is `oracle`: a component's file usually ends in `.wasm`
    `resources.gpu` is true: no node of this version offers a GPU, so nobody will bid
    the permission "read_ipfs" stands more than once
    the permission "network_outbound:http://example.org" allows requests without encryption
    "#);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}") {
        let _ = Manifest::parse(&text);
    }

    #[test]
    fn no_text_of_yaml_signs_makes_the_reader_panic(text in "[-?:,\\[\\]{}#&*!|>'\"%@`~<=a0 .\t\n]{0,120}") {
        let _ = Manifest::parse(&text);
    }

    #[test]
    fn an_example_with_something_put_in_never_makes_the_reader_panic(
        place in 0..TIP_EXAMPLE.len(),
        cut in 0..40usize,
        text in "[-?:,\\[\\]{}#&*!|>'\"%~<a1 \n]{0,12}",
    ) {
        let end = (place + cut).min(TIP_EXAMPLE.len());
        let mutated = format!("{}{text}{}", &TIP_EXAMPLE[..place], &TIP_EXAMPLE[end..]);
        match Manifest::parse(&mutated) {
            Ok(_) => {
                let hash = Hash256::of(mutated.as_bytes());
                if let Ok(sealed) = Manifest::seal_text(&mutated, hash) {
                    prop_assert_eq!(Manifest::parse(&sealed).unwrap().sealed_hash(), Some(hash));
                }
            }
            Err(errors) => {
                let lines = mutated.split('\n').count();
                for error in errors.iter() {
                    prop_assert!(error.line >= 1 && error.line <= lines + 1 && error.column >= 1, "{}", error);
                    prop_assert!(error.to_string().len() < 1200, "{}", error);
                }
            }
        }
    }
}
