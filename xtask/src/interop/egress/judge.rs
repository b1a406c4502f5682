//! The kernel's counters: every packet that the node's user sends falls into exactly one of them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::network::{HOME_PRIVATE, HOME_V4, HOME_V6, NAME_SERVER, Network, USER, World};
use crate::check::say;

/// Where agents of this story may connect to: (address, port).
pub(super) const ALLOWED: &[(&str, u16)] = &[
    ("93.184.216.34", 80),
    ("93.184.216.34", 443),
    ("93.184.216.35", 80),
    ("93.184.216.44", 443),
    ("93.184.216.44", 8444),
    ("2606:2800:220:1::34", 80),
    ("192.168.7.20", 8080),
];
/// Counters that may move: the node's answers to who asks it, its questions to the name server, the first packet of a
/// connection to an allowed host, and the others of one.
pub(super) const PERMITTED: &[&str] = &["answers", "name_server", "dialled", "allowed"];

/// Everything else, by class. First match counts; what matches nothing is `elsewhere`.
const FORBIDDEN: &[(&str, &str)] = &[
    ("own_address", "ip daddr { HOME_V4, HOME_PRIVATE }"),
    ("own_address", "ip6 daddr HOME_V6"),
    ("other_name_server", "meta l4proto { tcp, udp } th dport 53"),
    ("loopback", "ip daddr 127.0.0.0/8"),
    ("loopback", "ip6 daddr ::1"),
    ("unspecified", "ip daddr 0.0.0.0/8"),
    ("unspecified", "ip6 daddr ::"),
    ("metadata", "ip daddr { 169.254.169.254, 100.100.100.200, 192.0.0.192 }"),
    ("metadata", "ip6 daddr { fd00:ec2::254, fd20:ce::254 }"),
    ("private", "ip daddr { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 }"),
    ("shared", "ip daddr 100.64.0.0/10"),
    ("link_local", "ip daddr 169.254.0.0/16"),
    ("link_local", "ip6 daddr fe80::/10"),
    ("unique_local", "ip6 daddr fc00::/7"),
    ("translation", "ip6 daddr { 64:ff9b::/96, 64:ff9b:1::/48, ::ffff:0:0/96, ::/96 }"),
    ("six_to_four", "ip6 daddr 2002::/16"),
    ("teredo", "ip6 daddr 2001::/32"),
    ("documentation", "ip daddr { 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 }"),
    ("documentation", "ip6 daddr { 2001:db8::/32, 3fff::/20 }"),
    ("benchmarking", "ip daddr 198.18.0.0/15"),
    ("protocol", "ip daddr { 192.0.0.0/24, 192.88.99.0/24 }"),
    ("multicast", "ip daddr 224.0.0.0/4"),
    ("multicast", "ip6 daddr ff00::/8"),
    ("reserved", "ip daddr 240.0.0.0/4"),
    ("reserved", "ip6 daddr { 100::/64, 5f00::/16 }"),
];

/// Dialled by hand before the first case, to see that both judges see: (class, address, port, heard by a canary).
const TEETH: &[(&str, &str, u16, bool)] = &[
    ("own_address", HOME_V4, 80, true),
    ("own_address", HOME_PRIVATE, 80, true),
    ("own_address", HOME_V6, 80, true),
    ("other_name_server", "8.8.8.8", 53, true),
    ("other_name_server", "127.0.0.53", 53, true),
    ("loopback", "127.0.0.1", 80, true),
    ("loopback", "127.0.0.1", 443, true),
    ("loopback", "::1", 80, true),
    ("metadata", "169.254.169.254", 80, true),
    ("metadata", "100.100.100.200", 80, true),
    ("metadata", "fd00:ec2::254", 80, true),
    ("private", "10.0.0.1", 80, true),
    ("private", "10.0.0.80", 80, true),
    ("private", "172.16.0.1", 443, true),
    ("private", "192.168.0.10", 80, true),
    ("shared", "100.64.0.1", 80, true),
    ("link_local", "169.254.1.1", 80, true),
    ("unique_local", "fd00::1", 80, true),
    ("translation", "64:ff9b::7f00:1", 80, true),
    ("translation", "64:ff9b:1::1", 80, true),
    ("six_to_four", "2002:7f00:1::", 80, true),
    ("teredo", "2001::7f00:1", 80, true),
    ("documentation", "203.0.113.7", 80, true),
    ("documentation", "2001:db8::1", 80, true),
    ("benchmarking", "198.18.0.1", 80, true),
    ("protocol", "192.0.0.8", 80, true),
    ("reserved", "240.0.0.1", 80, true),
    ("reserved", "100::1", 80, true),
    ("elsewhere", "93.184.216.66", 80, true),
    ("elsewhere", "93.184.216.34", 8080, true),
    ("elsewhere", "93.184.216.34", 22, true),
    ("elsewhere", "2606:2800:220:1::66", 443, true),
];

