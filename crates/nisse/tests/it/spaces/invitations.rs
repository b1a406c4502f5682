//! Invitations that are listed and taken back.

use crate::devices::{begin, free_address, pair};
use crate::harness::{Home, eventually};

/// An invitation and its id.
fn invite(home: &Home, more: &[&str]) -> (String, String) {
    let made = home.json(&[&["space", "invite", "notes"], more].concat());
    let of = |key: &str| made[key].as_str().unwrap().to_owned();
    (of("invitation"), of("id"))
}

fn open(home: &Home) -> Vec<(String, u64)> {
    let listed = home.json(&["space", "invitations", "notes"]);
    let listed = listed.as_array().unwrap().iter();
    listed.map(|one| (one["id"].as_str().unwrap().to_owned(), one["left"].as_u64().unwrap())).collect()
}

#[test]
fn an_invitation_is_listed_with_what_is_left_and_taken_back_on_every_home() {
    let (home, laptop, bob, carol) = (Home::new(), Home::new(), Home::new(), Home::new());
    let link = free_address();
    let _home = home.up(&["--link", &link]);
    begin(&home, "home");
    pair(&home, &laptop, "laptop");
    let _laptop = laptop.up(&[]);
    home.ok(&["space", "create", "notes"]);
    let (words, id) = invite(&home, &["--role", "read", "--uses", "2", "--for", "10m"]);
    assert_eq!(open(&home), [(id.clone(), 2)]);
    let shown = home.ok(&["space", "invitations", "notes"]);
    assert!(shown.contains("2 of 2") && shown.contains("anybody") && shown.contains(&id[..16]), "{shown}");
    assert!(!shown.contains("nsi1_"), "{shown}");

    let _bob = bob.up(&["--link", &free_address()]);
    begin(&bob, "bob");
    assert_eq!(bob.run(&["space", "join", &words]).code, 0);
    assert_eq!(open(&home), [(id.clone(), 1)]);

    // The other device takes it back, and the home that made it lets nobody in any more.
    eventually("the laptop to hear of it", || {
        (laptop.run(&["space", "show", "notes"]).code == 0 && open(&laptop) == [(id.clone(), 1)]).then_some(())
    });
    let refused = bob.run(&["space", "uninvite", "notes", &id]).refusal();
    assert!(refused.starts_with("exit 3") && refused.contains("alone takes it back"), "{refused}");
    let unknown = laptop.run(&["space", "uninvite", "notes", &id[..7]]).refusal();
    assert!(unknown.contains("none of that id lets anybody into notes"), "{unknown}");
    laptop.ok(&["space", "uninvite", "notes", &id[..8]]);
    assert_eq!(open(&laptop), []);
    eventually("the home to hear of it", || open(&home).is_empty().then_some(()));
    let _carol = carol.up(&["--link", &free_address()]);
    begin(&carol, "carol");
    let late = carol.run(&["space", "join", &words]);
    assert!(late.code == 3 && late.err.contains("used up, ended, or taken back"), "{late:?}");
    let members = home.json(&["space", "members", "notes"]);
    assert_eq!(members.as_array().unwrap().len(), 2, "who came in by it stays: {members}");
    let audit = laptop.ok(&["audit", "ls"]);
    assert!(audit.contains("space.uninvite"), "{audit}");
    let again = laptop.run(&["space", "uninvite", "notes", &id]).refusal();
    assert!(again.contains("none of that id"), "{again}");
}

#[test]
fn a_code_that_is_read_out_lets_one_in_and_wrong_ones_end_it() {
    let (home, bob, carol) = (Home::new(), Home::new(), Home::new());
    let _home = home.up(&["--link", &free_address()]);
    begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    let _bob = bob.up(&["--link", &free_address()]);
    begin(&bob, "bob");
    let _carol = carol.up(&["--link", &free_address()]);
    begin(&carol, "carol");
    let show = || {
        let made = home.json(&["space", "invite", "notes", "--role", "read", "--code"]);
        assert!(made["invitation"].is_null(), "{made}");
        (made["ticket"].as_str().unwrap().to_owned(), made["code"].as_str().unwrap().to_owned())
    };
    let join =
        |who: &Home, ticket: &str, code: &str| who.feed(&["space", "join", ticket], format!("{code}\n").as_bytes());
    let wrong = |code: &str| if code == "000-000" { "000-001" } else { "000-000" };

    let (ticket, code) = show();
    let refused = join(&bob, &ticket, wrong(&code)).refusal();
    assert!(refused.starts_with("exit 3") && refused.contains("the code is not the one"), "{refused}");
    let joined = join(&bob, &ticket, &code);
    assert_eq!(joined.code, 0, "{joined:?}");
    // It is used up, however well it is known.
    let late = join(&carol, &ticket, &code).refusal();
    assert!(late.starts_with("exit 3") && late.contains("no code is shown there"), "{late}");

    let (ticket, code) = show();
    for left in (0..3).rev() {
        let refused = join(&carol, &ticket, wrong(&code)).refusal();
        assert!(refused.contains("the code is not the one"), "{left} left: {refused}");
    }
    let ended = join(&carol, &ticket, &code).refusal();
    assert!(ended.contains("no code is shown there"), "{ended}");
    let audit = home.ok(&["audit", "ls", "-n", "100"]);
    assert!(audit.contains("refused: a wrong code, 0 tries left"), "{audit}");
    assert!(!audit.contains(&code), "{audit}");

    // The code of before ends with the next one.
    let (_, before) = show();
    let (ticket, code) = show();
    if before != code {
        assert!(join(&carol, &ticket, &before).refusal().contains("the code is not the one"));
    }
    assert_eq!(join(&carol, &ticket, &code).code, 0);
    let members = home.json(&["space", "members", "notes"]);
    let roles: Vec<_> = members.as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles.iter().filter(|role| **role == "read").count(), 2, "{members}");

    // What a code is not for.
    let many = home.run(&["space", "invite", "notes", "--code", "--uses", "2"]);
    assert_eq!(many.code, 2, "{many:?}");
    let text = join(&bob, &ticket, "12-34").refusal();
    assert!(text.contains("expected six digits"), "{text}");
}
