//! Two homes of two identities: one holds a space, the other is invited, and counts its documents.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::packages::Packages;
use super::server::{SPACE, begin_identity};
use crate::server::Node;

/// Between two looks: a look is a command, and the node that answers it is the one that is measured.
const LOOK: Duration = Duration::from_millis(50);
/// How long it may take until all are there.
const PATIENCE: Duration = Duration::from_secs(120);

/// In seconds, until the second home has all documents.
#[derive(Debug)]
pub(super) struct Together {
    /// Behind the start of `nisse space join`.
    pub(super) joined: f64,
    /// Behind its end.
    pub(super) synced: f64,
}

pub(super) fn together(
    packages: &Packages,
    program: &Path,
    folder: &Path,
    documents: usize,
) -> anyhow::Result<Together> {
    let up = |name: &str| -> anyhow::Result<Node> {
        let (home, link) = (folder.join(name), UdpSocket::bind("127.0.0.1:0")?.local_addr()?);
        let node = Node::up_with(program, &home, &["--link", &link.to_string()])?;
        begin_identity(program, &home)?;
        Ok(node)
    };
    let (host, guest) = (up("host")?, up("guest")?);
    host.command(&["space", "create", SPACE])?;
    let ticket = host.command(&["space", "ticket", SPACE])?;
    let (ticket, urls) = (ticket["url"].as_str().context("a ticket's URL")?, folder.join("urls.json"));
    packages.run("push.js", &[ticket, &documents.to_string(), &urls.to_string_lossy()])?;
    let invited = host.command(&["space", "invite", SPACE])?;
    let invitation = invited["invitation"].as_str().with_context(|| format!("an invitation: {invited}"))?;

    let begun = Instant::now();
    guest.command(&["space", "join", "--as", SPACE, invitation])?;
    let ended = Instant::now();
    loop {
        let there = guest.command(&["space", "show", SPACE])?["documents"] == documents;
        if there {
            return Ok(Together { joined: begun.elapsed().as_secs_f64(), synced: ended.elapsed().as_secs_f64() });
        }
        ensure!(begun.elapsed() < PATIENCE, "waited in vain for {documents} documents");
        std::thread::sleep(LOOK);
    }
}
