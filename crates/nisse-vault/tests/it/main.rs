//! A vault against whoever has its disk.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod exports;
mod keeper;
mod key_power_cuts;
mod keys;
mod looks;
mod power_cuts;
mod rows;
mod versions;
mod ways;
mod within;

use std::path::Path;
use std::sync::Arc;

use nisse_model::{SecretName, Timestamp};
use nisse_store::Disk;
use nisse_testkit::{SimDisk, SimEntropy};
use nisse_vault::{Cost, Setting, Unlock, UnlockKind, Vault, VaultError};
use zeroize::Zeroizing;

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const PATH: &str = "/h/vault/secrets";
/// What a guess costs in tests.
const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };

fn words(text: &str) -> Unlock {
    Unlock::Passphrase(Zeroizing::new(text.to_owned()))
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn disk() -> SimDisk {
    let disk = SimDisk::new(7);
    disk.create_dir_all(Path::new("/h/vault")).unwrap();
    disk
}

fn sealed(disk: &SimDisk) -> Result<Vault, VaultError> {
    Vault::open(Arc::new(disk.clone()), Path::new(PATH), Arc::new(SimEntropy::new(disk.operations())))
}

/// A new vault with this passphrase.
fn created(disk: &SimDisk) -> Vault {
    let mut vault = sealed(disk).unwrap();
    vault.protect(&[words("correct horse")], CHEAP).unwrap();
    vault
}

fn unlocked(disk: &SimDisk) -> Result<Vault, VaultError> {
    let mut vault = sealed(disk)?;
    vault.unlock(&words("correct horse"))?;
    Ok(vault)
}

fn set(vault: &mut Vault, tenant: &str, secret: &str, value: &[u8]) -> u64 {
    vault.set(tenant, &name(secret), value, Setting::New, NOW).unwrap()
}

fn told(error: VaultError) -> String {
    format!("failed to {error}")
}
