//! Requests of owners: every field is signed, and other tools sign the same.

use alloy::sol_types::SolStruct as _;
use nisse_market::{OwnerRequest, SignedOwnerRequest, Signer};
use nisse_model::{Address, DeploymentId, Hash256};

use crate::support::{CHAIN_ID, key};

fn request() -> OwnerRequest {
    OwnerRequest {
        method: "POST".to_owned(),
        path: "/.well-known/nisse/v1/agents/x/invoke?a=b".to_owned(),
        body: Hash256::of(b"{}"),
        node: Address([9; 20]),
        deployment: DeploymentId { chain: CHAIN_ID, contract: Address([7; 20]), number: 3 },
        nonce: [5; 32],
        expires: 1_763_769_600,
    }
}

#[tokio::test]
async fn every_field_is_signed() {
    let owner = key(5).address();
    let signed = request().sign(&key(5)).await.unwrap();
    assert_eq!(signed.signer(), Ok(owner));
    let base = request();
    let changed = [
        OwnerRequest { method: "GET".to_owned(), ..base.clone() },
        OwnerRequest { path: base.path.replace("a=b", "a=c"), ..base.clone() },
        OwnerRequest { body: Hash256::of(b"{ }"), ..base.clone() },
        OwnerRequest { node: Address([8; 20]), ..base.clone() },
        OwnerRequest { deployment: DeploymentId { chain: CHAIN_ID + 1, ..base.deployment }, ..base.clone() },
        OwnerRequest { deployment: DeploymentId { contract: Address([8; 20]), ..base.deployment }, ..base.clone() },
        OwnerRequest { deployment: DeploymentId { number: 4, ..base.deployment }, ..base.clone() },
        OwnerRequest { nonce: [6; 32], ..base.clone() },
        OwnerRequest { expires: base.expires + 1, ..base.clone() },
    ];
    for request in changed {
        let other = SignedOwnerRequest { request, ..signed.clone() };
        assert_ne!(other.signer(), Ok(owner), "{other:?}");
    }
    for bit in 0..65 * 8 {
        let mut flipped = signed.clone();
        flipped.signature[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(flipped.signer(), Ok(owner), "bit {bit}");
    }
}

/// EIP-712 by hand, from the words of its specification alone.
#[test]
fn the_digest_is_the_one_of_eip_712() {
    use alloy::primitives::keccak256;
    let word = |value: u64| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&value.to_be_bytes());
        word
    };
    let address = |address: Address| {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&address.0);
        word
    };
    let hash = |parts: &[[u8; 32]]| keccak256(parts.concat()).0;
    let text = |text: &str| keccak256(text).0;
    let request = request();
    let domain = hash(&[
        text("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
        text("nisse"),
        text("1"),
        word(CHAIN_ID),
        address(request.deployment.contract),
    ]);
    let told = hash(&[
        text(
            "OwnerRequest(string method,string path,bytes32 body,address node,uint64 deployment,bytes32 nonce,\
             uint64 expires)",
        ),
        text(&request.method),
        text(&request.path),
        request.body.0,
        address(request.node),
        word(request.deployment.number),
        request.nonce,
        word(request.expires),
    ]);
    let digest = keccak256([&[0x19, 0x01][..], &domain, &told].concat());
    assert_eq!(request.digest(), digest.0);
}

mod typed {
    alloy::sol! {
        struct WalletBinding {
            string identity;
        }
    }
}

/// What nisse-model makes by hand, as a wallet does it.
#[test]
fn what_a_wallet_signs_for_an_identity_is_eip_712() {
    let identity: nisse_model::Did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp".parse().unwrap();
    let domain = alloy::sol_types::eip712_domain! { name: "nisse", version: "1", };
    let digest = typed::WalletBinding { identity: identity.to_string() }.eip712_signing_hash(&domain);
    assert_eq!(nisse_model::wallet_digest(&identity), digest.0);
}
