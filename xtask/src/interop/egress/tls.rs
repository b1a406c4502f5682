//! Certificates, server names and versions of TLS, seen by the server.

use anyhow::ensure;
use serde_json::json;

use super::case::Run;
use super::evidence::Event;
use super::names::HOST;

pub(super) fn certificates(run: &mut Run<'_>) -> anyhow::Result<()> {
    run.case(
        "E18",
        "server name, certificate and Host are the rule's name: one request",
        |node| node.get("probe", "https", "tls.example.org", "/sni").map(drop),
        |evidence| {
            evidence.requests_are(1)?;
            let request = evidence.requests()[0];
            ensure!(request.header("host") == ["tls.example.org"], "Host was {:?}", request.header("host"));
            ensure!(request.text("server_name") == "tls.example.org", "SNI was {:?}", request.text("server_name"));
            Ok(())
        },
    )?;
    run.case(
        "E18",
        "a Host of the agent's own does not part Host from server name: at most one request",
        |node| {
            let headers = json!([["host", "evil.example.net"]]);
            let request = json!({ "scheme": "https", "authority": "tls.example.org", "path": "/", "headers": headers });
            node.probe("probe", &request).map(drop)
        },
        |evidence| {
            let parted = |request: &&&Event| request.header("host") != [request.text("server_name")];
            let requests = evidence.requests();
            ensure!(requests.len() <= 1 && !requests.iter().any(|request| parted(&request)), "{requests:?}");
            Ok(())
        },
    )?;
    for (name, what) in [
        ("expired.example.org", "a certificate that ended long ago"),
        ("future.example.org", "a certificate that has not begun"),
        ("wrong.example.org", "a certificate for another name"),
        ("ending.example.org", "a certificate for a name that only ends alike"),
        ("client.example.org", "a certificate for clients"),
        ("stranger.example.org", "a certificate that vouches for itself"),
        ("old.example.org", "a server that speaks TLS 1.1 at most"),
        (HOST, "a good certificate of an authority that is not trusted for this host"),
    ] {
        run.case(
            "E32",
            &format!("{what}: a connection, and no request"),
            |node| node.get("probe", "https", name, "/").map(drop),
            |evidence| {
                ensure!(evidence.connections() > 0, "the case was not tried: nothing was dialled");
                ensure!(evidence.server_names().iter().all(|shown| *shown == name), "{:?}", evidence.server_names());
                evidence.requests_are(0)
            },
        )?;
    }
    Ok(())
}
