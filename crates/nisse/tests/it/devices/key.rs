//! The device's key: in the vault, in the node's memory while that is open, and in no file.

use std::path::Path;
use std::sync::Arc;

use insta::assert_snapshot;
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use nisse_vault::{Cost, Keeper, VaultPaths};

use super::{begin, free_address, names, pair, ticket};
use crate::harness::{Home, Node, eventually};
use crate::terminal::typed;

const PASSPHRASE: &[u8] = b"correct horse battery\n";

/// A key of a home whose vault opens by itself, read beside whatever process has it.
fn secret_of(home: &Home, name: &str) -> Vec<u8> {
    let paths =
        VaultPaths { folder: home.path().join("vault"), key_file: home.path().join("keys/vault"), credential: None };
    let (disk, clock) = (Arc::new(SystemDisk), Arc::new(SystemClock::default()));
    let keeper = Keeper::look(disk, clock, Arc::new(SystemEntropy), paths, Cost::DEFAULT, false).unwrap();
    keeper.reveal_key(&name.parse().unwrap()).unwrap().to_vec()
}

/// Makes a home as a nisse before the vault had its keys: they lie in files.
fn put_into_files(home: &Home) {
    use std::os::unix::fs::PermissionsExt as _;
    let keys = ["operator", "device"].map(|name| (name, hex::encode(secret_of(home, name))));
    remove_vault(home);
    for (name, digits) in keys {
        let path = home.path().join("keys").join(name);
        std::fs::write(&path, digits).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn remove_vault(home: &Home) {
    std::fs::remove_dir_all(home.path().join("vault")).unwrap();
    for file in ["keys/vault", "keys/vault.begun"] {
        std::fs::remove_file(home.path().join(file)).unwrap();
    }
}

/// Whether a file below this folder holds these bytes, as they are or as hex digits.
fn lies_in_a_file(folder: &Path, secret: &[u8]) -> bool {
    let digits = hex::encode(secret).into_bytes();
    let holds = |file: &[u8], text: &[u8]| file.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text));
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return lies_in_a_file(&path, secret);
        }
        let file = std::fs::read(&path).unwrap();
        holds(&file, secret) || holds(&file, &digits)
    })
}

fn device_of(home: &Home) -> String {
    home.json(&["identity", "show"])["device"].as_str().unwrap().to_owned()
}

/// A home whose identity has another device, on which no node runs.
fn two<'h>(home: &'h Home, work: &Home, link: &str) -> Node<'h> {
    let node = home.up(&["--link", link]);
    begin(home, "home");
    pair(home, work, "work");
    node
}

#[test]
fn a_key_in_a_file_goes_into_the_vault_and_no_file_holds_it() {
    let (home, work, link) = (Home::new(), Home::new(), free_address());
    let node = two(&home, &work, &link);
    let (device, seed) = (device_of(&home), secret_of(&home, "device"));
    assert!(!lies_in_a_file(&home.path(), &seed), "what was drawn in the vault is there alone");
    node.kill();
    put_into_files(&home);
    assert!(lies_in_a_file(&home.path(), &seed));
    let _node = home.up(&["--link", &link]);
    assert_eq!((device_of(&home), secret_of(&home, "device")), (device, seed.clone()));
    assert!(!lies_in_a_file(&home.path(), &seed));
    ticket(&home);
    work.ok(&["--remote", "home", "device", "ls"]);

    // What an earlier nisse has paired speaks with the key in its file, until a node brings it in.
    let seed = secret_of(&work, "device");
    assert!(!lies_in_a_file(&work.path(), &seed), "what joined keeps it so");
    work.up(&["--link", &free_address()]).kill();
    put_into_files(&work);
    work.ok(&["--remote", "home", "device", "ls"]);
    assert!(work.path().join("keys/device").exists(), "nothing is changed beside a node");
    // Beside its own node it speaks with what the vault has.
    let _own = work.up(&["--link", &free_address()]);
    assert!(!work.path().join("keys/device").exists());
    assert_eq!(names(&work.json(&["--remote", "home", "device", "ls"])), ["home", "work"]);
    work.ok(&["secret", "ls"]);
    assert!(!lies_in_a_file(&work.path(), &seed));
}

