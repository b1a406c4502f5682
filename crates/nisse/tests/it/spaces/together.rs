//! Homes that hold a space together: devices of one identity, and members who were invited.

use serde_json::{Value, json};

use crate::devices::{begin, free_address, pair, pair_for};
use crate::harness::{Home, Node, eventually};

/// A note, and the id that it has.
pub(super) fn write(home: &Home, space: &str, text: &str) -> String {
    let put = home.json(&["space", "put", space, &json!({ "text": text }).to_string()]);
    put["id"].as_str().unwrap().to_owned()
}

/// The texts of all notes of a space, in order.
pub(super) fn texts(home: &Home, space: &str) -> Vec<String> {
    let found = home.run(&["space", "query", space]);
    let mut texts: Vec<String> = found
        .out
        .lines()
        .filter_map(|line| {
            let object: Value = serde_json::from_str(line).unwrap();
            object["text"].as_str().map(str::to_owned)
        })
        .collect();
    texts.sort();
    texts
}

fn has(home: &Home, space: &str, wanted: &[&str]) {
    eventually(&format!("the notes {wanted:?}"), || (texts(home, space) == wanted).then_some(()));
}

fn up<'h>(home: &'h Home, link: &str) -> Node<'h> {
    home.up(&["--link", link])
}

#[test]
fn a_laptop_and_a_phone_that_never_meet_have_the_same_through_an_agent() {
    let (home, laptop, phone) = (Home::new(), Home::new(), Home::new());
    let link = free_address();
    let node = up(&home, &link);
    begin(&home, "home");
    pair(&home, &laptop, "laptop");
    pair(&home, &phone, "phone");
    home.ok(&["space", "create", "notes"]);
    write(&home, "notes", "by the home");

    let at_work = laptop.up(&[]);
    eventually("the space to come to the laptop", || (laptop.run(&["space", "show", "notes"]).code == 0).then_some(()));
    has(&laptop, "notes", &["by the home"]);
    write(&laptop, "notes", "by the laptop");
    has(&home, "notes", &["by the home", "by the laptop"]);
    at_work.kill();

    // The agent is killed, too; what it told of is there.
    node.kill();
    let _node = up(&home, &link);
    let _on_the_way = phone.up(&[]);
    eventually("the space to come to the phone", || (phone.run(&["space", "show", "notes"]).code == 0).then_some(()));
    has(&phone, "notes", &["by the home", "by the laptop"]);
    write(&phone, "notes", "by the phone");
    let all = ["by the home", "by the laptop", "by the phone"];
    has(&home, "notes", &all);
    let _at_work = laptop.up(&[]);
    has(&laptop, "notes", &all);

    // Whose change it is says the device that made it.
    let found = home.run(&["space", "query", "notes"]).out;
    let of_phone: Value = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|one: &Value| one["text"] == all[2])
        .unwrap();
    let history = home.json(&["space", "history", "notes", of_phone["id"].as_str().unwrap()]);
    assert_eq!(history["changes"][0]["name"], "phone", "{history}");
}

