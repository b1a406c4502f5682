//! A wallet's word that it is an identity's.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest as _, Keccak256};

use super::Did;
use crate::Address;

fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What a wallet signs to be bound to an identity: EIP-712 `WalletBinding(string identity)` in the domain {name
/// "nisse", version "1"}, so that a wallet shows its person whose it becomes. It is of no chain: an address is one
/// key's on all of them.
pub fn wallet_digest(identity: &Did) -> [u8; 32] {
    let domain =
        keccak(&[&keccak(&[b"EIP712Domain(string name,string version)"]), &keccak(&[b"nisse"]), &keccak(&[b"1"])]);
    let said = keccak(&[&keccak(&[b"WalletBinding(string identity)"]), &keccak(&[identity.to_string().as_bytes()])]);
    keccak(&[&[0x19, 0x01], &domain, &said])
}

/// Whose signature it is; nobody's, where `s` is in the upper half of its range (EIP-2) or the last byte is no 27 or 28.
pub(super) fn signer(digest: &[u8; 32], signature: &[u8; 65]) -> Option<Address> {
    let (scalars, parity) = signature.split_at(64);
    let parity = parity[0].checked_sub(27).filter(|parity| *parity < 2)?;
    let signature = Signature::from_slice(scalars).ok().filter(|signature| signature.normalize_s().is_none())?;
    let key = VerifyingKey::recover_from_prehash(digest, &signature, RecoveryId::from_byte(parity)?).ok()?;
    let point = key.to_encoded_point(false);
    let hash = keccak(&[&point.as_bytes()[1..]]);
    Some(Address(hash[12..].try_into().expect("the last 20 of 32 bytes")))
}
