//! Packages: bytes become one only after every hash has been compared.

use nisse_model::{Config, ContentId, Hash256, Manifest, Package, PackageError, PackageRef};

use crate::manifest::TIP_EXAMPLE;

const ARTIFACT: &[u8] = b"\0asm component";

fn sealed() -> Vec<u8> {
    Manifest::seal_text(TIP_EXAMPLE, Hash256::of(ARTIFACT)).unwrap().into_bytes()
}

fn named() -> PackageRef {
    PackageRef {
        agent_id: "talos.oracle.price-eth@v1.2.0".parse().unwrap(),
        manifest_cid: ContentId::raw(Hash256::of(&sealed())),
        artifact_cid: ContentId::raw(Hash256::of(ARTIFACT)),
        artifact_hash: Hash256::of(ARTIFACT),
        config_hash: Config::default().hash(),
    }
}

#[test]
fn bytes_that_match_their_names_are_a_package() {
    let package = Package::verify(sealed(), ARTIFACT.to_vec(), &named()).unwrap();
    assert_eq!(package.manifest().agent_id, named().agent_id);
    assert_eq!(package.artifact_hash(), Hash256::of(ARTIFACT));
    assert_eq!(package.manifest_cid(), named().manifest_cid);
    assert_eq!((package.manifest_bytes(), package.artifact_bytes()), (&sealed()[..], ARTIFACT));
}

#[test]
fn a_dag_pb_artifact_is_judged_by_its_bytes() {
    let named = PackageRef { artifact_cid: ContentId::dag_pb(Hash256([9; 32])), ..named() };
    assert!(Package::verify(sealed(), ARTIFACT.to_vec(), &named).is_ok());
}

#[test]
fn every_flipped_byte_of_manifest_or_artifact_is_caught() {
    for position in 0..sealed().len() {
        let mut bytes = sealed();
        bytes[position] ^= 1;
        let error = Package::verify(bytes, ARTIFACT.to_vec(), &named()).unwrap_err();
        assert!(matches!(error, PackageError::ManifestHash { .. }), "byte {position}");
    }
    for position in 0..ARTIFACT.len() {
        let mut bytes = ARTIFACT.to_vec();
        bytes[position] ^= 1;
        let error = Package::verify(sealed(), bytes, &named()).unwrap_err();
        assert!(matches!(error, PackageError::ArtifactHash { .. }), "byte {position}");
    }
}

#[test]
fn a_raw_cid_that_disagrees_with_the_hash_is_refused_before_any_byte() {
    let wrong = PackageRef { artifact_cid: ContentId::raw(Hash256([9; 32])), ..named() };
    assert!(matches!(wrong.check(), Err(PackageError::ArtifactCid { .. })));
    let wrong = PackageRef { manifest_cid: ContentId::dag_pb(Hash256::of(&sealed())), ..named() };
    assert!(matches!(wrong.check(), Err(PackageError::ManifestCodec(_))));
}

#[test]
fn a_deployment_of_another_artifact_than_the_manifest_declares_is_refused() {
    let other = b"another component".to_vec();
    let hash = Hash256::of(&other);
    let named = PackageRef { artifact_cid: ContentId::raw(hash), artifact_hash: hash, ..named() };
    let declared = Hash256::of(ARTIFACT);
    assert_eq!(
        Package::verify(sealed(), other, &named),
        Err(PackageError::ArtifactHash { expected: declared, found: hash })
    );
    assert_eq!(
        Package::verify(sealed(), ARTIFACT.to_vec(), &named),
        Err(PackageError::ArtifactHash { expected: hash, found: declared })
    );
}

#[test]
fn another_agent_than_named_is_refused() {
    let named = PackageRef { agent_id: "talos.oracle.price-eth@v1.3.0".parse().unwrap(), ..named() };
    assert!(matches!(Package::verify(sealed(), ARTIFACT.to_vec(), &named), Err(PackageError::AgentId { .. })));
}

#[test]
fn an_unsealed_package_names_the_command_that_seals_it() {
    let error = Package::seal_checked(TIP_EXAMPLE.into(), ARTIFACT.to_vec()).unwrap_err();
    insta::assert_snapshot!(error, @"use an unsealed package: `artifact_hash` in agent.yaml is not a SHA-256 digest; run `nisse pkg seal`");
}

#[test]
fn a_manifest_that_is_no_text_or_no_manifest_is_refused() {
    assert_eq!(Package::seal_checked(vec![b'a', 0xff], Vec::new()), Err(PackageError::NotText(1)));
    let error = Package::seal_checked(b"- a".to_vec(), Vec::new()).unwrap_err();
    assert!(matches!(error, PackageError::Manifest(_)));
}
