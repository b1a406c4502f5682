use nisse_testkit::{SimDisk, SimEntropy};

use super::*;
use crate::signing::KeyKind;

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };

fn key_file(number: u8) -> Unlock {
    Unlock::KeyFile(Zeroizing::new(vec![number; 32]))
}

fn name(text: &str) -> SecretName {
    text.parse().expect("a name")
}

fn vault() -> Vault {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/h")).expect("a folder");
    let mut vault = Vault::open(Arc::new(disk), Path::new("/h/vault"), Arc::new(SimEntropy::new(1))).expect("a vault");
    vault.protect(&[key_file(1)], CHEAP).expect("begun");
    for tenant in ["home", "shop"] {
        for secret in ["a", "b"] {
            let value = format!("{tenant}-{secret}-12345");
            vault.set(tenant, &name(secret), value.as_bytes(), Setting::New, Timestamp(1)).expect("set");
        }
    }
    vault
}

/// The vault with another body, under the right MAC: what the seals alone have to notice.
fn with(vault: &mut Vault, change: impl FnOnce(&mut Body)) {
    let stored = vault.stored.as_ref().expect("a vault");
    let mut body = stored.body.clone();
    change(&mut body);
    let root = vault.root.as_ref().expect("it is open");
    vault.stored = Some(StoredVault::new(body, root));
}

#[test]
fn a_sealed_part_opens_in_its_own_place_alone() {
    let places: Vec<(String, SecretName)> = vault().body().expect("open").secrets.keys().cloned().collect();
    for one in &places {
        for other in places.iter().filter(|other| *other != one) {
            let swapped: [fn(&mut StoredSecret, &StoredSecret); 3] = [
                |to, from| *to = from.clone(),
                |to, from| to.key.clone_from(&from.key),
                |to, from| to.value.clone_from(&from.value),
            ];
            for swap in swapped {
                let mut vault = vault();
                with(&mut vault, |body| {
                    let from = body.secrets[other].clone();
                    swap(body.secrets.get_mut(one).expect("there"), &from);
                });
                assert!(vault.get(&one.0, &one.1).is_err());
                assert!(vault.get(&other.0, &other.1).is_ok());
            }
        }
        let mut older = vault();
        with(&mut older, |body| body.secrets.get_mut(one).expect("there").version += 1);
        assert!(older.get(&one.0, &one.1).is_err(), "another version");
        let mut swapped = vault();
        with(&mut swapped, |body| {
            let from = body.tenants["home"].clone();
            body.tenants.insert("shop".to_owned(), from);
        });
        assert!(swapped.get("shop", &name("a")).is_err(), "another tenant's key");
    }
}

#[test]
fn what_opened_an_earlier_vault_opens_nothing_of_a_later_one() {
    let mut vault = vault();
    let root = vault.root.take().expect("open");
    vault.unlock(&key_file(1)).expect("open again");
    let before = vault.body().expect("open").clone();
    vault.protect(&[key_file(2)], CHEAP).expect("protected anew");
    vault.set("home", &name("c"), b"later-12345", Setting::New, Timestamp(2)).expect("set");
    let after = vault.body().expect("open").clone();
    assert!(!vault.stored.as_ref().expect("a file").is_of(&root));
    for (tenant, sealed) in &after.tenants {
        assert!(root.derive("tenants").open(place_of_tenant(tenant).place(), sealed).is_err());
        let old = tenant_key(&before, &root, tenant).expect("a key").expect("there");
        for ((of_tenant, name), secret) in after.secrets.iter().filter(|((of, _), _)| of == tenant) {
            let number = secret.version.to_be_bytes();
            assert!(old.open(of("data key", of_tenant, name, &number).place(), &secret.key).is_err());
        }
    }
    for (place, secret) in &before.secrets {
        assert_ne!(secret.key, after.secrets[place].key);
        assert_ne!(secret.value, after.secrets[place].value);
    }
}

fn keys() -> Vault {
    let mut vault = vault();
    for (key, kind) in
        [("a", KeyKind::Secp256k1), ("b", KeyKind::Secp256k1), ("c", KeyKind::Ed25519), ("d", KeyKind::Ed25519)]
    {
        vault.draw_key(&name(key), kind, Timestamp(1)).expect("drawn");
    }
    vault
}

