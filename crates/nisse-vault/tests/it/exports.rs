//! A vault that is carried away, and what comes back of it.

use std::sync::atomic::{AtomicU64, Ordering};

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use nisse_testkit::SimClock;
use nisse_vault::{ExportError, Keeper, KeyKind, Restored, VaultPaths, read_export};

use super::*;

/// An empty vault that was not begun with the same randomness as another one.
fn fresh() -> (SimDisk, Keeper) {
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    let disk = disk();
    let paths = VaultPaths { folder: "/h/vault".into(), key_file: "/h/keys/vault".into(), credential: None };
    let (clock, entropy) =
        (Arc::new(SimClock::new(NOW)), Arc::new(SimEntropy::new(BEGUN.fetch_add(1, Ordering::Relaxed))));
    let keeper = Keeper::open(Arc::new(disk.clone()), clock, entropy, paths, CHEAP, false).unwrap();
    (disk, keeper)
}

fn filled() -> Keeper {
    let (_, mut keeper) = fresh();
    keeper.draw_key(&name("wallet"), KeyKind::Secp256k1).unwrap();
    keeper.draw_key(&name("device"), KeyKind::Ed25519).unwrap();
    for (tenant, value) in [("home", b"home-12345"), ("shop", b"shop-12345")] {
        keeper.set(tenant, &name("a"), value, Setting::New).unwrap();
    }
    keeper.set("home", &name("a"), b"home-54321", Setting::Rotated).unwrap();
    keeper
}

fn line(identity: &Identity) -> String {
    identity.to_string().expose_secret().to_owned()
}

/// What both recipients open: the operator's, and one that lies offline.
fn exported(keeper: &Keeper) -> (Vec<u8>, [String; 2]) {
    let identities = [Identity::generate(), Identity::generate()];
    let recipients = identities.each_ref().map(|identity| identity.to_public().to_string());
    (keeper.export(&recipients).unwrap(), identities.each_ref().map(line))
}

#[test]
fn an_export_brings_everything_into_an_empty_vault_by_each_recipient() {
    let keeper = filled();
    let (document, identities) = exported(&keeper);
    for identity in &identities {
        let (disk, mut other) = fresh();
        let before = disk.changes();
        let restored = other.restore(read_export(&document, identity).unwrap()).unwrap();
        assert_eq!(restored, Restored { keys: 2, secrets: 2 });
        let changes = disk.changes() - before;
        assert_eq!(other.keys(), keeper.keys(), "public parts and times, too");
        for key in ["wallet", "device"] {
            assert_eq!(other.reveal_key(&name(key)).unwrap(), keeper.reveal_key(&name(key)).unwrap());
        }
        assert_eq!(other.reveal("home", &name("a")).unwrap().as_slice(), b"home-54321");
        assert_eq!(other.reveal("shop", &name("a")).unwrap().as_slice(), b"shop-12345");
        let rotated = other.set("home", &name("a"), b"home-99999", Setting::Rotated).unwrap();
        assert_eq!(rotated, 3, "its versions go on");
        let one_change = disk.changes() - before - changes;
        assert_eq!(changes, one_change, "all of it came with one replacement of the file");
    }
}

#[test]
fn what_is_there_already_is_left_and_nothing_is_written_for_it() {
    let mut keeper = filled();
    let (document, [identity, _]) = exported(&keeper);
    assert_eq!(keeper.restore(read_export(&document, &identity).unwrap()).unwrap(), Restored { keys: 0, secrets: 0 });
    let (disk, mut other) = fresh();
    other.set("shop", &name("a"), b"shop-12345", Setting::New).unwrap();
    other.set("shop", &name("own"), b"own-12345", Setting::New).unwrap();
    let restored = other.restore(read_export(&document, &identity).unwrap()).unwrap();
    assert_eq!(restored, Restored { keys: 2, secrets: 1 });
    let changes = disk.changes();
    let again = other.restore(read_export(&document, &identity).unwrap()).unwrap();
    assert_eq!(again, Restored { keys: 0, secrets: 0 });
    assert_eq!(disk.changes(), changes);
    assert_eq!(other.reveal("shop", &name("own")).unwrap().as_slice(), b"own-12345");
}

