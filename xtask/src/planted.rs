//! `cargo xtask planted [NAME...|--share]`: each patch in `planted/` plants one bug; the test that it names must turn red.
//! A share is every twelfth patch, and which twelfth goes by the commit: what CI has the time for.
//!
//! Nothing is planted in the tree itself: the bugs go into a copy of it under `target/`, so that no interruption leaves
//! one behind. A patch begins with two comment lines before the diff: what breaks, and `# test: PACKAGE FILTER`. A package
//! is a crate, or `contracts`.

mod contracts;
mod copy;
mod verdict;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use crate::check::say;
use crate::command::repository;
use contracts::Contracts;
use copy::Copy;
use verdict::Verdict;

/// Fewer planted bugs than this, in all or in a share, are a gap, not a success.
const PATCHES_MIN: usize = 10;
/// A share is one in so many of all planted bugs.
const SHARES: usize = 12;
/// How much of a test's output is shown when it did not do what it should.
const SHOWN_LINES_MAX: usize = 40;

/// One bug.
struct Bug {
    name: String,
    patch: PathBuf,
    what: String,
    filter: String,
}

/// Where the bugs of one package are planted, and whose tests judge.
enum Ground<'a> {
    Crate { copy: Copy, package: &'a str },
    Contracts(Contracts),
}

impl<'a> Ground<'a> {
    /// A copy of the tree as it is now.
    fn new(package: &'a str) -> anyhow::Result<Self> {
        if package == contracts::PACKAGE {
            return Ok(Self::Contracts(Contracts::new()?));
        }
        let copy = Copy::new("planted")?;
        copy.narrow(package)?;
        Ok(Self::Crate { copy, package })
    }

    fn copy(&self) -> &Copy {
        match self {
            Self::Crate { copy, .. } => copy,
            Self::Contracts(contracts) => contracts.copy(),
        }
    }

    /// Builds the copy as it is now and runs the tests whose names hold one of `filters`.
    fn verdict(&self, filters: &[&str]) -> anyhow::Result<Verdict> {
        match self {
            Self::Crate { copy, package } => verdict::of(&copy.build(package)?, &copy.folder(package), filters),
            Self::Contracts(contracts) => contracts.verdict(filters),
        }
    }
}

