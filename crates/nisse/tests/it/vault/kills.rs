//! kill -9 of the vault's process at random moments of changes: what was acknowledged is there, and nothing is there by
//! half. `NISSE_KILLS` asks for more kills.

use std::collections::BTreeMap;
use std::time::Duration;

use nisse_model::SecretName;
use nisse_testkit::Random;
use nisse_vault::{RefusalKind, Setting, VaultCallError, VaultClient, VaultCommand, vault_process};
use tempfile::TempDir;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::harness::say;

const KILLS: u64 = 200;
const NAMES: u64 = 4;

type Secrets = BTreeMap<SecretName, Vec<u8>>;

/// One change: its secret, and what it is to be.
type Change = (SecretName, Option<Vec<u8>>);

fn command(home: &TempDir) -> VaultCommand {
    let arguments = ["internal", "vault", "--dir", home.path().to_str().unwrap()];
    VaultCommand { program: env!("CARGO_BIN_EXE_nisse").into(), arguments: arguments.map(Into::into).into() }
}

fn kill(home: &TempDir) {
    let named = home.path().to_str().unwrap();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(named) {
            let pid: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid).unwrap(),
                rustix::process::Signal::KILL,
            );
        }
    }
}

async fn change(vault: &VaultClient, known: &Secrets, (name, value): &Change) -> bool {
    let done = match value {
        None => vault.remove("t", name).await,
        Some(value) => {
            let setting = if known.contains_key(name) { Setting::Rotated } else { Setting::New };
            vault.set("t", name, Zeroizing::new(value.clone()), setting).await.map(drop)
        }
    };
    done.is_ok()
}

#[test]
fn no_kill_loses_a_secret_or_leaves_half_of_one() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let kills = number("NISSE_KILLS").unwrap_or(KILLS);
    let seed = number("NISSE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("NISSE_SEED={seed} NISSE_KILLS={kills}"));
    let mut random = Random::new(seed);
    let home = TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut known, mut maybe): (Secrets, Option<Change>) = (Secrets::new(), None);
        let mut acknowledged = 0;
        for _ in 0..kills {
            let (vault, driver) = vault_process(command(&home));
            let (end, ended) = oneshot::channel::<()>();
            let driver = tokio::spawn(driver.run(async { _ = ended.await }));
            hold(&vault, &mut known, maybe.take()).await;
            let moment = Duration::from_micros(random.below(8_000));
            let killing = async {
                tokio::time::sleep(moment).await;
                kill(&home);
            };
            let working = async {
                loop {
                    let name: SecretName = format!("s{}", random.below(NAMES)).parse().unwrap();
                    let forget = random.once_in(4) && known.contains_key(&name);
                    let length = 8 + random.index(64);
                    let next = (name, (!forget).then(|| random.bytes(length)));
                    if !change(&vault, &known, &next).await {
                        break next;
                    }
                    acknowledged += 1;
                    match next {
                        (name, Some(value)) => known.insert(name, value),
                        (name, None) => known.remove(&name),
                    };
                }
            };
            let ((), unfinished) = tokio::join!(killing, working);
            maybe = Some(unfinished);
            drop(end);
            driver.await.unwrap();
        }
        say(&format!("{acknowledged} changes acknowledged"));
        assert!(acknowledged > kills / 2, "it was killed before anything was done: {acknowledged}");
    });
}

/// Holds what was acknowledged against a vault that came up again. The change that was under way is done or not.
async fn hold(vault: &VaultClient, known: &mut Secrets, maybe: Option<Change>) {
    if let Some((name, value)) = maybe {
        let found = match vault.reveal("t", &name).await {
            Ok(found) => Some(found.to_vec()),
            Err(VaultCallError::Refused { kind: RefusalKind::NoSuchSecret, .. }) => None,
            Err(error) => panic!("failed to {error}"),
        };
        assert!(found == value || found.as_ref() == known.get(&name), "{name} is neither as it was nor as it became");
        match found {
            Some(found) => known.insert(name, found),
            None => known.remove(&name),
        };
    }
    let listed = vault.list("t").await.unwrap();
    assert_eq!(listed.len(), known.len());
    for (name, value) in known {
        assert_eq!(vault.reveal("t", name).await.unwrap().as_slice(), value.as_slice(), "{name}");
    }
}
