//! The way out of a real node inside a network namespace: every case of `docs/security-egress.md` by its number.
//!
//! The node is the built binary; its agents are `egress-prober` and `wasi-prober`, deployed by the command line and asked
//! over HTTP. What a case did is never read from the node's own answer: the judges are the kernel's counters of packets
//! that the node's user sent, and the logs of the servers and canaries at the other end. Needs root, for `ip netns add`.

mod case;
mod certificates;
mod direct;
mod evidence;
mod floods;
mod headers;
mod judge;
mod local;
mod names;
mod network;
mod node;
mod permissions;
mod spellings;
mod tls;
mod wire;

use std::path::Path;

use anyhow::ensure;

use super::{build, install_tools};
use crate::check::say;
use crate::command::{is_root, target_folder};

use case::Run;
use direct::Direct;
use network::Network;
use node::Node;

/// What the story runs, and the package of Debian that brings it.
const TOOLS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("setpriv", "util-linux"),
    ("/usr/bin/python3", "python3"),
];

/// Tells the story. Returns an error when any case failed.
pub(super) fn tell(_packages: &Path) -> anyhow::Result<()> {
    ensure!(is_root(), "run as root: network namespaces are made with `ip netns add`");
    install_tools(TOOLS)?;
    build()?;
    // Apart from the build's folders, since another user runs in it.
    let folder = std::env::temp_dir().join(format!("nisse-egress-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let told = story(&folder);
    if told.is_ok() {
        std::fs::remove_dir_all(&folder)?;
    } else {
        say(&format!("logs and home are kept in {}", folder.display()));
    }
    told
}

fn story(folder: &Path) -> anyhow::Result<()> {
    let certificates = certificates::make(&folder.join("certificates"))?;
    let network = Network::lay(folder)?;
    judge::install(&network)?;
    let far = network.start_world("world", &names::world(&certificates))?;
    let near = network.start_world("home", &names::home(&certificates))?;
    judge::sees_everything(&network, &far, &near)?;
    let node = Node::start(&network, folder, &certificates)?;
    let mut run = Run::new(&network, &node, &far, &near)?;
    spellings::addresses(&mut run)?;
    spellings::authorities(&mut run)?;
    spellings::wildcards(&mut run)?;
    wire::redirects(&mut run)?;
    wire::answers(&mut run)?;
    wire::paths(&mut run)?;
    headers::rewriting(&mut run)?;
    local::services(&mut run)?;
    local::sockets(&mut run)?;
    tls::certificates(&mut run)?;
    floods::answers(&mut run)?;
    floods::requests(&mut run)?;
    permissions::connections(&mut run)?;
    let program = folder.join("attempt");
    std::fs::copy(target_folder().join("debug/examples/attempt"), &program)?;
    direct::attempts(&mut run, &Direct { network: &network, program })?;
    run.finish()
}
