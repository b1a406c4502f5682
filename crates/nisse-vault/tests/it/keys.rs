//! Keys that sign: how they come into the vault, and what it refuses.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use nisse_vault::{KeyEntry, KeyKind, listed_keys};
use sha2::{Digest as _, Sha256};

use super::*;

const WALLET: KeyKind = KeyKind::Secp256k1;
const DEVICE: KeyKind = KeyKind::Ed25519;

fn secret(number: u8) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![number; 32])
}

fn draw(vault: &mut Vault, key: &str, kind: KeyKind) -> KeyEntry {
    vault.draw_key(&name(key), kind, NOW).unwrap()
}

#[test]
fn a_key_is_drawn_once_and_is_the_same_one_from_then_on() {
    let disk = disk();
    let mut vault = created(&disk);
    let wallet = draw(&mut vault, "wallet", WALLET);
    let device = draw(&mut vault, "device", DEVICE);
    assert_eq!((wallet.public.len(), device.public.len()), (33, 32));
    assert_eq!((wallet.kind, wallet.created), (WALLET, NOW));
    let changes = disk.changes();
    assert_eq!(vault.draw_key(&name("wallet"), WALLET, Timestamp(NOW.0 + 9)).unwrap(), wallet);
    assert_eq!(disk.changes(), changes, "nothing is written for what is there");
    let refused = told(vault.draw_key(&name("wallet"), DEVICE, NOW).unwrap_err());
    assert_eq!(refused, "failed to keep the key `wallet`: the vault has another one of that name");
    let revealed = vault.reveal_key(&name("wallet")).unwrap();
    drop(vault);
    let mut vault = unlocked(&disk).unwrap();
    assert_eq!(draw(&mut vault, "wallet", WALLET), wallet);
    assert_eq!(vault.reveal_key(&name("wallet")).unwrap(), revealed);
    assert_eq!(vault.keys(), [device, wallet], "by name");
}

#[test]
fn a_sealed_vault_lists_its_keys_and_signs_with_none() {
    let disk = disk();
    assert_eq!(listed_keys(&disk, Path::new("/h/vault")).unwrap(), [], "no vault has no keys");
    let mut vault = created(&disk);
    let (wallet, device) = (draw(&mut vault, "wallet", WALLET), draw(&mut vault, "device", DEVICE));
    set(&mut vault, "home", "wallet", b"12345678");
    drop(vault);
    let mut vault = sealed(&disk).unwrap();
    assert_eq!(vault.keys(), [device.clone(), wallet.clone()]);
    assert_eq!(listed_keys(&disk, Path::new("/h/vault")).unwrap(), [device, wallet]);
    for refused in [
        vault.sign_digest(&name("wallet"), &[1; 32]).map(drop),
        vault.sign_message(&name("device"), b"m").map(drop),
        vault.reveal_key(&name("wallet")).map(drop),
        vault.draw_key(&name("wallet"), WALLET, NOW).map(drop),
        vault.draw_key(&name("other"), WALLET, NOW).map(drop),
        vault.import_key(&name("other"), WALLET, &secret(1), NOW).map(drop),
        vault.derive_key(&name("wallet"), "p", &name("other"), NOW).map(drop),
        vault.exported().map(drop),
    ] {
        assert_eq!(told(refused.unwrap_err()), "failed to use the vault: it is sealed");
    }
    vault.unlock(&words("correct horse")).unwrap();
    assert!(vault.sign_digest(&name("wallet"), &[1; 32]).is_ok());
}

#[test]
fn a_key_and_a_secret_of_one_name_know_nothing_of_each_other() {
    let disk = disk();
    let mut vault = created(&disk);
    draw(&mut vault, "both", WALLET);
    set(&mut vault, "home", "both", b"12345678");
    assert_eq!(vault.list("home").len(), 1);
    assert!(vault.list("").is_empty());
    vault.remove("home", &name("both")).unwrap();
    assert!(vault.sign_digest(&name("both"), &[1; 32]).is_ok());
    let missing = told(vault.get("home", &name("both")).unwrap_err());
    assert_eq!(missing, "failed to find the secret `both`: the vault has none of that name");
}