#[test]
fn what_was_exported_brings_the_device_back() {
    let home = Home::new();
    let node = home.up(&["--link", &free_address()]);
    begin(&home, "home");
    let (device, seed) = (device_of(&home), secret_of(&home, "device"));
    let (identity, recipient) = nisse_vault::draw_identity();
    let [key, exported] = ["recovery.key", "vault.age"].map(|name| home.beside(name));
    std::fs::write(&key, identity.as_bytes()).unwrap();
    std::fs::write(&exported, home.ok(&["vault", "export", "--to", &recipient])).unwrap();
    node.kill();
    remove_vault(&home);
    let restored = home.ok(&["vault", "restore", exported.to_str().unwrap(), "--identity", key.to_str().unwrap()]);
    assert!(restored.starts_with("put in, of what was not there: keys 2, secrets 0\noperator  0x"), "{restored}");
    let _node = home.up(&["--link", &free_address()]);
    assert_eq!((device_of(&home), secret_of(&home, "device")), (device, seed));
    ticket(&home);
}

#[test]
fn a_sealed_node_says_who_it_is_and_is_reached_when_it_is_unlocked() {
    let (home, work, link) = (Home::new(), Home::new(), free_address());
    let node = two(&home, &work, &link);
    let device = device_of(&home);
    assert_eq!(home.feed(&["vault", "protect", "--passphrase"], PASSPHRASE).code, 0);
    node.kill();
    let _node = home.up(&["--link", &link]);
    let shown = home.json(&["identity", "show"]);
    assert_eq!((shown["device"].as_str(), shown["admitted"].as_bool()), (Some(&*device), Some(true)));
    assert_eq!(shown["addresses"], serde_json::json!([]));
    let trouble = shown["trouble"].as_str().unwrap();
    assert_snapshot!(trouble, @"the vault is sealed, and with it the key of this device: `nisse unlock` opens it");
    assert_eq!(names(&home.json(&["device", "ls"])), ["home", "work"]);
    let unreachable = work.run(&["--remote", "home", "device", "ls"]);
    assert_eq!(unreachable.code, 4, "{unreachable:?}");
    let refused = home.run(&["device", "pair"]).refusal();
    assert_snapshot!(refused, @r"
    exit 3
    error: failed to use the vault: it is sealed
    hint: `nisse unlock` opens it; `nisse vault status` says by what
    ");
    for signing in [&["device", "revoke", "work"][..], &["token", "create", "--can", "logs"]] {
        assert_eq!(home.run(signing).refusal(), refused);
    }

    assert_eq!(home.feed(&["unlock"], PASSPHRASE).code, 0);
    ticket(&home);
    work.ok(&["--remote", "home", "device", "ls"]);
    // Whoever seals it from afar is told so, and then nobody is let in from there.
    work.ok(&["--remote", "home", "seal"]);
    eventually("the link to end", || {
        let shown = home.json(&["identity", "show"]);
        (shown["addresses"] == serde_json::json!([]) && shown["trouble"].is_string()).then_some(())
    });
    assert_eq!(device_of(&home), device);
    assert_eq!(home.feed(&["unlock"], PASSPHRASE).code, 0);
    ticket(&home);
    work.ok(&["--remote", "home", "device", "ls"]);
}

#[test]
fn a_passphrase_is_asked_for_at_a_terminal_and_never_taken_from_what_goes_along() {
    let (home, work, link) = (Home::new(), Home::new(), free_address());
    let _node = two(&home, &work, &link);
    let own = work.up(&["--link", &free_address()]);
    assert_eq!(work.feed(&["vault", "protect", "--passphrase"], PASSPHRASE).code, 0);
    own.kill();
    let refused = work.feed(&["--remote", "home", "secret", "set", "api"], PASSPHRASE);
    assert_snapshot!(refused.refusal(), @r"
    exit 3
    error: failed to use the vault: it is sealed
    hint: the key of this device lies in it, and its passphrase is asked for at a terminal alone: run the command at one, or let a key file or a systemd credential open the vault as well (`nisse vault protect`)
    ");
    assert_eq!(home.json(&["secret", "ls"]), serde_json::json!([]));
    let ask = ["--remote", "home", "device", "ls"];
    let (code, shown) = typed(&work, &ask, "passphrase: ", PASSPHRASE);
    assert!(code == 0 && shown.contains("work") && !shown.contains("correct horse"), "{shown}");
    let (code, shown) = typed(&work, &ask, "passphrase: ", b"incorrect horse\n");
    assert!(code == 3 && shown.contains("this passphrase does not open it"), "{shown}");
}