/// Whether a connection that the world heard at `local` is one that agents may make.
pub(super) fn is_permitted(local: &str) -> bool {
    local == format!("{NAME_SERVER}:53") || ALLOWED.iter().any(|(address, port)| local == socket(address, *port))
}

fn socket(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// Lays the counters over everything that leaves the node's machine or stays on it.
pub(super) fn install(network: &Network) -> anyhow::Result<()> {
    let mut rules = vec![
        "tcp sport { 7474, 7480, 8545 } counter name answers".to_owned(),
        format!("ip daddr {NAME_SERVER} meta l4proto {{ tcp, udp }} th dport 53 counter name name_server"),
    ];
    for (address, port) in ALLOWED {
        let family = if address.contains(':') { "ip6" } else { "ip" };
        let to = format!("{family} daddr {address} tcp dport {port}");
        rules.push(format!("{to} tcp flags & (syn | ack) == syn counter name dialled"));
        rules.push(format!("{to} counter name allowed"));
    }
    for (class, pattern) in FORBIDDEN {
        let own = pattern.replace("HOME_PRIVATE", HOME_PRIVATE).replace("HOME_V4", HOME_V4);
        rules.push(format!("{} counter name {class}", own.replace("HOME_V6", HOME_V6)));
    }
    let mut names: Vec<&str> = PERMITTED.iter().copied().chain(FORBIDDEN.iter().map(|(class, _)| *class)).collect();
    names.push("elsewhere");
    names.sort_unstable();
    names.dedup();
    let mut table = String::from("table inet judge {\n");
    for name in names {
        table.push_str(&format!("counter {name} {{ }}\n"));
    }
    table.push_str("chain sent {\n");
    for rule in rules {
        table.push_str(&format!("{rule} accept\n"));
    }
    table.push_str("counter name elsewhere accept\n}\n");
    table.push_str("chain out {\ntype filter hook output priority 0; policy accept;\n");
    table.push_str(&format!("meta skuid {USER} meta skgid {USER} jump sent\n}}\n}}\n"));
    let mut nft = network.inside("home", "nft");
    let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().context("start nft")?;
    nft.stdin.take().context("its input")?.write_all(table.as_bytes())?;
    ensure!(nft.wait()?.success(), "install the counters:\n{table}");
    Ok(())
}

/// All counters, in packets.
pub(super) fn packets(network: &Network) -> anyhow::Result<BTreeMap<String, u64>> {
    let output = network.inside("home", "nft").args(["-j", "list", "counters"]).output().context("start nft")?;
    ensure!(output.status.success(), "read the counters: {}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).context("read the counters")?;
    let of = |one: &Value| Some((one["name"].as_str()?.to_owned(), one["packets"].as_u64()?));
    let counters = json["nftables"].as_array().context("read the counters")?;
    Ok(counters.iter().filter_map(|one| of(&one["counter"])).collect())
}

/// A judge that sees nothing acquits everybody: each class is dialled by hand, as the node's user, and both judges must
/// say so.
pub(super) fn sees_everything(network: &Network, far: &World, near: &World) -> anyhow::Result<()> {
    for (class, address, port, heard) in TEETH {
        let before = packets(network)?;
        let starts = [far.log.since(0)?.0, near.log.since(0)?.0];
        let mut curl = network.as_node("curl");
        let url = format!("telnet://{}", socket(address, *port));
        curl.args(["-s", "--noproxy", "*", "--connect-timeout", "2", "--max-time", "0.2", &url]);
        curl.stdin(Stdio::null()).stdout(Stdio::null()).status().context("start curl")?;
        let after = packets(network)?;
        ensure!(after[*class] > before[*class], "a packet to {address} is not counted as {class}");
        for (name, count) in after.iter().filter(|(name, _)| name != class) {
            ensure!(*count == before[name], "a packet to {address} counts as {name} too");
        }
        let hears = || -> anyhow::Result<bool> {
            let (_, mut events) = far.log.since(starts[0])?;
            events.extend(near.log.since(starts[1])?.1);
            Ok(events.iter().any(|event| event.kind() == "connect" && event.text("local") == socket(address, *port)))
        };
        let mut looks = 0;
        while *heard && !hears()? {
            looks += 1;
            ensure!(looks < 40, "no canary hears a connection to {}", socket(address, *port));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    say(&format!("both judges saw each of {} forbidden connections made by hand", TEETH.len()));
    Ok(())
}
