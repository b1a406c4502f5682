//! `cargo xtask planted`: each patch in `planted/` plants one bug; the test that it names must turn red.
//!
//! A patch begins with two comment lines before the diff: what breaks, and `# test: PACKAGE FILTER`. The tree is put
//! back after each one, whatever happens.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::check::say;
use crate::command::{cargo, repository};

/// Fewer than this many planted bugs is a gap, not a success.
const PATCHES_MIN: usize = 20;

/// Plants every bug in turn.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut patches: Vec<PathBuf> = std::fs::read_dir(repository().join("planted"))
        .context("read planted/")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    ensure!(patches.len() >= PATCHES_MIN, "{} planted bugs: at least {PATCHES_MIN} are wanted", patches.len());
    let mut unnoticed = Vec::new();
    for path in &patches {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if plant(path).with_context(|| format!("plant `{name}`"))? {
            say(&format!("   noticed: {name}"));
        } else {
            say(&format!("   UNNOTICED: {name}"));
            unnoticed.push(name);
        }
    }
    ensure!(unnoticed.is_empty(), "planted bugs that no test noticed: {}", unnoticed.join(", "));
    Ok(())
}

/// Whether the named test turned red, for a reason other than a build that failed.
fn plant(path: &Path) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("# test: ")).context("no line `# test: `")?;
    let (package, filter) = line.trim().split_once(' ').context("`# test: ` names a package and a filter")?;
    apply(path, false)?;
    let outcome = build_and_test(package, filter);
    apply(path, true)?;
    outcome
}

fn build_and_test(package: &str, filter: &str) -> anyhow::Result<bool> {
    let built = quiet(cargo(["test", "--workspace", "--no-run", "--quiet"]))?;
    ensure!(built.0, "the tree with the bug does not build:\n{}", built.1);
    let (passed, output) = quiet(cargo(["test", "--workspace", "--quiet", "-p", package, "--", filter]))?;
    if !passed && !output.contains("test result: FAILED") && !output.contains("panicked") {
        bail!("the test run did not get as far as a verdict:\n{output}");
    }
    ensure!(!passed || !output.contains("running 0 tests\n\ntest result") || output.contains("passed; 0"), "{output}");
    Ok(!passed)
}

fn apply(path: &Path, reverse: bool) -> anyhow::Result<()> {
    let mut git = Command::new("git");
    git.args(["apply", "--whitespace=nowarn"]).args(reverse.then_some("--reverse")).arg(path);
    let (done, output) = quiet({
        git.current_dir(repository());
        git
    })?;
    ensure!(done, "the patch does not apply any more: {output}");
    Ok(())
}

fn quiet(mut command: Command) -> anyhow::Result<(bool, String)> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}
