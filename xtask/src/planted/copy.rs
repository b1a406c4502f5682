//! The copy of the tree that bugs are planted in, and how one crate's tests are built there.
//!
//! Three things make the crates' copy cheap and safe. It shares the tree's target folder, and its packages carry
//! another version, so that dependencies are not built again while no artefact of the copy can be taken for one of the
//! tree. And it holds the integration tests of one package only: `--workspace --test it` then builds just these, with
//! the features that the whole workspace agrees on. `-p PACKAGE` would choose fewer features and build the dependencies
//! anew.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::command::{cargo, repository};

/// What the version in the root manifest becomes.
const VERSION_SUFFIX: &str = "-planted";

/// A folder with the tree's files.
pub(super) struct Copy {
    pub(super) root: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// A copy of this name under the target folder; nothing is written yet.
    pub(super) fn new(name: &str) -> anyhow::Result<Self> {
        let given = std::env::var_os("CARGO_TARGET_DIR");
        let target = given.map_or_else(|| Ok(repository().join("target")), std::path::absolute)?;
        let root = target.join(name);
        std::fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
        Ok(Self { root, target })
    }

    /// A package's folder.
    pub(super) fn folder(&self, package: &str) -> PathBuf {
        self.root.join("crates").join(package)
    }

    /// Makes the copy equal to the tree, but for the version and the integration tests of all other packages. Files that
    /// are equal already stay untouched, so that cargo does not build them again.
    pub(super) fn narrow(&self, package: &str) -> anyhow::Result<()> {
        ensure!(repository().join("crates").join(package).is_dir(), "no package is called `{package}`");
        let tests = Path::new("crates").join(package).join("tests");
        let foreign = |file: &Path| {
            let test = file.starts_with("crates") && file.iter().nth(2).is_some_and(|part| part == "tests");
            test && !file.starts_with(&tests)
        };
        self.equal(|file| !foreign(file), &[])
    }

    /// Makes the copy equal to the files of the tree that are `wanted`. What is in `kept` is the copy's own.
    pub(super) fn equal(&self, wanted: impl Fn(&Path) -> bool, kept: &[PathBuf]) -> anyhow::Result<()> {
        let mut known = BTreeSet::new();
        for file in tree()?.into_iter().filter(|file| wanted(file)) {
            let original = repository().join(&file);
            let Ok(mut bytes) = std::fs::read(&original) else { continue };
            if file == Path::new("Cargo.toml") {
                bytes = renamed(&bytes)?;
            }
            write(&self.root.join(&file), &bytes, std::fs::metadata(&original)?.permissions())?;
            known.insert(self.root.join(file));
        }
        remove_others(&self.root, &known, kept)
    }

    /// Builds the package's tests and gives the program to run.
    pub(super) fn build(&self, package: &str) -> anyhow::Result<PathBuf> {
        let mut command = cargo(["test", "--no-run", "--quiet", "--message-format=json"]);
        if self.folder(package).join("tests/it").is_dir() {
            command.args(["--workspace", "--test", "it"]);
        } else {
            // The two programs have no library to test; they are named for the features that they ask for.
            command.args(["-p", package, "-p", "nisse", "-p", "xtask", "--lib"]);
        }
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        // One crate is built again and again, each time with another line changed.
        command.env("CARGO_INCREMENTAL", "1");
        let output = command.output().context("start cargo")?;
        ensure!(output.status.success(), "the copy does not build:\n{}", messages(&output.stdout, &output.stderr));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let program =
            lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
                let own = message["manifest_path"].as_str()? == self.folder(package).join("Cargo.toml").to_str()?;
                // A package with a program has that one built beside its tests.
                let tests = own && message["profile"]["test"] == true;
                message["executable"].as_str().filter(|_| tests).map(PathBuf::from)
            });
        program.with_context(|| format!("{package} has no tests"))
    }

    /// Plants a bug, or takes it out again.
    pub(super) fn apply(&self, patch: &Path, reverse: bool) -> anyhow::Result<()> {
        let mut git = Command::new("git");
        git.args(["apply", "--whitespace=nowarn"]).args(reverse.then_some("--reverse")).arg(patch);
        // The copy may lie inside the repository, where git would look for the patch's files at the top.
        git.current_dir(&self.root).env("GIT_CEILING_DIRECTORIES", &self.target);
        let output = git.output().context("start git")?;
        let why = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the patch does not apply any more: {why}");
        Ok(())
    }
}

/// Every file of the tree that is committed or could be.
fn tree() -> anyhow::Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(repository());
    let output = git.output().context("start git")?;
    ensure!(output.status.success(), "list the files of the tree: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("the name of a file is not UTF-8")?;
    Ok(names.split_terminator('\0').map(PathBuf::from).collect())
}

/// The root manifest with another version for all packages.
fn renamed(manifest: &[u8]) -> anyhow::Result<Vec<u8>> {
    let text = std::str::from_utf8(manifest).context("read Cargo.toml")?;
    let (head, rest) = text.split_once("\nversion = \"").context("Cargo.toml names no version")?;
    let (version, tail) = rest.split_once('"').context("Cargo.toml names no version")?;
    Ok(format!("{head}\nversion = \"{version}{VERSION_SUFFIX}\"{tail}").into_bytes())
}

fn write(path: &Path, bytes: &[u8], permissions: Permissions) -> anyhow::Result<()> {
    if std::fs::read(path).is_ok_and(|held| held == bytes) {
        return Ok(());
    }
    let folder = path.parent().context("a file of the tree has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    std::fs::write(path, bytes).with_context(|| format!("write {}", path.display()))?;
    // A script stays one.
    std::fs::set_permissions(path, permissions).with_context(|| format!("change the mode of {}", path.display()))
}

/// Removes what is not wanted: what an interrupted run, or another package's turn, left.
fn remove_others(folder: &Path, wanted: &BTreeSet<PathBuf>, kept: &[PathBuf]) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if kept.contains(&path) {
            continue;
        }
        // A link to a folder is removed itself, and never what it leads to.
        if entry.file_type()?.is_dir() {
            remove_others(&path, wanted, kept)?;
            // Fails where something wanted is in it, and that is right.
            let _ = std::fs::remove_dir(&path);
        } else if !wanted.contains(&path) {
            std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// What the compiler said, out of cargo's messages.
fn messages(stdout: &[u8], stderr: &[u8]) -> String {
    let lines = String::from_utf8_lossy(stdout).into_owned();
    let parsed = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut text: String = parsed
        .filter(|message| message["message"]["level"] == "error")
        .filter_map(|message| message["message"]["rendered"].as_str().map(str::to_owned))
        .collect();
    text.push_str(&String::from_utf8_lossy(stderr));
    text
}
