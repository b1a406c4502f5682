use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use nisse_testkit::SimEntropy;
use sha3::{Digest as _, Keccak256};

use super::*;

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).expect("hex").try_into().expect("as long as it is to be")
}

fn key(kind: KeyKind, secret: &str) -> Option<SigningKey> {
    SigningKey::new(kind, &Key::from_array(&bytes(secret)))
}

fn recovered(digest: &[u8; 32], signed: &[u8; 65]) -> Vec<u8> {
    let signature = Signature::from_slice(&signed[..64]).expect("r and s");
    assert!(signature.normalize_s().is_none(), "s is in the lower half");
    assert!(signed[64] == 27 || signed[64] == 28);
    let recovery = RecoveryId::new(signed[64] == 28, false);
    let signer = VerifyingKey::recover_from_prehash(digest, &signature, recovery).expect("a signer");
    signer.to_encoded_point(true).as_bytes().to_vec()
}

#[test]
fn a_wallet_key_has_the_address_that_others_compute() {
    // The first account of anvil and hardhat.
    let secret = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let public = key(KeyKind::Secp256k1, secret).expect("a key").public();
    assert_eq!(public.len(), KeyKind::Secp256k1.public_length());
    let point = VerifyingKey::from_sec1_bytes(&public).expect("a point").to_encoded_point(false);
    let hash = Keccak256::digest(&point.as_bytes()[1..]);
    assert_eq!(hex::encode(&hash[12..]), "f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
}

#[test]
fn a_wallet_key_signs_as_rfc_6979_says() {
    // A widely used vector: key 1, SHA-256 of "Satoshi Nakamoto".
    let one = key(KeyKind::Secp256k1, &format!("{:064x}", 1)).expect("a key");
    let digest = Hash256::of(b"Satoshi Nakamoto").0;
    let signed = one.sign_digest(&digest).expect("signed");
    let expected = "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
                    2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5";
    assert_eq!(hex::encode(&signed[..64]), expected);
    assert_eq!(recovered(&digest, &signed), one.public());
    assert!(one.sign_message(b"a message").is_none(), "it signs digests alone");
}

#[test]
fn each_signature_recovers_to_its_key_with_a_low_s_and_the_right_last_byte() {
    let entropy = SimEntropy::new(4);
    let mut last = [0; 2];
    for number in 0..200_u64 {
        let (_, key) = SigningKey::draw(KeyKind::Secp256k1, &entropy);
        let digest = Hash256::of(&number.to_be_bytes()).0;
        let signed = key.sign_digest(&digest).expect("signed");
        assert_eq!(recovered(&digest, &signed), key.public());
        last[usize::from(signed[64] - 27)] += 1;
    }
    assert!(last.iter().all(|count| *count > 50), "both last bytes are met: {last:?}");
}

#[test]
fn a_device_key_signs_as_rfc_8032_says() {
    // §7.1, TEST 2.
    let secret = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    let key = key(KeyKind::Ed25519, secret).expect("a key");
    assert_eq!(hex::encode(key.public()), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert_eq!(key.public().len(), KeyKind::Ed25519.public_length());
    let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                    085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    assert_eq!(hex::encode(key.sign_message(&[0x72]).expect("signed")), expected);
    assert!(key.sign_digest(&[1; 32]).is_none(), "it signs messages alone");
}

#[test]
fn zero_and_what_is_not_below_the_order_are_no_secp256k1_keys() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let below = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140";
    for refused in [&"0".repeat(64), order, &"f".repeat(64)] {
        assert!(key(KeyKind::Secp256k1, refused).is_none(), "{refused}");
        assert!(key(KeyKind::Ed25519, refused).is_some(), "any 32 bytes are a seed of Ed25519");
    }
    assert!(key(KeyKind::Secp256k1, below).is_some());
}

/// Gives what no key is first, and then what is one.
struct Stubborn(std::sync::atomic::AtomicUsize);

impl Entropy for Stubborn {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        buffer.fill([0, 0xff, 0xff, 7][count.min(3)]);
    }
}

#[test]
fn what_is_drawn_is_drawn_again_until_it_is_a_key() {
    let (secret, _) = SigningKey::draw(KeyKind::Secp256k1, &Stubborn(0.into()));
    assert_eq!(secret.expose(), &[7; 32]);
    let (secret, _) = SigningKey::draw(KeyKind::Ed25519, &Stubborn(0.into()));
    assert_eq!(secret.expose(), &[0; 32]);
}
