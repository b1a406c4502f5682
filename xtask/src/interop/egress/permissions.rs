//! Connections that are kept, whose they are, and what becomes of them when a permission goes.

use std::collections::BTreeSet;

use anyhow::ensure;

use super::case::Run;
use super::names::HOST;

pub(super) fn connections(run: &mut Run<'_>) -> anyhow::Result<()> {
    run.case(
        "E31",
        "two agents ask the same host twice each: two connections, none shared",
        |node| {
            for agent in ["second", "fading", "second", "fading"] {
                node.get(agent, "http", HOST, &format!("/{agent}"))?;
            }
            Ok(())
        },
        |evidence| {
            evidence.requests_are(4)?;
            let of = |path: &str| -> BTreeSet<String> {
                let requests = evidence.requests().into_iter();
                requests.filter(|one| one.text("line").contains(path)).map(|one| one.text("peer").to_owned()).collect()
            };
            ensure!(of("/second").is_disjoint(&of("/fading")), "one connection served both agents");
            ensure!(of("/fading").len() == 1, "a connection is not used again: {:?}", of("/fading"));
            Ok(())
        },
    )?;
    run.case(
        "E31",
        "a name that moves: the second request goes to the new address, over a new connection",
        |node| {
            node.get("probe", "http", "moves.example.org", "/")?;
            node.get("probe", "http", "moves.example.org", "/").map(drop)
        },
        |evidence| {
            evidence.requests_are(2)?;
            let at: Vec<_> = evidence.requests().iter().map(|request| request.text("local").to_owned()).collect();
            ensure!(at == ["93.184.216.34:80", "93.184.216.35:80"], "they arrived at {at:?}");
            Ok(())
        },
    )?;
    run.case(
        "E33",
        "an update takes the permission away: the kept connection closes, and nothing leaves any more",
        |node| {
            node.get("fading", "http", HOST, "/before")?;
            let package = node.package("egress-prober", "fading", "1.0.1", &[])?;
            node.command(&["update", "nisse.egress.fading", &package.to_string_lossy()])?;
            for _ in 0..3 {
                node.get("fading", "http", HOST, "/after")?;
            }
            Ok(())
        },
        |evidence| {
            evidence.requests_are(1)?;
            let kept = evidence.requests()[0].text("peer");
            ensure!(evidence.ended().iter().any(|end| end.text("peer") == kept), "the connection is still open");
            Ok(())
        },
    )?;
    run.case(
        "E33",
        "an agent is stopped: the connection that it kept closes",
        |node| {
            node.get("second", "http", HOST, "/kept")?;
            node.command(&["stop", "nisse.egress.second"]).map(drop)
        },
        |evidence| {
            evidence.requests_are(1)?;
            let kept = evidence.requests()[0].text("peer");
            ensure!(evidence.ended().iter().any(|end| end.text("peer") == kept), "the connection is still open");
            Ok(())
        },
    )
}
