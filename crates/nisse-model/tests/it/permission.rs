//! Permissions as texts: each kind reads what it prints, and refuses the rest with a hint.

use nisse_model::{ParsePermissionError, Permission};
use proptest::prelude::*;

fn refused(text: &str) -> String {
    let error = text.parse::<Permission>().unwrap_err();
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn each_kind_prints_what_it_reads() {
    for text in [
        "network_outbound:api.coingecko.com",
        "network_outbound:*.example.org:8443",
        "network_outbound:http://example.org",
        "network_local:192.168.1.20:993",
        "network_local:[fd00::20]:8080",
        "network_local:nas:443",
        "secret:openai@api.openai.com;method=GET+POST;path=/v1",
        "space:notes:read",
        "space:shared-1:edit",
        "space:*:read",
        "read_ipfs",
        "publish_to_chain",
    ] {
        assert_eq!(text.parse::<Permission>().unwrap().to_string(), text);
    }
}

#[test]
fn every_kind_stands_on_the_list_under_its_own_name() {
    for text in [
        "network_outbound:example.org",
        "network_local:nas:1",
        "secret:a@example.org",
        "space:notes:edit",
        "read_ipfs",
        "publish_to_chain",
    ] {
        let kind = text.parse::<Permission>().unwrap().kind();
        assert!(Permission::KINDS.contains(&kind) && text.starts_with(kind.name), "{text}");
        assert!(kind.form.starts_with(kind.name));
    }
    assert_eq!(Permission::KINDS.len(), 6);
}

#[test]
fn what_is_no_permission_is_refused_with_a_hint() {
    insta::assert_snapshot!(refused("network_outbond:example.org"), @r#"find the permission kind "network_outbond": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain; did you mean `network_outbound:HOST[:PORT]`?"#);
    insta::assert_snapshot!(refused("Read_IPFS"), @r#"find the permission kind "Read_IPFS": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain; did you mean `read_ipfs`?"#);
    insta::assert_snapshot!(refused(""), @r#"find the permission kind "": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain"#);
    insta::assert_snapshot!(refused("network_local:"), @"use `network_local` without arguments: expected `network_local:HOST:PORT`; write `network_local:HOST:PORT`");
    insta::assert_snapshot!(refused("read_ipfs:bafkrei"), @"use `read_ipfs` with arguments: expected `read_ipfs` alone; write `read_ipfs`");
    insta::assert_snapshot!(refused("read_ipfs "), @r#"find the permission kind "read_ipfs ": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain; did you mean `read_ipfs`?"#);
    insta::assert_snapshot!(refused("network_outbound:localhost"), @"use `localhost` as a public host: names under `localhost` are not public; write the full public name, or `network_local:localhost:PORT` for a service on your own network");
    insta::assert_snapshot!(refused("network_outbound:example.org:0"), @"read `0` as a port: a number from 1 to 65535 is expected");
    insta::assert_snapshot!(refused("secret"), @"use `secret` without arguments: expected `secret:NAME@HOST`; write `secret:NAME@HOST`");
    insta::assert_snapshot!(refused("secrets:a@example.org"), @r#"find the permission kind "secrets": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain; did you mean `secret:NAME@HOST`?"#);
    insta::assert_snapshot!(refused("secret:a@*.example.org"), @"send a secret to `*.example.org`: a secret is bound to exactly one host; write one `secret:` for each host that gets it");
    insta::assert_snapshot!(refused("space:notes"), @"read `notes` as what is allowed in a space: expected `NAME:read` or `NAME:edit`; write `space:notes:read` or `space:notes:edit`, for one");
    insta::assert_snapshot!(refused("space:*:edit"), @"allow an agent to write in every space: `*` is given with `read` alone; write one `space:NAME:edit` for each space that it writes in");
    insta::assert_snapshot!(refused("network_local:nas:65536"), @"read `65536` as a port: a number from 1 to 65535 is expected");
}

#[test]
fn an_over_long_permission_is_refused_unread() {
    let error = format!("network_outbound:{}", "a".repeat(600)).parse::<Permission>().unwrap_err();
    assert_eq!(error, ParsePermissionError::TooLong { length: 617 });
}

proptest! {
    #[test]
    fn a_permission_that_is_read_prints_itself(
        text in "(network_outbound:(http://)?(\\*\\.)?[a-z0-9]{1,6}\\.example\\.org|network_local:[a-z][a-z0-9]{0,6}):[1-9][0-9]{0,3}",
        place: prop::sample::Index,
        put in "[a-z0-9.:*/-]",
    ) {
        let permission: Permission = text.parse().unwrap();
        prop_assert_eq!(permission.to_string().parse::<Permission>().unwrap(), permission);
        // With one letter more it may be a permission or not; where it is, it prints itself too.
        let mut near = text;
        near.insert_str(place.index(near.len() + 1), &put);
        if let Ok(permission) = near.parse::<Permission>() {
            prop_assert_eq!(permission.to_string().parse::<Permission>().unwrap(), permission);
        }
    }

    #[test]
    fn a_secret_that_is_read_prints_itself(
        text in "secret:[a-zA-Z0-9._-]{1,8}@[a-z0-9]{1,6}\\.example\\.org(:[1-9][0-9]{0,3})?",
        parameters in prop::sample::subsequence(vec![
            ";header=x-key", ";as=basic", ";as=bearer", ";as=plain", ";method=GET", ";method=PUT+DELETE+GET", ";path=/",
            ";path=/v1/x", ";path=/a(b)~c,@:$!&'*+=/", ";header=authorization", ";port=1",
        ], 0..5).prop_shuffle(),
        place: prop::sample::Index,
        put in "[a-z0-9.:*/@;=+%-]",
    ) {
        let text = format!("{text}{}", parameters.concat());
        let keys = parameters.iter().map(|text| text.split('=').next());
        let sound = keys.clone().collect::<std::collections::BTreeSet<_>>().len() == parameters.len()
            && !parameters.contains(&";port=1");
        prop_assert_eq!(text.parse::<Permission>().is_ok(), sound, "{}", text);
        let mut near = text.clone();
        near.insert_str(place.index(near.len() + 1), &put);
        for text in [text, near] {
            if let Ok(permission) = text.parse::<Permission>() {
                let printed = permission.to_string();
                prop_assert_eq!(&printed.parse::<Permission>().unwrap(), &permission);
                prop_assert_eq!(permission.to_string(), printed);
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_of_permissions_panic(text in "(network_outbound:|network_local:|secret:(a@)?)?.{0,60}") {
        let _ = text.parse::<Permission>().map_err(|error| error.hint());
    }
}
