//! How a vault is unlocked, and what it says when it is not.

use super::*;

fn bytes(number: u8) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![number; 32])
}

#[test]
fn a_sealed_vault_tells_what_it_has_and_gives_nothing() {
    let disk = disk();
    let mut vault = created(&disk);
    assert_eq!(set(&mut vault, "home", "api-key", b"hunter-2"), 1);
    assert_eq!(vault.set("home", &name("api-key"), b"hunter-3", Setting::Rotated, NOW).unwrap(), 2);
    drop(vault);
    let mut vault = sealed(&disk).unwrap();
    assert!(vault.is_sealed());
    let listed = vault.list("home");
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].version), (1, "api-key", 2));
    for refused in [
        vault.get("home", &name("api-key")).map(drop),
        vault.set("home", &name("other"), b"12345678", Setting::New, NOW).map(drop),
        vault.remove("home", &name("api-key")),
        vault.protect(&[words("another one")], CHEAP),
    ] {
        assert_eq!(told(refused.unwrap_err()), "failed to use the vault: it is sealed");
    }
    vault.unlock(&words("correct horse")).unwrap();
    assert_eq!(vault.get("home", &name("api-key")).unwrap().as_slice(), b"hunter-3");
}

#[test]
fn a_wrong_passphrase_is_said_and_destroys_nothing() {
    let disk = disk();
    set(&mut created(&disk), "home", "a", b"12345678");
    for _ in 0..3 {
        let mut vault = sealed(&disk).unwrap();
        let refused = told(vault.unlock(&words("incorrect horse")).unwrap_err());
        assert_eq!(refused, "failed to unlock the vault: this passphrase does not open it");
        let refused = told(vault.unlock(&Unlock::KeyFile(bytes(1))).unwrap_err());
        assert_eq!(refused, "failed to unlock the vault: no key file was set for it");
        assert!(vault.protect(&[words("new words")], CHEAP).is_err(), "nothing is begun anew over it");
    }
    assert_eq!(unlocked(&disk).unwrap().get("home", &name("a")).unwrap().as_slice(), b"12345678");
}

#[test]
fn what_protects_it_is_replaced_whole_and_the_secrets_stay() {
    let disk = disk();
    let mut vault = created(&disk);
    for tenant in ["home", "shop"] {
        set(&mut vault, tenant, "a", format!("{tenant}-12345678").as_bytes());
    }
    let all = || [Unlock::Credential(bytes(1)), Unlock::KeyFile(bytes(2)), words("a new one")];
    vault.protect(&all(), CHEAP).unwrap();
    assert_eq!(vault.ways(), UnlockKind::ALL);
    set(&mut vault, "home", "b", b"87654321");
    drop(vault);
    let opened = |unlock: &Unlock| {
        let mut vault = sealed(&disk).unwrap();
        vault.unlock(unlock)?;
        Ok::<_, VaultError>(["home", "shop"].map(|tenant| vault.get(tenant, &name("a")).unwrap().to_vec()))
    };
    for unlock in &all() {
        assert_eq!(opened(unlock).unwrap(), [b"home-12345678", b"shop-12345678"]);
    }
    for gone in [words("correct horse"), Unlock::Credential(bytes(2)), Unlock::KeyFile(bytes(1))] {
        assert!(opened(&gone).is_err());
    }
    let mut vault = sealed(&disk).unwrap();
    vault.unlock(&Unlock::Credential(bytes(1))).unwrap();
    vault.protect(&[words("the last one")], CHEAP).unwrap();
    drop(vault);
    assert_eq!(sealed(&disk).unwrap().ways(), [UnlockKind::Passphrase]);
    for gone in &all() {
        assert!(opened(gone).is_err());
    }
    assert!(opened(&words("the last one")).is_ok());
}

#[test]
fn names_values_tenants_and_protections_have_limits() {
    let disk = disk();
    let mut vault = created(&disk);
    let mut setting = |tenant: &str, length: usize| {
        vault.set(tenant, &name(&format!("a{length}")), &vec![7; length], Setting::New, NOW)
    };
    assert!(setting("home", Vault::VALUE_LENGTH_MAX).is_ok());
    assert!(setting("home", Vault::VALUE_LENGTH_MIN).is_ok());
    for length in [0, Vault::VALUE_LENGTH_MIN - 1, Vault::VALUE_LENGTH_MAX + 1] {
        assert!(setting("home", length).is_err());
    }
    for tenant in ["", &"x".repeat(65)] {
        assert!(setting(tenant, 8).is_err(), "{tenant:?}");
    }
    let missing = told(vault.get("home", &name("b")).unwrap_err());
    assert_eq!(missing, "failed to find the secret `b`: the vault has none of that name");
    let there = told(vault.set("home", &name("a8"), b"12345678", Setting::New, NOW).unwrap_err());
    assert_eq!(there, "failed to set the secret `a8`: the vault has one of that name");
    assert!(vault.set("home", &name("b"), b"12345678", Setting::Rotated, NOW).is_err());
    assert!(vault.protect(&[], CHEAP).is_err());
    let short = told(vault.protect(&[words("seven77")], CHEAP).unwrap_err());
    assert!(short.contains("a passphrase has at least 8 characters"), "{short}");
    assert!(vault.protect(&[Unlock::KeyFile(Zeroizing::new(vec![1; 31]))], CHEAP).is_err());
    assert_eq!(vault.list("home").len(), 2);
}

#[test]
fn as_many_secrets_as_it_may_hold_and_not_one_more() {
    let disk = disk();
    let mut vault = created(&disk);
    for number in 0..Vault::SECRETS_MAX {
        let tenant = if number % 2 == 0 { "home" } else { "shop" };
        set(&mut vault, tenant, &format!("s{number}"), b"12345678");
    }
    assert_eq!(vault.list("home").len(), Vault::SECRETS_MAX / 2);
    let refused = told(vault.set("home", &name("more"), b"12345678", Setting::New, NOW).unwrap_err());
    assert_eq!(refused, "failed to keep a secret: the vault holds 1,024 secrets, as many as it may");
    assert_eq!(vault.set("home", &name("s0"), b"87654321", Setting::Rotated, NOW).unwrap(), 2);
    assert!(vault.list("hom").is_empty(), "a tenant's name is not a prefix of another's");
}
