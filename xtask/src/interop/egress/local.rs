//! What is near: the machine itself, its own networks, metadata, and ways out that are not HTTP.

use anyhow::ensure;

use super::case::Run;

/// A local service is reached where the owner allowed it, and nothing else is by the same permission.
pub(super) fn services(run: &mut Run<'_>) -> anyhow::Result<()> {
    run.case(
        "E13",
        "a local service that the owner allowed: one request",
        |node| node.get("local", "http", "192.168.7.20:8080", "/").map(drop),
        |evidence| evidence.requests_are(1),
    )?;
    for (number, service, what) in [
        ("E13", "127.0.0.1:7474", "the control API"),
        ("E13", "localhost:7474", "the control API by name"),
        ("E13", "localhost:7480", "the public listener by name"),
        ("E13", "127.0.0.1:7480", "the public listener"),
        ("E13", "[::1]:7480", "the public listener over IPv6"),
        ("E13", "127.0.0.1:8545", "the chain's JSON-RPC"),
        ("E13", "192.168.7.2:7480", "the public listener at the machine's private address"),
        ("E13", "93.184.216.2:80", "the machine's public address as a local service"),
        ("E10", "93.184.216.66:80", "a public address as a local service"),
        ("E12", "169.254.169.254:80", "metadata as a local service"),
        ("E12", "[fd00:ec2::254]:80", "metadata over IPv6 as a local service"),
        ("E12", "100.100.100.200:80", "metadata in shared space as a local service"),
        ("E11", "[fe80::1]:80", "a link-local address as a local service"),
    ] {
        run.case(
            number,
            &format!("{what}, {service}, under a permission for it"),
            |node| node.get("local", "http", service, "/api/v1").map(drop),
            |evidence| evidence.refused_unasked(),
        )?;
    }
    Ok(())
}

/// Raw sockets, datagrams and the component's own resolver.
pub(super) fn sockets(run: &mut Run<'_>) -> anyhow::Result<()> {
    for address in [
        "93.184.216.34:80",
        "93.184.216.66:80",
        "10.0.0.1:80",
        "127.0.0.1:7474",
        "169.254.169.254:80",
        "93.184.216.53:53",
    ] {
        for kind in ["tcp", "udp"] {
            run.case(
                "E27",
                &format!("wasi:sockets, {kind} to {address}"),
                |node| node.ask("nisse.test.wasi-prober", &format!("/{kind}?address={address}"), "").map(drop),
                |evidence| evidence.refused_unasked(),
            )?;
        }
    }
    run.case(
        "E27",
        "wasi:sockets, a name looked up by the component",
        |node| node.ask("nisse.test.wasi-prober", "/lookup?name=allowed.example.org", "").map(drop),
        |evidence| evidence.refused_unasked(),
    )?;
    for scheme in ["tcp", "udp", "ws", "wss", "ftp", "file", "unix", "HTTPS", "gopher", ""] {
        run.case(
            "E27",
            &format!("the scheme {scheme:?}"),
            |node| node.get("probe", scheme, "allowed.example.org", "/").map(drop),
            |evidence| evidence.refused_unasked(),
        )?;
    }
    let labels = 80;
    run.case(
        "E28",
        "80 labels under a wildcard: the name server hears of at most 64, none of them long",
        |node| {
            for number in 0..labels {
                node.get("tunnel", "http", &format!("secret{number}.tunnel.example.org"), "/")?;
            }
            node.get("tunnel", "http", &format!("{}.tunnel.example.org", "a".repeat(41)), "/").map(drop)
        },
        |evidence| {
            let names = evidence.names();
            ensure!(names.len() == 64, "{} names were asked for", names.len());
            ensure!(names.iter().all(|name| name.len() < 40), "a long label went out");
            evidence.nothing_dialled()
        },
    )
}