#[test]
fn another_value_under_a_name_is_refused_before_anything_is_put_in() {
    let (document, [identity, _]) = exported(&filled());
    let refused = |change: fn(&mut Keeper)| {
        let (disk, mut other) = fresh();
        change(&mut other);
        let (before, keys) = (disk.read(Path::new(PATH), 1 << 20).unwrap(), other.keys());
        let refused = told(other.restore(read_export(&document, &identity).unwrap()).unwrap_err());
        assert_eq!(disk.read(Path::new(PATH), 1 << 20).unwrap(), before);
        assert_eq!(other.keys(), keys);
        refused
    };
    let another_secret = refused(|keeper| {
        keeper.set("shop", &name("a"), b"shop-54321", Setting::New).unwrap();
    });
    let text = "failed to restore the secret `a` of shop: the vault has another value under that name";
    assert_eq!(another_secret, text);
    let another_key = refused(|keeper| {
        keeper.draw_key(&name("wallet"), KeyKind::Secp256k1).unwrap();
    });
    assert_eq!(another_key, "failed to keep the key `wallet`: the vault has another one of that name");
    let another_kind = refused(|keeper| {
        keeper.draw_key(&name("device"), KeyKind::Secp256k1).unwrap();
    });
    assert_eq!(another_kind, "failed to keep the key `device`: the vault has another one of that name");
    let too_many = refused(|keeper| {
        for number in 0..Vault::KEYS_MAX - 1 {
            keeper.draw_key(&name(&format!("k{number}")), KeyKind::Ed25519).unwrap();
        }
    });
    assert_eq!(too_many, "failed to keep a key: the vault holds 64 keys, as many as it may");
}

#[test]
fn who_has_no_identity_of_a_recipient_reads_nothing() {
    let keeper = filled();
    let (document, [identity, _]) = exported(&keeper);
    let wrong = read_export(&document, &line(&Identity::generate())).err();
    assert_eq!(wrong, Some(ExportError::OtherIdentity));
    let mut tampered = document.clone();
    let at = tampered.len() / 2;
    tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
    assert!(read_export(&tampered, &identity).is_err());
    let text = String::from_utf8(document).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{text}");
    assert!(!text.contains("nisse_vault") && !text.contains("wallet"));
}

#[test]
fn a_full_vault_of_the_longest_secrets_fits_into_an_export() {
    let (_, mut keeper) = fresh();
    let tenant = "x".repeat(Vault::TENANT_LENGTH_MAX);
    // Each change writes the whole file: what is exported here is a sixteenth, and is reckoned up.
    let count = Vault::SECRETS_MAX / 16;
    for number in 0..count {
        let long = format!("{number:0>64}");
        keeper.set(&tenant, &name(&long), &[0xa5; Vault::VALUE_LENGTH_MAX], Setting::New).unwrap();
    }
    let (document, [identity, _]) = exported(&keeper);
    assert!(document.len() * 16 < 31 << 20, "{} bytes", document.len());
    let (_, mut other) = fresh();
    let restored = other.restore(read_export(&document, &identity).unwrap()).unwrap();
    assert_eq!(restored, Restored { keys: 0, secrets: count });
}

#[test]
fn a_sealed_vault_is_neither_exported_nor_restored() {
    let mut keeper = filled();
    let (document, [identity, _]) = exported(&keeper);
    keeper.protect(Some(Zeroizing::new("correct horse".to_owned())), false, false).unwrap();
    let (disk, mut other) = fresh();
    other.protect(Some(Zeroizing::new("correct horse".to_owned())), false, false).unwrap();
    drop(other);
    let paths = VaultPaths { folder: "/h/vault".into(), key_file: "/h/keys/vault".into(), credential: None };
    let (clock, entropy) = (Arc::new(SimClock::new(NOW)), Arc::new(SimEntropy::new(4)));
    let mut other = Keeper::open(Arc::new(disk), clock, entropy, paths, CHEAP, false).unwrap();
    let refused = told(other.restore(read_export(&document, &identity).unwrap()).unwrap_err());
    assert_eq!(refused, "failed to use the vault: it is sealed");
    let recipient = Identity::generate().to_public().to_string();
    assert_eq!(told(other.export(&[recipient]).unwrap_err()), "failed to use the vault: it is sealed");
}
