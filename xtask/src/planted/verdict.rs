//! Runs a test program and reads its verdict, test by test.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// A bug that makes its test hang is no use: the test must end within this.
const RUN_MAX: Duration = Duration::from_secs(180);
/// How often a running test is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How much of a failure's reason is shown, in characters.
const REASON_LENGTH_MAX: usize = 200;

/// How a run of some tests ended.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) passed: Vec<String>,
    pub(super) failed: Vec<String>,
    /// What the first test that failed said: for whoever judges whether it failed for the right reason.
    pub(super) reason: String,
    pub(super) output: String,
}

/// Runs the tests whose names hold one of `filters`.
pub(super) fn of(program: &Path, folder: &Path, filters: &[&str]) -> anyhow::Result<Verdict> {
    let path = program.with_extension("planted-output");
    let file = std::fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let errors = file.try_clone().context("write the output twice")?;
    let mut command = Command::new(program);
    command.args(filters).current_dir(folder).stdin(Stdio::null()).stdout(file).stderr(errors);
    let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
    let start = Instant::now();
    let status = loop {
        let status = child.try_wait()?;
        if status.is_some() || start.elapsed() > RUN_MAX {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    }
    let mut output = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
    let _ = std::fs::remove_file(&path);
    let Some(status) = status else {
        bail!("{} did not end in {} s:\n{output}", filters.join(", "), RUN_MAX.as_secs());
    };
    output.push_str(&format!("\nthe tests ended with {status}\n"));
    Ok(read(output))
}

/// Where the first test panicked, and with what.
fn reason(output: &str) -> String {
    let mut lines =
        output.lines().skip_while(|line| !line.contains("' panicked at ") && !line.contains(") panicked at "));
    let place = lines.next().and_then(|line| line.split_once(" panicked at ")).map_or("", |(_, place)| place);
    let said = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
    shortened(&format!("{place} {said}"))
}

/// As much of a reason as is shown.
pub(super) fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_LENGTH_MAX).collect()
}

/// The lines `test NAME ... ok` and `test NAME ... FAILED`, as long as the harness got to its end.
fn read(output: String) -> Verdict {
    let mut verdict = Verdict { reason: reason(&output), output, ..Verdict::default() };
    if !verdict.output.contains("test result: ") {
        return verdict;
    }
    for line in verdict.output.lines() {
        let Some((name, end)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) else { continue };
        match end {
            "ok" => verdict.passed.push(name.to_owned()),
            "FAILED" => verdict.failed.push(name.to_owned()),
            _ => {}
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_only_where_the_harness_came_to_its_end() {
        let lines = "running 2 tests\ntest a::b ... ok\ntest c - should panic ... FAILED\n";
        let verdict = read(format!("{lines}\ntest result: FAILED. 1 passed; 1 failed\n"));
        assert_eq!((verdict.passed, verdict.failed), (vec!["a::b".to_owned()], vec!["c - should panic".to_owned()]));
        let aborted = read(lines.to_owned());
        assert!(aborted.passed.is_empty() && aborted.failed.is_empty());
    }
}
