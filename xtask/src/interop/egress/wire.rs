//! Redirects, answers that change, and paths: what is asked for, and what never is.

use anyhow::ensure;

use super::case::Run;
use super::evidence::Evidence;
use super::names::HOST;

/// A redirect is carried and not followed; the agent's own next request is checked anew.
pub(super) fn redirects(run: &mut Run<'_>) -> anyhow::Result<()> {
    for code in [301, 302, 303, 307, 308] {
        for (scheme, host) in [("http", HOST), ("https", "tls.example.org")] {
            let path = format!("/redirect/{code}?http://169.254.169.254/latest/meta-data/");
            run.case(
                "E1",
                &format!("{scheme}, {code} to the metadata address, and the agent goes there: one request"),
                |node| {
                    let answer = node.get("probe", scheme, host, &path)?;
                    ensure!(answer["status"] == code, "the redirect was not carried: {answer}");
                    node.get("probe", "http", "169.254.169.254", "/latest/meta-data/").map(drop)
                },
                |evidence| evidence.requests_are(1),
            )?;
        }
    }
    run.case(
        "E2",
        "https to http of the same host, which only the https rule names: one request",
        |node| {
            node.get("probe", "https", "tls.example.org", "/redirect/302?http://tls.example.org/")?;
            node.get("probe", "http", "tls.example.org", "/").map(drop)
        },
        |evidence| evidence.requests_are(1),
    )
}

/// Names that stand for others, and the scheme they are asked in. Where the chain ends at `localhost` it ends in the
/// resolver, whose answer is kept a while: hence two names.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("vault", "http"),
    ("vault", "https"),
    ("cloud", "http"),
    ("cloud", "https"),
    ("loop", "http"),
    ("loop", "https"),
    ("dangling", "http"),
    ("dangling-too", "https"),
];

/// Answers that change between two questions, chains, crowds, and what a search list would add.
pub(super) fn answers(run: &mut Run<'_>) -> anyhow::Result<()> {
    for name in ["rebind.example.org", "rebind6.example.org"] {
        run.case(
            "E3",
            &format!("{name} is public once and private ever after: one question per request, one request"),
            |node| {
                for _ in 0..4 {
                    node.get("probe", "http", name, "/")?;
                }
                Ok(())
            },
            |evidence| {
                ensure!(evidence.questions(name) == 4, "{} questions for 4 requests", evidence.questions(name));
                evidence.requests_are(1)
            },
        )?;
    }
    for (name, scheme) in OTHER_NAMES {
        let name = format!("{name}.answers.example.org");
        run.case(
            "E5",
            &format!("{scheme}, {name} is another name for something inside"),
            |node| node.get("answers", scheme, &name, "/").map(drop),
            |evidence| evidence.refused_after_asking(&name),
        )?;
    }
    for (name, what) in [
        ("crowd.answers.example.org", "200 addresses, over TCP"),
        ("poison.answers.example.org", "an answer for another name"),
        ("silent.answers.example.org", "no answer at all"),
    ] {
        run.case(
            "E4",
            &format!("{what}: nothing is dialled"),
            |node| node.get("answers", "http", name, "/").map(drop),
            |evidence| evidence.refused_after_asking(name),
        )?;
    }
    run.case(
        "E14",
        "the hosts file says 10.0.0.80 and the name server says otherwise: the name server is believed",
        |node| node.get("probe", "http", "hosts.example.org", "/").map(drop),
        |evidence| evidence.requests_are(1),
    )?;
    run.case(
        "E5",
        "a name without addresses is not looked for in the search list",
        |node| node.get("probe", "http", "nothing.example.org", "/").map(drop),
        |evidence| {
            ensure!(evidence.names() == ["nothing.example.org"], "asked for {:?}", evidence.names());
            evidence.nothing_dialled()
        },
    )?;
    run.case(
        "E4",
        "an allowed name with an IPv6 address only: one request over IPv6",
        |node| node.get("answers", "http", "six.answers.example.org", "/").map(drop),
        |evidence| {
            evidence.requests_are(1)?;
            let at = evidence.requests()[0].text("local");
            ensure!(at.starts_with('['), "it arrived at {at}");
            Ok(())
        },
    )
}

/// The request line holds a path and nothing that another server could take for a host.
pub(super) fn paths(run: &mut Run<'_>) -> anyhow::Result<()> {
    for path in ["http://evil.example.net/", "evil.example.net", "*", "@evil.example.net", ":8080/", "\\\\evil", "/a b"]
    {
        run.case(
            "E19",
            &format!("the path {path:?}"),
            |node| node.get("probe", "http", HOST, path).map(drop),
            |evidence| evidence.refused_unasked(),
        )?;
    }
    run.case(
        "E19",
        "the path \"//evil.example.net/\" stays a path: one request",
        |node| node.get("probe", "http", HOST, "//evil.example.net/").map(drop),
        |evidence| only(evidence, "GET //evil.example.net/ HTTP/1.1", HOST),
    )?;
    run.case(
        "E19",
        "the path \"/a#@evil.example.net\" goes without its fragment: one request",
        |node| node.get("probe", "http", HOST, "/a#@evil.example.net").map(drop),
        |evidence| only(evidence, "GET /a HTTP/1.1", HOST),
    )?;
    run.case(
        "E29",
        "an allowed host that relays is asked once, and what it does with it is its own: a residual, written down",
        |node| node.get("probe", "http", HOST, "/proxy?u=http://169.254.169.254/").map(drop),
        |evidence| only(evidence, "GET /proxy?u=http://169.254.169.254/ HTTP/1.1", HOST),
    )
}

/// Exactly this request arrived, once, with this Host alone.
fn only(evidence: &Evidence, line: &str, host: &str) -> anyhow::Result<()> {
    evidence.requests_are(1)?;
    let request = evidence.requests()[0];
    ensure!(request.text("line") == line, "the line was {:?}", request.text("line"));
    ensure!(request.header("host") == [host], "Host was {:?}", request.header("host"));
    Ok(())
}
