//! Homes of one identity: paired by a code, controlled from afar, cut off, and brought back by the words of the kit.

mod key;
mod kills;

use std::time::Instant;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Ended, Home, Running, eventually, example, say};

const READER: &str = "nisse.test.config-reader";

/// An address for the link that a home has again after a crash.
pub(crate) fn free_address() -> String {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    taken.local_addr().unwrap().to_string()
}

/// The words that a command shows, in their order.
fn words_of(said: &str) -> Vec<String> {
    let numbered = said.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    let words = numbered.flat_map(str::split_whitespace).filter(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    words.map(str::to_owned).collect()
}

/// The same words, two of which changed places.
fn mistyped(words: &str) -> String {
    let mut words: Vec<_> = words.split(' ').collect();
    let place = words.windows(2).position(|pair| pair[0] != pair[1]).unwrap();
    words.swap(place, place + 1);
    words.join(" ")
}

/// Begins an identity as a person does: the words are read, and typed again.
pub(crate) fn begin(home: &Home, name: &str) -> String {
    let mut running = home.start(&["identity", "new", "--name", name]);
    let words = words_of(&running.hear(|line| line.starts_with("19 "))).join(" ");
    running.tell(&format!("{words}\n"));
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("identity  did:key:z6Mk"), "{}", ended.out);
    words
}

/// A code on a home, and what the other machine needs of it.
fn show_code(home: &Home) -> (Running, String, String) {
    show_code_for(home, &[])
}

fn show_code_for(home: &Home, whom: &[&str]) -> (Running, String, String) {
    ticket(home);
    let mut running = home.start(&[&["device", "pair"], whom].concat());
    let said = running.hear(|line| line.starts_with("and there the code"));
    let ticket = said.lines().find_map(|line| line.trim().strip_prefix("nisse device pair ")).unwrap();
    let code = said.trim().rsplit(' ').next().unwrap();
    (running, ticket.to_owned(), code.to_owned())
}

fn join(guest: &Home, ticket: &str, name: &str, code: &str) -> Ended {
    guest.feed(&["device", "pair", ticket, "--name", name], code.as_bytes())
}

/// Pairs a home that no node runs on with one that has one.
pub(crate) fn pair(home: &Home, guest: &Home, name: &str) {
    pair_for(home, guest, name, &[]);
}

pub(crate) fn pair_for(home: &Home, guest: &Home, name: &str, whom: &[&str]) {
    let (shown, ticket, code) = show_code_for(home, whom);
    let joined = join(guest, &ticket, name, &code);
    assert_eq!(joined.code, 0, "{}", joined.err);
    let (ended, kind) = (shown.end(), if whom.is_empty() { "a device" } else { "an agent" });
    assert!(ended.code == 0 && ended.out.contains(&format!(" is {kind} of this identity now")), "{ended:?}");
}

fn names(devices: &Value) -> Vec<&str> {
    let mut names: Vec<_> = devices.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

/// What `identity show` prints for others, once the node listens.
pub(crate) fn ticket(home: &Home) -> String {
    eventually("the node to listen", || {
        let shown = home.json(&["identity", "show"]);
        Some(format!("{}@{}", shown["device"].as_str()?, shown["addresses"].get(0)?.as_str()?))
    })
}

/// What is different in each run, made the same.
fn plain(text: &str) -> String {
    let mut plain = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let end = word.trim_end();
        let rest = &word[end.len()..];
        match end.split_once("did:key:z6Mk") {
            Some((before, key)) => {
                let after = key.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
                let after = if after.starts_with('@') { "@…" } else { after };
                plain.push(format!("{before}did:key:…{after}{rest}"));
            }
            None if end.starts_with('/') => plain.push(format!("/…{rest}")),
            None => plain.push(word.to_owned()),
        }
    }
    plain.concat()
}

