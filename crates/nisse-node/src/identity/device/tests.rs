//! The device's key on its way from a file into the vault, and what is left of it while that is sealed.

use nisse_model::Timestamp;
use nisse_store::{Clock, Entropy};
use nisse_testkit::{SimClock, SimDisk, SimEntropy};

use super::*;
use crate::fixtures::vault_of;

const SEED: [u8; 32] = [7; 32];

struct World {
    disk: Arc<dyn Disk>,
    home: Home,
    vault: VaultClient,
}

/// A home with its vault.
fn world() -> World {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new(Timestamp(1)));
    let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(1));
    let home = Home::open(Arc::clone(&disk), entropy.as_ref(), Path::new("/h")).expect("a home");
    let vault = vault_of(home.path(), &disk, &clock, &entropy);
    World { disk, home, vault }
}

impl World {
    async fn open(&self) -> Result<Device, NodeError> {
        Device::open(self.vault.clone(), &self.home).await
    }

    fn file(&self) -> std::path::PathBuf {
        self.home.join("keys/device")
    }

    /// As an earlier nisse kept it.
    fn put_into_file(&self, seed: &[u8; 32]) {
        self.disk.replace(&self.file(), hex::encode(seed).as_bytes()).expect("written");
    }
}

fn did() -> Did {
    SigningKey::from_seed(&SEED).did()
}

fn code<T>(refused: Result<T, NodeError>) -> &'static str {
    refused.err().expect("a refusal").code
}

#[tokio::test]
async fn a_key_is_drawn_once_and_in_the_vault() {
    let world = world();
    let device = world.open().await.expect("a device");
    assert_eq!((device.did(), code(device.key())), (None, "identity_none"));
    let key = device.drawn().await.expect("drawn");
    assert_eq!(device.did(), Some(key.key.did()));
    assert_eq!(device.drawn().await.expect("the same").seed, key.seed);
    assert_eq!(world.open().await.expect("a device").key().expect("the same").seed, key.seed);
    assert_eq!(listed(&*world.disk, world.home.path()).expect("listed"), device.did());
    assert!(!world.disk.exists(&world.file()));
}

#[tokio::test]
async fn a_key_in_a_file_goes_into_the_vault_and_stays_the_same() {
    let world = world();
    world.put_into_file(&SEED);
    assert_eq!(listed(&*world.disk, world.home.path()).expect("listed"), Some(did()));
    for _ in 0..2 {
        let device = world.open().await.expect("a device");
        assert_eq!(device.key().expect("a key").seed.as_slice(), SEED);
        assert!(!world.disk.exists(&world.file()));
    }
    // One whose file a power cut kept, and one of another device.
    world.put_into_file(&SEED);
    world.open().await.expect("a device");
    assert!(!world.disk.exists(&world.file()));
    world.put_into_file(&[8; 32]);
    assert_eq!(code(world.open().await), "key_other");
    assert!(world.disk.exists(&world.file()));
}

#[tokio::test]
async fn a_sealed_vault_names_the_device_and_gives_its_key_when_it_opens() {
    let world = world();
    let drawn = world.open().await.expect("a device").drawn().await.expect("drawn");
    world.vault.seal().await.expect("sealed");
    let device = world.open().await.expect("a device");
    assert_eq!(device.did(), Some(drawn.key.did()));
    assert_eq!((code(device.key()), code(device.drawn().await)), ("vault_sealed", "vault_sealed"));
    let mut changes = device.changes();
    assert!(changes.borrow_and_update().key.is_none());
    world.vault.unlock(Zeroizing::default()).await.expect("unlocked");
    device.unseal(&world.home).await.expect("taken");
    assert!(changes.has_changed().expect("it is told"));
    assert_eq!(device.key().expect("a key").seed, drawn.seed);
    device.forget().await;
    assert_eq!((device.did(), code(device.key())), (Some(drawn.key.did()), "vault_sealed"));
}

#[tokio::test]
async fn while_the_vault_is_sealed_a_key_in_a_file_is_used_from_there() {
    let world = world();
    world.vault.status().await.expect("begun");
    world.vault.seal().await.expect("sealed");
    world.put_into_file(&SEED);
    let device = world.open().await.expect("a device");
    assert_eq!(device.key().expect("a key").key.did(), did());
    assert!(world.disk.exists(&world.file()));
    world.vault.unlock(Zeroizing::default()).await.expect("unlocked");
    device.unseal(&world.home).await.expect("taken");
    assert!(!world.disk.exists(&world.file()));
    assert_eq!(world.open().await.expect("a device").key().expect("a key").key.did(), did());
}
