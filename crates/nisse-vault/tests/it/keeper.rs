//! The vault with the files that unlock it.

use std::path::PathBuf;

use nisse_store::FileMode;
use nisse_testkit::{Failure, PowerCuts, Random, SimClock, Subject, check};
use nisse_vault::{Keeper, RefusalKind, VaultCallError, VaultPaths};

use super::*;

fn paths(credential: bool) -> VaultPaths {
    let credential = credential.then(|| PathBuf::from("/run/credentials/nisse-vault"));
    VaultPaths { folder: "/h/vault".into(), key_file: "/h/keys/vault".into(), credential }
}

fn opened(disk: &SimDisk, credential: bool) -> Result<Keeper, VaultError> {
    let entropy = Arc::new(SimEntropy::new(disk.operations()));
    Keeper::open(Arc::new(disk.clone()), Arc::new(SimClock::new(NOW)), entropy, paths(credential), CHEAP, false)
}

fn write(disk: &SimDisk, path: &str, bytes: &[u8]) {
    disk.create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    let file = disk.open(Path::new(path), FileMode::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

fn fresh() -> SimDisk {
    let disk = SimDisk::new(3);
    disk.create_dir_all(Path::new("/h")).unwrap();
    disk
}

fn exists(disk: &SimDisk, path: &str) -> bool {
    disk.exists(Path::new(path))
}

fn sealed_for(keeper: &mut Keeper) -> Option<String> {
    let status = keeper.status();
    status.sealed.then(|| status.trouble.unwrap_or_else(|| "no trouble".to_owned()))
}

#[test]
fn a_new_vault_opens_by_itself_with_a_key_file_that_is_drawn_for_it() {
    let disk = fresh();
    let mut keeper = opened(&disk, false).unwrap();
    assert_eq!(keeper.status().ways, [UnlockKind::KeyFile]);
    keeper.set("home", &name("a"), b"12345678", Setting::New).unwrap();
    drop(keeper);
    let mut again = opened(&disk, false).unwrap();
    assert_eq!(sealed_for(&mut again), None);
    assert_eq!(again.reveal("home", &name("a")).unwrap().as_slice(), b"12345678");
    assert!(exists(&disk, "/h/keys/vault") && !exists(&disk, "/h/keys/vault.next"));
}

#[test]
fn with_a_credential_there_is_no_key_file() {
    let disk = fresh();
    write(&disk, "/run/credentials/nisse-vault", &[5; 32]);
    let mut keeper = opened(&disk, true).unwrap();
    keeper.set("home", &name("a"), b"12345678", Setting::New).unwrap();
    drop(keeper);
    assert!(!exists(&disk, "/h/keys/vault"));
    assert_eq!(sealed_for(&mut opened(&disk, true).unwrap()), None);
    let without = sealed_for(&mut opened(&disk, false).unwrap());
    assert_eq!(
        without.as_deref(),
        Some("failed to find the vault's systemd credential: this unit was given none"),
        "a unit that lost its credential"
    );
    write(&disk, "/run/credentials/nisse-vault", &[6; 32]);
    let other = sealed_for(&mut opened(&disk, true).unwrap());
    assert_eq!(other.as_deref(), Some("failed to unlock the vault: this systemd credential does not open it"));
}

#[test]
fn a_passphrase_takes_the_place_of_the_key_file_and_the_node_starts_sealed() {
    let disk = fresh();
    let mut keeper = opened(&disk, false).unwrap();
    keeper.set("home", &name("a"), b"12345678", Setting::New).unwrap();
    keeper.protect(Some(Zeroizing::new("correct horse".to_owned())), false, false).unwrap();
    assert!(!exists(&disk, "/h/keys/vault"));
    drop(keeper);
    let mut again = opened(&disk, false).unwrap();
    assert_eq!(sealed_for(&mut again).as_deref(), Some("no trouble"));
    assert!(matches!(again.unlock(Zeroizing::new("wrong words".to_owned())), Err(VaultError::WrongKey(_))));
    again.unlock(Zeroizing::new("correct horse".to_owned())).unwrap();
    assert_eq!(again.reveal("home", &name("a")).unwrap().as_slice(), b"12345678");
}

#[test]
fn a_vault_or_a_key_file_that_is_gone_is_never_made_anew() {
    let disk = fresh();
    opened(&disk, false).unwrap().set("home", &name("a"), b"12345678", Setting::New).unwrap();
    let without_key = disk.fork();
    without_key.remove_file(Path::new("/h/keys/vault")).unwrap();
    let mut keeper = opened(&without_key, false).unwrap();
    let trouble = sealed_for(&mut keeper).unwrap();
    assert_eq!(trouble, "failed to find the vault's key file /h/keys/vault: it is gone");
    assert!(!exists(&without_key, "/h/keys/vault"), "no other one is drawn");
    let without_vault = disk.fork();
    without_vault.remove_file(Path::new(PATH)).unwrap();
    let refused = told(opened(&without_vault, false).err().unwrap());
    assert_eq!(refused, "failed to open the vault: it is gone, and /h/keys/vault.begun says that there was one");
    // Nothing was destroyed: the file put back is the vault.
    assert_eq!(sealed_for(&mut opened(&disk, false).unwrap()), None);
}

#[test]
fn a_vault_whose_passphrase_lies_nowhere_is_not_made_anew_either() {
    let disk = fresh();
    opened(&disk, false).unwrap().protect(Some(Zeroizing::new("correct horse".to_owned())), false, false).unwrap();
    disk.remove_file(Path::new(PATH)).unwrap();
    for _ in 0..2 {
        let refused = told(opened(&disk, false).err().unwrap());
        assert_eq!(refused, "failed to open the vault: it is gone, and /h/keys/vault.begun says that there was one");
    }
    assert!(!exists(&disk, PATH) && !exists(&disk, "/h/keys/vault"));
}

#[test]
fn no_key_file_is_removed_on_the_word_of_a_vault_that_did_not_open() {
    let disk = fresh();
    let mut keeper = opened(&disk, false).unwrap();
    keeper.protect(Some(Zeroizing::new("correct horse".to_owned())), false, false).unwrap();
    let of_passphrase = disk.read(Path::new(PATH), 1 << 20).unwrap();
    keeper.protect(None, false, true).unwrap();
    keeper.set("home", &name("a"), b"12345678", Setting::New).unwrap();
    drop(keeper);
    let of_key_file = disk.read(Path::new(PATH), 1 << 20).unwrap();
    // A copy of the time of the passphrase is put back, and then the newer one again.
    write(&disk, PATH, &of_passphrase);
    assert_eq!(sealed_for(&mut opened(&disk, false).unwrap()).as_deref(), Some("no trouble"));
    write(&disk, PATH, &of_key_file);
    let keeper = opened(&disk, false).unwrap();
    assert_eq!(keeper.reveal("home", &name("a")).unwrap().as_slice(), b"12345678");
}

#[test]
fn a_key_file_that_cannot_be_read_now_is_kept() {
    let disk = fresh();
    opened(&disk, false).unwrap().set("home", &name("a"), b"12345678", Setting::New).unwrap();
    // As it lies there when the power goes before it got its name.
    disk.rename(Path::new("/h/keys/vault"), Path::new("/h/keys/vault.next")).unwrap();
    let long = disk.fork();
    write(&long, "/h/keys/vault.next", &vec![0; 70 << 10]);
    let trouble = sealed_for(&mut opened(&long, false).unwrap()).unwrap();
    assert!(trouble.starts_with("failed to read /h/keys/vault.next: "), "{trouble}");
    let wrong = disk.fork();
    write(&wrong, "/h/keys/vault.next", &[1; 64]);
    assert!(sealed_for(&mut opened(&wrong, false).unwrap()).unwrap().contains("this key file does not open it"));
    for disk in [&long, &wrong] {
        assert!(exists(disk, "/h/keys/vault.next"));
    }
    assert_eq!(sealed_for(&mut opened(&disk, false).unwrap()), None);
    assert!(exists(&disk, "/h/keys/vault") && !exists(&disk, "/h/keys/vault.next"));
}

#[test]
fn what_is_refused_or_not_tidied_up_leaves_the_one_key_file_that_opens_it() {
    let disk = fresh();
    let mut keeper = opened(&disk, false).unwrap();
    keeper.set("home", &name("a"), b"12345678", Setting::New).unwrap();
    // The vault is protected with another key file, which does not get its name: as a disk that fails leaves it.
    let old = disk.read(Path::new("/h/keys/vault"), 1 << 10).unwrap();
    keeper.protect(None, false, true).unwrap();
    disk.rename(Path::new("/h/keys/vault"), Path::new("/h/keys/vault.next")).unwrap();
    write(&disk, "/h/keys/vault", &old);
    let short = Zeroizing::new("short".to_owned());
    assert!(keeper.protect(Some(short), false, true).is_err());
    drop(keeper);
    let forked = disk.fork();
    let mut again = opened(&forked, false).unwrap();
    assert_eq!(again.reveal("home", &name("a")).unwrap().as_slice(), b"12345678");
    assert_eq!(sealed_for(&mut again), None);
    // Nor is it written over where another way opened the vault.
    let mut again = opened(&disk, false).unwrap();
    again.protect(Some(Zeroizing::new("correct horse".to_owned())), false, true).unwrap();
    disk.rename(Path::new("/h/keys/vault"), Path::new("/h/keys/vault.next")).unwrap();
    disk.fail(nisse_testkit::Fault::NoSpace(0));
    assert!(again.protect(None, false, true).is_err());
    disk.heal();
    drop(again);
    assert_eq!(sealed_for(&mut opened(&disk, false).unwrap()), None);
}

#[test]
fn each_way_opens_it_whatever_is_wrong_with_the_other() {
    let disk = fresh();
    write(&disk, "/run/credentials/nisse-vault", &[5; 32]);
    let mut keeper = opened(&disk, true).unwrap();
    keeper.protect(None, true, true).unwrap();
    drop(keeper);
    let other = disk.fork();
    write(&other, "/run/credentials/nisse-vault", &[6; 32]);
    assert_eq!(sealed_for(&mut opened(&other, true).unwrap()), None, "the key file opens it");
    assert_eq!(sealed_for(&mut opened(&disk, false).unwrap()), None, "and so it does without a credential");
    let other = disk.fork();
    other.remove_file(Path::new("/h/keys/vault")).unwrap();
    assert_eq!(sealed_for(&mut opened(&other, true).unwrap()), None, "the credential opens it");
    write(&other, "/run/credentials/nisse-vault", &[6; 32]);
    assert!(sealed_for(&mut opened(&other, true).unwrap()).is_some());
}

#[test]
fn a_vault_that_is_to_stay_sealed_waits_for_its_owners_word() {
    let disk = fresh();
    opened(&disk, false).unwrap().set("home", &name("a"), b"12345678", Setting::New).unwrap();
    let entropy = Arc::new(SimEntropy::new(9));
    let (clock, paths) = (Arc::new(SimClock::new(NOW)), paths(false));
    let mut keeper = Keeper::open(Arc::new(disk.clone()), clock, entropy, paths, CHEAP, true).unwrap();
    assert_eq!(sealed_for(&mut keeper).as_deref(), Some("no trouble"));
    keeper.unlock(Zeroizing::new(String::new())).unwrap();
    assert_eq!(keeper.reveal("home", &name("a")).unwrap().as_slice(), b"12345678");
    keeper.unlock(Zeroizing::new("one that is open is not asked again".to_owned())).unwrap();
}

#[test]
fn a_refusal_completes_a_sentence() {
    let refused = VaultCallError::Refused { kind: RefusalKind::Sealed, text: VaultError::Sealed.to_string() };
    assert_eq!(format!("failed to {refused}"), "failed to use the vault: it is sealed");
}

/// A home whose protection is replaced again and again while its power fails.
#[derive(Default)]
struct Protected {
    /// What opens it where no key file does, and what may open it in its place.
    passphrase: Option<String>,
    maybe: Option<Option<String>>,
    has_value: bool,
}

impl Subject for Protected {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        disk.create_dir_all(Path::new("/h"))?;
        let mut keeper = opened(disk, false)?;
        let mut sealed = keeper.status().sealed;
        for words in [self.maybe.take().flatten(), self.passphrase.clone()].into_iter().flatten() {
            if sealed && keeper.unlock(Zeroizing::new(words.clone())).is_ok() {
                (sealed, self.passphrase) = (false, Some(words));
            }
        }
        if sealed {
            // A power that goes meanwhile leaves it sealed, too.
            disk.sync_dir(Path::new("/h"))?;
            return Err(Failure::Violation(format!("nothing opens it any more: {:?}", keeper.status())));
        }
        if self.has_value {
            let found = keeper.reveal("home", &name("a"))?;
            check(found.as_slice() == b"12345678", || "a secret is another one".to_owned())?;
        } else if keeper.reveal("home", &name("a")).is_err() {
            keeper.set("home", &name("a"), b"12345678", Setting::New)?;
        }
        self.has_value = true;
        for _ in 0..4 {
            let next = random.once_in(2).then(|| format!("words number {}", random.below(1_000)));
            self.maybe = Some(next.clone());
            keeper.protect(next.clone().map(Zeroizing::new), false, next.is_none())?;
            (self.passphrase, self.maybe) = (next, None);
        }
        Ok(())
    }
}

#[test]
fn no_power_cut_leaves_a_vault_that_nothing_opens() {
    let report = PowerCuts::new("vault protection", 1_000).run(Protected::default);
    report.unwrap_or_else(|failure| panic!("{failure}"));
}
