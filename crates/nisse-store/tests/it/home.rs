//! The home's door.

use std::path::Path;
use std::sync::Arc;

use nisse_store::{Disk, FileMode, Home, HomeError};
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
