//! What a home hands out again, what it draws anew, and what it refuses to.

use nisse_market::Signer as _;
use nisse_store::SystemDisk;
use nisse_testkit::{SimDisk, SimEntropy};

use super::*;

const FOLDER: &str = "/h/home";

fn open(disk: &SimDisk, entropy: &SimEntropy) -> Home {
    Home::open(Arc::new(disk.clone()), entropy, Path::new(FOLDER)).expect("a home")
}

/// What a refusal says.
fn told(refused: Result<LocalKey, NodeError>) -> String {
    let error = refused.expect_err("a refusal");
    format!("{}\n{}: {}\n{}", error.kind == ErrorKind::Refused, error.code, error.text, error.hint.unwrap_or_default())
}

#[test]
fn every_start_draws_another_token() {
    let (disk, entropy) = (SimDisk::new(1), SimEntropy::new(1));
    let first = open(&disk, &entropy).token().to_owned();
    let home = open(&disk, &entropy);
    assert_ne!(home.token(), first);
    assert_eq!(disk.read(&home.join("token"), SECRET_BYTES_MAX).expect("a token"), home.token().as_bytes());
}

#[test]
fn the_run_file_of_a_killed_node_is_gone_before_the_next_one_serves() {
    let (disk, entropy) = (SimDisk::new(1), SimEntropy::new(1));
    let home = open(&disk, &entropy);
    home.write_run_file(&serde_json::json!({ "api": "127.0.0.1:1" })).expect("written");
    drop(home);
    let home = open(&disk, &entropy);
    assert!(!disk.exists(&home.join("run.json")));
}

#[test]
fn a_key_is_drawn_once() {
    let (disk, entropy) = (SimDisk::new(1), SimEntropy::new(1));
    let home = open(&disk, &entropy);
    for name in [KeyName::Operator, KeyName::Deployer] {
        assert!(!home.has_key(name));
        let drawn = home.key(name, &entropy).expect("a new key").address();
        assert_eq!(home.key(name, &entropy).expect("the same key").address(), drawn);
    }
}

#[test]
fn an_operator_key_that_is_gone_where_a_node_lived_is_never_drawn_anew() {
    for trace in ["journal/0.log", "chain/blocks.log", "state/index.redb"] {
        let (disk, entropy) = (SimDisk::new(1), SimEntropy::new(1));
        let home = open(&disk, &entropy);
        home.key(KeyName::Operator, &entropy).expect("a new key");
        disk.replace(&home.join(trace), b"lived").expect("written");
        disk.remove_file(&home.key_path(KeyName::Operator)).expect("removed");
        let folder = trace.split('/').next().expect("a folder");
        assert_eq!(
            told(home.key(KeyName::Operator, &entropy)),
            format!(
                "true\nkey_missing: failed to read /h/home/keys/operator: it is gone, and /h/home/{folder} shows that it \
                 was used\nput /h/home/keys/operator back from a copy: no other key reaches what it owns. Another home \
                 begins anew with --home DIR"
            )
        );
        assert!(!home.has_key(KeyName::Operator));
        // One who never paid for anything here may begin.
        home.key(KeyName::Deployer, &entropy).expect("a new key");
    }
}

#[test]
fn a_deployer_key_that_is_gone_after_it_paid_is_never_drawn_anew() {
    let (disk, entropy) = (SimDisk::new(1), SimEntropy::new(1));
    let home = open(&disk, &entropy);
    disk.create_dir_all(&home.join("chain/queue-deployer")).expect("made");
    assert!(told(home.key(KeyName::Deployer, &entropy)).starts_with("true\nkey_missing: "));
}

#[test]
fn a_key_that_others_may_read_is_refused_with_what_closes_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, entropy) = (tempfile::tempdir().expect("a folder"), SimEntropy::new(1));
    let home = Home::open(Arc::new(SystemDisk), &entropy, dir.path()).expect("a home");
    home.key(KeyName::Operator, &entropy).expect("a new key");
    let path = home.key_path(KeyName::Operator);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("opened");
    let path = path.display();
    assert_eq!(
        told(home.key(KeyName::Operator, &entropy)),
        format!(
            "true\nhome_refused: failed to use {path}: it is open to other users (mode 644)\nsee that nothing in it was \
             changed, then `chmod 600 {path}`"
        )
    );
}
