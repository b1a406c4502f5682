use std::os::unix::net::UnixStream;
use std::path::Path;

use nisse_testkit::{SimClock, SimDisk, SimEntropy};

use super::*;
use crate::signing::KeyKind;
use crate::wire::RefusalKind;

/// What a vault on this disk answers to each of these, one after the other.
fn answers(disk: &SimDisk, requests: &[Request]) -> Vec<Answer> {
    let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
    let keeper = || {
        let paths = VaultPaths { folder: "/h/vault".into(), key_file: "/h/keys/vault".into(), credential: None };
        let (clock, entropy) = (Arc::new(SimClock::default()), Arc::new(SimEntropy::new(disk.operations())));
        let cost = Cost { memory_kib: 64, passes: 1 };
        Keeper::open(Arc::new(disk.clone()), clock, entropy, paths, cost, false)
    };
    for request in requests {
        write_message(&mut ours, &request.encode()).expect("sent");
    }
    ours.shutdown(std::net::Shutdown::Write).expect("that is all");
    serve(keeper, &mut theirs).expect("served");
    // Not closed: what it has not read would break the socket for what it has written.
    theirs.shutdown(std::net::Shutdown::Write).expect("that is all of its answers");
    let mut read = || read_message(&mut ours, Answer::DOCUMENT).expect("an answer");
    std::iter::from_fn(|| read().map(|bytes| Answer::decode(&bytes).expect("an answer"))).collect()
}

#[test]
fn a_vault_answers_in_order_until_it_is_sealed() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/h")).expect("a folder");
    let wallet = || "wallet".parse().expect("a name");
    let drawn = Request::DrawKey { name: wallet(), kind: KeyKind::Secp256k1 };
    let signed = Request::SignDigest { name: wallet(), digest: [1; 32] };
    let missing = Request::RevealKey { name: "none".parse().expect("a name") };
    let heard = answers(&disk, &[drawn, signed, missing, Request::Seal, Request::Keys]);
    let [Answer::Keys(keys), Answer::Value(signed), Answer::Refused { kind: RefusalKind::NoSuchKey, .. }, Answer::Done] =
        heard.as_slice()
    else {
        panic!("{} answers, or others", heard.len());
    };
    assert_eq!((keys.len(), signed.len()), (1, 65));
}

#[test]
fn the_page_of_the_root_key_is_locked_where_the_limit_allows_it() {
    let locked_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("it is Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).expect("it says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    if getrlimit(Resource::Memlock).current.is_some_and(|bytes| bytes < 64 << 10) {
        return;
    }
    let before = locked_kib();
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/h")).expect("a folder");
    answers(&disk, &[Request::Status, Request::Status]);
    assert!(locked_kib() > before, "{before} KiB");
}
