//! The home's door.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use nisse_store::{Access, Disk, FileMode, Home, HomeError, SystemDisk};
use nisse_testkit::{Failure, PowerCuts, Random, SimDisk, Subject, check};

const FOLDER: &str = "/h/home";

fn open(disk: &SimDisk) -> Result<Home, HomeError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Home::open(&disk, Path::new(FOLDER))
}

#[test]
fn an_empty_folder_becomes_a_home_and_stays_one() {
    let disk = SimDisk::new(1);
    assert!(open(&disk).unwrap().is_fresh());
    let home = open(&disk).unwrap();
    assert!(!home.is_fresh());
    assert_eq!(home.folder(), Path::new(FOLDER));
    assert_eq!(disk.read(&home.folder().join("format"), 99).unwrap(), b"nisse-home 1\n");
}

#[test]
fn a_home_in_use_is_refused() {
    let disk = SimDisk::new(1);
    let home = open(&disk).unwrap();
    assert_eq!(open(&disk).unwrap_err().to_string(), "use the home /h/home: another nisse is running on it");
    drop(home);
    open(&disk).unwrap();
}

#[test]
fn a_home_that_is_looked_at_is_opened_by_nobody_and_gets_no_lock_file() {
    let disk = SimDisk::new(1);
    let keep_closed = || Home::keep_closed(&disk, Path::new(FOLDER));
    assert!(keep_closed().unwrap().is_none(), "where no home stands");
    assert_eq!(disk.files(), []);
    let home = open(&disk).unwrap();
    assert!(matches!(keep_closed(), Err(HomeError::Locked(_))));
    drop(home);
    let kept = keep_closed().unwrap();
    assert!(kept.is_some());
    assert!(matches!(open(&disk), Err(HomeError::Locked(_))));
    drop(kept);
    open(&disk).unwrap();
}

#[test]
fn a_newer_or_unreadable_format_is_refused_and_left_alone() {
    let disk = SimDisk::new(1);
    drop(open(&disk).unwrap());
    let format = Path::new(FOLDER).join("format");
    disk.replace(&format, b"nisse-home 2\n").unwrap();
    assert_eq!(
        open(&disk).unwrap_err().to_string(),
        "use the home /h/home: its format 2 is newer than this nisse, which knows 1"
    );
    for text in ["", "1", "nisse-home", "nisse-home 0\n", "nisse-home one\n", "nisse-home 1", "nisse-home -1\n"] {
        disk.replace(&format, text.as_bytes()).unwrap();
        let error = open(&disk).unwrap_err();
        assert_eq!(error.to_string(), "use the home /h/home: its `format` file does not name a format", "{text:?}");
        assert_eq!(disk.read(&format, 99).unwrap(), text.as_bytes());
    }
}

#[test]
fn a_folder_with_anything_in_it_is_never_made_a_fresh_home() {
    let disk = SimDisk::new(1);
    drop(open(&disk).unwrap());
    disk.create_dir_all(&Path::new(FOLDER).join("journal")).unwrap();
    disk.remove_file(&Path::new(FOLDER).join("format")).unwrap();
    let error = open(&disk).unwrap_err();
    assert_eq!(error.to_string(), "use /h/home as a home: it holds `journal` and no `format` file");

    let other = SimDisk::new(1);
    other.create_dir_all(Path::new(FOLDER)).unwrap();
    other.open(&Path::new(FOLDER).join("letters.txt"), FileMode::CreateNew).unwrap();
    assert!(matches!(open(&other), Err(HomeError::Foreign { .. })));
    assert_eq!(other.files().len(), 1, "nothing was added to it");
}

/// A folder on the machine's disk with this mode.
fn folder_with_mode(mode: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), mode);
    dir
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn open_on_this_machine(folder: &Path) -> Result<Home, HomeError> {
    Home::open(&(Arc::new(SystemDisk) as Arc<dyn Disk>), folder)
}

#[test]
fn an_empty_folder_that_others_may_read_is_closed_when_it_becomes_a_home() {
    let dir = folder_with_mode(0o755);
    open_on_this_machine(dir.path()).unwrap();
    assert_eq!(SystemDisk.access(dir.path()).unwrap(), Some(Access { ours: true, mode: 0o700 }));
}

#[test]
fn an_empty_folder_that_others_may_write_into_never_becomes_a_home() {
    for mode in [0o777, 0o770, 0o702] {
        let dir = folder_with_mode(mode);
        let error = open_on_this_machine(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("it is open to other users (mode {mode:o})")), "{error}");
        assert!(!dir.path().join("lock").exists());
    }
}

#[test]
fn a_home_that_was_opened_to_others_is_refused_until_it_is_closed() {
    let dir = folder_with_mode(0o700);
    drop(open_on_this_machine(dir.path()).unwrap());
    for mode in [0o777, 0o755, 0o701, 0o720] {
        set_mode(dir.path(), mode);
        assert!(matches!(open_on_this_machine(dir.path()), Err(HomeError::Open { closed: 0o700, .. })), "{mode:o}");
    }
    set_mode(dir.path(), 0o700);
    open_on_this_machine(dir.path()).unwrap();
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let dir = folder_with_mode(0o700);
    let secret = dir.path().join("token");
    SystemDisk.replace(&secret, b"x").unwrap();
    Home::check_secret(&SystemDisk, &secret).unwrap();
    for mode in [0o644, 0o640, 0o602] {
        set_mode(&secret, mode);
        let error = Home::check_secret(&SystemDisk, &secret).unwrap_err();
        assert!(matches!(error, HomeError::Open { closed: 0o600, .. }), "{error}");
    }
}

#[test]
fn what_another_user_owns_is_refused() {
    // The root of the file system belongs to root, and the temporary folder to whoever runs this.
    let root = Path::new("/");
    let dir = folder_with_mode(0o700);
    let is_root = SystemDisk.access(root).unwrap().unwrap().ours;
    let foreign = if is_root { dir.path() } else { root };
    if is_root && std::os::unix::fs::chown(foreign, Some(65_534), None).is_err() {
        // Inside a user namespace with one user there is nobody else.
        return;
    }
    let error = Home::check_closed(&SystemDisk, foreign).unwrap_err();
    assert_eq!(error.to_string(), format!("use {}: another user owns it", foreign.display()));
}

#[test]
fn a_lock_that_nobody_else_holds_names_nobody() {
    let dir = folder_with_mode(0o700);
    assert_eq!(Home::holder(dir.path()).unwrap(), None, "where no home stands");
    let home = open_on_this_machine(dir.path()).unwrap();
    drop(home);
    assert_eq!(Home::holder(dir.path()).unwrap(), None, "where nobody runs any more");
}

/// A home that was opened once is a home for ever.
#[derive(Default)]
struct HomeSubject {
    opened: bool,
}

impl Subject for HomeSubject {
    fn live(&mut self, disk: &SimDisk, _: &mut Random) -> Result<(), Failure> {
        let home = open(disk)?;
        check(!(self.opened && home.is_fresh()), || "the home was made twice".to_owned())?;
        self.opened = true;
        Ok(())
    }
}

#[test]
fn no_power_cut_breaks_a_home() {
    let cuts = PowerCuts::share("home", 5).lives(4).operations_max(16);
    cuts.run(HomeSubject::default).unwrap_or_else(|text| panic!("{text}"));
    let planted = PowerCuts::new("home", 2000).lives(4).operations_max(16).planting(|disk| disk.skip_dir_sync_every(2));
    planted.run(HomeSubject::default).unwrap_err();
}
