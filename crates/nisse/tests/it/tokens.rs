//! Capability tokens: made by the owner, used by somebody who has nothing else, taken back while they are in use.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use insta::assert_snapshot;
use serde_json::Value;

use crate::devices;
use crate::harness::{Ended, Home, Node, eventually, example};

const READER: &str = "nisse.test.config-reader";

/// A running home with an identity and an agent.
fn begin(home: &Home) -> Node<'_> {
    let node = home.up(&[]);
    devices::begin(home, "laptop");
    home.ok(&["deploy", &example("config-reader")]);
    node
}

/// A token in a file of its own.
fn create(home: &Home, name: &str, args: &[&str]) -> PathBuf {
    let created = home.run(&[&["token", "create"], args].concat());
    assert_eq!(created.code, 0, "{}", created.err);
    assert!(created.err.contains("note: good until "), "{}", created.err);
    let text = created.out.trim();
    assert!(text.starts_with("nisse-token-1.") && !text.contains(char::is_whitespace), "the token stands there alone");
    let path = home.beside(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// What another user of this machine gets, who has a token and nothing of the home.
fn by(stranger: &Home, node: &Node<'_>, token: &str, args: &[&str]) -> Ended {
    stranger.run(&[args, &["--token", token, "--at", &node.api]].concat())
}

#[test]
fn a_token_does_what_it_is_for_and_nothing_else() {
    let (home, stranger) = (Home::new(), Home::new());
    let node = begin(&home);
    let file = create(&home, "reader.token", &["--agent", READER, "--can", "logs,status"]);
    let token = file.to_str().unwrap();

    let shown = home.json(&["token", "show", token]);
    let secret = std::fs::read_to_string(&file).unwrap();
    let can: Vec<_> = shown["can"].as_array().unwrap().iter().map(|one| one["scope"].as_str().unwrap()).collect();
    assert_eq!(can, [format!("/agent/logs?agent={READER}"), format!("/agent/status?agent={READER}")]);
    let identity = home.json(&["identity", "show"]);
    assert_eq!((&shown["identity"], &shown["node"]), (&identity["identity"], &identity["device"]));
    assert!(!home.ok(&["token", "show", token]).contains(&secret[20..80]));

    let status = by(&stranger, &node, token, &["status", READER]);
    assert!(status.code == 0 && status.out.contains("running"), "{status:?}");
    // On its own home a command finds the node by itself.
    assert_eq!(home.run(&["--token", token, "logs", READER]).code, 0);
    for args in [&["stop", READER][..], &["ls"], &["vault", "status"], &["token", "create", "--can", "/"]] {
        let refused = by(&stranger, &node, token, args);
        assert_eq!(refused.code, 3, "{args:?}: {refused:?}");
        assert!(refused.err.contains("it is for something else"), "{args:?}: {}", refused.err);
    }
    assert_eq!(home.json(&["status", READER])["state"], "running");
    let audit = eventually("the tries in the audit log", || {
        let audit = home.ok(&["audit", "ls", "-n", "100"]);
        audit.contains("is asked for").then_some(audit)
    });
    let keeper = create(&home, "keeper.token", &["--can", "/secret/set"]);
    assert_eq!(
        home.feed(&["--token", keeper.to_str().unwrap(), "secret", "set", "api"], b"a value of its own").code,
        0
    );
    let lines = home.json(&["audit", "ls", "-n", "2"]);
    let by_keeper =
        format!("token of {}", home.json(&["token", "show", keeper.to_str().unwrap()])["holder"].as_str().unwrap());
    assert_eq!((&lines[1]["by"], &lines[1]["act"]), (&Value::from(by_keeper), &Value::from("secret.set")));
    let holder = shown["holder"].as_str().unwrap();
    assert!(audit.contains(&format!("token of {holder}")), "{audit}");
    for whole in [&audit, &node.said()] {
        assert!(!whole.contains(&secret[20..80]), "a token is told to nobody else");
    }
}

#[test]
fn what_goes_on_by_a_token_ends_when_it_is_taken_back() {
    let (home, stranger) = (Home::new(), Home::new());
    let node = begin(&home);
    let file = create(&home, "reader.token", &["--agent", READER, "--can", "logs"]);
    let token = file.to_str().unwrap();
    let mut following = stranger.start(&["--token", token, "--at", &node.api, "logs", READER, "-f"]);
    following.hear(|line| line.contains("configured with"));
    node.ask_served(READER, "GET", "/while-it-is-good");
    following.hear(|line| line.contains("/while-it-is-good"));

    home.ok(&["token", "revoke", token]);
    let ended = following.end();
    assert!(!ended.out.contains("/too-late"), "{ended:?}");
    node.ask_served(READER, "GET", "/too-late");
    let again = by(&stranger, &node, token, &["logs", READER]);
    assert_snapshot!(again.refusal(), @r"
    exit 3
    error: failed to accept the token: it gives nothing here, or no longer
    hint: ask whoever made it for another; the node's audit log says why this one is refused
    ");
    eventually("the rule in the audit log", || home.ok(&["audit", "ls"]).contains("was taken back").then_some(()));
}

#[test]
fn what_goes_on_by_a_token_ends_with_its_time() {
    let (home, stranger) = (Home::new(), Home::new());
    let node = begin(&home);
    let file = create(&home, "short.token", &["--agent", READER, "--can", "logs", "--expires", "12s"]);
    let token = file.to_str().unwrap();
    let mut following = stranger.start(&["--token", token, "--at", &node.api, "logs", READER, "-f"]);
    following.hear(|line| line.contains("configured with"));
    following.end();
    let again = by(&stranger, &node, token, &["logs", READER]);
    assert_snapshot!(again.refusal(), @r"
    exit 3
    error: failed to accept the token: its time is over
    hint: ask whoever made it for another
    ");
}

#[test]
fn a_token_for_another_devices_key_is_used_by_that_device_alone() {
    let (home, other, stranger) = (Home::new(), Home::new(), Home::new());
    let node = begin(&home);
    let others = other.up(&[]);
    others.post("/api/v1/identity/device", &Value::Null);
    let did = other.json(&["identity", "show"])["device"].as_str().unwrap().to_owned();
    let file = create(&home, "for.token", &["--can", "/agent/list", "--for", &did]);
    let token = file.to_str().unwrap();
    assert_eq!(home.json(&["token", "show", token])["has_key"], false);
    let listed = by(&other, &node, token, &["ls"]);
    assert!(listed.code == 0 && listed.out.contains(READER), "{listed:?}");
    let refused = by(&stranger, &node, token, &["ls"]).refusal().replace(&did, "DID");
    assert_snapshot!(refused, @r"
    exit 3
    error: failed to use a token: it is for the key DID, which is not here
    hint: name the home of the device that has it with --home DIR
    ");
}

#[test]
fn mistakes_with_tokens_are_told_in_a_sentence() {
    let home = Home::new();
    let _node = begin(&home);
    let file = create(&home, "open.token", &["--can", "logs"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = file.to_str().unwrap();
    let told = [
        &["token", "create", "--agent", READER, "--can", "logz"][..],
        &["token", "create", "--agent", READER, "--can", "/audit/lines"],
        &["token", "create", "--can", "logs", "--expires", "31d"],
        &["token", "create", "--can", "logs", "--expires", "soon"],
        &["token", "create", "--can", "logs", "--for", "me"],
        &["token", "revoke", &"0".repeat(63)],
        &["--token", "x", "up"],
        &["--token", file, "ls"],
    ]
    .map(|args| home.run(args).refusal().replace(&home.beside("").display().to_string(), "DIR/"));
    assert_snapshot!(told.join("\n\n"), @r"
    exit 2
    error: failed to give a right: nothing here asks for /agent/logz?agent=nisse.test.config-reader
    hint: there are /agent/status, /agent/logs, /agent/logs/follow, /agent/start, /agent/stop, /agent/pause, and more in docs/openapi.json

    exit 2
    error: failed to narrow /audit/lines to one agent: it is about none
    hint: such as `logs,status`, or whole commands such as `/audit/lines`

    exit 2
    error: failed to make a token: it would be good for more than 30 days
    hint: name a time of at most 30 days

    exit 2
    error: failed to read `soon` as a time: expected a number from 1 with s, m, h or d behind it
    hint: such as 15m, 12h or 30d

    exit 2
    error: failed to read `me` as a key: expected did:key:z6Mk… with an Ed25519 public key

    exit 1
    error: failed to read 000000000000000000000000000000000000000000000000000000000000000: No such file or directory (os error 2)
    hint: name a file with a token: `nisse token create` prints one

    exit 2
    error: failed to use --token: the node runs here
    hint: leave out --token

    exit 3
    error: failed to use DIR/open.token: it is open to other users (mode 644)
    hint: `chmod 600 DIR/open.token`, and take it back if somebody else may have read it
    ");
}
