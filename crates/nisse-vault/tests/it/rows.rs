//! A file that was changed, exchanged or brought back by whoever has the disk, and what is left in it.

use nisse_store::FileMode;

use super::*;

fn file(disk: &SimDisk) -> Vec<u8> {
    disk.read(Path::new(PATH), 1 << 30).unwrap()
}

fn with(disk: &SimDisk, bytes: &[u8]) -> SimDisk {
    let disk = disk.fork();
    let file = disk.open(Path::new(PATH), FileMode::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    disk
}

/// Two tenants with two secrets each.
fn filled() -> SimDisk {
    let disk = disk();
    let mut vault = created(&disk);
    for tenant in ["home", "shop"] {
        for secret in ["a", "b"] {
            set(&mut vault, tenant, secret, format!("{tenant}-{secret}-12345").as_bytes());
        }
    }
    disk
}

#[test]
fn any_bit_that_was_changed_is_noticed_and_so_is_each_cut() {
    let disk = filled();
    let whole = file(&disk);
    assert!(unlocked(&with(&disk, &whole)).is_ok());
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(unlocked(&with(&disk, &flipped)).is_err(), "bit {bit}");
    }
    for length in 0..whole.len() {
        assert!(unlocked(&with(&disk, &whole[..length])).is_err(), "{length} bytes");
    }
    assert!(unlocked(&with(&disk, &[whole.as_slice(), &[0]].concat())).is_err());
}

#[test]
fn a_part_of_an_earlier_file_opens_nothing() {
    // Of two files of one vault that are equally long, each stretch of the one in the other.
    let disk = filled();
    let before = file(&disk);
    let mut vault = unlocked(&disk).unwrap();
    vault.set("home", &name("a"), b"home-a-54321", Setting::Rotated, NOW).unwrap();
    let after = file(&disk);
    assert_eq!(before.len(), after.len());
    for start in (0..before.len()).step_by(7) {
        for end in (start + 1..=before.len()).step_by(31) {
            if start == 0 && end == before.len() || before[start..end] == after[start..end] {
                continue;
            }
            let mut mixed = after.clone();
            mixed[start..end].copy_from_slice(&before[start..end]);
            if mixed != before {
                assert!(unlocked(&with(&disk, &mixed)).is_err(), "{start}..{end}");
            }
        }
    }
}

#[test]
fn nothing_of_what_was_removed_or_replaced_is_left_in_the_file() {
    let disk = filled();
    let mut vault = unlocked(&disk).unwrap();
    let before = file(&disk);
    vault.remove("home", &name("a")).unwrap();
    vault.set("shop", &name("a"), b"another-value", Setting::Rotated, NOW).unwrap();
    let after = file(&disk);
    // Sealed bytes are random: what both files have in so many bytes is the same seal.
    let rows = before.windows(32).filter(|window| after.windows(32).any(|found| found == *window)).count();
    vault.protect(&[words("correct horse")], CHEAP).unwrap();
    let anew = file(&disk);
    let left = before.windows(32).filter(|window| anew.windows(32).any(|found| found == *window)).count();
    assert!(rows > 300, "the two secrets that stay: {rows}");
    assert_eq!(left, 0, "a vault that is protected anew has nothing of the one before");
    assert_eq!(vault.list("home").len(), 1);
    assert_eq!(vault.get("shop", &name("a")).unwrap().as_slice(), b"another-value");
}

#[test]
fn no_plaintext_lies_on_the_disk() {
    let disk = disk();
    let mut vault = created(&disk);
    let canary = b"canary-0123456789abcdef";
    set(&mut vault, "home", "a", canary);
    vault.set("home", &name("a"), b"another-one", Setting::Rotated, NOW).unwrap();
    drop(vault);
    for (path, _) in disk.files() {
        let bytes = disk.read(&path, 1 << 30).unwrap();
        for secret in [&canary[..], b"correct horse"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
}

#[test]
fn a_change_that_the_disk_refuses_leaves_the_vault_open_and_as_it_was() {
    let disk = filled();
    let mut vault = unlocked(&disk).unwrap();
    disk.fail(nisse_testkit::Fault::NoSpace(0));
    let refused = told(vault.set("home", &name("c"), b"12345678", Setting::New, NOW).unwrap_err());
    assert!(refused.starts_with("failed to write /h/vault/secrets: "), "{refused}");
    assert!(vault.protect(&[words("other words")], CHEAP).is_err());
    assert_eq!(vault.get("home", &name("a")).unwrap().as_slice(), b"home-a-12345");
    disk.heal();
    set(&mut vault, "home", "c", b"12345678");
    drop(vault);
    assert_eq!(unlocked(&disk).unwrap().list("home").len(), 3);
}
