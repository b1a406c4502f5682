//! Every folder under `examples` that has an agent.yaml is a package.

use std::path::{Path, PathBuf};

use nisse_model::Manifest;
use nisse_store::{Disk as _, SystemDisk};
use sha2::{Digest as _, Sha256};

const FILE_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

pub(crate) fn read(path: &Path) -> Vec<u8> {
    SystemDisk.read(path, FILE_BYTES_MAX).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

pub(crate) fn manifest(folder: &Path) -> Manifest {
    let text = String::from_utf8(read(&folder.join("agent.yaml"))).expect("a manifest is text");
    Manifest::parse(&text).unwrap_or_else(|errors| panic!("{}: {errors}", folder.display()))
}

fn check(folder: &Path) {
    let manifest = manifest(folder);
    let artifact = read(&folder.join(manifest.entry_point.as_str()));
    let sealed = manifest.sealed_hash().unwrap_or_else(|| panic!("{} is not sealed", folder.display()));
    assert_eq!(sealed.0, <[u8; 32]>::from(Sha256::digest(&artifact)), "{}", folder.display());
}

#[test]
fn every_example_is_a_sealed_package() {
    let guests = std::fs::read_dir(examples().join("guests")).expect("the guests are there");
    let folders = guests.map(|entry| entry.expect("an entry").path());
    let mut packages: Vec<PathBuf> = folders.filter(|folder| folder.join("agent.yaml").exists()).collect();
    assert!(packages.len() > 20, "only {} guests are found", packages.len());
    packages.push(examples().join("price-oracle"));
    packages.iter().for_each(|folder| check(folder));
}

#[test]
fn the_price_oracle_asks_for_the_three_permissions_of_the_proposal_and_no_more() {
    let manifest = manifest(&examples().join("price-oracle"));
    assert_eq!(manifest.agent_id.to_string(), "talos.oracle.price-eth@v1.2.0");
    let permissions: Vec<String> = manifest.permissions.iter().map(ToString::to_string).collect();
    assert_eq!(permissions, ["network_outbound:api.coingecko.com", "read_ipfs", "publish_to_chain"]);
}
