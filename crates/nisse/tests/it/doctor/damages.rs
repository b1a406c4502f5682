//! Damages of a stopped home: each is found by its own check, and by no other.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Found, everything, lived_in};
use crate::harness::{Home, example};

/// Changes one bit of a file where this text stands in it.
pub(super) fn flip(file: &Path, text: &[u8]) {
    let mut bytes = fs::read(file).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text).expect("the text stands in the file");
    bytes[at + text.len() / 2] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// The same wherever it stands.
fn flip_everywhere(file: &Path, text: &[u8]) {
    while fs::read(file).unwrap().windows(text.len()).any(|window| window == text) {
        flip(file, text);
    }
}

/// Changes one bit at a third of the oldest file of a folder.
pub(super) fn flip_early(folder: &Path) {
    let file = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// A home like another one.
fn copy(home: &Home) -> Home {
    let copied = Home::new();
    copy_folder(&home.path(), &copied.path());
    copied
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_folder(&path, &copied) } else { fs::copy(&path, &copied).map(drop).unwrap() }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}

fn set_mode(path: PathBuf, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Damages a copy of the home, and holds what the doctor says of it against the words that it should say.
fn check(home: &Home, which: &str, damage: impl FnOnce(&Path), words: &[&str]) {
    let damaged = copy(home);
    damage(&damaged.path());
    let before = everything(&damaged.path());
    let found = Found::in_home(&damaged);
    assert!(everything(&damaged.path()) == before, "{which}: the home was touched");
    assert_eq!((found.code, found.told["sound"].as_bool()), (1, Some(false)), "{:#}", found.told);
    let problems = found.problems();
    assert!(!problems.is_empty() && problems.iter().all(|(name, _)| *name == which), "{which}: {:#}", found.told);
    let said = problems.iter().map(|(_, said)| *said).collect::<Vec<_>>().join("\n");
    for word in words {
        assert!(said.contains(word), "{which} does not say {word:?}: {said}");
    }
    for (_, problem) in problems {
        assert!(problem.contains("; ") && !problem.contains('\n'), "one sentence with what to do: {problem}");
    }
}

#[test]
fn each_damage_of_keys_and_settings_is_named_with_what_to_do() {
    let home = lived_in();
    let unset = "it is open to other users (mode 644); see that nothing in it was changed, then `chmod 600 ";
    check(&home, "keys", |home| set_mode(home.join("keys/vault"), 0o644), &["keys/vault: ", unset]);
    let missing =
        ["failed to find the key `operator`: the vault has none, and ", "; put `vault` and `keys` of this home back"];
    let all_of_it = |home: &Path| fs::remove_dir_all(home.join("vault")).unwrap();
    check(&home, "keys", all_of_it, &[&missing[..], &["failed to find the key `deployer`: "]].concat());
    let file = |text: &'static str| {
        move |home: &Path| {
            fs::write(home.join("keys/deployer"), text).unwrap();
            set_mode(home.join("keys/deployer"), 0o600);
        }
    };
    let invalid = "keys/deployer: it holds no secp256k1 key of 64 hex digits; put the key back from a copy";
    check(&home, "keys", file("mine"), &[invalid]);
    let damaged = |home: &Path| fs::write(home.join("vault/secrets"), "mine").unwrap();
    check(&home, "keys", damaged, &["failed to open the vault's file: it is not what was put there; "]);
    let beside = |home: &Path| {
        fs::write(home.join("keys/operator.old"), "copied").unwrap();
        set_mode(home.join("keys/operator.old"), 0o604);
    };
    check(&home, "keys", beside, &["keys/operator.old: it is open to other users (mode 604)"]);
    // Whose transactions these are is known from what was sent.
    let other = |home: &Path| {
        fs::write(home.join("keys/operator"), "11".repeat(32)).unwrap();
        set_mode(home.join("keys/operator"), 0o600);
    };
    check(&home, "transactions", other, &["/queue-operator: it belongs to key 0x", "; put that key back from a copy"]);
    check(&home, "token", |home| set_mode(home.join("token"), 0o644), &[unset]);
    check(&home, "token", |home| fs::write(home.join("token"), "guess").unwrap(), &["it holds no token"]);

    let unknown = |home: &Path| fs::write(home.join("nisse.toml"), "[market]\nprize = \"3\"\n").unwrap();
    check(&home, "configuration", unknown, &["nisse.toml: line 2: unknown field `prize`", "; mend that line"]);
    let wrong = |home: &Path| fs::write(home.join("nisse.toml"), "[market]\nprice = \"much\"\n").unwrap();
    check(&home, "configuration", wrong, &["failed to read market.price = \"much\": "]);
    check(
        &home,
        "home",
        |home| fs::write(home.join("format"), "nisse-home 99\n").unwrap(),
        &["its format 99 is newer"],
    );
    check(&home, "home", |home| fs::remove_file(home.join("format")).unwrap(), &["and no `format` file; "]);
    check(&home, "home", |home| set_mode(home.to_owned(), 0o755), &["open to other users (mode 755); "]);
}