#[test]
fn a_sealed_key_opens_in_its_own_place_alone() {
    let names = ["a", "b", "c", "d"].map(name);
    for one in &names {
        for other in names.iter().filter(|other| *other != one) {
            let swapped: [fn(&mut StoredKey, &StoredKey); 5] = [
                |to, from| *to = from.clone(),
                |to, from| to.key.clone_from(&from.key),
                |to, from| to.secret.clone_from(&from.secret),
                |to, from| (to.key, to.secret) = (from.key.clone(), from.secret.clone()),
                |to, from| to.public.clone_from(&from.public),
            ];
            for (number, swap) in swapped.into_iter().enumerate() {
                let mut vault = keys();
                with(&mut vault, |body| {
                    let from = body.keys[other].clone();
                    swap(body.keys.get_mut(one).expect("there"), &from);
                });
                let refused = vault.reveal_key(one).expect_err("it is another one").to_string();
                assert_eq!(refused, format!("open the vault's key `{one}`: it is not what was put there"), "{number}");
                assert!(vault.sign_digest(one, &[1; 32]).is_err() && vault.sign_message(one, b"m").is_err());
                assert!(vault.reveal_key(other).is_ok());
            }
        }
        let mut other_kind = keys();
        with(&mut other_kind, |body| {
            let key = body.keys.get_mut(one).expect("there");
            key.kind = if key.kind == KeyKind::Ed25519 { KeyKind::Secp256k1 } else { KeyKind::Ed25519 };
        });
        assert!(other_kind.reveal_key(one).is_err(), "another kind");
        let mut other_point = keys();
        with(&mut other_point, |body| body.keys.get_mut(one).expect("there").public[7] ^= 1);
        assert!(other_point.reveal_key(one).is_err(), "another public part");
    }
}

#[test]
fn a_tenant_reaches_no_key_and_a_key_no_tenant() {
    let mut vault = keys();
    let body = vault.body().expect("open").clone();
    assert_eq!(body.tenants.keys().collect::<Vec<_>>(), ["home", "shop"], "keys have a tenant of no name");
    with(&mut vault, |body| {
        let key = body.keys[&name("a")].clone();
        let secret = body.secrets.get_mut(&("home".to_owned(), name("a"))).expect("there");
        (secret.key, secret.value) = (key.key, key.secret);
    });
    assert!(vault.get("home", &name("a")).is_err());
    let mut vault = keys();
    with(&mut vault, |body| {
        let secret = body.secrets[&("home".to_owned(), name("a"))].clone();
        let key = body.keys.get_mut(&name("a")).expect("there");
        (key.key, key.secret) = (secret.key, secret.value);
    });
    assert!(vault.reveal_key(&name("a")).is_err());
}

#[test]
fn a_key_of_before_a_protection_opens_nothing_after_it_and_the_other_way_round() {
    let mut vault = keys();
    let before = vault.body().expect("open").clone();
    let secrets = ["a", "b", "c", "d"].map(|key| vault.reveal_key(&name(key)).expect("there"));
    vault.protect(&[key_file(2)], CHEAP).expect("protected anew");
    let after = vault.body().expect("open").clone();
    for (key, secret) in ["a", "b", "c", "d"].iter().zip(&secrets) {
        let (old, new) = (&before.keys[&name(key)], &after.keys[&name(key)]);
        assert_eq!(vault.reveal_key(&name(key)).expect("there"), *secret, "the key stays");
        assert_eq!((&old.public, old.created, old.kind), (&new.public, new.created, new.kind));
        assert!(old.key != new.key && old.secret != new.secret, "its seals do not");
        let mut rolled_back = self::with_key(&after, &vault, key, old);
        assert!(rolled_back.reveal_key(&name(key)).is_err());
        assert!(rolled_back.sign_digest(&name(key), &[1; 32]).is_err());
        rolled_back.root = None;
        assert!(rolled_back.unlock(&key_file(1)).is_err());
    }
}

/// A vault like this one, with one key as it was in an earlier file.
fn with_key(after: &Body, vault: &Vault, key: &str, old: &StoredKey) -> Vault {
    let mut body = after.clone();
    body.keys.insert(name(key), old.clone());
    let root = vault.root.as_ref().expect("open");
    let (disk, entropy, path) = (Arc::clone(&vault.disk), Arc::clone(&vault.entropy), vault.path.clone());
    let stored = Some(StoredVault::new(body, root));
    Vault { disk, path, entropy, stored, root: Some(Key::from_array(root.expose())), reads_alone: false }
}
