//! Answers and authorities: each one that is not an allowed public host is refused, in both schemes.

use anyhow::ensure;
use serde_json::json;

use super::case::Run;
use super::names::{HOST, REFUSED, refused_name};

/// Texts that are no host that the agent may reach. Nobody is asked about them.
const AUTHORITIES: &[(&str, &[&str])] = &[
    ("E6", &["[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::ffff:10.0.0.1]", "[::127.0.0.1]"]),
    ("E7", &["[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001::7f00:1]", "[2001:470::5efe:10.0.0.1]"]),
    (
        "E8",
        &[
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.1",
            "127.0.1",
            "017700000001",
            "0x7f.0x0.0x0.0x1",
            "08.8.8.8",
            "256.1.1.1",
            "1.2.3.4.5",
            "example.0x10",
        ],
    ),
    ("E9", &["①②⑦.0.0.1", "１２７.0.0.1", "127。0。0。1", "allowed。example。org", "ａllowed.example.org"]),
    ("E10", &["0.0.0.0", "[::]", "255.255.255.255", "224.0.0.1", "[ff02::1]", "192.0.0.8", "198.18.0.1", "240.0.0.1"]),
    ("E11", &["[fe80::1%25home0]", "[fe80::1%home0]", "fe80::1%1", "[fe80::1]"]),
    ("E12", &["metadata.google.internal", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200"]),
    ("E13", &["93.184.216.2", "[2606:2800:220:1::2]", "93.184.216.2:7474", "127.0.0.1:7474", "192.168.7.2:7480"]),
    ("E14", &["localhost", "LOCALHOST", "localhost.", "foo.localhost", "ip6-localhost", "localhost:7474", "127.0.0.1"]),
    ("E15", &["allowed.example.org.", "[allowed.example.org]", "allowed.example.org..", "[allowed.example.org]:80"]),
    (
        "E16",
        &[
            "allowed.example.org@evil.example.net",
            "allowed.example.org\\@evil.example.net",
            "evil.example.net#@allowed.example.org",
            "allowed.example.org:80@evil.example.net",
            "evil.example.net@allowed.example.org",
            "@allowed.example.org",
            "allowed.example.org%40evil.example.net",
            "allowed.example.org/@evil.example.net",
            "allowed.example.org?@evil.example.net",
        ],
    ),
    ("E20", &["", ":80", ":", ".", "evil.example.net"]),
    (
        "E24",
        &["evil-allowed.example.org", "example.org", "allowed.example.org.evil.example.net", "x.allowed.example.org"],
    ),
    ("E25", &["\u{430}llowed.example.org", "xn--llowed-3of.example.org", "allowed.ex\u{430}mple.org"]),
    (
        "E26",
        &[
            "allowed.example.org:8080",
            "allowed.example.org:22",
            "allowed.example.org:0",
            "allowed.example.org:65536",
            "allowed.example.org:443:80",
            "allowed.example.org:+80",
            "allowed.example.org:080",
            "allowed.example.org:",
        ],
    ),
];

/// Both schemes.
const SCHEMES: [&str; 2] = ["http", "https"];

/// Names whose answers are not to be dialled, asked for twice each.
pub(super) fn addresses(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (index, (number, addresses)) in REFUSED.iter().enumerate() {
        let name = refused_name(index);
        for scheme in SCHEMES {
            run.case(
                number,
                &format!("{scheme}, a name that answers {}", addresses.join(" and ")),
                |node| {
                    for _ in 0..2 {
                        node.get("answers", scheme, &name, "/")?;
                    }
                    Ok(())
                },
                |evidence| evidence.refused_after_asking(&name),
            )?;
        }
    }
    Ok(())
}

/// Spellings that are refused as they stand, and those few that mean the allowed host.
pub(super) fn authorities(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (number, authorities) in AUTHORITIES {
        for authority in *authorities {
            run.case(
                number,
                &format!("the authority {authority:?}"),
                |node| {
                    for scheme in SCHEMES {
                        node.get("probe", scheme, authority, "/")?;
                    }
                    Ok(())
                },
                |evidence| evidence.refused_unasked(),
            )?;
        }
    }
    run.case(
        "E20",
        "no authority at all, and the allowed name in the Host of the question that came in",
        |node| {
            for scheme in SCHEMES {
                node.probe("probe", &json!({ "scheme": scheme, "path": "/", "headers": [["host", HOST]] }))?;
            }
            Ok(())
        },
        |evidence| evidence.refused_unasked(),
    )?;
    for authority in ["allowed.example.org", "ALLOWED.Example.ORG", "allowed.example.org:80"] {
        run.case(
            if authority.ends_with("80") { "E26" } else { "E15" },
            &format!("the authority {authority:?} is the host itself: one request"),
            |node| node.get("probe", "http", authority, "/").map(drop),
            |evidence| {
                evidence.requests_are(1)?;
                let hosts = evidence.requests()[0].header("host");
                ensure!(hosts == [HOST], "Host was {hosts:?}");
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// One label and no more, below the name of the rule and no other.
pub(super) fn wildcards(run: &mut Run<'_>) -> anyhow::Result<()> {
    for authority in
        ["wild.example.org", "a.b.wild.example.org", ".wild.example.org", "evil-wild.example.org", "*.wild.example.org"]
    {
        run.case(
            "E24",
            &format!("{authority:?} under *.wild.example.org"),
            |node| node.get("wild", "http", authority, "/").map(drop),
            |evidence| evidence.refused_unasked(),
        )?;
    }
    run.case(
        "E24",
        "\"one.wild.example.org\" under *.wild.example.org: one request",
        |node| node.get("wild", "http", "one.wild.example.org", "/").map(drop),
        |evidence| evidence.requests_are(1),
    )
}