#[test]
fn an_imported_key_is_kept_once_and_no_other_one_takes_its_place() {
    let disk = disk();
    let mut vault = created(&disk);
    let imported = vault.import_key(&name("wallet"), WALLET, &secret(1), NOW).unwrap();
    let changes = disk.changes();
    assert_eq!(vault.import_key(&name("wallet"), WALLET, &secret(1), Timestamp(1)).unwrap(), imported);
    assert_eq!(disk.changes(), changes);
    for (kind, number) in [(WALLET, 2), (DEVICE, 1)] {
        let refused = told(vault.import_key(&name("wallet"), kind, &secret(number), NOW).unwrap_err());
        assert_eq!(refused, "failed to keep the key `wallet`: the vault has another one of that name");
    }
    assert_eq!(vault.reveal_key(&name("wallet")).unwrap(), secret(1));
    for (unfit, why) in [
        (vec![1; 31], "its secret part has 32 bytes"),
        (vec![1; 33], "its secret part has 32 bytes"),
        (vec![], "its secret part has 32 bytes"),
        (vec![0; 32], "these bytes are no secp256k1 key: they are zero or not below the curve's order"),
        (vec![255; 32], "these bytes are no secp256k1 key: they are zero or not below the curve's order"),
    ] {
        let refused = told(vault.import_key(&name("unfit"), WALLET, &Zeroizing::new(unfit), NOW).unwrap_err());
        assert_eq!(refused, format!("failed to keep a key: {why}"));
    }
    assert_eq!(vault.keys(), [imported]);
}

/// `LocalKey::derived`, computed a second time: SHA-256 over each part with its length before it.
fn derived(secret: &[u8], purpose: &str) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for part in [b"nisse derived key v1".as_slice(), secret, purpose.as_bytes(), &[0, 0, 0, 0]] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_vec()
}

#[test]
fn a_derived_key_is_the_one_that_was_always_derived() {
    let disk = disk();
    let mut vault = created(&disk);
    vault.import_key(&name("wallet"), WALLET, &secret(1), NOW).unwrap();
    for (key, purpose) in [("renting", "renting"), ("empty", ""), ("long", &"p".repeat(1_024))] {
        let entry = vault.derive_key(&name("wallet"), purpose, &name(key), NOW).unwrap();
        assert_eq!(vault.reveal_key(&name(key)).unwrap().as_slice(), derived(&[1; 32], purpose));
        assert_eq!(vault.derive_key(&name("wallet"), purpose, &name(key), Timestamp(1)).unwrap(), entry);
        let same = Zeroizing::new(derived(&[1; 32], purpose));
        assert_eq!(vault.import_key(&name(key), WALLET, &same, NOW).unwrap(), entry, "and is no other one");
    }
    let refused = told(vault.derive_key(&name("wallet"), "another", &name("renting"), NOW).unwrap_err());
    assert_eq!(refused, "failed to keep the key `renting`: the vault has another one of that name");
    assert!(vault.derive_key(&name("wallet"), "any", &name("wallet"), NOW).is_err());
    let long = told(vault.derive_key(&name("wallet"), &"p".repeat(1_025), &name("x"), NOW).unwrap_err());
    assert_eq!(long, "failed to keep a key: what it is derived for has at most 1,024 bytes");
    let missing = told(vault.derive_key(&name("none"), "p", &name("x"), NOW).unwrap_err());
    assert_eq!(missing, "failed to find the key `none`: the vault has none of that name");
    draw(&mut vault, "device", DEVICE);
    let refused = told(vault.derive_key(&name("device"), "p", &name("x"), NOW).unwrap_err());
    assert_eq!(refused, "failed to use the key `device`: it is one of ed25519");
}

