//! What the name server says in this story, and where servers and canaries listen.

use serde_json::{Map, Value, json};

use super::certificates::Certificates;
use super::network::{HOME_V4, HOME_V6, NAME_SERVER};

/// The host that agents may reach, and where it is.
pub(super) const HOST: &str = "allowed.example.org";
const HOST_V4: &str = "93.184.216.34";
const HOST_V6: &str = "2606:2800:220:1::34";

/// Answers that condemn a name, by case. The n-th stands behind `a<n>.answers.example.org`.
pub(super) const REFUSED: &[(&str, &[&str])] = &[
    ("E4", &[HOST_V4, "10.0.0.1"]),
    ("E4", &["10.0.0.1", HOST_V4]),
    ("E4", &[HOST_V4, HOST_V6, "::1"]),
    ("E4", &[HOST_V6, "fd00::1"]),
    ("E4", &["192.168.0.10", HOST_V6]),
    ("E6", &["::ffff:127.0.0.1"]),
    ("E6", &["::ffff:a9fe:a9fe"]),
    ("E6", &["::ffff:10.0.0.1"]),
    ("E6", &["::127.0.0.1"]),
    ("E7", &["64:ff9b::7f00:1"]),
    ("E7", &["64:ff9b::a9fe:a9fe"]),
    ("E7", &["64:ff9b:1::1"]),
    ("E7", &["2002:7f00:1::"]),
    ("E7", &["2002:a9fe:a9fe::1"]),
    ("E7", &["2001::7f00:1"]),
    ("E7", &["2001:0:53aa:64c:0:7fff:80ff:fffe"]),
    ("E7", &["2001:470::5efe:10.0.0.1"]),
    ("E7", &["2001:470::200:5efe:7f00:1"]),
    ("E10", &["0.0.0.0"]),
    ("E10", &["::"]),
    ("E10", &["255.255.255.255"]),
    ("E10", &["93.184.216.34", "224.0.0.1"]),
    ("E10", &["239.255.255.250"]),
    ("E10", &["ff02::1"]),
    ("E10", &["192.0.0.8"]),
    ("E10", &["198.18.0.1"]),
    ("E10", &["198.19.255.255"]),
    ("E10", &["240.0.0.1"]),
    ("E10", &["100.64.0.1"]),
    ("E10", &["0.1.2.3"]),
    ("E10", &["192.88.99.1"]),
    ("E10", &["203.0.113.7"]),
    ("E10", &["2001:db8::1"]),
    ("E10", &["3fff::1"]),
    ("E10", &["5f00::1"]),
    ("E10", &["100::1"]),
    ("E10", &["10.0.0.1"]),
    ("E10", &["172.16.0.1"]),
    ("E10", &["192.168.0.10"]),
    ("E11", &["fe80::1"]),
    ("E12", &["169.254.169.254"]),
    ("E12", &["fd00:ec2::254"]),
    ("E12", &["fd20:ce::254"]),
    ("E12", &["100.100.100.200"]),
    ("E12", &["192.0.0.192"]),
    ("E13", &[HOME_V4]),
    ("E13", &[HOME_V6]),
    ("E13", &[HOST_V4, HOME_V4]),
    ("E14", &["127.0.0.1"]),
    ("E14", &["127.0.0.53"]),
    ("E14", &["::1"]),
];

/// The name of the n-th answer.
pub(super) fn refused_name(number: usize) -> String {
    format!("a{number}.answers.example.org")
}

/// Names with a script of their own.
fn scripts() -> Map<String, Value> {
    let mut names = Map::new();
    let mut say = |name: &str, script: Value| _ = names.insert(name.to_owned(), script);
    for (number, (_, addresses)) in REFUSED.iter().enumerate() {
        let (v6, v4): (Vec<&str>, Vec<&str>) = addresses.iter().partition(|address| address.contains(':'));
        say(&refused_name(number), json!({ "a": [v4], "aaaa": [v6] }));
    }
    say(HOST, json!({ "a": [[HOST_V4]], "ttl": 300 }));
    say("six.answers.example.org", json!({ "aaaa": [[HOST_V6]] }));
    say("hosts.example.org", json!({ "a": [[HOST_V4]] }));
    say("evil.example.net", json!({ "a": [["93.184.216.66"]], "aaaa": [["2606:2800:220:1::66"]] }));
    // E3: public once, then elsewhere.
    say("rebind.example.org", json!({ "a": [[HOST_V4], ["127.0.0.1"], ["169.254.169.254"], ["10.0.0.1"]] }));
    say("rebind6.example.org", json!({ "a": [[HOST_V4], []], "aaaa": [[], ["::1"], ["fd00::1"]] }));
    say("moves.example.org", json!({ "a": [[HOST_V4], ["93.184.216.35"]] }));
    // E5 and what else an answer can be.
    say("vault.answers.example.org", json!({ "cname": "vault.corp.example.net", "a": [["10.1.2.3"]] }));
    say("cloud.answers.example.org", json!({ "cname": "metadata.google.internal", "a": [["169.254.169.254"]] }));
    say("loop.answers.example.org", json!({ "cname": "localhost", "a": [["127.0.0.1"]] }));
    say("dangling.answers.example.org", json!({ "cname": "localhost" }));
    say("dangling-too.answers.example.org", json!({ "cname": "localhost" }));
    say("crowd.answers.example.org", json!({ "count": 200 }));
    say("poison.answers.example.org", json!({ "owner": "elsewhere.example.net", "a": [["10.0.0.1"]] }));
    say("silent.answers.example.org", json!({ "silent": true }));
    // What a search list would make of a name that has no address of its own.
    say("*.corp.example.net", json!({ "a": [["10.0.0.1"]] }));
    say("org.corp.example.net", json!({ "a": [["10.0.0.1"]] }));
    say("*.example.org.corp.example.net", json!({ "a": [["10.0.0.1"]] }));
    say("nothing.example.org", json!({}));
    // E9, E12, E24, E25: names that must never be asked for, though they have answers.
    for name in [
        "metadata.google.internal",
        "example.org",
        "evil-example.org",
        "allowed.example.org.evil.example.net",
        "xn--llowed-3of.example.org",
        "a.b.wild.example.org",
        "wild.example.org",
    ] {
        say(name, json!({ "a": [["93.184.216.66"]] }));
    }
    say("one.wild.example.org", json!({ "a": [[HOST_V4]] }));
    say("*.tunnel.example.org", json!({}));
    names
}

/// The far side.
pub(super) fn world(certificates: &Certificates) -> Value {
    json!({
        "name_servers": [NAME_SERVER],
        "names": scripts(),
        "certificates": certificates.servers(),
        "ports": [22, 53, 80, 443, 3128, 7474, 7480, 8080, 8443, 8444],
        "datagram_ports": [9, 53, 443, 5353],
    })
}

/// Canaries on the node's own machine: loopback and its own addresses. The node takes 7474 and 7480.
pub(super) fn home(certificates: &Certificates) -> Value {
    json!({
        "name_servers": [],
        "names": {},
        "certificates": certificates.servers(),
        "ports": [22, 53, 80, 443, 3128, 8080, 8443],
        "datagram_ports": [9, 53, 443, 5353],
    })
}
