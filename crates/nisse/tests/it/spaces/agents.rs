//! An agent in a sandbox, in its owner's spaces: what it reads and writes, in whose name, and what it may not.

use serde_json::{Value, json};

use crate::devices;
use crate::harness::{Home, Node, eventually, example, say};
use crate::web;

const LIBRARIAN: &str = "nisse.test.librarian";

/// What the agent answers to a request.
fn ask(node: &Node<'_>, method: &str, path: &str, body: &str) -> (u16, String) {
    let host = format!("{LIBRARIAN}.localhost");
    let answer = web::request(&node.public, method, path, &[("host", &host)], body.as_bytes()).unwrap();
    (answer.status, answer.text())
}

fn done(node: &Node<'_>, path: &str, body: &str) -> String {
    let (status, text) = ask(node, "POST", path, body);
    assert_eq!(status, 200, "{path}: {text}");
    text
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A home with two spaces and the agent, which may write in one of them and read the other.
fn begin(home: &Home) -> Node<'_> {
    let node = home.up(&[]);
    devices::begin(home, "laptop");
    home.ok(&["space", "create", "notes"]);
    home.ok(&["space", "create", "diary"]);
    home.ok(&["space", "create", "secret"]);
    home.ok(&["deploy", &example("librarian")]);
    node
}