#[test]
fn a_key_signs_what_its_kind_signs_and_others_check_it() {
    let disk = disk();
    let mut vault = created(&disk);
    let (wallet, device) = (draw(&mut vault, "wallet", WALLET), draw(&mut vault, "device", DEVICE));
    let signed = vault.sign_digest(&name("wallet"), &[9; 32]).unwrap();
    let recovery = RecoveryId::new(signed[64] == 28, false);
    let signature = Signature::from_slice(&signed[..64]).unwrap();
    let signer = VerifyingKey::recover_from_prehash(&[9; 32], &signature, recovery).unwrap();
    assert_eq!(signer.to_encoded_point(true).as_bytes(), wallet.public);
    let signed = vault.sign_message(&name("device"), b"a message").unwrap();
    let public = ed25519_dalek::VerifyingKey::from_bytes(device.public.as_slice().try_into().unwrap()).unwrap();
    let signature = ed25519_dalek::Signature::from_bytes(&signed);
    assert!(public.verify_strict(b"a message", &signature).is_ok());
    assert!(public.verify_strict(b"another", &signature).is_err());
    let refused = told(vault.sign_digest(&name("device"), &[9; 32]).unwrap_err());
    assert_eq!(refused, "failed to use the key `device`: it is one of ed25519");
    let refused = told(vault.sign_message(&name("wallet"), b"m").unwrap_err());
    assert_eq!(refused, "failed to use the key `wallet`: it is one of secp256k1");
    for refused in [
        vault.sign_digest(&name("none"), &[9; 32]).map(drop),
        vault.sign_message(&name("none"), b"m").map(drop),
        vault.reveal_key(&name("none")).map(drop),
    ] {
        assert_eq!(told(refused.unwrap_err()), "failed to find the key `none`: the vault has none of that name");
    }
}

#[test]
fn as_many_keys_as_it_may_hold_and_not_one_more() {
    let disk = disk();
    let mut vault = created(&disk);
    for number in 0..Vault::KEYS_MAX {
        draw(&mut vault, &format!("k{number}"), if number % 2 == 0 { WALLET } else { DEVICE });
    }
    let refused = told(vault.draw_key(&name("more"), DEVICE, NOW).unwrap_err());
    assert_eq!(refused, "failed to keep a key: the vault holds 64 keys, as many as it may");
    assert!(vault.import_key(&name("more"), WALLET, &secret(1), NOW).is_err());
    assert!(vault.derive_key(&name("k0"), "p", &name("more"), NOW).is_err());
    draw(&mut vault, "k0", WALLET);
    vault.protect(&[words("correct horse")], CHEAP).unwrap();
    assert_eq!(vault.keys().len(), Vault::KEYS_MAX);
}

#[test]
fn a_protection_seals_each_key_anew_and_leaves_it_the_same() {
    let disk = disk();
    let mut vault = created(&disk);
    let entries = [draw(&mut vault, "device", DEVICE), draw(&mut vault, "wallet", WALLET)];
    let secrets = ["device", "wallet"].map(|key| vault.reveal_key(&name(key)).unwrap());
    let before = disk.read(Path::new(PATH), 1 << 20).unwrap();
    vault.protect(&[words("another horse")], CHEAP).unwrap();
    let after = disk.read(Path::new(PATH), 1 << 20).unwrap();
    // Of the two files, nothing but the names and public parts is the same.
    let same = before.windows(40).filter(|window| after.windows(40).any(|found| found == *window)).count();
    assert!(same < 40, "{same} stretches of 40 bytes lie in both");
    assert!(unlocked(&disk).is_err(), "what opened it before opens it no more");
    let mut vault = sealed(&disk).unwrap();
    vault.unlock(&words("another horse")).unwrap();
    assert_eq!(vault.keys(), entries);
    assert_eq!(["device", "wallet"].map(|key| vault.reveal_key(&name(key)).unwrap()), secrets);
}

#[test]
fn no_secret_part_lies_on_the_disk_and_any_changed_bit_is_noticed() {
    let disk = disk();
    let mut vault = created(&disk);
    vault
        .import_key(&name("wallet"), WALLET, &Zeroizing::new(b"canary-0123456789abcdef-01234567".to_vec()), NOW)
        .unwrap();
    draw(&mut vault, "device", DEVICE);
    drop(vault);
    let whole = disk.read(Path::new(PATH), 1 << 20).unwrap();
    assert!(!whole.windows(12).any(|window| window == b"canary-01234"));
    for bit in 0..whole.len() as u64 * 8 {
        let disk = disk.fork();
        disk.flip_bit(Path::new(PATH), bit / 8, u8::try_from(bit % 8).unwrap());
        assert!(unlocked(&disk).is_err(), "bit {bit}");
    }
}
