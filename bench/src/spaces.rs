//! Spaces beside `@automerge/automerge-repo-sync-server`: the same clients, stock automerge-repo in Node.js, bring and read
//! the same documents. Ours checks tickets and roles, signs, and syncs to the disk before it tells; the peer does none of it.

mod homes;
mod packages;
mod server;

use std::path::Path;
use std::time::Duration;

use self::homes::together;
use self::packages::Packages;
use self::server::{Kind, Server, Use};
use crate::program;
use crate::table::{Row, median, time};

/// Rounds, of both servers in turns, whose median counts.
const ROUNDS: usize = 3;
/// Another number of rounds.
const ROUNDS_VARIABLE: &str = "NISSE_BENCH_ROUNDS";
/// Small documents that one client brings.
const DOCUMENTS: usize = 1_000;
/// Small documents that lie there while nobody asks for them.
const DOCUMENTS_AT_REST: usize = 10_000;
/// Changes of one large document, of one character each.
const CHANGES: usize = 100_000;
/// Edits whose median counts, in each round.
const EDITS: usize = 60;
/// Between two edits of somebody who writes slowly: automerge-repo gathers what comes faster.
const PAUSE_MS: usize = 150;
/// What a server goes on doing after a client is served counts for as long.
const SETTLE: Duration = Duration::from_millis(1_000);

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let program = program::nisse()?;
    let folder = tempfile::tempdir()?;
    let packages = Packages::install()?;
    let large = folder.path().join("large.automerge");
    packages.run("big-make.js", &[&CHANGES.to_string(), &large.to_string_lossy()])?;
    let rounds = std::env::var(ROUNDS_VARIABLE).ok().map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let (mut ours, mut peers, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        for (kind, figures) in [(Kind::Nisse(program.clone()), &mut ours), (Kind::Peer, &mut peers)] {
            let folder = folder.path().join(format!("{}-{round}", kind.name()));
            std::fs::create_dir(&folder)?;
            let round = Round::measure(&packages, &kind, &folder, &large)?;
            eprintln!("{}: {round:?}", kind.name());
            figures.push(round);
        }
        let folder = folder.path().join(format!("together-{round}"));
        std::fs::create_dir(&folder)?;
        let pair = together(&packages, &program, &folder, DOCUMENTS)?;
        eprintln!("agent to agent: {pair:?}");
        pairs.push(pair);
    }
    let rest = Rest::measure(&packages, &Kind::Nisse(program), &folder.path().join("rest"))?;
    eprintln!("at rest: {rest:?}");
    let mut rows = beside(&ours, &peers);
    let (whole, own) = (median(pairs.iter().map(|pair| pair.joined)), median(pairs.iter().map(|pair| pair.synced)));
    rows.push(
        Row::at_most("spaces: agent to agent, 1,000 documents", "<= 3 s", seconds(whole), whole, 3.0)
            .beside(format!("{} behind the end of `join`", seconds(own))),
    );
    let at_rest = rest.resting.memory;
    rows.push(
        Row::at_most("spaces: 10,000 documents at rest: memory", "<= 60 MB", megabytes(at_rest), at_rest, 60e6).beside(
            format!(
                "started again {}; idle, with an empty space {}",
                megabytes(rest.again.memory),
                megabytes(rest.empty.memory)
            ),
        ),
    );
    Ok(rows)
}

/// What one server needed in one round.
#[derive(Debug)]
struct Round {
    start: f64,
    push: Use,
    push_seconds: f64,
    pull: Use,
    pull_seconds: f64,
    /// The time of one edit from one client to another, while nothing else is under way.
    live: f64,
    /// The same for clients that answer each other at once.
    turns: f64,
    large_push: Use,
    large_pull: Use,
}

impl Round {
    fn measure(packages: &Packages, kind: &Kind, folder: &Path, large: &Path) -> anyhow::Result<Self> {
        let (urls, large_url) = (folder.join("urls.json"), folder.join("large.json"));
        let (urls, large_url) = (urls.to_string_lossy(), large_url.to_string_lossy());
        let (small, big) = (folder.join("small"), folder.join("big"));

        let server = Server::first(packages, kind, &small)?;
        let before = server.used()?;
        let pushed = packages.run("push.js", &[&server.url, &DOCUMENTS.to_string(), &urls])?;
        let durable = server.until_durable(DOCUMENTS)?;
        std::thread::sleep(SETTLE);
        let push = server.used()?.since(&before);
        drop(server);

        let server = Server::again(packages, kind, &small)?;
        let start = server.start_seconds;
        std::thread::sleep(SETTLE);
        let before = server.used()?;
        let pulled = packages.run("pull.js", &[&server.url, &urls])?;
        std::thread::sleep(SETTLE);
        let pull = server.used()?.since(&before);
        let [live, turns] = [("live.js", Some(PAUSE_MS)), ("turns.js", None)].map(|(script, pause)| {
            let arguments = [Some(EDITS), pause].into_iter().flatten().map(|number| number.to_string());
            let arguments: Vec<String> = std::iter::once(server.url.clone()).chain(arguments).collect();
            packages.run(script, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
        });
        drop(server);

        let server = Server::first(packages, kind, &big)?;
        let before = server.used()?;
        packages.run("big-push.js", &[&server.url, &large.to_string_lossy(), &large_url])?;
        server.until_durable(1)?;
        std::thread::sleep(SETTLE);
        let large_push = server.used()?.since(&before);
        drop(server);
        let server = Server::again(packages, kind, &big)?;
        std::thread::sleep(SETTLE);
        let before = server.used()?;
        packages.run("pull.js", &[&server.url, &large_url])?;
        std::thread::sleep(SETTLE);
        let large_pull = server.used()?.since(&before);
        Ok(Self {
            start,
            push,
            push_seconds: pushed["seconds"].as_f64().unwrap_or_default() + durable,
            pull,
            pull_seconds: pulled["seconds"].as_f64().unwrap_or_default(),
            live: live?["p50"].as_f64().unwrap_or_default(),
            turns: turns?["p50"].as_f64().unwrap_or_default(),
            large_push,
            large_pull,
        })
    }
}

/// Memory of a node that holds many documents.
#[derive(Debug)]
struct Rest {
    /// Before there was any.
    empty: Use,
    /// After the client that brought them has gone.
    resting: Use,
    /// After a new start, with the space open.
    again: Use,
}

impl Rest {
    /// What is kept for a while after use may be let go of by then.
    const QUIET: Duration = Duration::from_secs(20);

