//! Keys that own and pay: in the vault, with their owner's leave outside it, and back again.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use insta::assert_snapshot;
use nisse_market::{LocalKey, Signer as _};
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use nisse_vault::{Cost, Keeper, VaultPaths};
use serde_json::Value;

use crate::harness::{Home, example};

const COUNTER: &str = "nisse.test.counter";
const PASSPHRASE: &[u8] = b"correct horse battery\n";

/// A key of a home whose vault opens by itself, read beside whatever process has it.
pub(crate) fn key_of(home: &Home, name: &str) -> LocalKey {
    let paths =
        VaultPaths { folder: home.path().join("vault"), key_file: home.path().join("keys/vault"), credential: None };
    let (disk, clock) = (Arc::new(SystemDisk), Arc::new(SystemClock::default()));
    let keeper = Keeper::look(disk, clock, Arc::new(SystemEntropy), paths, Cost::DEFAULT, false).unwrap();
    let secret = keeper.reveal_key(&name.parse().unwrap()).unwrap();
    LocalKey::from_bytes(&secret.as_slice().try_into().unwrap()).unwrap()
}

fn operator(home: &Home) -> String {
    home.json(&["node", "status"])["operator"].as_str().unwrap().to_owned()
}

/// Makes a home as a nisse before the vault had it: the key lies in a file.
fn put_into_file(home: &Home, name: &str, secret: &[u8]) {
    let path = home.path().join("keys").join(name);
    std::fs::write(&path, hex::encode(secret)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn secret_of(home: &Home, name: &str) -> Vec<u8> {
    hex::decode(home.ok(&["wallet", "export", name]).trim()).unwrap()
}

fn take_vault_away(home: &Home, to: &str) {
    std::fs::create_dir(home.beside(to)).unwrap();
    for part in ["vault", "keys/vault", "keys/vault.begun"] {
        std::fs::rename(home.path().join(part), home.beside(to).join(part.replace('/', "-"))).unwrap();
    }
}

#[test]
fn a_wallet_is_shown_and_its_key_leaves_the_vault_when_its_owner_says_so() {
    let home = Home::new();
    let _node = home.up(&[]);
    let wallets = home.json(&["wallet", "show"]);
    assert_eq!(wallets.as_array().unwrap().len(), 1);
    assert_eq!((&wallets[0]["name"], &wallets[0]["address"]), (&"operator".into(), &operator(&home).into()));
    assert_eq!((&wallets[0]["stake"], &wallets[0]["warning"]), (&"10000".into(), &Value::Null));
    let exported = home.run(&["wallet", "export"]);
    assert_snapshot!(exported.err, @"note: whoever has this key has all that the wallet owns; two programs that send with it break each other's order");
    let secret: [u8; 32] = hex::decode(exported.out.trim()).unwrap().try_into().unwrap();
    assert_eq!(LocalKey::from_bytes(&secret).unwrap().address().to_string(), operator(&home));
    assert_snapshot!(home.run(&["wallet", "export", "deployer"]).refusal(), @r"
    exit 1
    error: failed to find the wallet `deployer`
    hint: `nisse wallet show` lists what there is
    ");
    assert!(!home.path().join("keys/operator").exists(), "no key lies in a file");
    let log = home.ok(&["audit", "ls"]);
    assert!(log.lines().any(|line| line.contains("wallet.export") && line.ends_with("done")), "{log}");
}

#[test]
fn keys_in_files_go_into_the_vault_and_the_home_lives_on() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    let (before, secret) = (operator(&home), secret_of(&home, "operator"));
    node.kill();
    take_vault_away(&home, "earlier");
    put_into_file(&home, "operator", &secret);
    let node = home.up(&[]);
    assert_eq!(operator(&home), before);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").status, 200);
    assert!(!home.path().join("keys/operator").exists(), "its file is gone");
    assert_eq!(secret_of(&home, "operator"), secret);
    node.kill();

    // A file of another key beside it is nobody's order to take that one.
    put_into_file(&home, "operator", &[7; 32]);
    assert_snapshot!(home.run(&["up"]).refusal().replace(home.path().to_str().unwrap(), "HOME"), @r"
    exit 3
    error: failed to keep the key `operator`: the vault has another one of that name
    hint: one of the two is of another home: keep both. A file moves out of `keys`, a vault with `vault` and `keys/vault*`
    ");
    std::fs::remove_file(home.path().join("keys/operator")).unwrap();
    let _node = home.up(&[]);
    assert_eq!(operator(&home), before);
}

#[test]
fn a_sealed_node_signs_nothing_and_goes_on_when_it_is_unlocked() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    let before = operator(&home);
    assert_eq!(home.feed(&["vault", "protect", "--passphrase"], PASSPHRASE).code, 0);
    node.kill();
    let node = home.up(&[]);
    assert_eq!(operator(&home), before, "a sealed vault still says whose node it is");
    assert_eq!(node.ask_served(COUNTER, "POST", "/").status, 200);
    assert_snapshot!(home.run(&["deploy", &example("echo")]).refusal(), @r"
    exit 3
    error: failed to sign a transaction: the vault is sealed
    hint: `nisse unlock` opens the vault; `nisse vault status` says what it waits for
    ");
    assert_snapshot!(home.run(&["wallet", "export"]).refusal(), @r"
    exit 3
    error: failed to use the vault: it is sealed
    hint: `nisse unlock` opens it
    ");
    assert_eq!(home.feed(&["unlock"], PASSPHRASE).code, 0);
    home.ok(&["deploy", &example("echo")]);
    home.ok(&["stop", COUNTER]);
}

#[test]
fn what_was_exported_brings_a_home_back_and_nobody_else_reads_it() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").status, 200);
    assert_eq!(home.feed(&["secret", "set", "api"], b"a secret of ours").code, 0);
    let (before, secret) = (operator(&home), secret_of(&home, "operator"));
    let [own, other] = [0, 1].map(|at| {
        let (identity, recipient) = nisse_vault::draw_identity();
        let file = home.beside(&format!("identity-{at}"));
        std::fs::write(&file, identity.as_bytes()).unwrap();
        (file.to_str().unwrap().to_owned(), recipient)
    });
    let exported = home.ok(&["vault", "export", "--to", &own.1]);
    assert!(exported.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{exported}");
    let identity = std::fs::read_to_string(&own.0).unwrap();
    let identity = identity.lines().last().unwrap();
    for (args, told) in [
        (vec!["vault", "export"], "none"),
        (vec!["vault", "export", "--to", "age1wrong"], "wrong"),
        (vec!["vault", "export", "--to", identity], "an identity"),
    ] {
        let refused = home.run(&args);
        assert!(refused.code != 0 && refused.out.is_empty(), "{told}: {refused:?}");
        assert!(
            !refused.err.contains(identity) && !home.ok(&["audit", "ls"]).contains(identity),
            "{told}: {refused:?}"
        );
    }
    node.kill();
    let file = home.beside("exported");
    std::fs::write(&file, &exported).unwrap();
    let restoring = |identity: &str| home.run(&["vault", "restore", file.to_str().unwrap(), "--identity", identity]);

    // A lost vault, and with it the operator's key: nothing is begun anew over what it owned.
    take_vault_away(&home, "lost");
    assert_snapshot!(restoring(&other.0).refusal(), @r"
    exit 3
    error: failed to restore an export: it is not encrypted to this identity
    ");
    assert!(!home.path().join("vault/secrets").exists(), "nothing was begun for it");
    assert_snapshot!(home.run(&["up"]).refusal().replace(home.path().to_str().unwrap(), "HOME"), @r"
    exit 3
    error: failed to find the key `operator`: the vault has none, and HOME/journal shows that it was used
    hint: put `vault` and `keys` of this home back from a copy, or what `nisse vault export` made by `nisse vault restore`: no other key reaches what it owns. Another home begins anew with --home DIR
    ");
    let restored = restoring(&own.0);
    assert_eq!(restored.out, format!("put in, of what was not there: keys 1, secrets 1\noperator  {before}\n"));
    let note = "note: see that these are your own wallets: whoever knows a recipient can make an export for it\n";
    assert_eq!(restored.err, note);
    let node = home.up(&[]);
    assert_eq!((operator(&home), secret_of(&home, "operator")), (before, secret));
    assert_eq!(home.json(&["secret", "ls"])[0]["name"], "api");
    assert_eq!(node.ask_served(COUNTER, "GET", "/").text().trim(), "1");
    home.ok(&["stop", COUNTER]);
    node.kill();

    // It is what lies there already; in another home, another key has that name.
    assert!(restoring(&own.0).out.starts_with("put in, of what was not there: keys 0, secrets 0\n"));
    let node = home.up(&[]);
    assert!(home.ok(&["audit", "ls"]).contains("vault.restore"));
    drop(node);
    let stranger = Home::new();
    stranger.up(&[]).kill();
    let refused = stranger.run(&["vault", "restore", file.to_str().unwrap(), "--identity", &own.0]);
    assert_snapshot!(refused.refusal(), @r"
    exit 3
    error: failed to keep the key `operator`: the vault has another one of that name
    hint: one of the two is of another home: keep both. A file moves out of `keys`, a vault with `vault` and `keys/vault*`
    ");
}