#[test]
fn somebody_is_invited_writes_and_is_revoked_and_what_they_wrote_stays() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let links = [free_address(), free_address(), free_address()];
    let _alice = up(&alice, &links[0]);
    begin(&alice, "alice");
    alice.ok(&["space", "create", "notes"]);
    write(&alice, "notes", "by alice");
    let bobs = up(&bob, &links[1]);
    begin(&bob, "bob");

    let invited = alice.run(&["space", "invite", "notes", "--role", "edit", "--uses", "2", "--for", "10m"]);
    let invitation = invited.out.trim();
    assert!(invitation.starts_with("nsi1_") && invited.out.lines().count() == 1, "{invited:?}");
    let joined = bob.run(&["space", "join", invitation]);
    assert_eq!(joined.code, 0, "{}", joined.err);
    assert!(joined.out.contains("role       edit"), "{}", joined.out);
    has(&bob, "notes", &["by alice"]);
    write(&bob, "notes", "by bob");
    has(&alice, "notes", &["by alice", "by bob"]);
    let again = bob.run(&["space", "join", invitation]).refusal();
    assert!(again.contains("holds that space already"), "{again}");

    // The third comes in by the same words, while nobody is at the keyboard.
    let _carol = up(&carol, &links[2]);
    begin(&carol, "carol");
    assert_eq!(carol.feed(&["space", "join", "--as", "shared"], invitation.as_bytes()).code, 0);
    has(&carol, "shared", &["by alice", "by bob"]);
    let fourth = Home::new();
    let _fourth = fourth.up(&[]);
    begin(&fourth, "dave");
    let late = fourth.run(&["space", "join", invitation]);
    assert_eq!(late.code, 3, "{late:?}");
    let members = alice.json(&["space", "members", "notes"]);
    assert_eq!(members.as_array().unwrap().len(), 3, "{members}");

    // Bob is cut off while he is away; what he writes from then on is in nobody's state.
    let bobs_did = bob.json(&["identity", "show"])["identity"].as_str().unwrap().to_owned();
    bobs.kill();
    alice.ok(&["space", "revoke", "notes", &bobs_did]);
    has(&alice, "notes", &["by alice", "by bob"]);
    has(&carol, "shared", &["by alice", "by bob"]);
    let _bobs = up(&bob, &links[1]);
    // He does not know yet, and no one tells him: he is let in nowhere.
    write(&bob, "notes", "by bob, too late");
    write(&carol, "shared", "by carol");
    let all = ["by alice", "by bob", "by carol"];
    has(&alice, "notes", &all);
    has(&carol, "shared", &all);
    let audit = alice.ok(&["audit", "ls"]);
    for act in ["space.invite", "space.join", "space.role"] {
        assert!(audit.contains(act), "{act} is not in {audit}");
    }
    assert!(!audit.contains("nsi1_"));

    // Who reads and does not write is told so; a role that changes counts at once.
    let carols_did = carol.json(&["identity", "show"])["identity"].as_str().unwrap().to_owned();
    alice.ok(&["space", "role", "notes", &carols_did, "read"]);
    eventually("carol to hear of it", || (carol.json(&["space", "show", "shared"])["role"] == "read").then_some(()));
    let refused = carol.run(&["space", "put", "shared", r#"{"text":"no"}"#]);
    assert_eq!(refused.code, 3, "{refused:?}");
    carol.ok(&["space", "leave", "shared"]);
    eventually("carol to be gone", || {
        (alice.json(&["space", "members", "notes"]).as_array().unwrap().len() == 1).then_some(())
    });
}

#[test]
fn an_agent_reads_and_writes_a_space_as_its_delegation_says_and_shows_as_its_users() {
    let (home, agent) = (Home::new(), Home::new());
    let _home = home.up(&[]);
    begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    write(&home, "notes", "by the home");
    pair_for(&home, &agent, "agent", &["--can", "/space/edit"]);
    let _agent = agent.up(&[]);
    eventually("the space to come to the agent", || (agent.run(&["space", "show", "notes"]).code == 0).then_some(()));
    has(&agent, "notes", &["by the home"]);
    write(&agent, "notes", "by the agent");
    has(&home, "notes", &["by the agent", "by the home"]);
    let members = home.json(&["space", "members", "notes"]);
    let keys = members[0]["keys"].as_array().unwrap();
    let of_agent = keys.iter().find(|key| key["name"] == "agent").unwrap();
    assert_eq!((&of_agent["role"], &of_agent["connected"]), (&json!("edit"), &json!(true)), "{members}");
    home.ok(&["device", "revoke", "agent"]);
    has(&home, "notes", &["by the agent", "by the home"]);
    eventually("the agent to be gone", || {
        let members = home.json(&["space", "members", "notes"]);
        members[0]["keys"].as_array().unwrap().iter().all(|key| key["connected"] == false).then_some(())
    });
}

#[test]
fn mistakes_with_invitations_are_told_in_a_sentence() {
    let (home, other) = (Home::new(), Home::new());
    let _home = home.up(&[]);
    begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    let _other = other.up(&[]);
    let invitation = home.run(&["space", "invite", "notes", "--for", "10m"]).out.trim().to_owned();
    let nobodys = other.run(&["space", "join", &invitation]).refusal();
    assert!(nobodys.contains("belongs to nobody yet"), "{nobodys}");
    begin(&other, "other");
    for (args, words) in [
        (&["space", "join", "nsi1_abc"][..], "a part of it is missing"),
        (&["space", "join", &invitation[..invitation.len() - 2]], "a part of it is missing"),
        (&["space", "leave", "notes"], "holds none of that name"),
        (&["space", "invite", "notes"], "holds none of that name"),
    ] {
        let told = other.run(args).refusal();
        assert!(told.contains(words), "{args:?}: {told}");
    }
    let own = home.json(&["identity", "show"])["identity"].as_str().unwrap().to_owned();
    for (args, words) in [
        (&["space", "invite", "notes", "--for", "40d"][..], "more than 30 days"),
        (&["space", "invite", "notes", "--uses", "0"], "from 1 to 1000"),
        (&["space", "invite", "notes", "--only", "bob"], "did:key"),
        (&["space", "revoke", "notes", &own], "leaves with `nisse space leave`"),
        (&["space", "role", "notes", &own, "read"], "leaves with `nisse space leave`"),
    ] {
        let told = home.run(args).refusal();
        assert!(told.contains(words), "{args:?}: {told}");
    }
    // One that is meant for somebody else lets nobody else in.
    let meant = home.run(&["space", "invite", "notes", "--only", &own]).out.trim().to_owned();
    let told = other.run(&["space", "join", &meant]).refusal();
    assert!(told.contains("meant for somebody else"), "{told}");
    // A space of that name is there already.
    other.ok(&["space", "create", "notes"]);
    let told = other.run(&["space", "join", &invitation]).refusal();
    assert!(told.contains("there is a space of the name notes here"), "{told}");
    assert_eq!(other.run(&["space", "join", &invitation, "--as", "theirs"]).code, 0);
}
