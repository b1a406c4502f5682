//! A space as a file: written, taken back by a home that lost all, and refused where it is not whole or nobody's to have.

use std::os::unix::fs::PermissionsExt as _;

use crate::devices::{begin, free_address};
use crate::harness::{Home, Node, eventually};
use crate::web;

use super::together::{texts, write};

/// An export of the space `notes`, beside the home, and its bytes.
fn exported(home: &Home, name: &str) -> (String, Vec<u8>) {
    let path = home.beside(name);
    let written = home.ok(&["space", "export", "notes", path.to_str().unwrap()]);
    assert!(written.contains("chunks") && written.starts_with("space        notes\n"), "{written}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it is for its owner alone");
    (path.to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
}

fn counts(imported: &serde_json::Value) -> [u64; 4] {
    ["new", "held", "aside", "left"].map(|what| imported[what].as_u64().unwrap())
}

/// Sends bytes to the API as they are, as no command of ours would.
fn post(node: &Node<'_>, bytes: &[u8]) -> web::Answer {
    let token = std::fs::read_to_string(node.home().path().join("token")).unwrap();
    let token = format!("Bearer {}", token.trim());
    let headers = [("host", &*node.api), ("authorization", &*token)];
    web::request(&node.api, "POST", "/api/v1/imports", &headers, bytes).unwrap()
}

#[test]
fn a_home_that_lost_all_has_its_space_again_by_the_words_and_a_file() {
    let (home, back) = (Home::new(), Home::new());
    let node = home.up(&["--link", &free_address()]);
    let words = begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    for text in ["milk", "bread"] {
        write(&home, "notes", text);
    }
    let id = home.json(&["space", "show", "notes"])["space"].as_str().unwrap().to_owned();
    let (file, bytes) = exported(&home, "notes.space");
    let again = home.run(&["space", "export", "notes", &file]).refusal();
    assert!(again.starts_with("exit 3") && again.contains("something is there already"), "{again}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "it is as it was");

    // Where all of it is, nothing is new.
    let same = home.json(&["space", "import", &file]);
    let held = counts(&same)[1];
    assert!(counts(&same) == [0, held, 0, 0] && held >= 2 && same["credentials"] == 0, "{same}");
    node.kill();

    let recovered = back.feed(&["identity", "recover", "--name", "new"], words.as_bytes());
    assert_eq!(recovered.code, 0, "{}", recovered.err);
    let _back = back.up(&["--link", &free_address()]);
    let imported = back.json(&["space", "import", &file, "--as", "old-notes"]);
    assert_eq!((counts(&imported), imported["role"].as_str()), ([held, 0, 0, 0], Some("admin")), "{imported}");
    assert_eq!(imported["space"], id.as_str());
    assert_eq!(texts(&back, "old-notes"), ["bread", "milk"]);
    write(&back, "old-notes", "salt");
    assert_eq!(counts(&back.json(&["space", "import", &file])), [0, held, 0, 0], "a second time nothing is new");
    assert_eq!(texts(&back, "old-notes"), ["bread", "milk", "salt"]);
    let named = back.run(&["space", "import", &file, "--as", "other"]).refusal();
    assert!(named.contains("holds that space already, as old-notes"), "{named}");
    let audit = back.ok(&["audit", "ls"]);
    assert!(audit.contains("space.import"), "{audit}");
}

#[test]
fn what_is_no_whole_export_or_of_others_is_refused_in_a_sentence() {
    let (home, other) = (Home::new(), Home::new());
    let node = home.up(&["--link", &free_address()]);
    begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    write(&home, "notes", "milk");
    let (file, bytes) = exported(&home, "notes.space");
    let audit = home.ok(&["audit", "ls"]);
    assert!(audit.contains("space.export"), "{audit}");

    let others = other.up(&["--link", &free_address()]);
    let nobodys = other.run(&["space", "import", &file]).refusal();
    assert!(nobodys.contains("this home belongs to nobody yet"), "{nobodys}");
    begin(&other, "other");
    let stranger = other.run(&["space", "import", &file]).refusal();
    assert!(
        stranger.starts_with("exit 3") && stranger.contains("says that this home may read the space"),
        "{stranger}"
    );
    assert_eq!(
        other.json(&["space", "ls"]).as_array().unwrap().len(),
        1,
        "nothing of it was taken: the home space alone"
    );
    assert!(!stranger.contains("panicked"), "{stranger}");

    let damaged = |place: usize| {
        let mut bytes = bytes.clone();
        bytes[place] ^= 1;
        bytes
    };
    let last = bytes.len() - 60;
    let mut enormous = bytes.clone();
    enormous[20..24].copy_from_slice(&[0xff; 4]);
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("cut", bytes[..bytes.len() - 1].to_vec(), "it is cut off"),
        ("empty", Vec::new(), "it is cut off"),
        ("damaged", damaged(last), "it is damaged"),
        ("newer", damaged(18), "version 0: this nisse knows version 1"),
        ("foreign", b"PK\x03\x04 and so on".to_vec(), "read an export of a space: it is none"),
        ("enormous", enormous, "a part of 4294967295 bytes"),
    ];
    for (name, bytes, words) in cases {
        let path = home.beside(name);
        std::fs::write(&path, &bytes).unwrap();
        let told = home.run(&["space", "import", path.to_str().unwrap()]).refusal();
        assert!(told.starts_with("exit 2") && told.contains(words), "{name}: {told}");
        // The node is as strict where nobody looked before it.
        if !bytes.is_empty() {
            let answer = post(&node, &bytes);
            assert!(answer.status >= 400 && answer.status < 500, "{name}: {answer:?}");
        }
    }
    for missing in [home.beside("missing"), home.path()] {
        assert_ne!(home.run(&["space", "import", missing.to_str().unwrap()]).code, 0);
    }
    let unknown = home.beside("unknown.space");
    let told = home.run(&["space", "export", "unknown", unknown.to_str().unwrap()]).refusal();
    assert!(told.contains("holds none of that name") && !unknown.exists(), "{told}");
    assert_eq!(texts(&home, "notes"), ["milk"]);
    assert_eq!(counts(&home.json(&["space", "import", &file]))[0], 0);
    drop(others);
}

#[test]
fn a_token_may_export_where_it_says_so_and_imports_nothing() {
    let home = Home::new();
    let node = home.up(&[]);
    begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    write(&home, "notes", "milk");
    let made = home.run(&["token", "create", "--can", "/space/export,/space/import"]);
    let token = home.beside("space.token");
    std::fs::write(&token, made.out.trim()).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let by = |args: &[&str]| home.run(&[&["--token", token.to_str().unwrap(), "--at", &node.api], args].concat());
    let file = home.beside("notes.space");
    let file = file.to_str().unwrap();
    eventually("the node to take requests by tokens", || {
        (by(&["space", "export", "notes", file]).code == 0).then_some(())
    });
    let refused = by(&["space", "import", file]);
    assert!(refused.code == 3 && refused.err.contains("holds nothing in this home's name"), "{refused:?}");
    assert_eq!(counts(&home.json(&["space", "import", file]))[0], 0);
}
