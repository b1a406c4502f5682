//! An agent that a space owns: its admins control it from their own homes, and nobody sees more than their role gives.

use serde_json::{Value, json};

use super::together::write;
use crate::devices::{begin, free_address, ticket};
use crate::harness::{Home, Node, eventually, example};

const READER: &str = "nisse.test.config-reader";
const COUNTER: &str = "nisse.test.counter";

/// A home that listens, and the identity that it belongs to.
fn home_of<'h>(home: &'h Home, link: &str, name: &str) -> (Node<'h>, String) {
    let node = home.up(&["--link", link]);
    begin(home, name);
    (node, identity(home))
}

fn identity(home: &Home) -> String {
    home.json(&["identity", "show"])["identity"].as_str().unwrap().to_owned()
}

/// Lets another home into a space of this one.
fn invite(host: &Home, space: &str, guest: &Home, role: &str) {
    let invited = host.run(&["space", "invite", space, "--role", role, "--for", "10m"]);
    assert_eq!(invited.code, 0, "{}", invited.err);
    let joined = guest.run(&["space", "join", invited.out.trim()]);
    assert_eq!(joined.code, 0, "{}", joined.err);
}

/// How a home comes to call another one `host`.
fn meet(host: &Home, guest: &Home) {
    let met = guest.run(&["device", "meet", &ticket(host), "--as", "host"]);
    assert_eq!(met.code, 0, "{}", met.err);
}

/// What the agents are that somebody sees on the home that they call `host`.
fn seen(home: &Home) -> Vec<String> {
    let list = home.json(&["--remote", "host", "ls"]);
    list.as_array().unwrap().iter().map(|one| one["agent_id"].as_str().unwrap().to_owned()).collect()
}

fn refused(home: &Home, args: &[&str]) -> String {
    let ended = home.run(&[&["--remote", "host"], args].concat());
    assert_eq!(ended.code, 3, "{args:?}: {ended:?}");
    ended.refusal()
}

