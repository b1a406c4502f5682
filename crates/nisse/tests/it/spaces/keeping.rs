//! A home that keeps a part of a space: what it asks for, what it says of the rest, and how it has all of it again.

use serde_json::json;

use crate::devices::{begin, free_address};
use crate::harness::{Home, eventually};

use super::together::{texts, write};

fn patch(home: &Home, id: &str, text: &str) {
    home.ok(&["space", "patch", "notes", id, &json!({ "text": text }).to_string()]);
}

fn has(home: &Home, wanted: &[&str]) {
    eventually(&format!("the notes {wanted:?}"), || (texts(home, "notes") == wanted).then_some(()));
}

#[test]
fn a_home_keeps_a_part_of_a_space_and_says_so_and_has_all_of_it_again() {
    let (alice, bob) = (Home::new(), Home::new());
    let links = [free_address(), free_address()];
    let _alice = alice.up(&["--link", &links[0]]);
    begin(&alice, "alice");
    alice.ok(&["space", "create", "notes"]);
    let [first, second] = ["a", "b"].map(|text| write(&alice, "notes", text));
    let bobs = bob.up(&["--link", &links[1]]);
    begin(&bob, "bob");
    let invited = alice.run(&["space", "invite", "notes", "--role", "edit", "--for", "10m"]);
    bob.ok(&["space", "join", invited.out.trim()]);
    has(&bob, &["a", "b"]);
    assert_eq!(bob.json(&["space", "show", "notes"]).get("kept"), None, "it is kept whole");

    let kept = bob.run(&["space", "keep", "notes", "--only", &first]);
    assert_eq!(kept.code, 0, "{kept:?}");
    assert!(kept.out.contains("kept       2 documents, the root among them\n"), "{}", kept.out);
    assert_eq!(kept.err, "note: what is here of the rest stays as it is now; of others it is asked for no more\n");
    // What others change in it comes, whatever else they change and make stays where it is.
    patch(&alice, &second, "b, changed");
    let third = write(&alice, "notes", "c");
    patch(&alice, &first, "a, changed");
    has(&bob, &["a, changed", "b"]);
    let asked = bob.run(&["space", "query", "notes"]);
    assert_eq!(asked.err, "note: this home keeps a part of the space: 1 objects of it are not here\n");
    let unknown = bob.run(&["space", "get", "notes", &third]).refusal();
    assert!(unknown.contains("hint: this home keeps a part of the space"), "{unknown}");

    // What is made there is kept there; after a restart, too.
    let made = write(&bob, "notes", "d");
    has(&alice, &["a, changed", "b, changed", "c", "d"]);
    bobs.kill();
    let _bobs = bob.up(&["--link", &links[1]]);
    assert_eq!(bob.json(&["space", "show", "notes"])["kept"], 3);
    patch(&alice, &made, "d, changed");
    has(&bob, &["a, changed", "b", "d, changed"]);

    let whole = bob.run(&["space", "keep", "notes", "--all"]);
    assert_eq!((whole.code, whole.out.contains("kept")), (0, false), "{whole:?}");
    has(&bob, &["a, changed", "b, changed", "c", "d, changed"]);
    assert_eq!(bob.run(&["space", "query", "notes"]).err, "");
    assert!(bob.ok(&["audit", "ls"]).contains("space.keep"));
}

#[test]
fn what_is_no_part_of_a_space_is_not_kept() {
    let home = Home::new();
    let _node = home.up(&[]);
    begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    let id = write(&home, "notes", "a");
    for (arguments, exit, words) in [
        (&["notes", "--only", "01HQRS7T4V8WXYZ0123456789A"][..], 1, "find the object"),
        (&["notes", "--only", "milk"], 2, "failed to keep `milk`"),
        (&["home", "--only", &id], 3, "is a home space"),
        (&["other", "--all"], 1, "failed to find the space other"),
        (&["notes"], 2, "--only"),
        (&["notes", "--all", "--only", &id], 2, "cannot be used with"),
    ] {
        let refused = home.run(&[&["space", "keep"], arguments].concat());
        assert_eq!((refused.code, refused.err.contains(words)), (exit, true), "{arguments:?} {refused:?}");
    }
    assert_eq!(home.json(&["space", "show", "notes"]).get("kept"), None);
    // A document by its name, and the root alone.
    let root = home.json(&["space", "show", "notes"])["root"].as_str().unwrap().to_owned();
    home.ok(&["space", "keep", "notes", "--only", &root]);
    assert_eq!(home.json(&["space", "show", "notes"])["kept"], 1);
    assert_eq!(texts(&home, "notes"), ["a"], "what is here stays");
}