#[test]
fn a_device_key_that_is_gone_is_named_with_what_to_do() {
    let home = Home::new();
    let node = home.up(&[]);
    crate::devices::begin(&home, "home");
    node.kill();
    let told = home.ok(&["doctor"]);
    assert!(told.contains(", device did:key:z6Mk"), "{told}");
    let gone = |home: &Path| fs::remove_dir_all(home.join("vault")).unwrap();
    check(
        &home,
        "keys",
        gone,
        &["failed to find the key `device`: the vault has none, and ", "`nisse identity recover`"],
    );
}

#[test]
fn each_damage_of_what_the_node_wrote_is_named_with_what_to_do() {
    let home = lived_in();
    let rebuild = "; `nisse doctor --rebuild-chain` rebuilds it from the journal";
    let journal = ["failed to read the journal: ", " is damaged at byte ", " back from a copy of this home"];
    check(&home, "journal", |home| flip_early(&home.join("journal")), &journal);
    check(
        &home,
        "journal",
        |home| fs::remove_dir_all(home.join("journal")).unwrap(),
        &["failed to find the journal in ", "; put it back from a copy of this home"],
    );
    check(&home, "chain", |home| flip_early(&home.join("chain/blocks")), &[" is damaged at byte ", rebuild]);
    check(&home, "chain", |home| fs::remove_dir_all(home.join("chain/blocks")).unwrap(), &["is gone", rebuild]);
    check(&home, "chain", |home| fs::remove_dir_all(home.join("chain")).unwrap(), &["is gone", rebuild]);
    check(&home, "chain", |home| fs::remove_dir_all(home.join("chain/queue-operator")).unwrap(), &[rebuild]);
    // What cannot be read now says nothing about the chain.
    let unreadable = |home: &Path| {
        fs::remove_dir_all(home.join("chain/blocks")).unwrap();
        fs::write(home.join("chain/blocks"), "no folder").unwrap();
    };
    check(&home, "chain", unreadable, &["Not a directory", "; see that the disk of the home folder can be read"]);
    let queue = |home: &Path| flip_early(&home.join("chain/queue-operator"));
    check(&home, "transactions", queue, &["failed to use the journal of transactions: ", rebuild]);
    for (which, file) in [("index", "state/index.redb"), ("state", "state/agents.redb")] {
        let restore = "put it back from a copy of this home";
        check(&home, which, |home| fs::write(home.join(file), [7; 9_000]).unwrap(), &[file, restore]);
        check(&home, which, |home| fs::remove_file(home.join(file)).unwrap(), &["failed to find ", file, restore]);
    }
    // What no start looks at: the middle of the file. The name stands in pages that are nobody's any more as well.
    let state = |home: &Path| flip_everywhere(&home.join("state/agents.redb"), b"nisse.test.counter");
    check(&home, "state", state, &["failed to open the database ", "put it back from a copy of this home"]);
}

#[test]
fn content_that_is_missing_or_damaged_is_named_by_its_id_and_by_who_needs_it() {
    let home = lived_in();
    let pack = |home: &Path| home.join("content/00000000.pack");
    let artifact = fs::read(Path::new(&example("counter")).join("counter.wasm")).unwrap();
    check(
        &home,
        "content",
        |home| flip(&pack(home), &artifact[..4_096]),
        &[
            "block bafkrei",
            " is missing: needed by pin `package/",
            "` of agent nisse.test.counter, agent nisse.test.counter; add the same file again with `nisse content add`",
        ],
    );
    check(
        &home,
        "content",
        |home| flip(&pack(home), b"a file of its owner's"),
        &["needed by pin `added/bafkrei", ", or give it up with `nisse content rm added/bafkrei"],
    );
    check(
        &home,
        "content",
        |home| flip(&pack(home), b"\"account\":\"hers\""),
        &["needed by pin `config/", "; put the folder `content` back from a copy of this home"],
    );
    check(
        &home,
        "content",
        |home| fs::remove_dir_all(home.join("content")).unwrap(),
        &["is missing: needed by agent nisse.test.counter; "],
    );
    // The first pin is that of the counter's package: its blocks are there, and nothing keeps them.
    check(
        &home,
        "content",
        |home| flip(&home.join("content/pins"), b"package/"),
        &[" of the list of pins are damaged: ", "no pin keeps bafkrei", "`nisse content gc` drops it; "],
    );
}