#[test]
fn a_space_owns_an_agent_and_each_role_gives_what_it_says_and_nothing_else() {
    let (host, admin, editor, reader, stranger) = (Home::new(), Home::new(), Home::new(), Home::new(), Home::new());
    let link = free_address();
    let (node, hosts) = home_of(&host, &link, "host");
    let _others: Vec<_> = [(&admin, "admin"), (&editor, "editor"), (&reader, "reader"), (&stranger, "stranger")]
        .map(|(home, name)| home_of(home, &free_address(), name))
        .into();
    host.ok(&["space", "create", "team"]);
    host.ok(&["deploy", &example("echo")]);
    let deployed = host.run(&["deploy", &example("config-reader"), "--space", "team"]);
    assert_eq!(deployed.code, 0, "{}", deployed.err);
    let status = host.json(&["status", READER]);
    assert_eq!((&status["space"]["name"], &status["space"]["host"]), (&json!("team"), &json!(hosts)), "{status}");
    assert!(host.ok(&["ls"]).contains("team") && host.ok(&["status", READER]).contains("space        team "));

    let at = ticket(&host);
    for home in [&admin, &editor, &reader, &stranger] {
        let refused = home.run(&["--remote", &at, "ls"]);
        assert_eq!(refused.code, 3, "nobody is in the space yet: {refused:?}");
    }
    for (home, role) in [(&admin, "admin"), (&editor, "edit"), (&reader, "read")] {
        invite(&host, "team", home, role);
        meet(&host, home);
        assert_eq!(seen(home), [format!("{READER}@v1.0.0")], "{role}");
        assert_eq!(home.json(&["--remote", "host", "status", READER])["state"], "running");
    }
    let by_ticket = reader.json(&["--remote", &at, "ls"]);
    assert_eq!(by_ticket.as_array().unwrap().len(), 1, "{by_ticket}");
    assert_eq!(stranger.run(&["device", "meet", &at, "--as", "host"]).code, 3);

    // Reading gives the status, editing the log and an answer, and being admin its life.
    for args in [&["logs", READER][..], &["invoke", READER, "--event", "1"], &["pause", READER], &["stop", READER]] {
        let told = refused(&reader, args);
        assert!(told.contains("no space that owns an agent here gives them /agent/"), "{told}");
    }
    assert!(editor.ok(&["--remote", "host", "logs", READER]).contains("configured with"));
    let invoked = editor.run(&["--remote", "host", "invoke", READER, "--event", "1"]);
    assert!(!invoked.err.contains("may not") && !invoked.err.contains("no space that owns"), "{invoked:?}");
    for args in [
        &["pause", READER][..],
        &["stop", READER],
        &["destroy", READER],
        &["update", READER, &example("config-reader")],
    ] {
        refused(&editor, args);
    }
    admin.ok(&["--remote", "host", "pause", READER]);
    assert_eq!(host.json(&["status", READER])["state"], "paused");
    admin.ok(&["--remote", "host", "resume", READER]);
    admin.ok(&["--remote", "host", "stop", READER]);
    admin.ok(&["--remote", "host", "start", READER]);
    assert_eq!(seen(&admin).len(), 2, "the one that runs, and the one that ended");
    nothing_else_is_there(&host, &admin);

    // It is told whose hand it was.
    let admins = identity(&admin);
    let lines = host.json(&["audit", "ls", "-n", "200"]);
    let by_admin = |act: &str| {
        let is = |line: &&Value| {
            line["act"] == act && line["by"].as_str().unwrap().starts_with(&format!("member {admins} "))
        };
        lines.as_array().unwrap().iter().rfind(is).map(|line| line["outcome"].as_str().unwrap().to_owned())
    };
    for act in ["agent.pause", "agent.resume", "agent.stop", "agent.start"] {
        assert_eq!(by_admin(act).as_deref(), Some("done"), "{act}: {lines}");
    }
    assert!(by_admin("api.try").is_some_and(|tried| tried.starts_with("refused")), "{lines}");

    // A start of the home changes nothing.
    node.kill();
    let _node = host.up(&["--link", &link]);
    ticket(&host);
    assert_eq!(seen(&reader).len(), 2);
    admin.ok(&["--remote", "host", "destroy", READER]);
    assert_eq!(seen(&admin), Vec::<String>::new());
    assert_eq!(host.json(&["ls"]).as_array().unwrap().len(), 1, "the host's own runs on");
}

/// Whatever else a home can do, of every family of routes, is not there for a space's admin.
fn nothing_else_is_there(host: &Home, admin: &Home) {
    let own = host.json(&["status", "nisse.test.echo"])["deployment"].as_str().unwrap().to_owned();
    for agent in ["nisse.test.echo", "nisse.test.nothing", own.as_str()] {
        for what in ["status", "logs", "stop", "destroy", "start"] {
            refused(admin, &[what, agent]);
        }
    }
    // Of what they do control, what stands on no list.
    for args in [&["rollback", READER][..], &["fund", READER, "1"], &["status", &format!("{READER}@v1.0.0")]] {
        refused(admin, args);
    }
    let echo = example("echo");
    for args in [
        &["deploy", &echo][..],
        &["content", "ls"],
        &["content", "gc"],
        &["market", "ls"],
        &["market", "nodes"],
        &["audit", "ls"],
        &["secret", "ls"],
        &["seal"],
        &["wallet", "show"],
        &["identity", "show"],
        &["device", "ls"],
        &["space", "ls"],
        &["space", "show", "team"],
        &["space", "members", "team"],
        &["space", "query", "team"],
        &["space", "invite", "team", "--role", "read"],
        &["receipt", "show", &format!("{own}/1")],
    ] {
        let ended = admin.run(&[&["--remote", "host"], args].concat());
        assert!(ended.code == 3 && ended.out.is_empty(), "{args:?}: {ended:?}");
    }
}

