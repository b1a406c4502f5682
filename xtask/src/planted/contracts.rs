//! Bugs in the contracts: planted in a copy of their own and judged by forge.
//!
//! The copy borrows what the contracts' stage has installed and built already. The contracts are few and their tests do
//! not hold their code, so that one bug costs the compilation of what it touches and nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::copy::Copy;
use super::verdict::{Verdict, shortened};
use crate::command::{repository, run};

/// What patches name in place of a crate.
pub(super) const PACKAGE: &str = "contracts";
/// What forge builds and keeps, which spares the copy the first compilation where the tree has it.
const BUILT: &[&str] = &["out", "cache"];

/// The copy. It is another than the crates', whose turns would clear away what forge has built.
pub(super) struct Contracts(Copy);

impl Contracts {
    /// A copy of the contracts as they are in the tree now, with forge, the compiler and OpenZeppelin installed.
    pub(super) fn new() -> anyhow::Result<Self> {
        let original = repository().join(PACKAGE);
        let mut install = Command::new("sh");
        install.args(["-c", ". ./env.sh"]).current_dir(&original);
        run(install).context("install forge")?;
        let contracts = Self(Copy::new("planted-contracts")?);
        let folder = contracts.folder();
        let kept: Vec<PathBuf> = BUILT.iter().map(|name| folder.join(name)).collect();
        contracts.copy().equal(|file| file.starts_with(PACKAGE), &kept)?;
        for name in BUILT {
            if original.join(name).is_dir() {
                let _ = std::fs::remove_dir_all(folder.join(name));
                copied(&original.join(name), &folder.join(name))?;
            }
        }
        let tools = "node_modules";
        std::os::unix::fs::symlink(original.join(tools), folder.join(tools)).context("link the contracts' tools")?;
        Ok(contracts)
    }

    pub(super) fn copy(&self) -> &Copy {
        &self.0
    }

    fn folder(&self) -> PathBuf {
        self.0.root.join(PACKAGE)
    }

    /// Compiles what has changed, and runs the tests whose names hold one of `filters`. Gas ends every test.
    pub(super) fn verdict(&self, filters: &[&str]) -> anyhow::Result<Verdict> {
        let mut forge = Command::new("sh");
        forge.args(["test.sh", "--only", &filters.join("|"), "--json"]).current_dir(self.folder());
        let output = forge.output().context("start forge")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let Ok(Value::Object(suites)) = serde_json::from_str(&text) else {
            let output = text + &String::from_utf8_lossy(&output.stderr);
            return Ok(Verdict { output, ..Verdict::default() });
        };
        let mut verdict = Verdict::default();
        for (name, result) in suites.values().filter_map(|suite| suite["test_results"].as_object()).flatten() {
            let reason = result["reason"].as_str().unwrap_or_default();
            if result["status"] == "Success" {
                verdict.passed.push(name.clone());
            } else {
                if verdict.failed.is_empty() {
                    verdict.reason = shortened(reason);
                }
                verdict.failed.push(name.clone());
                verdict.output.push_str(&format!("{name}: {reason}\n"));
            }
        }
        Ok(verdict)
    }
}

/// Copies a folder with all that is in it.
fn copied(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copied(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
        }
    }
    Ok(())
}
