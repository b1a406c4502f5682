//! The home space: made with the identity, shared by its devices, and by nobody else.

use serde_json::{Value, json};

use crate::devices::{begin, free_address, pair, pair_for};
use crate::harness::{Home, eventually};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nthe rest of a picture";
const DEVICES: &str = r#"{"type":"select","filter":{"type":"object","typename":"nisse/type/Device","props":{}}}"#;

fn homes(home: &Home) -> Vec<String> {
    let spaces = home.json(&["space", "ls"]);
    let named = spaces.as_array().unwrap().iter().filter(|space| space["home"] == true);
    named.map(|space| space["name"].as_str().unwrap().to_owned()).collect()
}

fn space_of(home: &Home) -> Option<String> {
    let said = home.run(&["space", "show", "home", "--json"]);
    let shown: Value = serde_json::from_str(&said.out).ok()?;
    Some(shown["space"].as_str()?.to_owned())
}

/// What the devices are called in the home space, in order.
fn device_names(home: &Home) -> Vec<String> {
    let found = home.run(&["space", "query", "home", DEVICES]).out;
    let name = |line: &str| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned();
    let mut names: Vec<String> = found.lines().map(name).collect();
    names.sort();
    names
}

fn profile_name(home: &Home) -> Option<String> {
    let shown: Value = serde_json::from_str(&home.run(&["identity", "profile", "--json"]).out).ok()?;
    shown["name"].as_str().map(str::to_owned)
}

#[test]
fn it_is_made_with_the_identity_and_holds_the_profile() {
    let home = Home::new();
    let node = home.up(&[]);
    let none = home.run(&["identity", "profile"]);
    assert!(none.code == 3 && none.err.contains("belongs to nobody yet"), "{none:?}");
    begin(&home, "laptop");
    assert_eq!(homes(&home), ["home"]);
    assert!(home.ok(&["space", "ls"]).contains("admin, home space"));
    assert_eq!(profile_name(&home), None);

    let avatar = home.beside("avatar.png");
    std::fs::write(&avatar, PNG).unwrap();
    home.ok(&["identity", "profile", "--name", "Ada"]);
    let said = home.ok(&["identity", "profile", "--avatar", avatar.to_str().unwrap()]);
    assert!(said.contains("Ada") && said.contains(&format!("image/png, {} bytes", PNG.len())), "{said}");
    std::fs::write(&avatar, "<svg/>").unwrap();
    let refused = home.run(&["identity", "profile", "--avatar", avatar.to_str().unwrap()]);
    assert!(refused.code == 2 && refused.err.contains("no PNG, JPEG, GIF or WebP"), "{refused:?}");
    std::fs::write(&avatar, [PNG, &vec![0; 300 << 10]].concat()).unwrap();
    let refused = home.run(&["identity", "profile", "--avatar", avatar.to_str().unwrap()]);
    assert!(refused.code == 2 && refused.err.contains("more than 256 KiB"), "{refused:?}");
    let refused = home.run(&["identity", "profile", "--name", " "]);
    assert!(refused.code == 2 && refused.err.contains("from 1 to 128"), "{refused:?}");

    // The types are declared: what is no profile is refused by every way in.
    let wrong = json!({ "@type": "dxn:type:nisse/type/Profile:0.1.0", "name": 7 }).to_string();
    let refused = home.run(&["space", "put", "home", &wrong]);
    assert!(refused.code == 2 && refused.err.contains("at `/name`"), "{refused:?}");
    assert_eq!(device_names(&home), ["laptop"]);
    home.ok(&["device", "rename", "laptop", "old-laptop"]);
    eventually("the new name", || (device_names(&home) == ["old-laptop"]).then_some(()));

    node.kill();
    let _node = home.up(&[]);
    assert_eq!((homes(&home), profile_name(&home).as_deref()), (vec!["home".to_owned()], Some("Ada")));
    let shown = home.json(&["identity", "profile"]);
    assert_eq!(shown["avatar"]["media_type"], "image/png");
    let made = home.ok(&["audit", "ls"]);
    assert_eq!(made.lines().filter(|line| line.contains("space.create")).count(), 2, "asked and done, once: {made}");
    assert!(made.contains("identity.profile.set"), "{made}");
}

