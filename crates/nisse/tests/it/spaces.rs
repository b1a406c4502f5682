//! A space from its first day: made, a ticket given, a client of automerge-repo in it, as its owner sees it.

mod agents;
mod files;
mod home;
mod invitations;
mod keeping;
mod kills;
mod objects;
mod owned;
mod schemas;
mod socket;
mod together;

use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;
use serde_json::Value;

use self::socket::{Socket, UPGRADE};
use crate::devices;
use crate::harness::{Home, eventually, example};
use crate::web;

/// What is different in each run, made the same.
fn plain(home: &Home, text: &str) -> String {
    let space = home.json(&["space", "show", "notes"]);
    let identity = home.json(&["identity", "show"]);
    let of = |value: &Value| value.as_str().unwrap().to_owned();
    let text = text.replace(&of(&space["space"]), "ID").replace(&of(&space["root"]), "automerge:ROOT");
    text.replace(&of(&identity["identity"]), "DID")
}

#[test]
fn a_space_is_made_and_a_client_with_a_ticket_comes_in() {
    let home = Home::new();
    let node = home.up(&[]);
    devices::begin(&home, "laptop");
    let made = home.run(&["space", "create", "notes"]);
    assert_snapshot!(plain(&home, &format!("{}{}", made.out, made.err)), @r"
    space      notes
    id         ID
    role       admin
    root       automerge:ROOT
    documents  0
    bytes      0
    connected  0
    note: `nisse space ticket notes` lets a client in
    ");
    let listed = home.ok(&["space", "ls"]);
    let listed: Vec<Vec<_>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(listed[0], ["space", "role", "documents", "bytes", "id"]);
    assert_eq!(listed[1][..4], ["home", "admin,", "home", "space"]);
    assert_eq!(plain(&home, &listed[2].join(" ")), "notes admin 0 0 ID");
    let members = home.ok(&["space", "members", "notes"]);
    let members: Vec<_> = members.split_whitespace().collect();
    assert_eq!(plain(&home, &members.join(" ")), "identity role devices connected DID admin, this home's 1 0");
    let space = home.json(&["space", "show", "notes"]);
    let id = space["space"].as_str().unwrap();
    assert_eq!(home.json(&["space", "show", &id[..8]]), space);
    assert_eq!(home.json(&["space", "ls"])[1]["name"], "notes");
    assert_eq!(home.json(&["space", "members", id])[0]["own"], true);

    let given = home.run(&["space", "ticket", "notes", "--role", "read", "--for", "10m"]);
    let url = given.out.trim();
    assert!(given.out.lines().count() == 1 && url.starts_with("ws://"), "the URL stands there alone: {given:?}");
    assert!(given.err.starts_with("note: good until ") && given.err.contains("role `read`"), "{}", given.err);
    let mut socket = Socket::open(&node.public, url);
    socket.join("laptop-1");
    let peer = String::from_utf8_lossy(&socket.hear()).into_owned();
    assert!(peer.contains("laptop-1") && peer.contains("storageId"), "{peer}");
    assert_eq!(home.json(&["space", "show", "notes"])["connected"], 1);
    let audit = eventually("the ticket in the audit log", || {
        let audit = home.ok(&["audit", "ls"]);
        audit.contains("space.ticket").then_some(audit)
    });
    for whole in [&audit, &node.said()] {
        assert!(!whole.contains("nst1_"), "a ticket is told to nobody else");
    }
    drop(socket);
    eventually("the client to be gone", || (home.json(&["space", "show", "notes"])["connected"] == 0).then_some(()));
}

#[test]
fn a_websocket_is_a_spaces_alone_and_an_agent_answers_as_ever() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("echo")]);
    node.echo_answers();
    let mut headers = UPGRADE.to_vec();
    headers.push(("host", "nisse.test.echo.localhost"));
    let answer = web::request(&node.public, "GET", "/spaces/a?ticket=b", &headers, b"").unwrap();
    assert!(answer.status == 200 && answer.header("nisse-receipt").is_some(), "{answer:?}");
}

#[test]
fn spaces_are_made_by_a_token_that_gives_no_ticket() {
    let home = Home::new();
    let node = home.up(&[]);
    devices::begin(&home, "laptop");
    let made = home.run(&["token", "create", "--can", "/space/create,/space/list,/space/ticket"]);
    let token = home.beside("space.token");
    std::fs::write(&token, made.out.trim()).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let by = |args: &[&str]| home.run(&[&["--token", token.to_str().unwrap(), "--at", &node.api], args].concat());
    eventually("the node to take requests by tokens", || (by(&["space", "ls"]).code == 0).then_some(()));
    assert_eq!(by(&["space", "create", "notes"]).code, 0);
    let refused = by(&["space", "ticket", "notes"]);
    assert!(refused.code == 3 && refused.err.contains("it would outlast"), "{refused:?}");
}

#[test]
fn mistakes_with_spaces_are_told_in_a_sentence() {
    let home = Home::new();
    let _node = home.up(&[]);
    let nobodys = home.run(&["space", "create", "notes"]).refusal();
    devices::begin(&home, "laptop");
    home.ok(&["space", "create", "notes"]);
    let told = [
        &["space", "create", "notes"][..],
        &["space", "create", "My Notes"],
        &["space", "show", "other"],
        &["space", "show", "../identity"],
        &["space", "ticket", "notes", "--for", "31d"],
        &["space", "ticket", "notes", "--for", "soon"],
    ]
    .map(|args| home.run(args).refusal());
    assert_snapshot!(nobodys, @r"
    exit 3
    error: failed to find an identity: this home belongs to nobody yet
    hint: `nisse identity new` makes one; `nisse device pair` joins that of another machine
    ");
    assert_snapshot!(told.join("\n\n"), @r"
    exit 3
    error: failed to make the space notes: there is one of that name here
    hint: `nisse space show notes` shows it

    exit 2
    error: failed to name a space `My Notes`: lower-case letters, digits and hyphens, at most 64
    hint: `nisse space create notes`, for one

    exit 1
    error: failed to find the space other: this home holds none of that name
    hint: `nisse space ls` lists those that it holds; `nisse space create NAME` makes one

    exit 1
    error: failed to find the space ../identity: this home holds none of that name
    hint: `nisse space ls` lists those that it holds; `nisse space create NAME` makes one

    exit 2
    error: failed to make a ticket: it would be good for no time at all, or for more than 30 days
    hint: name a time such as 1h; make another ticket when it is over

    exit 2
    error: failed to read `soon` as a time: expected a number from 1 with s, m, h or d behind it
    hint: such as 15m, 12h or 30d
    ");
    let role = home.run(&["space", "ticket", "notes", "--role", "admin"]);
    assert!(role.code == 2 && role.err.contains("[possible values: read, edit]"), "{role:?}");
}
