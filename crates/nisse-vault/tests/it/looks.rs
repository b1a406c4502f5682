//! A vault that is read beside the process that has it.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use nisse_store::{DiskFile, DiskLock, FileMode};
use nisse_testkit::SimClock;
use nisse_vault::{Keeper, KeyKind, VaultPaths, read_export};

use super::*;

fn paths(credential: bool) -> VaultPaths {
    let credential = credential.then(|| PathBuf::from("/run/credentials/nisse-vault"));
    VaultPaths { folder: "/h/vault".into(), key_file: "/h/keys/vault".into(), credential }
}

fn opened(disk: &SimDisk, credential: bool) -> Keeper {
    let (clock, entropy) = (Arc::new(SimClock::new(NOW)), Arc::new(SimEntropy::new(disk.operations())));
    Keeper::open(Arc::new(disk.clone()), clock, entropy, paths(credential), CHEAP, false).unwrap()
}

fn looked(disk: &SimDisk, credential: bool, sealed: bool) -> Result<Keeper, VaultError> {
    let (clock, entropy) = (Arc::new(SimClock::new(NOW)), Arc::new(SimEntropy::new(1)));
    Keeper::look(Arc::new(disk.clone()), clock, entropy, paths(credential), CHEAP, sealed)
}

/// Every file with its content.
fn files(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().map(|(path, _)| (path.clone(), disk.read(&path, 1 << 20).unwrap())).collect()
}

