//! `cargo xtask check`: all that CI runs, stage by stage, with the time of each.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::command::{cargo, repository, run, script};

/// The whole must stay under this on two cores without caches.
const BUDGET: Duration = Duration::from_secs(60 * 60);

/// One stage: its name, the minutes it may take, and what it does.
struct Stage {
    name: &'static str,
    minutes: u64,
    act: fn() -> anyhow::Result<()>,
}

/// In this order: what fails fast comes first, and no stage builds dependencies that another one does not use.
const STAGES: &[Stage] = &[
    Stage { name: "toolchain", minutes: 1, act: toolchain },
    Stage { name: "format", minutes: 1, act: || run(cargo(["fmt", "--all", "--check"])) },
    Stage { name: "test", minutes: 15, act: || run(cargo(["test", "--workspace"])) },
    Stage {
        name: "clippy",
        minutes: 4,
        act: || run(cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    },
    Stage { name: "benches", minutes: 1, act: crate::bench::compile },
    Stage { name: "docs", minutes: 1, act: docs },
    Stage { name: "deny", minutes: 1, act: || crate::deny::run(&[]) },
    Stage { name: "release", minutes: 7, act: || run(cargo(["build", "--release"])) },
    Stage { name: "demo", minutes: 1, act: crate::demo::run },
    Stage { name: "egress", minutes: 2, act: || crate::interop::run(&["egress".to_owned()]) },
    Stage { name: "cast", minutes: 1, act: || crate::interop::run(&["cast".to_owned()]) },
    Stage { name: "helia", minutes: 1, act: || crate::interop::run(&["helia".to_owned()]) },
    Stage { name: "namespaces", minutes: 4, act: || crate::interop::run(&["namespaces".to_owned()]) },
    Stage { name: "contracts", minutes: 9, act: || script("contracts/check.sh", &["--long"]) },
    Stage { name: "guests", minutes: 2, act: || crate::guests::run(&["--check".to_owned()]) },
    Stage { name: "planted bugs", minutes: 9, act: || crate::planted::run(&["--share".to_owned()]) },
];

const _: () = {
    let (mut at, mut minutes) = (0, 0);
    while at < STAGES.len() {
        minutes += STAGES[at].minutes;
        at += 1;
    }
    assert!(minutes * 60 <= BUDGET.as_secs(), "the stages' minutes are the whole's");
};

/// Seconds that the stage `test` took where it ran before, as in `.ci/run`, so that the table tells all.
const TEST_SECONDS: &str = "NISSE_TEST_SECONDS";

/// Runs every stage, those named, or all but those named behind `--without`.
pub(crate) fn all(arguments: &[String]) -> anyhow::Result<()> {
    let (without, names) = match arguments.split_first() {
        Some((first, rest)) if first == "--without" => (true, rest),
        _ => (false, arguments),
    };
    for name in names {
        if !STAGES.iter().any(|stage| stage.name == name) {
            let known: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
            bail!("run the stage `{name}`: the stages are {}", known.join(", "));
        }
    }
    let mut times = Vec::new();
    if let Ok(seconds) = std::env::var(TEST_SECONDS) {
        let test = STAGES.iter().find(|stage| stage.name == "test").context("no stage `test`")?;
        times.push((test, Duration::from_secs(seconds.parse().with_context(|| format!("{TEST_SECONDS}={seconds}"))?)));
    }
    let mut failed = None;
    let chosen = |stage: &&Stage| names.is_empty() || names.iter().any(|name| name == stage.name) != without;
    for stage in STAGES.iter().filter(chosen) {
        say(&format!("── {} (budget {} min)", stage.name, stage.minutes));
        let start = Instant::now();
        let result = (stage.act)().with_context(|| format!("the stage `{}` failed", stage.name));
        times.push((stage, start.elapsed()));
        if let Err(error) = result {
            failed = Some(error);
            break;
        }
    }
    report(&times);
    failed.map_or(Ok(()), Err)
}

fn report(times: &[(&Stage, Duration)]) {
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    say("── where the time went");
    for (stage, time) in times {
        let over = if *time > Duration::from_secs(stage.minutes * 60) { "  over its budget" } else { "" };
        say(&format!("{:>14} {:>7.1} s of {:>3} min{over}", stage.name, time.as_secs_f64(), stage.minutes));
    }
    let over = if total > BUDGET { "  over the budget" } else { "" };
    say(&format!("{:>14} {:>7.1} s of {:>3} min{over}", "all", total.as_secs_f64(), BUDGET.as_secs() / 60));
}

fn toolchain() -> anyhow::Result<()> {
    let output = std::process::Command::new("rustc").arg("-V").output().context("no rustc")?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    if minor.is_none_or(|minor| minor < 95) {
        bail!("build with {}: Rust 1.95 or later is needed", version.trim());
    }
    say(version.trim());
    Ok(())
}

fn docs() -> anyhow::Result<()> {
    let mut command = cargo(["doc", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings").current_dir(repository());
    run(command)
}

#[expect(clippy::print_stdout, reason = "what CI shows is this tool's product")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
