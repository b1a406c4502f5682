//! What a home hands out again, what it draws anew, and what it refuses to.

use std::path::Path;

use nisse_store::{Clock, SystemDisk};
use nisse_testkit::{PausedClock, SimDisk, SimEntropy};
use nisse_vault::{Cost, VaultPaths, vault_within};

use super::*;

const FOLDER: &str = "/h/home";

struct World {
    home: Home,
    vault: VaultClient,
    _running: tokio::task::JoinHandle<()>,
}

/// A home with its vault, on this disk.
fn world(disk: Arc<dyn Disk>, folder: &Path) -> World {
    let entropy: Arc<dyn nisse_store::Entropy> = Arc::new(SimEntropy::new(1));
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::new(nisse_model::Timestamp(1)));
    let home = Home::open(Arc::clone(&disk), entropy.as_ref(), folder).expect("a home");
    let paths = VaultPaths { folder: folder.join(VAULT_FOLDER), key_file: folder.join("keys/vault"), credential: None };
    let (vault, driver) = vault_within(disk, clock, entropy, paths, Cost { memory_kib: 8, passes: 1 });
    let _running = tokio::spawn(driver.run(std::future::pending()));
    World { home, vault, _running }
}

fn simulated() -> (SimDisk, World) {
    let disk = SimDisk::new(1);
    let world = world(Arc::new(disk.clone()), Path::new(FOLDER));
    (disk, world)
}

async fn opened(world: &World) -> Result<Wallets, NodeError> {
    Wallets::open(world.vault.clone(), &world.home).await
}

/// What a refusal says.
fn told<T>(refused: Result<T, NodeError>) -> String {
    let error = refused.err().expect("a refusal");
    format!("{}\n{}: {}\n{}", error.kind == ErrorKind::Refused, error.code, error.text, error.hint.unwrap_or_default())
}

#[tokio::test]
async fn a_key_is_drawn_once_and_signs() {
    let (_, world) = simulated();
    let wallets = opened(&world).await.expect("wallets");
    for name in KeyName::ALL {
        assert!(!wallets.has(name));
        let drawn = wallets.draw(&world.home, name).await.expect("a new key");
        let again = opened(&world).await.expect("wallets").draw(&world.home, name).await.expect("the same key");
        assert_eq!(again.address(), drawn.address());
        let signed = again.sign_hash([7; 32]).await.expect("signed");
        assert_eq!(Signature::from_signer(drawn.address(), [7; 32], &signed.to_bytes()).expect("its own"), signed);
        assert!(Signature::from_signer(drawn.address(), [8; 32], &signed.to_bytes()).is_err());
    }
}

#[tokio::test]
async fn a_key_that_makes_contracts_follows_from_the_operators() {
    let (disk, first) = simulated();
    let secret = LocalKey::draw(&SimEntropy::new(9));
    let path = first.home.join("keys/operator");
    disk.replace(&path, hex::encode(secret).as_bytes()).expect("written");
    let wallets = opened(&first).await.expect("wallets");
    assert!(!disk.exists(&path), "the file went into the vault");
    let (one, two) = (wallets.maker(1).await.expect("a key"), wallets.maker(2).await.expect("a key"));
    assert_ne!(one.address(), two.address());
    assert_eq!(wallets.maker(1).await.expect("the same").address(), one.address());
    // As every nisse before has derived it: the contracts' addresses follow from it.
    let operator = wallets.get(KeyName::Operator).expect("a key");
    assert_eq!(operator.address(), LocalKey::from_bytes(&secret).expect("a key").address());
    assert_eq!(one.address(), derived(&secret, "contracts/1"));
}

/// SHA-256 over context, secret, purpose and a count of nothing, each with its length before it.
fn derived(secret: &[u8; 32], purpose: &str) -> Address {
    let parts = [&b"nisse derived key v1"[..], secret, purpose.as_bytes(), &0u32.to_be_bytes()];
    LocalKey::from_bytes(&nisse_model::Hash256::of_parts(&parts).0).expect("a key").address()
}