fn write(disk: &SimDisk, path: &str, bytes: &[u8]) {
    disk.create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    let file = disk.open(Path::new(path), FileMode::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

fn filled(disk: &SimDisk, credential: bool) -> Keeper {
    let mut keeper = opened(disk, credential);
    keeper.draw_key(&name("wallet"), KeyKind::Secp256k1).unwrap();
    keeper.set("home", &name("a"), b"12345678", Setting::New).unwrap();
    keeper
}

/// That it reads what is there, refuses each change, and has left the disk as it was.
fn reads_alone(disk: &SimDisk, credential: bool, passphrase: Option<&str>) {
    let (before, changes) = (files(disk), disk.changes());
    let mut keeper = looked(disk, credential, false).unwrap();
    if let Some(words) = passphrase {
        assert!(keeper.status().sealed);
        keeper.unlock(Zeroizing::new(words.to_owned())).unwrap();
    }
    assert!(!keeper.status().sealed, "{:?}", keeper.status());
    assert_eq!(keeper.reveal("home", &name("a")).unwrap().as_slice(), b"12345678");
    assert!(keeper.sign_digest(&name("wallet"), &[1; 32]).is_ok());
    let identity = age::x25519::Identity::generate();
    let document = keeper.export(&[identity.to_public().to_string()]).unwrap();
    let identity = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    let export = read_export(&document, &identity).unwrap();
    assert_eq!(keeper.restore(export).unwrap().keys, 0, "nothing of it is new");
    assert!(keeper.draw_key(&name("wallet"), KeyKind::Secp256k1).is_ok(), "it is there");
    let fresh = Zeroizing::new("another horse".to_owned());
    for refused in [
        keeper.set("home", &name("b"), b"12345678", Setting::New).map(drop),
        keeper.set("home", &name("a"), b"87654321", Setting::Rotated).map(drop),
        keeper.draw_key(&name("other"), KeyKind::Ed25519).map(drop),
        keeper.import_key(&name("other"), KeyKind::Ed25519, &Zeroizing::new(vec![1; 32])).map(drop),
        keeper.derive_key(&name("wallet"), "p", &name("other")).map(drop),
        keeper.protect(None, false, true),
        keeper.protect(Some(fresh), false, false),
    ] {
        assert_eq!(told(refused.unwrap_err()), "failed to change the vault: it was opened for reading alone");
    }
    drop(keeper);
    assert_eq!(files(disk), before);
    assert_eq!(disk.changes(), changes, "not even a sync");
}

#[test]
fn what_opens_it_by_itself_opens_it_for_reading() {
    let disk = disk();
    let owner = filled(&disk, false);
    reads_alone(&disk, false, None);
    drop(owner);
    reads_alone(&disk, false, None);
    let disk = self::disk();
    write(&disk, "/run/credentials/nisse-vault", &[5; 32]);
    filled(&disk, true);
    reads_alone(&disk, true, None);
}

#[test]
fn in_the_middle_of_a_protection_either_key_file_opens_it_and_both_stay() {
    let disk = disk();
    let mut keeper = filled(&disk, false);
    let (old, vault) =
        (disk.read(Path::new("/h/keys/vault"), 1 << 10).unwrap(), disk.read(Path::new(PATH), 1 << 20).unwrap());
    keeper.protect(None, false, true).unwrap();
    // Protected with the next one, which has not got its name.
    let after = disk.fork();
    after.rename(Path::new("/h/keys/vault"), Path::new("/h/keys/vault.next")).unwrap();
    write(&after, "/h/keys/vault", &old);
    reads_alone(&after, false, None);
    // Not yet protected with it.
    write(&after, PATH, &vault);
    reads_alone(&after, false, None);
    // The next one alone.
    let alone = disk.fork();
    alone.rename(Path::new("/h/keys/vault"), Path::new("/h/keys/vault.next")).unwrap();
    reads_alone(&alone, false, None);
    // A mark that is gone is not set.
    disk.remove_file(Path::new("/h/keys/vault.begun")).unwrap();
    reads_alone(&disk, false, None);
}

/// A disk on which the vault is protected anew by its owner, each time that somebody else is about to read the key file.
struct Racing {
    disk: SimDisk,
    owner: Mutex<(Keeper, u32)>,
}

impl Disk for Racing {
    fn open(&self, path: &Path, mode: FileMode) -> io::Result<Box<dyn DiskFile>> {
        assert_eq!(mode, FileMode::Read);
        let (owner, races) = &mut *self.owner.lock().unwrap();
        if path == Path::new("/h/keys/vault") && *races > 0 {
            *races -= 1;
            owner.protect(None, false, true).unwrap();
        }
        self.disk.open(path, mode)
    }

    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        unreachable!("it is only read")
    }

    fn read_dir(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        unreachable!("no folder is listed")
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        unreachable!("it is only read")
    }

    fn remove_file(&self, _: &Path) -> io::Result<()> {
        unreachable!("it is only read")
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        unreachable!("it is only read")
    }

    fn try_lock(&self, _: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        unreachable!("whoever only reads takes no lock")
    }
}

#[test]
fn a_vault_that_is_protected_anew_while_it_is_read_is_read_again() {
    for races in [0, 1, 3] {
        let disk = disk();
        let owner = filled(&disk, false);
        let racing = Racing { disk, owner: Mutex::new((owner, races)) };
        let (clock, entropy) = (Arc::new(SimClock::new(NOW)), Arc::new(SimEntropy::new(1)));
        let keeper = Keeper::look(Arc::new(racing), clock, entropy, paths(false), CHEAP, false).unwrap();
        assert_eq!((keeper.status().sealed, keeper.status().trouble), (false, None), "{races} times");
        assert_eq!(keeper.reveal("home", &name("a")).unwrap().as_slice(), b"12345678");
    }
}

#[test]
fn a_passphrase_opens_it_for_reading_too() {
    let disk = disk();
    filled(&disk, false).protect(Some(Zeroizing::new("correct horse".to_owned())), false, false).unwrap();
    let mut keeper = looked(&disk, false, false).unwrap();
    assert!(keeper.unlock(Zeroizing::new("wrong horse".to_owned())).is_err());
    assert!(keeper.status().sealed && keeper.keys().len() == 1);
    reads_alone(&disk, false, Some("correct horse"));
    // A key file that is left is nobody's to remove here.
    write(&disk, "/h/keys/vault.next", &[b'1'; 64]);
    reads_alone(&disk, false, Some("correct horse"));
}

#[test]
fn one_that_is_to_stay_sealed_does_so() {
    let disk = disk();
    filled(&disk, false);
    let mut keeper = looked(&disk, false, true).unwrap();
    assert!(keeper.status().sealed);
    keeper.unlock(Zeroizing::default()).unwrap();
    assert!(!keeper.status().sealed);
}

#[test]
fn where_no_vault_is_none_is_begun() {
    let disk = disk();
    let refused = told(looked(&disk, false, false).err().unwrap());
    assert_eq!(refused, "failed to read the vault: none was begun here");
    assert_eq!(disk.files(), []);
    filled(&disk, false);
    disk.remove_file(Path::new(PATH)).unwrap();
    let before = files(&disk);
    let refused = told(looked(&disk, false, false).err().unwrap());
    assert_eq!(refused, "failed to open the vault: it is gone, and /h/keys/vault.begun says that there was one");
    assert_eq!(files(&disk), before);
    let other = self::disk();
    filled(&other, false);
    write(&other, "/h/keys/vault", &[1; 64]);
    let keeper = looked(&other, false, false).unwrap();
    let trouble = keeper.status().trouble.unwrap();
    assert_eq!(trouble, "failed to unlock the vault: this key file does not open it");
}