fn titles(home: &Home, space: &str) -> Vec<String> {
    let found = home.ok(&["space", "query", space]);
    found.lines().map(|object| read(object)["title"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_agent_writes_in_its_own_name_and_others_see_it() {
    let home = Home::new();
    let node = begin(&home);
    let milk = read(&done(&node, "/put/notes", r#"{"title":"milk"}"#));
    let id = milk["id"].as_str().unwrap();
    assert_eq!(ask(&node, "GET", &format!("/get/notes/{id}"), ""), (200, milk.to_string()));
    assert_eq!(titles(&home, "notes"), ["milk"]);
    let changed = read(&done(&node, &format!("/patch/notes/{id}"), r#"{"done":true}"#));
    assert_eq!((&changed["title"], &changed["done"]), (&json!("milk"), &json!(true)));

    let history = home.json(&["space", "history", "notes", id]);
    assert_eq!(history["changes"][0]["name"], LIBRARIAN);
    assert_eq!(history["changes"][0]["identity"], home.json(&["identity", "show"])["identity"]);
    let members = home.json(&["space", "members", "notes"]);
    let keys = members[0]["keys"].as_array().unwrap();
    let agent = keys.iter().find(|key| key["name"] == LIBRARIAN).unwrap();
    assert_eq!(agent["role"], "edit");
    assert_eq!(agent["key"], history["changes"][0]["device"]);

    // What its owner writes it reads.
    home.ok(&["space", "put", "notes", r#"{"title":"bread"}"#]);
    home.ok(&["space", "put", "diary", r#"{"title":"rain"}"#]);
    let bread = r#"{"type":"select","filter":{"type":"object","typename":null,"props":{"title":{"type":"compare","operator":"eq","value":"bread"}}}}"#;
    assert_eq!(read(&done(&node, "/query/notes", bread))["title"], "bread");
    let every = r#"{"type":"select","filter":{"type":"object","typename":null,"props":{}}}"#;
    assert_eq!(read(&done(&node, "/query/diary", every))["title"], "rain");
    assert_eq!(ask(&node, "GET", "/spaces", ""), (200, "diary false\nnotes true".to_owned()));

    done(&node, &format!("/delete/notes/{id}"), "");
    assert_eq!(titles(&home, "notes"), ["bread"]);
    // A manual event writes, too.
    home.ok(&["invoke", LIBRARIAN, "--event", r#"{"title":"by an event"}"#]);
    assert_eq!(titles(&home, "notes"), ["bread", "by an event"]);
}

#[test]
fn what_an_invocation_changes_it_sees_at_once_and_a_trap_drops_it() {
    let home = Home::new();
    let node = begin(&home);
    let seen = done(&node, "/put-and-see/notes", r#"{"title":"milk"}"#);
    assert_eq!(read(&seen)["title"], "milk");
    let (status, _) = ask(&node, "POST", "/trap/notes", r#"{"title":"never"}"#);
    assert_eq!(status, 502);
    done(&node, "/many/notes/20", "");
    assert_eq!(titles(&home, "notes").len(), 21);
    assert!(!titles(&home, "notes").contains(&"never".to_owned()));
    assert_eq!(ask(&node, "GET", "/count", "").1, "21");
}

#[test]
fn what_an_agent_may_not_is_refused_with_its_cause() {
    let home = Home::new();
    let node = begin(&home);
    let refused = |path: &str, body: &str| {
        let (status, text) = ask(&node, "POST", path, body);
        assert_eq!(status, 409, "{path}: {text}");
        text
    };
    let said = refused("/put/diary", "{}");
    assert_eq!(said, "denied: use a space: the agent has no permission `space:diary:edit`");
    let said = refused("/put/secret", "{}");
    assert_eq!(said, "denied: use a space: the agent has no permission `space:secret:edit`");
    let said = refused("/query/secret", "{}");
    assert_eq!(said, "denied: use a space: the agent has no permission `space:secret:read`");
    assert!(refused("/put/notes", "[1]").starts_with("malformed: "));
    assert!(refused("/put/notes", r#"{"@what":1}"#).starts_with("malformed: "));
    assert!(refused("/query/notes", "{}").starts_with("malformed: "));
    assert!(refused("/patch/notes/what", "{}").starts_with("malformed: "));
    let unknown = refused("/patch/notes/01HQRS7T4V8WXYZ0123456789A", "{}");
    assert!(unknown.starts_with("not-found: "), "{unknown}");
    assert_eq!(titles(&home, "notes"), Vec::<String>::new());

    // Its owner takes its right back, and it is not given again.
    done(&node, "/put/notes", r#"{"title":"milk"}"#);
    home.ok(&["device", "revoke", LIBRARIAN]);
    assert_eq!(
        refused("/put/notes", "{}"),
        "denied: use a space: failed to use the space notes: the agent's right was taken back"
    );
    assert_eq!(titles(&home, "notes"), ["milk"], "what it wrote stays");
    assert_eq!(ask(&node, "GET", "/spaces", ""), (200, String::new()));
}

#[test]
fn an_agent_that_is_stopped_loses_its_key_and_what_it_wrote_stays() {
    let home = Home::new();
    let node = begin(&home);
    done(&node, "/put/notes", r#"{"title":"milk"}"#);
    let agents = |home: &Home| {
        let devices = home.json(&["device", "ls"]);
        let keys = devices.as_array().unwrap().iter().filter(|one| one["name"] == LIBRARIAN);
        keys.map(|one| one["device"].as_str().unwrap().to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    let first = agents(&home);
    assert_eq!(first.len(), 1);
    home.ok(&["stop", LIBRARIAN]);
    eventually("its key is taken back", || agents(&home).is_empty().then_some(()));
    assert_eq!(titles(&home, "notes"), ["milk"]);
    let audited = home.ok(&["audit", "ls", "-n", "100"]);
    assert!(audited.lines().any(|line| line.contains("device.revoke") && line.contains("it ended")), "{audited}");

    // Another deployment has a key of its own, and goes on with the same state.
    home.ok(&["start", LIBRARIAN]);
    done(&node, "/put/notes", r#"{"title":"bread"}"#);
    assert_eq!(titles(&home, "notes"), ["milk", "bread"]);
    let second = agents(&home);
    assert!(second.len() == 1 && second.is_disjoint(&first), "{first:?} {second:?}");
}

#[test]
fn a_sealed_vault_lets_an_agent_read_and_not_write() {
    let home = Home::new();
    let node = begin(&home);
    let milk = read(&done(&node, "/put/notes", r#"{"title":"milk"}"#));
    home.ok(&["seal"]);
    let path = format!("/get/notes/{}", milk["id"].as_str().unwrap());
    assert_eq!(ask(&node, "GET", &path, ""), (200, milk.to_string()));
    let (status, text) = ask(&node, "POST", "/put/notes", "{}");
    assert!(status == 409 && text.starts_with("unavailable: "), "{text}");
}

/// An agent counts in its state what it puts into a space, in the same invocation: however often the node is killed, the two
/// agree, and nothing that was answered is lost.
#[test]
fn state_and_space_agree_whatever_kills_the_node() {
    let kills = std::env::var("NISSE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12_u64);
    let home = Home::new();
    let mut node = begin(&home);
    let mut answered = 0;
    for kill in 0..kills {
        std::thread::scope(|scope| {
            let (public, host) = (node.public.clone(), format!("{LIBRARIAN}.localhost"));
            let writer = scope.spawn(move || {
                let mut answered = 0;
                while let Ok(answer) =
                    web::request(&public, "POST", "/put/notes", &[("host", &host)], br#"{"title":"one"}"#)
                {
                    match answer.status {
                        200 => answered += 1,
                        // It is about to come up, or to go.
                        503 => std::thread::sleep(std::time::Duration::from_millis(10)),
                        _ => panic!("{}: {}", answer.status, answer.text()),
                    }
                }
                answered
            });
            std::thread::sleep(std::time::Duration::from_millis(150 + 37 * (kill % 7)));
            node.kill();
            answered += writer.join().unwrap();
        });
        node = home.up(&[]);
    }
    let count = eventually("the agent answers", || {
        let (status, text) = ask(&node, "GET", "/count", "");
        (status == 200).then(|| text.parse::<usize>().unwrap())
    });
    let found = eventually("what was committed is made", || {
        let found = titles(&home, "notes").len();
        (found == count).then_some(found)
    });
    say(&format!("{answered} answered, {found} there, {kills} kills"));
    assert!(found >= answered, "{answered} were answered, and {found} are there");
    assert!(answered > 0);
}
