//! The list of cases in `docs/security-sandbox.md` names tests that are there.

use std::path::Path;

use nisse_store::{Disk, SystemDisk};

const FILE_BYTES_MAX: u64 = 1 << 20;

fn read(path: &Path) -> String {
    String::from_utf8(SystemDisk.read(path, FILE_BYTES_MAX).expect("it is there")).expect("it is text")
}

/// Every file of Rust in a folder and the folders in it.
fn sources(folder: &Path, all: &mut String) {
    for path in SystemDisk.read_dir(folder).expect("the folder is there") {
        match path.extension() {
            Some(extension) if extension == "rs" => all.push_str(&read(&path)),
            Some(_) => {}
            None => sources(&path, all),
        }
    }
}

#[test]
fn every_case_of_the_list_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = String::new();
    sources(&root.join("crates/nisse-sandbox/tests/it"), &mut tests);
    sources(&root.join("crates/nisse/tests/it"), &mut tests);
    let page = read(&root.join("docs/security-sandbox.md"));
    let cases = page.lines().filter(|line| line.starts_with("| ")).flat_map(|line| line.split('`').skip(1).step_by(2));
    let mut named = 0;
    for name in cases.filter(|name| name.contains('_')) {
        assert!(tests.contains(&format!("fn {name}()")), "no test is called `{name}`");
        named += 1;
    }
    assert!(named > 50, "only {named} tests are named");
}