#[tokio::test]
async fn an_operator_key_that_is_gone_where_a_node_lived_is_never_drawn_anew() {
    for trace in ["journal/0.log", "chain/blocks.log", "state/index.redb"] {
        let (disk, world) = simulated();
        disk.replace(&world.home.join(trace), b"lived").expect("written");
        let wallets = opened(&world).await.expect("wallets");
        let folder = trace.split('/').next().expect("a folder");
        let said = told(wallets.draw(&world.home, KeyName::Operator).await);
        let expected = format!(
            "true\nkey_missing: failed to find the key `operator`: the vault has none, and /h/home/{folder} shows that it was used\n"
        );
        assert!(said.starts_with(&expected), "{said}");
        assert!(!wallets.has(KeyName::Operator));
        // One who never paid for anything here may begin.
        wallets.draw(&world.home, KeyName::Deployer).await.expect("a new key");
    }
}

#[tokio::test]
async fn a_deployer_key_that_is_gone_after_it_paid_is_never_drawn_anew() {
    let (disk, world) = simulated();
    disk.create_dir_all(&world.home.join("chain/queue-deployer")).expect("made");
    let wallets = opened(&world).await.expect("wallets");
    assert!(told(wallets.draw(&world.home, KeyName::Deployer).await).starts_with("true\nkey_missing: "));
}

#[tokio::test]
async fn a_file_of_another_key_is_refused_and_nothing_is_lost() {
    let (disk, world) = simulated();
    let wallets = opened(&world).await.expect("wallets");
    let drawn = wallets.draw(&world.home, KeyName::Operator).await.expect("a key").address();
    let path = world.home.join("keys/operator");
    disk.replace(&path, hex::encode([7; 32]).as_bytes()).expect("written");
    assert!(told(opened(&world).await).contains("key_other: "));
    assert!(disk.exists(&path));
    disk.replace(&path, b"mine").expect("written");
    assert!(told(opened(&world).await).starts_with("true\nkey_invalid: "));
    disk.remove_file(&path).expect("removed");
    assert_eq!(opened(&world).await.expect("wallets").address(KeyName::Operator), Some(drawn));
}

#[tokio::test]
async fn a_sealed_vault_says_whose_home_it_is_and_signs_nothing() {
    let (disk, world) = simulated();
    let wallets = opened(&world).await.expect("wallets");
    let drawn = wallets.draw(&world.home, KeyName::Operator).await.expect("a key").address();
    world.vault.seal().await.expect("sealed");
    let sealed = opened(&world).await.expect("wallets");
    let signer = sealed.get(KeyName::Operator).expect("a key");
    assert_eq!(signer.address(), drawn);
    assert!(signer.sign_hash([7; 32]).await.expect_err("sealed").to_string().ends_with("the vault is sealed"));
    assert!(told(sealed.draw(&world.home, KeyName::Deployer).await).contains("vault_sealed: "));
    // A key in a file is used from there meanwhile, and goes into the vault when it opens.
    let path = world.home.join("keys/deployer");
    disk.replace(&path, hex::encode([7; 32]).as_bytes()).expect("written");
    let sealed = opened(&world).await.expect("wallets");
    sealed.get(KeyName::Deployer).expect("a key").sign_hash([7; 32]).await.expect("signed");
    world.vault.unlock(Zeroizing::default()).await.expect("unlocked");
    sealed.bring_in(&world.home).await.expect("brought in");
    assert!(!disk.exists(&path));
    assert_eq!(listed(&disk, &world.home).expect("listed").len(), 2);
}

#[tokio::test]
async fn a_key_file_that_others_may_read_is_refused_with_what_closes_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a folder");
    let world = world(Arc::new(SystemDisk), dir.path());
    let path = world.home.join("keys/operator");
    SystemDisk.replace(&path, hex::encode([7; 32]).as_bytes()).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("opened");
    let path = path.display();
    assert_eq!(
        told(opened(&world).await),
        format!(
            "true\nhome_refused: failed to use {path}: it is open to other users (mode 644)\nsee that nothing in it was \
             changed, then `chmod 600 {path}`"
        )
    );
}