#[test]
fn nobody_is_invited_to_it_and_it_is_not_left() {
    let home = Home::new();
    let _node = home.up(&["--link", "127.0.0.1:0"]);
    begin(&home, "laptop");
    let other = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    for command in
        [&["space", "invite", "home"][..], &["space", "leave", "home"], &["space", "role", "home", other, "edit"]]
    {
        let refused = home.run(command);
        assert!(refused.code == 3 && refused.err.contains("home space"), "{refused:?}");
        assert!(refused.err.contains("nisse space create NAME"), "{refused:?}");
    }
    let taken = home.run(&["space", "create", "home"]);
    assert!(taken.code == 3 && taken.err.contains("there is one of that name"), "{taken:?}");
    assert_eq!(home.json(&["space", "members", "home"]).as_array().unwrap().len(), 1);
}

#[test]
fn devices_and_agents_of_the_identity_share_it() {
    let (home, laptop, agent) = (Home::new(), Home::new(), Home::new());
    let link = free_address();
    let _node = home.up(&["--link", &link]);
    begin(&home, "home");
    home.ok(&["identity", "profile", "--name", "Ada"]);
    pair(&home, &laptop, "laptop");
    pair_for(&home, &agent, "helper", &["--can", "/space/edit"]);
    let _at_work = laptop.up(&[]);
    let _helping = agent.up(&[]);
    for other in [&laptop, &agent] {
        eventually("the profile to come", || (profile_name(other).as_deref() == Some("Ada")).then_some(()));
        assert_eq!(space_of(other), space_of(&home));
        eventually("all names to come", || (device_names(other) == ["helper", "home", "laptop"]).then_some(()));
    }
    laptop.ok(&["identity", "profile", "--name", "Ada Lovelace"]);
    eventually("the new name", || (profile_name(&home).as_deref() == Some("Ada Lovelace")).then_some(()));
}

#[test]
fn an_agent_without_a_right_to_spaces_has_none_of_it() {
    let (home, agent) = (Home::new(), Home::new());
    let link = free_address();
    let _node = home.up(&["--link", &link]);
    begin(&home, "home");
    pair_for(&home, &agent, "helper", &["--can", "logs"]);
    let _helping = agent.up(&[]);
    let refused = agent.run(&["identity", "profile"]);
    assert!(refused.code != 0 && refused.err.contains("failed to find the home space"), "{refused:?}");
    assert!(homes(&agent).is_empty());
}

#[test]
fn two_that_were_made_apart_become_one_and_the_other_stays_readable() {
    let (home, back) = (Home::new(), Home::new());
    let link = free_address();
    let _node = home.up(&["--link", &link]);
    let words = begin(&home, "home");
    home.ok(&["identity", "profile", "--name", "Ada"]);
    // By the words alone it knows of no other device: at its first start it makes a home space of its own.
    let recovered = back.feed(&["identity", "recover", "--name", "back"], words.as_bytes());
    assert_eq!(recovered.code, 0, "{}", recovered.err);
    let apart = back.up(&[]);
    let own = eventually("a home space", || space_of(&back));
    assert_ne!(Some(&own), space_of(&home).as_ref());
    let note = json!({ "text": "written apart" }).to_string();
    let note: Value = serde_json::from_str(&back.ok(&["space", "put", "home", &note])).unwrap();
    drop(apart);
    // Now both hear of each other.
    let shown = home.json(&["identity", "show"]);
    let at = format!("{}@{}", shown["device"].as_str().unwrap(), shown["addresses"][0].as_str().unwrap());
    let met = back.feed(&["identity", "recover", "--from", &at, "--name", "back"], words.as_bytes());
    assert_eq!(met.code, 0, "{}", met.err);
    let _together = back.up(&[]);
    // The older one is the home space of both.
    eventually("one home space", || {
        (space_of(&back) == space_of(&home) && space_of(&back) != Some(own.clone())).then_some(())
    });
    eventually("the profile to come", || (profile_name(&back).as_deref() == Some("Ada")).then_some(()));
    assert_eq!((homes(&home).len(), homes(&back).len()), (1, 1));
    // What was written apart is read at both, in the space that was made apart.
    for one in [&home, &back] {
        eventually("the note to be there", || {
            let read = one.run(&["space", "get", &own, note["id"].as_str().unwrap()]);
            (read.code == 0).then_some(())
        });
    }
}