/// Plants every bug in turn, those named, or this commit's share, package by package.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let patches = patches(&repository().join("planted"))?;
    let chosen = match arguments {
        [] => patches,
        [flag] if flag == "--share" => share(patches)?,
        names => named(patches, names)?,
    };
    let mut bugs: BTreeMap<String, Vec<Bug>> = BTreeMap::new();
    for patch in chosen {
        let (package, bug) = describe(&patch).with_context(|| format!("read {}", patch.display()))?;
        bugs.entry(package).or_default().push(bug);
    }
    let (mut unnoticed, mut stale) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for (package, bugs) in &bugs {
        let ground = Ground::new(package)?;
        sound(&ground, package, bugs)?;
        for bug in bugs {
            let start = Instant::now();
            let planted = plant(&ground, bug);
            let word = match &planted {
                Ok(Some(_)) => "  noticed",
                Ok(None) => "UNNOTICED",
                Err(_) => "    STALE",
            };
            say(&format!("{word} {:>6.1} s  {}: {}", start.elapsed().as_secs_f64(), bug.name, bug.what));
            match planted {
                Ok(Some(why)) => say(&format!("                    {why}")),
                Ok(None) => unnoticed.push(bug.name.clone()),
                // One that proves nothing any more does not hide the next.
                Err(error) => {
                    say(&format!("{error:#}"));
                    stale.push(bug.name.clone());
                }
            }
        }
    }
    ensure!(stale.is_empty(), "planted bugs that can no more be planted: {}", stale.join(", "));
    ensure!(unnoticed.is_empty(), "planted bugs that no test noticed: {}", unnoticed.join(", "));
    let count: usize = bugs.values().map(Vec::len).sum();
    say(&format!("{count} planted bugs noticed in {:.0} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// All patches of a folder, by name.
fn patches(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut patches: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    Ok(patches)
}

/// The name of a patch.
fn name(patch: &Path) -> String {
    patch.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn named(mut patches: Vec<PathBuf>, names: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(unknown) = names.iter().find(|wanted| !patches.iter().any(|patch| name(patch) == **wanted)) {
        bail!("planted/{unknown}.patch does not exist");
    }
    patches.retain(|patch| names.contains(&name(patch)));
    Ok(patches)
}

/// The share whose turn it is at this commit. Sorted by name, a package's patches are neighbours: each gives its part.
/// That the others still apply is looked at too.
fn share(patches: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    for patch in &patches {
        let why = git(&["apply", "--check", "--whitespace=nowarn", &patch.to_string_lossy()]).err();
        ensure!(why.is_none(), "planted/{}.patch does not apply any more: {}", name(patch), why.unwrap_or_default());
    }
    let commit = git(&["rev-parse", "HEAD"]).map_err(anyhow::Error::msg)?;
    let number = commit.get(..8).and_then(|digits| usize::from_str_radix(digits, 16).ok()).context("a commit's id")?;
    let turn = number % SHARES;
    let all = patches.len();
    let chosen: Vec<PathBuf> = patches.into_iter().skip(turn).step_by(SHARES).collect();
    ensure!(chosen.len() >= PATCHES_MIN, "{} planted bugs in a share: at least {PATCHES_MIN} are wanted", chosen.len());
    say(&format!("share {} of {SHARES}: {} of {all} planted bugs; all apply", turn + 1, chosen.len()));
    Ok(chosen)
}

/// What git answers in the repository, or why it does not.
fn git(arguments: &[&str]) -> Result<String, String> {
    let mut git = Command::new("git");
    let output =
        git.args(arguments).current_dir(repository()).output().map_err(|error| format!("start git: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The two comment lines at the head of a patch.
fn describe(patch: &Path) -> anyhow::Result<(String, Bug)> {
    let text = std::fs::read_to_string(patch)?;
    let mut lines = text.lines();
    let what = lines.next().and_then(|line| line.strip_prefix("# ")).context("the first line says what breaks")?;
    let test = lines.next().and_then(|line| line.strip_prefix("# test: ")).context("the second line is `# test: `")?;
    let (package, filter) = test.trim().split_once(' ').context("`# test: ` names a package and a filter")?;
    ensure!(!filter.contains(' '), "`{filter}` is more than one filter");
    let bug = Bug { name: name(patch), patch: patch.to_owned(), what: what.to_owned(), filter: filter.to_owned() };
    Ok((package.to_owned(), bug))
}

/// Without a bug, every named test exists and passes: otherwise its failure would prove nothing.
fn sound(ground: &Ground<'_>, package: &str, bugs: &[Bug]) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut filters: Vec<&str> = bugs.iter().map(|bug| bug.filter.as_str()).collect();
    filters.sort_unstable();
    filters.dedup();
    let verdict = ground.verdict(&filters)?;
    for filter in &filters {
        let exists = verdict.passed.iter().chain(&verdict.failed).any(|test| test.contains(filter));
        ensure!(exists, "no test of {package} is called `{filter}`:\n{}", shown(&verdict));
    }
    if !verdict.failed.is_empty() {
        bail!("{package} fails without any bug: {}\n{}", verdict.failed.join(", "), shown(&verdict));
    }
    say(&format!("── {package}: {} tests pass unharmed, {:.1} s", filters.len(), start.elapsed().as_secs_f64()));
    Ok(())
}

/// Why the named test turned red, which is never a build that failed; `None` where it stayed green.
fn plant(ground: &Ground<'_>, bug: &Bug) -> anyhow::Result<Option<String>> {
    ground.copy().apply(&bug.patch, false)?;
    let verdict = ground.verdict(&[&bug.filter]);
    ground.copy().apply(&bug.patch, true)?;
    let verdict = verdict?;
    if verdict.failed.is_empty() && verdict.passed.is_empty() {
        bail!("the test run did not get as far as a verdict:\n{}", shown(&verdict));
    }
    let red = verdict.failed.iter().any(|test| test.contains(&bug.filter));
    Ok(red.then_some(verdict.reason))
}

fn shown(verdict: &Verdict) -> String {
    let lines: Vec<&str> = verdict.output.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES_MAX)..].join("\n")
}
