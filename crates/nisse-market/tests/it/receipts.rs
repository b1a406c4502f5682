//! Receipts: one form, one signer, one deployment.

use nisse_market::{Receipt, ReceiptError, SignatureError, Signer};
use nisse_model::{Address, DeploymentId, Hash256};

use crate::support::{CHAIN_ID, key};

fn receipt() -> Receipt {
    let deployment = DeploymentId { chain: CHAIN_ID, contract: Address([7; 20]), number: 3 };
    Receipt { deployment, seq: 41, record: Hash256::of(b"record") }
}

/// The curve's order, big-endian.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

#[tokio::test]
async fn a_receipt_names_its_signer() {
    let signed = receipt().sign(&key(5)).await.unwrap();
    assert_eq!(signed.signer(), Ok(key(5).address()));
    assert_eq!(signed.verify(key(5).address()), Ok(()));
    let (expected, found) = (key(6).address(), key(5).address());
    assert_eq!(signed.verify(expected), Err(ReceiptError::OtherSigner { expected, found }));
}

#[tokio::test]
async fn every_field_is_signed() {
    let node = key(5).address();
    let signed = receipt().sign(&key(5)).await.unwrap();
    let base = receipt();
    let changed = [
        Receipt { seq: 42, ..base },
        Receipt { record: Hash256::of(b"other"), ..base },
        Receipt { deployment: DeploymentId { chain: CHAIN_ID + 1, ..base.deployment }, ..base },
        Receipt { deployment: DeploymentId { contract: Address([8; 20]), ..base.deployment }, ..base },
        Receipt { deployment: DeploymentId { number: 4, ..base.deployment }, ..base },
    ];
    for receipt in changed {
        assert!(nisse_market::SignedReceipt { receipt, ..signed }.verify(node).is_err(), "{receipt:?}");
    }
    for bit in 0..65 * 8 {
        let mut flipped = signed;
        flipped.signature[bit / 8] ^= 1 << (bit % 8);
        assert!(flipped.verify(node).is_err(), "bit {bit}");
    }
}

#[tokio::test]
async fn the_second_form_of_a_signature_is_refused() {
    let mut signed = receipt().sign(&key(5)).await.unwrap();
    let mut order = [0u8; 32];
    hex::decode_to_slice(ORDER, &mut order).unwrap();
    // s becomes n - s, and the recovery bit flips: the same key would recover.
    let mut borrow = 0i16;
    for place in (0..32).rev() {
        let difference = i16::from(order[place]) - i16::from(signed.signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        signed.signature[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    signed.signature[64] = 27 + 28 - signed.signature[64];
    assert_eq!(signed.signer(), Err(ReceiptError::Signature(SignatureError::HighS)));
    signed.signature[64] = 0;
    assert_eq!(signed.signer(), Err(ReceiptError::Signature(SignatureError::RecoveryByte(0))));
}
