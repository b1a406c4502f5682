//! `access:` as agent.yaml has it, and the refusals of what is none.

use insta::assert_snapshot;
use nisse_model::{Access, AccessRule, AccessTo, ByteSize, HttpMethod, Manifest, Role, SigningKey, check};
use proptest::prelude::*;

use crate::manifest::{changed, refused};

/// The example with this in front of its permissions: `access` stands on line 14.
fn with(access: &str) -> String {
    format!("nisse: 1\n{access}\npermissions:")
}

fn wrong(access: &str) -> String {
    refused("permissions:", &with(access))
}

fn read(access: &str) -> Manifest {
    Manifest::parse(&changed("permissions:", &with(access))).unwrap_or_else(|errors| panic!("{errors}"))
}

fn rules(access: &str) -> Vec<AccessRule> {
    match read(access).access {
        Access::Rules(rules) => rules,
        Access::Anybody => panic!("rules stand there"),
    }
}

fn did(number: u8) -> String {
    SigningKey::from_seed(&[number; 32]).did().to_string()
}

fn warnings(access: &str) -> Vec<String> {
    let told = check(&read(access)).iter().map(ToString::to_string).collect::<Vec<_>>();
    told.into_iter().filter(|text| text.contains("`access`")).collect()
}

#[test]
fn without_access_everybody_is_admitted_and_with_an_empty_one_nobody() {
    assert_eq!(Manifest::parse(crate::manifest::TIP_EXAMPLE).unwrap().access, Access::Anybody);
    assert_eq!(rules("access: []"), []);
    assert_eq!(warnings("access: []"), ["`access` has no rule, so nobody reaches the endpoint from outside"]);
}

