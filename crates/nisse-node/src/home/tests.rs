//! What a home hands out again, what it draws anew, and what it refuses to.

use nisse_testkit::{SimDisk, SimEntropy};

use super::*;

const FOLDER: &str = "/h/home";

fn open(disk: &SimDisk, entropy: &SimEntropy) -> Home {
    Home::open(Arc::new(disk.clone()), entropy, Path::new(FOLDER)).expect("a home")
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
