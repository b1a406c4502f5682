//! A file of an earlier version, and one of a later one.

use nisse_store::FileMode;
use nisse_vault::KeyKind;
use proptest::prelude::*;

use super::*;

/// A file as version 1 wrote it: passphrase, three secrets of two tenants.
fn version_1() -> Vec<u8> {
    let text: String = include_str!("version_1.hex").split_whitespace().collect();
    hex::decode(text).unwrap()
}

fn planted(bytes: &[u8]) -> SimDisk {
    let disk = disk();
    disk.open(Path::new(PATH), FileMode::Write).unwrap().write_all_at(bytes, 0).unwrap();
    disk
}

fn version(disk: &SimDisk) -> u8 {
    disk.read(Path::new(PATH), 1 << 20).unwrap()[1]
}

#[test]
fn a_file_of_version_1_opens_and_the_next_change_writes_version_2() {
    let disk = planted(&version_1());
    let mut vault = unlocked(&disk).unwrap();
    for (tenant, secret) in [("home", "a"), ("home", "b"), ("shop", "a")] {
        let expected = format!("{tenant}-{secret}-12345");
        assert_eq!(vault.get(tenant, &name(secret)).unwrap().as_slice(), expected.as_bytes());
    }
    assert_eq!(vault.keys(), []);
    assert_eq!(version(&disk), 1, "what is read is not written");
    let drawn = vault.draw_key(&name("wallet"), KeyKind::Secp256k1, NOW).unwrap();
    drop(vault);
    assert_eq!(version(&disk), 2);
    let vault = unlocked(&disk).unwrap();
    assert_eq!(vault.keys(), [drawn]);
    assert_eq!(vault.list("home").len(), 2);
    assert_eq!(vault.get("shop", &name("a")).unwrap().as_slice(), b"shop-a-12345");
}

#[test]
fn a_changed_file_of_version_1_is_noticed_and_so_is_a_changed_version() {
    let whole = version_1();
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(unlocked(&planted(&flipped)).is_err(), "bit {bit}");
    }
    let mut as_2 = whole;
    as_2[1] = 2;
    assert!(sealed(&planted(&as_2)).is_err(), "a body of version 1 in a file of version 2");
    let disk = disk();
    created(&disk);
    let mut as_1 = disk.read(Path::new(PATH), 1 << 20).unwrap();
    as_1[1] = 1;
    assert!(sealed(&planted(&as_1)).is_err(), "a body of version 2 in a file of version 1");
    as_1[1] = 0;
    assert!(matches!(sealed(&planted(&as_1)), Err(VaultError::Tampered(_))), "there was no version 0");
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let mut newer = version_1();
    newer[1] = 3;
    let disk = planted(&newer);
    let refused = told(sealed(&disk).unwrap_err());
    assert_eq!(refused, "failed to open the vault: it is of version 3, and this nisse knows none above 2");
    assert!(nisse_vault::listed_keys(&disk, Path::new("/h/vault")).is_err());
    assert_eq!(disk.read(Path::new(PATH), 1 << 20).unwrap(), newer);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..1_035) {
        let _ = sealed(&planted(&bytes));
        // As a file begins, with any body; and a whole one, of which some bytes are others.
        for version in [1, 2] {
            let body = [&[0x83, version, 0x59, (bytes.len() >> 8) as u8, bytes.len() as u8][..], &bytes, &[0x58, 32], &[0; 32]];
            let _ = sealed(&planted(&body.concat()));
        }
        let mut whole = version_1();
        let end = whole.len().min(at + bytes.len() % 4);
        whole[at..end].copy_from_slice(&bytes[..end - at]);
        let _ = sealed(&planted(&whole));
    }
}
