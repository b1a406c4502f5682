use nisse_testkit::{SimDisk, SimEntropy};

use super::*;

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