#[test]
fn two_laptops_control_a_home_one_is_lost_and_the_kit_brings_another() {
    let (home, work, lost, stranger) = (Home::new(), Home::new(), Home::new(), Home::new());
    let link = free_address();
    let node = home.up(&["--link", &link]);
    home.ok(&["deploy", &example("config-reader")]);
    let words = begin(&home, "home");
    pair(&home, &work, "work");
    pair(&home, &lost, "lost");
    assert_eq!(names(&home.json(&["device", "ls"])), ["home", "lost", "work"]);

    // What the owner can do at home, a laptop can do from afar: without a node, a token or a word of the chain.
    let status = lost.json(&["--remote", "home", "status", READER]);
    assert_eq!(status["state"], "running", "{status}");
    work.ok(&["--remote", "home", "deploy", &example("echo")]);
    node.echo_answers();
    let mut following = lost.start(&["--remote", "home", "logs", "-f", READER]);
    following.hear(|line| line.contains("configured with"));
    node.ask_served(READER, "GET", "/seen");
    following.hear(|line| line.contains("asked for /seen"));

    // A stranger knows the address and the key, and is let in nowhere.
    let other = stranger.up(&["--link", &free_address()]);
    begin(&stranger, "stranger");
    let at = ticket(&home);
    let (did, address) = at.split_once('@').unwrap();
    let remote = json!([{ "name": "home", "did": did, "addresses": [address] }]);
    std::fs::write(stranger.path().join("remotes.json"), remote.to_string()).unwrap();
    let refused = stranger.run(&["--remote", "home", "status"]);
    assert_snapshot!(plain(&refused.refusal()), @r"
    exit 3
    error: failed to reach `home`: failed to be admitted by did:key:…
    hint: this device was cut off, or never admitted: `nisse device ls` there lists those that are
    ");
    other.kill();

    // A code that somebody asked for is worth as much as who asked.
    let mut asked = lost.start(&["--remote", "home", "device", "pair"]);
    let said = asked.hear(|line| line.starts_with("and there the code"));
    let left_open = said.trim().rsplit(' ').next().unwrap().to_owned();

    // What a device set it knows, unless another one has set it since.
    for name in ["theirs", "ours"] {
        assert_eq!(lost.feed(&["--remote", "home", "secret", "set", name], b"12345678").code, 0);
    }
    assert_eq!(home.feed(&["secret", "rotate", "ours"], b"87654321").code, 0);

    // The other laptop cuts the lost one off: its stream ends, and so does everything else.
    let revoked = work.run(&["--remote", "home", "device", "revoke", "lost"]);
    let told = Instant::now();
    let ended = following.ends("the stream of a device that was revoked to end");
    say(&format!(
        "a revoked device's stream ended {} ms after the command that revoked it",
        told.elapsed().as_millis()
    ));
    assert!(revoked.out.starts_with("revoked lost did:key:"), "{revoked:?}");
    assert_eq!(
        revoked.err,
        "note: it knows the value of theirs: change it where it comes from, then `nisse secret rotate`\n"
    );
    assert_ne!(ended.code, 0, "a stream that is cut is no end: {ended:?}");
    assert_snapshot!(plain(&lost.run(&["--remote", "home", "status"]).refusal()), @r"
    exit 3
    error: failed to reach `home`: failed to be admitted by did:key:…
    hint: this device was cut off, or never admitted: `nisse device ls` there lists those that are
    ");
    let accomplice = Home::new();
    let shut_out = join(&accomplice, &ticket(&home), "accomplice", &left_open);
    assert!(shut_out.code == 3 && shut_out.err.contains("failed to be admitted by"), "{shut_out:?}");
    assert_eq!(names(&work.json(&["--remote", "home", "device", "ls"])), ["home", "work"]);

    // It stays so after a crash of the home, and by the words a third machine is a device from then on.
    node.kill();
    let node = home.up(&["--link", &link]);
    let at = ticket(&home);
    assert_snapshot!(plain(&lost.run(&["--remote", "home", "status"]).refusal()), @r"
    exit 3
    error: failed to reach `home`: failed to be admitted by did:key:…
    hint: this device was cut off, or never admitted: `nisse device ls` there lists those that are
    ");
    let third = Home::new();
    let typed = mistyped(&words);
    let wrong = third.feed(&["identity", "recover", "--from", &at, "--name", "third"], typed.as_bytes());
    assert_ne!(wrong.code, 0, "{wrong:?}");
    let back = third.feed(&["identity", "recover", "--from", &at, "--name", "third"], words.as_bytes());
    assert_eq!(back.code, 0, "{}", back.err);
    assert_eq!(names(&third.json(&["--remote", "home", "device", "ls"])), ["home", "third", "work"]);
    assert_eq!(home.feed(&["kit", "check"], words.as_bytes()).code, 0);
    // With a new address it is met again; by who is no device of it, nowhere.
    let elsewhere = free_address();
    node.kill();
    let _node = home.up(&["--link", &elsewhere]);
    let at = ticket(&home);
    assert_snapshot!(plain(&lost.run(&["device", "meet", &at]).refusal()), @r"
    exit 3
    error: failed to be admitted by did:key:…
    hint: it knows nobody with this key: `nisse device pair` there shows a code for 10 minutes; where words were typed, they are those of another identity
    ");
    work.ok(&["device", "meet", &at]);
    work.ok(&["--remote", "home", "device", "ls"]);
    // What was done to rights has its author.
    let lines = home.json(&["audit", "ls", "-n", "100"]);
    let line = |act: &str, outcome: &str| {
        let mut lines = lines.as_array().unwrap().iter();
        let found = lines.find(|line| line["act"] == act && line["outcome"] == outcome);
        found.unwrap_or_else(|| panic!("{act} {outcome}: {lines:?}"))["by"].as_str().unwrap().to_owned()
    };
    assert!(line("device.revoke", "done").starts_with("device work did:key:"));
    assert_eq!(line("device.add", "done"), "owner");
    let brought = line("device.add", "heard of by exchange");
    assert!(brought.starts_with("the root key did:key:"), "{brought}");
}

#[test]
fn an_agent_does_what_its_delegation_says_hands_on_no_more_and_falls_with_it() {
    let (home, agent, helper, device) = (Home::new(), Home::new(), Home::new(), Home::new());
    let _node = home.up(&["--link", &free_address()]);
    home.ok(&["deploy", &example("config-reader")]);
    home.ok(&["deploy", &example("echo")]);
    begin(&home, "home");
    assert_snapshot!(home.run(&["device", "pair", "--can", "logs", "--expires", "soon"]).refusal(), @r"
    exit 2
    error: failed to read `soon` as a time: expected a number from 1 with s, m, h or d behind it
    hint: such as 15m, 12h or 30d
    ");
    assert_snapshot!(home.run(&["device", "pair", "--can", "/audit/lines", "--agent", READER]).refusal(), @r"
    exit 2
    error: failed to narrow /audit/lines to one agent: it is about none
    hint: such as `logs,status`, or whole commands such as `/audit/lines`
    ");
    pair_for(&home, &agent, "watcher", &["--can", "logs,status", "--agent", READER, "--expires", "1h"]);
    let listed = home.json(&["device", "ls"]);
    let watcher = listed.as_array().unwrap().iter().find(|one| one["name"] == "watcher").unwrap();
    assert_eq!(watcher["kind"], "agent");
    assert_eq!(watcher["can"], json!([format!("/agent/logs?agent={READER}"), format!("/agent/status?agent={READER}")]));

    // What it was given, and nothing else.
    agent.ok(&["--remote", "home", "logs", READER]);
    assert_eq!(agent.json(&["--remote", "home", "status", READER])["state"], "running");
    assert_snapshot!(plain(&agent.run(&["--remote", "home", "stop", READER]).refusal()), @r"
    exit 3
    error: failed to let watcher did:key:… do this: its delegation does not give /…
    hint: `nisse device ls` on a device of the identity says what each may do
    ");
    for other in [&["logs", "nisse.test.echo"][..], &["ls"], &["secret", "ls"], &["device", "ls"], &["device", "pair"]]
    {
        let refused = agent.run(&[&["--remote", "home"], other].concat());
        assert_eq!(refused.code, 3, "{other:?}: {refused:?}");
    }
    let tried = home.json(&["audit", "ls", "-n", "100"]);
    let tried = tried.as_array().unwrap().iter().find(|line| line["act"] == "api.try").unwrap().clone();
    assert!(tried["by"].as_str().unwrap().starts_with("agent watcher did:key:"), "{tried}");

    // What it has open ends with the right that it was opened by, though it may do something else for longer.
    let brief = Home::new();
    pair_for(&home, &brief, "brief", &["--can", "logs", "--expires", "10s"]);
    pair_for(&home, &brief, "brief", &["--can", "status", "--expires", "1h"]);
    let mut following = brief.start(&["--remote", "home", "logs", "-f", READER]);
    following.hear(|line| line.contains("configured with"));
    let ended = following.ends("an agent's stream to end with its right");
    assert_ne!(ended.code, 0, "{ended:?}");
    assert_eq!(brief.run(&["--remote", "home", "logs", READER]).code, 3);
    brief.ok(&["--remote", "home", "status", READER]);
    home.ok(&["device", "revoke", "brief"]);

    // With a node of its own it hands on what it has, or less, and admits no device.
    let _own = agent.up(&["--link", &free_address()]);
    ticket(&agent);
    assert_snapshot!(agent.run(&["device", "pair"]).refusal(), @r"
    exit 3
    error: failed to show a code: this home is an agent, and an agent admits no device
    hint: `nisse device ls` says what this home may do; a device of the identity may do all
    ");
    assert_snapshot!(agent.run(&["device", "pair", "--can", "logs", "--expires", "10m"]).refusal(), @r"
    exit 3
    error: failed to show a code: an agent hands on what its own delegation gives, for no longer
    hint: `nisse device ls` says what this home may do; a device of the identity may do all
    ");
    assert_eq!(agent.run(&["device", "pair", "--can", "logs", "--agent", READER, "--expires", "2h"]).code, 3);
    pair_for(&agent, &helper, "helper", &["--can", "logs", "--agent", READER, "--expires", "10m"]);
    let as_home = std::fs::read(agent.path().join("remotes.json")).unwrap();
    std::fs::write(helper.path().join("remotes.json"), as_home).unwrap();
    eventually("the home to hear of whom its agent handed on to", || {
        (helper.run(&["--remote", "home", "logs", READER]).code == 0).then_some(())
    });
    assert_eq!(helper.run(&["--remote", "home", "status", READER]).code, 3);
    assert_eq!(home.run(&["device", "pair", "--can", "logz"]).code, 2, "no route asks for it");

    // Whoever may look after devices admits nobody in the home's name: that would be more than it has.
    let keeper = Home::new();
    pair_for(&home, &keeper, "keeper", &["--can", "/device"]);
    keeper.ok(&["--remote", "home", "device", "ls"]);
    assert_snapshot!(keeper.run(&["--remote", "home", "device", "pair"]).refusal(), @r"
    exit 3
    error: failed to show a code: an agent or a token admits nobody in this home's name
    hint: the owner does it, or a device of the identity
    ");
    home.ok(&["device", "revoke", "keeper"]);

    // Who is revoked takes along whom it handed on to; a device stays whoever admitted it.
    pair(&home, &device, "device");
    home.ok(&["device", "revoke", "watcher"]);
    for gone in [&agent, &helper] {
        assert_eq!(gone.run(&["--remote", "home", "logs", READER]).code, 3);
    }
    assert_eq!(names(&device.json(&["--remote", "home", "device", "ls"])), ["device", "home"]);
}

#[test]
fn a_code_is_guessed_three_times_and_a_home_has_one_identity() {
    let (home, guest) = (Home::new(), Home::new());
    let _node = home.up(&["--link", &free_address()]);
    assert_snapshot!(home.run(&["device", "pair"]).refusal(), @r"
    exit 3
    error: failed to find an identity: this home belongs to nobody yet
    hint: `nisse identity new` makes one; `nisse device pair` joins that of another machine
    ");
    assert_snapshot!(home.run(&["device", "ls"]).refusal(), @r"
    exit 3
    error: failed to find an identity: this home belongs to nobody yet
    hint: `nisse identity new` makes one; `nisse device pair` joins that of another machine
    ");
    begin(&home, "home");
    assert_snapshot!(plain(&home.run(&["identity", "new"]).refusal()), @r"
    exit 3
    error: failed to begin an identity: this home belongs to did:key:…
    hint: name another home with --home DIR
    ");
    let (shown, to, code) = show_code(&home);
    let wrong = if code == "000-000" { "111-111" } else { "000-000" };
    assert_snapshot!(join(&guest, &to, "guest", wrong).refusal(), @r"
    exit 3
    error: failed to pair: the code is not the one that the other side has
    hint: type the code that the other machine shows; three wrong ones end it
    ");
    for _ in 0..2 {
        assert_eq!(join(&guest, &to, "guest", wrong).code, 3);
    }
    assert_snapshot!(plain(&join(&guest, &to, "guest", &code).refusal()), @r"
    exit 3
    error: failed to be admitted by did:key:…
    hint: it knows nobody with this key: `nisse device pair` there shows a code for 10 minutes; where words were typed, they are those of another identity
    ");
    assert_snapshot!(format!("exit {}\n{}", shown.end().code, home.run(&["identity", "show", "--json"]).code), @r"
    exit 3
    0
    ");
    assert_snapshot!(plain(&guest.run(&["--remote", "home", "status"]).refusal()), @r"
    exit 2
    error: failed to find the home `home`: /… knows no such name
    hint: `nisse device pair` on that machine shows how this one is paired with it; `nisse device meet TICKET --as NAME` where it is already
    ");
    assert_snapshot!(guest.run(&["--remote", "home", "up"]).refusal(), @r"
    exit 2
    error: failed to use --remote: the node runs here
    hint: leave out --remote, or run the command on that machine
    ");
    assert_snapshot!(join(&guest, "home@here", "guest", "000-000").refusal(), @r"
    exit 2
    error: failed to read `home@here` as a ticket: expected did:key:z6Mk…@ADDR:PORT, as the other machine shows it
    ");
    assert_snapshot!(join(&guest, &to, "guest", "12345").refusal(), @r"
    exit 2
    error: failed to read the pairing code: expected six digits, as in 483-920
    ");

    pair(&home, &guest, "guest");
    // It joins its own identity as often as it likes, and no other one.
    let other = Home::new();
    let _other = other.up(&["--link", &free_address()]);
    begin(&other, "other");
    let (_shown, foreign, code) = show_code(&other);
    assert_snapshot!(plain(&join(&guest, &foreign, "again", &code).refusal()), @r"
    exit 3
    error: failed to join: /… belongs to did:key:…, which does not know that device
    hint: name another home with --home DIR: a home belongs to one identity
    ");
    assert_snapshot!(plain(&home.run(&["device", "revoke", "home"]).refusal()), @r"
    exit 3
    error: failed to revoke home: a device does not revoke itself
    hint: do it on another device of the identity, or from one with --remote
    ");
    assert_snapshot!(plain(&home.run(&["device", "revoke", "nobody"]).refusal()), @r"
    exit 1
    error: failed to find the device `nobody`
    hint: `nisse device ls` lists them
    ");
    assert_snapshot!(plain(&home.run(&["device", "rename", "guest", "home"]).refusal()), @r"
    exit 3
    error: failed to rename guest: did:key:… is called home already
    hint: choose another name
    ");
    home.ok(&["device", "rename", "guest", "old laptop"]);
    assert_eq!(names(&guest.json(&["--remote", "home", "device", "ls"])), ["home", "old laptop"]);
    let others = "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title";
    assert_snapshot!(plain(&home.feed(&["kit", "check"], others.as_bytes()).refusal()), @r"
    exit 3
    error: failed to check the recovery kit: it is whole, and it is that of did:key:…
    hint: this home belongs to did:key:…
    ");
    assert_snapshot!(plain(&guest.run(&["--remote", "home", "device", "revoke", "old laptop"]).refusal()), @r"
    exit 3
    error: failed to revoke old laptop: a device does not revoke itself
    hint: do it on another device of the identity, or from one with --remote
    ");
    // Who has the same name gets a number, and who was cut off can be let in again.
    let namesake = Home::new();
    pair_for(&home, &namesake, "home", &["--can", "logs"]);
    assert_eq!(names(&home.json(&["device", "ls"])), ["home", "home 2", "old laptop"]);
    home.ok(&["device", "revoke", "old laptop"]);
    assert_eq!(guest.run(&["--remote", "home", "status"]).code, 3);
    pair(&home, &guest, "guest");
    guest.ok(&["--remote", "home", "status"]);
}

#[test]
fn an_identity_is_begun_by_whoever_wrote_the_words_down() {
    let home = Home::new();
    let _node = home.up(&["--link", &free_address()]);
    let mut running = home.start(&["identity", "new", "--name", "home"]);
    let words = words_of(&running.hear(|line| line.starts_with("19 "))).join(" ");
    running.tell(&mistyped(&words));
    let ended = running.end();
    assert!(ended.code != 0 && ended.err.contains("no identity was made"), "{ended:?}");
    assert_eq!(home.json(&["identity", "show"])["identity"], Value::Null);
    // The words of the first try open nothing; those of the second one do.
    let second = begin(&home, "home");
    assert_eq!(home.feed(&["kit", "check"], words.as_bytes()).code, 3);
    assert_eq!(home.feed(&["kit", "check"], second.as_bytes()).code, 0);
}