    fn measure(packages: &Packages, kind: &Kind, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(folder)?;
        let (home, urls) = (folder.join("home"), folder.join("urls.json"));
        let server = Server::first(packages, kind, &home)?;
        std::thread::sleep(SETTLE);
        let empty = server.used()?;
        // One client alone that makes all of them at once has no time left to answer pings.
        for brought in (DOCUMENTS..=DOCUMENTS_AT_REST).step_by(DOCUMENTS) {
            packages.run("push.js", &[&server.url, &DOCUMENTS.to_string(), &urls.to_string_lossy()])?;
            server.until_durable(brought)?;
        }
        std::thread::sleep(Self::QUIET);
        let resting = server.used()?;
        drop(server);
        let server = Server::again(packages, kind, &home)?;
        server.until_durable(DOCUMENTS_AT_REST)?;
        std::thread::sleep(SETTLE);
        Ok(Self { empty, resting, again: server.used()? })
    }
}

/// The rows in which both servers stand.
fn beside(ours: &[Round], peers: &[Round]) -> Vec<Row> {
    let row = |what: &str, times: f64, figure: fn(&Round) -> f64, shown: fn(f64) -> String| {
        let [one, other] = [ours, peers].map(|rounds| median(rounds.iter().map(figure)));
        Row {
            what: format!("spaces: {what}"),
            aim: format!("<= 1/{times} of sync-server"),
            ours: shown(one),
            peer: shown(other),
            ratio: format!("1/{:.2}", other / one),
            met: one * times <= other,
        }
    };
    let also = |row: Row, what: &str, figure: fn(&Round) -> f64, shown: fn(f64) -> String| {
        let [one, other] = [ours, peers].map(|rounds| shown(median(rounds.iter().map(figure))));
        Row { ours: format!("{}; {what} {one}", row.ours), peer: format!("{}; {what} {other}", row.peer), ..row }
    };
    let ours_alone = |figure: fn(&Round) -> f64| median(ours.iter().map(figure));
    let peers_alone = |figure: fn(&Round) -> f64| median(peers.iter().map(figure));
    let (load, peak) = (ours_alone(|round| round.large_pull.cpu), ours_alone(|round| round.large_pull.peak));
    vec![
        also(
            row("1,000 documents until durable: CPU", 2.5, |round| round.push.cpu, seconds),
            "wall",
            |round| round.push_seconds,
            seconds,
        ),
        also(
            row("1,000 documents until durable: memory", 4.5, |round| round.push.memory, megabytes),
            "peak",
            |round| round.push.peak,
            megabytes,
        ),
        also(
            row("1,000 documents, cold pull: CPU", 2.0, |round| round.pull.cpu, seconds),
            "wall",
            |round| round.pull_seconds,
            seconds,
        ),
        row("live edit, alone: p50", 2.0, |round| round.live, seconds),
        row("live edit, by turns: p50", 2.0, |round| round.turns, seconds),
        row("start -> answers", 10.0, |round| round.start, seconds),
        Row::at_most("spaces: 100,000 changes, cold load: CPU", "<= 0.25 s", seconds(load), load, 0.25).beside(
            format!(
                "{}; its push: {}, peer {}",
                seconds(peers_alone(|round| round.large_pull.cpu)),
                seconds(ours_alone(|round| round.large_push.cpu)),
                seconds(peers_alone(|round| round.large_push.cpu)),
            ),
        ),
        Row::at_most("spaces: 100,000 changes, cold load: peak", "<= 110 MB", megabytes(peak), peak, 110e6).beside(
            format!(
                "{}; its push: {}, peer {}",
                megabytes(peers_alone(|round| round.large_pull.peak)),
                megabytes(ours_alone(|round| round.large_push.peak)),
                megabytes(peers_alone(|round| round.large_push.peak)),
            ),
        ),
    ]
}

fn seconds(value: f64) -> String {
    time(Duration::from_secs_f64(value))
}

fn megabytes(value: f64) -> String {
    format!("{:.1} MB", value / 1e6)
}