#[test]
fn who_is_admin_no_longer_is_refused_at_once_and_what_they_follow_ends() {
    let (host, bob, carol) = (Home::new(), Home::new(), Home::new());
    let _host = home_of(&host, &free_address(), "host");
    let (_bob, bobs) = home_of(&bob, &free_address(), "bob");
    let (_carol, carols) = home_of(&carol, &free_address(), "carol");
    host.ok(&["space", "create", "team"]);
    host.ok(&["deploy", &example("config-reader"), "--space", "team"]);
    for guest in [&bob, &carol] {
        invite(&host, "team", guest, "admin");
        meet(&host, guest);
    }
    let mut following = bob.start(&["--remote", "host", "logs", "-f", READER]);
    following.hear(|line| line.contains("configured with"));
    let mut other = carol.start(&["--remote", "host", "logs", "-f", READER]);
    other.hear(|line| line.contains("configured with"));

    // With fewer rights what was begun by more ends; carol's goes on.
    host.ok(&["space", "role", "team", &bobs, "read"]);
    following.ends("what bob follows to end");
    refused(&bob, &["logs", READER]);
    assert_eq!(bob.json(&["--remote", "host", "status", READER])["state"], "running");
    host.ok(&["space", "revoke", "team", &bobs]);
    refused(&bob, &["ls"]);
    carol.ok(&["--remote", "host", "pause", READER]);

    // The host is no admin any more: it runs on there, and both control it.
    carol.ok(&["space", "role", "team", &identity(&host), "read"]);
    eventually("the host to hear of it", || (host.json(&["space", "show", "team"])["role"] == "read").then_some(()));
    carol.ok(&["--remote", "host", "resume", READER]);
    host.ok(&["pause", READER]);
    let again = host.run(&["deploy", &example("counter"), "--space", "team"]).refusal();
    assert!(again.contains("has not the role admin"), "{again}");

    // The host takes it back, which it may, since it is its machine: the other connection ends, too.
    host.ok(&["stop", READER]);
    host.ok(&["deploy", &example("config-reader")]);
    other.ends("what carol follows to end");
    refused(&carol, &["status", READER]);
    assert_eq!(host.json(&["status", READER])["space"], Value::Null);
    assert_ne!(carols, bobs);
}

#[test]
fn an_update_keeps_whose_it_is_and_a_members_takes_no_more_of_the_host() {
    let (host, bob) = (Home::new(), Home::new());
    let (node, _) = home_of(&host, &free_address(), "host");
    let _bob = home_of(&bob, &free_address(), "bob");
    for (args, why) in [(&["--space", "team"][..], "team"), (&["--space", "home"], "home space")] {
        let refused = host.run(&[&["deploy", &example("counter")], args].concat());
        assert!(refused.code != 0 && refused.err.contains(why), "{refused:?}");
    }
    host.ok(&["space", "create", "team"]);
    write(&host, "team", "a note");
    let paid = host.run(&["deploy", &example("counter"), "--space", "team", "--payment", "1"]);
    assert_eq!(paid.code, 2, "{paid:?}");
    host.ok(&["deploy", &example("counter"), "--space", "team"]);
    invite(&host, "team", &bob, "admin");
    meet(&host, &bob);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "1");

    let newer = bob.copy_of("counter", "newer");
    newer.edit("@v1.0.0", "@v1.1.0");
    let updated = bob.json(&["--remote", "host", "update", COUNTER, newer.path()]);
    assert_eq!((&updated["version"], &updated["space"]["name"]), (&json!("1.1.0"), &json!("team")), "{updated}");
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "2", "its state went with it");
    host.ok(&["update", COUNTER, &example("counter"), "--allow-downgrade"]);
    assert_eq!(seen(&bob), [format!("{COUNTER}@v1.0.0")], "the host's own update takes it from nobody");

    let greedy = bob.copy_of("counter", "greedy");
    greedy.edit("@v1.0.0", "@v1.2.0").edit("permissions: []", "permissions: [\"network_local:127.0.0.1:1\"]");
    let told = refused(&bob, &["update", COUNTER, greedy.path()]);
    assert!(told.contains("`network_local:127.0.0.1:1`, which it does not have"), "{told}");
    assert_eq!(host.json(&["status", COUNTER])["version"], "1.0.0");
}