#[test]
fn every_kind_of_rule_is_read() {
    let (one, two, space) = (did(1), did(2), "ab".repeat(32));
    let found = rules(&format!(
        "access:\n  - to: public\n    paths: [/hook, \"/api/\"]\n    methods: [POST, GET]\n    rate: 60/min\n    \
         body: 64KiB\n  - to: owner\n  - to: {one}\n  - to: [{one}, \"{two}\"]\n  - to: {{space: {space}, role: edit}}\n  \
         - {{to: capability, rate: \"5/s\"}}"
    ));
    let kinds: Vec<_> = found.iter().map(|rule| rule.to.to_string()).collect();
    assert_eq!(kinds, ["public", "owner", "1 key", "2 keys", "space, edit", "capability"]);
    let first = &found[0];
    assert_eq!(first.paths.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/api/", "/hook"]);
    assert_eq!(first.methods.iter().copied().collect::<Vec<_>>(), [HttpMethod::Get, HttpMethod::Post]);
    assert_eq!((first.rate.unwrap().to_string().as_str(), first.body), ("60/min", Some(ByteSize(64 << 10))));
    assert!(matches!(&found[4].to, AccessTo::Space { space: name, role: Role::Edit } if name.to_string() == space));
    assert_eq!(found[5].rate.unwrap().count(), 5);
    // A space whose name is a number to YAML, and a body that takes nothing.
    assert_eq!(
        rules(&format!("access:\n  - to: {{space: {}, role: read}}\n    body: 0B", "1".repeat(64)))[0].body,
        Some(ByteSize(0))
    );
}

#[test]
fn what_is_probably_not_meant_is_told() {
    let own = |number| {
        format!(
            "rule {number} of `access` admits nobody on a node of somebody else: only its owner's own node knows their \
             devices, spaces and capabilities"
        )
    };
    assert_eq!(warnings("access:\n  - to: public\n  - to: owner\n  - to: capability"), [own(2), own(3)]);
    let twice = "rule 2 of `access` stands there before, so it decides nothing";
    assert_eq!(warnings("access:\n  - to: public\n  - to: public"), [twice]);
    assert!(warnings(&format!("access:\n  - to: public\n  - to: {}", did(1))).is_empty());
}

#[test]
fn access_without_the_version_is_refused() {
    assert_snapshot!(refused("permissions:", "access: []\npermissions:"), @"line 13, column 1: found `access` without `nisse: 1`, expected the version before keys that TIP-0042 does not have; add the line `nisse: 1`");
}

#[test]
fn access_that_is_no_list_of_rules_is_refused() {
    assert_snapshot!(wrong("access: public"), @"line 14, column 9: found text (`public`) for `access`, expected a list of rules, each with `to`; write each entry on a line of its own after `- `");
    assert_snapshot!(wrong("access:"), @"line 14, column 7: found nothing for `access`, expected a list of rules, each with `to`; write each entry on a line of its own after `- `");
    assert_snapshot!(wrong("access:\n  - public"), @"line 15, column 5: found text (`public`) for `access`, expected a rule such as `to: public`; write `to: public`");
    assert_snapshot!(wrong("access:\n  - [owner]"), @"line 15, column 5: found a list for `access`, expected a rule such as `to: public`");
    assert_snapshot!(wrong(&format!("access:{}", "\n  - to: public".repeat(17))), @"line 15, column 3: found 17 entries in `access`, expected at most 16");
}

#[test]
fn a_rule_that_admits_nobody_whom_one_could_name_is_refused() {
    assert_snapshot!(wrong("access:\n  - rate: 5/s"), @"line 15, column 5: found no `access.to`, expected public, owner, capability, a key did:key:z6Mk…, a list of keys, or {space: ID, role: read}");
    assert_snapshot!(wrong("access:\n  - to: publik"), @r#"line 15, column 9: found "publik" for `access.to`, expected public, owner, capability, a key did:key:z6Mk…, a list of keys, or {space: ID, role: read}; did you mean `public`?"#);
    assert_snapshot!(wrong("access:\n  - to: 7"), @r#"line 15, column 9: found a number (`7`) for `access.to`, expected public, owner, capability, a key did:key:z6Mk…, a list of keys, or {space: ID, role: read}; write "7""#);
    assert_snapshot!(wrong("access:\n  - to: did:web:example.org"), @r#"line 15, column 9: found "did:web:example.org" for `access.to`, expected a key did:key:z6Mk…"#);
    assert_snapshot!(wrong("access:\n  - to: []"), @r#"line 15, column 9: found "[]" for `access.to`, expected at least one"#);
    assert_snapshot!(wrong("access:\n  - to: [owner]"), @r#"line 15, column 10: found "owner" for `access.to`, expected a key did:key:z6Mk…"#);
    let keys: Vec<_> = (0..65).map(did).collect();
    assert_snapshot!(wrong(&format!("access:\n  - to: [{}]", keys.join(", "))), @"line 15, column 9: found 65 entries in `access.to`, expected at most 64");
    let twice = wrong(&format!("access:\n  - to: [{0}, {0}]", did(1)));
    assert!(
        twice.starts_with("line 15, column 68: found \"did:key:") && twice.ends_with("expected each of them once"),
        "{twice}"
    );
}

#[test]
fn a_rule_for_a_space_needs_its_name_and_a_role() {
    assert_snapshot!(wrong("access:\n  - to: {space: friends, role: read}"), @r#"line 15, column 17: found "friends" for `access.to.space`, expected a space's name of 64 hex digits"#);
    let space = "ab".repeat(32);
    assert_snapshot!(wrong(&format!("access:\n  - to: {{space: {space}}}")), @"line 15, column 9: found no `access.to.role`, expected read, edit or admin");
    assert_snapshot!(wrong("access:\n  - to: {role: read}"), @"line 15, column 9: found no `access.to.space`, expected a space's name of 64 hex digits");
    assert_snapshot!(wrong(&format!("access:\n  - to:\n      space: {space}\n      role: relay")), @r#"line 17, column 13: found "relay" for `access.to.role`, expected read, edit or admin"#);
    assert_snapshot!(wrong(&format!("access:\n  - to:\n      space: {space}\n      role: edit\n      rol: 1")), @r#"line 18, column 7: found the unknown key "rol", expected one of space, role; did you mean `role`?"#);
}

#[test]
fn paths_and_methods_of_another_form_are_refused() {
    assert_snapshot!(wrong("access:\n  - to: public\n    paths: [hook]"), @r#"line 16, column 13: found "hook" for `access.paths`, expected a path such as "/hook": it does not begin with `/`; write "/hook""#);
    assert_snapshot!(wrong("access:\n  - to: public\n    paths: [/a/../b]"), @r#"line 16, column 13: found "/a/../b" for `access.paths`, expected a path such as "/hook": it holds `//`, or a segment `.` or `..`, which servers read in different ways"#);
    assert_snapshot!(wrong("access:\n  - to: public\n    paths: []"), @r#"line 16, column 12: found "[]" for `access.paths`, expected at least one"#);
    assert_snapshot!(wrong("access:\n  - to: public\n    paths: /hook"), @"line 16, column 12: found text (`/hook`) for `access.paths`, expected a list; write each entry on a line of its own after `- `");
    assert_snapshot!(wrong("access:\n  - to: public\n    paths: [/a, /a]"), @r#"line 16, column 17: found "/a" for `access.paths`, expected each of them once"#);
    assert_snapshot!(wrong("access:\n  - to: public\n    methods: [post]"), @r#"line 16, column 15: found "post" for `access.methods`, expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS; write POST"#);
    assert_snapshot!(wrong("access:\n  - to: public\n    path: [/a]"), @r#"line 16, column 5: found the unknown key "path", expected one of to, paths, methods, rate, body; did you mean `paths`?"#);
}

#[test]
fn limits_of_another_form_are_refused() {
    assert_snapshot!(wrong("access:\n  - to: public\n    rate: 60/minute"), @r#"line 16, column 11: found "60/minute" for `access.rate`, expected 1 to 1000000 per s, min or h, such as 60/min; did you mean "60/min"?"#);
    assert_snapshot!(wrong("access:\n  - to: public\n    rate: 0/s"), @r#"line 16, column 11: found "0/s" for `access.rate`, expected 1 to 1000000 per s, min or h, such as 60/min"#);
    assert_snapshot!(wrong("access:\n  - to: public\n    body: 64KB"), @r#"line 16, column 11: found "64KB" for `access.body`, expected a size with its unit, such as 64KiB; did you mean "64KiB"?"#);
    assert_snapshot!(wrong("access:\n  - to: public\n    body: 9MiB"), @r#"line 16, column 11: found "9MiB" for `access.body`, expected at most 8MiB"#);
}

proptest! {
    #[test]
    fn no_access_makes_the_reader_panic(text in "[-?:,\\[\\]{}#&*!|>'\"%@`~<=a0 .\t\n/topaceshrul]{0,80}") {
        let _ = Manifest::parse(&changed("permissions:", &with(&format!("access:\n  - {text}"))));
    }

    #[test]
    fn a_rule_is_read_as_it_was_written(
        keys in proptest::collection::btree_set(0..200u8, 1..8),
        paths in proptest::collection::btree_set("/[a-z]{1,8}", 0..4),
        rate in proptest::option::of((1..=1_000_000u32, 0..3usize)),
        body in proptest::option::of(0..=8u64 << 20),
    ) {
        let listed: Vec<_> = keys.iter().map(|key| did(*key)).collect();
        let mut text = format!("access:\n  - to: [{}]", listed.join(", "));
        if !paths.is_empty() {
            text += &format!("\n    paths: [{}]", paths.iter().cloned().collect::<Vec<_>>().join(", "));
        }
        let rate = rate.map(|(count, per)| format!("{count}/{}", ["s", "min", "h"][per]));
        text += &rate.as_ref().map(|rate| format!("\n    rate: \"{rate}\"")).unwrap_or_default();
        text += &body.map(|body| format!("\n    body: {body}B")).unwrap_or_default();
        let found = rules(&text);
        let [rule] = found.as_slice() else { panic!("one rule stands there") };
        let AccessTo::Keys(read) = &rule.to else { panic!("keys stand there") };
        prop_assert_eq!(read.iter().map(ToString::to_string).collect::<std::collections::BTreeSet<_>>(), listed.into_iter().collect());
        prop_assert_eq!(rule.paths.iter().map(ToString::to_string).collect::<std::collections::BTreeSet<_>>(), paths);
        prop_assert_eq!(rule.rate.map(|rate| rate.to_string()), rate);
        prop_assert_eq!(rule.body, body.map(ByteSize));
    }
}
