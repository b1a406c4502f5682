//! A space on three machines, each a network namespace: cables are cut and healed, one home is killed, one member is revoked
//! while nobody can tell him. Needs root, for `ip netns add`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::namespaces::TOOLS;
use super::namespaces::network::{NODES, Network, address};
use super::nisse::Nisse;
use super::{build, empty_folder, install_tools};
use crate::check::say;
use crate::command::is_root;

/// How long what is asked for may take to come. A cable that is cut is noticed after 15 seconds.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const PORT: u16 = 4433;

pub(super) fn tell() -> anyhow::Result<()> {
    ensure!(is_root(), "run as root: network namespaces are made with `ip netns add`");
    install_tools(TOOLS)?;
    build()?;
    let folder = empty_folder("spaces-apart")?;
    story(&folder).with_context(|| format!("homes are kept in {}", folder.display()))
}

fn story(folder: &Path) -> anyhow::Result<()> {
    let network = Network::lay(folder)?;
    let [one, two, three] = NODES;
    let up = |machine: &str| -> anyhow::Result<Nisse> {
        let program = network.inside(machine, Nisse::binary());
        let program = std::iter::once(program.get_program()).chain(program.get_args()).map(OsString::from).collect();
        Nisse::up_by(program, &folder.join(machine), &["--link", &format!("{}:{PORT}", address(machine))])
    };
    let (alice, bob) = (up(one)?, up(two)?);
    let mut carol = up(three)?;
    for home in [&alice, &bob, &carol] {
        home.begin_identity()?;
    }
    alice.json(&["space", "create", "notes"])?;
    let invitation = eventually("alice to listen", || {
        Ok(alice
            .json(&["space", "invite", "notes", "--uses", "2"])
            .ok()
            .and_then(|made| Some(made["invitation"].as_str()?.to_owned())))
    })?;
    for home in [&bob, &carol] {
        home.ok(&["space", "join", &invitation])?;
    }
    write(&alice, "by alice")?;
    for home in [&bob, &carol] {
        have(home, &["by alice"])?;
    }

    // Everybody writes while nobody hears anybody.
    for machine in NODES {
        network.cut(machine)?;
    }
    for (home, who) in [(&alice, "alice"), (&bob, "bob"), (&carol, "carol")] {
        write(home, &format!("by {who}, alone"))?;
        ensure!(texts(home)?.len() == 2, "{who} hears somebody through a cable that is cut");
    }
    for machine in NODES {
        network.heal(machine)?;
    }
    let all = ["by alice", "by alice, alone", "by bob, alone", "by carol, alone"];
    for home in [&alice, &bob, &carol] {
        have(home, &all)?;
    }
    say("ok: what three wrote while their cables were cut is at all of them");

    // Bob is revoked while he is cut off, and writes on; carol is killed meanwhile.
    network.cut(two)?;
    let bobs = bob.json(&["identity", "show"])?["identity"].as_str().context("a did")?.to_owned();
    alice.ok(&["space", "revoke", "notes", &bobs])?;
    write(&bob, "by bob, revoked")?;
    drop(carol);
    write(&alice, "by alice, later")?;
    carol = up(three)?;
    network.heal(two)?;
    write(&carol, "by carol, later")?;
    let all = ["by alice", "by alice, alone", "by alice, later", "by bob, alone", "by carol, alone", "by carol, later"];
    for home in [&alice, &carol] {
        have(home, &all)?;
    }
    // Long enough for whatever bob would bring.
    std::thread::sleep(Duration::from_secs(5));
    for home in [&alice, &carol] {
        have(home, &all)?;
    }
    let members = alice.json(&["space", "members", "notes"])?;
    ensure!(members.as_array().is_some_and(|members| members.len() == 2), "the members are {members}");
    say("ok: who is revoked while he is away brings nothing any more, and what he wrote before stays");
    Ok(())
}

fn write(home: &Nisse, text: &str) -> anyhow::Result<()> {
    home.ok(&["space", "put", "notes", &json!({ "text": text }).to_string()]).map(drop)
}

fn texts(home: &Nisse) -> anyhow::Result<BTreeSet<String>> {
    let found = home.ok(&["space", "query", "notes"])?;
    let objects = found.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    Ok(objects.iter().filter_map(|object| object["text"].as_str()).map(str::to_owned).collect())
}

/// Waits until a home has these notes, and no others.
fn have(home: &Nisse, wanted: &[&str]) -> anyhow::Result<()> {
    let wanted: BTreeSet<String> = wanted.iter().map(|&text| text.to_owned()).collect();
    let mut found = BTreeSet::new();
    let had = eventually("the notes", || {
        found = texts(home)?;
        Ok((found == wanted).then_some(()))
    });
    had.with_context(|| format!("{found:?} is there, and {wanted:?} is wanted"))
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < PATIENCE, "wait for {what}: nothing in {} s", PATIENCE.as_secs());
        std::thread::sleep(LOOK_AGAIN);
    }
}
