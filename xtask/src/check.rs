//! `cargo xtask check`: all that CI runs, stage by stage, with the time of each. With `--long`, what CI has no time for
//! comes too: the release build and its demo, a million calls of the contracts, every planted bug.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::command::{cargo, repository, run, script, target_folder};

/// The whole must stay under this on two cores without caches.
const BUDGET: Duration = Duration::from_secs(60 * 60);

/// How much of a stage is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// What every change must pass: with the programs that the tests built anyway.
    Short,
    /// What a capability must pass before it is called done: with the programs as they are released. No budget holds.
    Long,
}

/// One stage: its name, the minutes it may take when short, and what it does. No minutes: it is for the long run alone.
struct Stage {
    name: &'static str,
    minutes: u64,
    act: fn(Length) -> anyhow::Result<()>,
}

/// In this order: what fails fast comes first, and no stage builds dependencies that another one does not use.
const STAGES: &[Stage] = &[
    Stage { name: "toolchain", minutes: 1, act: |_| toolchain() },
    Stage { name: "format", minutes: 1, act: |_| run(cargo(["fmt", "--all", "--check"])) },
    Stage { name: "test", minutes: 25, act: |_| run(cargo(["test", "--workspace"])) },
    Stage {
        name: "clippy",
        minutes: 4,
        act: |_| run(cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    },
    Stage { name: "benches", minutes: 1, act: |_| crate::bench::compile() },
    Stage { name: "docs", minutes: 1, act: |_| docs() },
    Stage { name: "deny", minutes: 1, act: |_| crate::deny::run(&[]) },
    Stage { name: "release", minutes: 0, act: |_| run(cargo(["build", "--release"])) },
    Stage { name: "demo", minutes: 1, act: crate::demo::run },
    Stage { name: "egress", minutes: 0, act: |_| crate::interop::run(&["egress".to_owned()]) },
    Stage { name: "cast", minutes: 1, act: |_| crate::interop::run(&["cast".to_owned()]) },
    Stage { name: "helia", minutes: 1, act: |_| crate::interop::run(&["helia".to_owned()]) },
    Stage { name: "spaces", minutes: 1, act: |_| crate::interop::run(&["spaces".to_owned()]) },
    Stage { name: "spaces apart", minutes: 1, act: |_| crate::interop::run(&["spaces-apart".to_owned()]) },
    Stage { name: "namespaces", minutes: 4, act: |_| crate::interop::run(&["namespaces".to_owned()]) },
    Stage { name: "contracts", minutes: 5, act: contracts },
    Stage { name: "guests", minutes: 3, act: |_| crate::guests::run(&["--check".to_owned()]) },
    Stage { name: "planted bugs", minutes: 7, act: planted },
];

impl Length {
    /// What the arguments ask for, and the rest of them.
    pub(crate) fn split(arguments: &[String]) -> (Self, &[String]) {
        match arguments.split_first() {
            Some((first, rest)) if first == "--long" => (Self::Long, rest),
            _ => (Self::Short, arguments),
        }
    }

    /// Builds the program that is looked at, and says where it lies.
    pub(crate) fn program(self) -> anyhow::Result<PathBuf> {
        let (command, folder) = match self {
            // As the tests are built, examples and all: fewer features would build the dependencies anew.
            Self::Short => (cargo(["build", "--workspace", "--bins", "--examples"]), "debug"),
            Self::Long => (cargo(["build", "--release"]), "release"),
        };
        run(command)?;
        Ok(target_folder().join(folder).join("nisse"))
    }
}

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
    let (length, arguments) = Length::split(arguments);
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
    let chosen = |stage: &&Stage| match names.iter().any(|name| name == stage.name) {
        named if without == named && !names.is_empty() => false,
        named => named || length == Length::Long || stage.minutes > 0,
    };
    for stage in STAGES.iter().filter(chosen) {
        say(&format!("── {}", stage.name));
        let start = Instant::now();
        let result = (stage.act)(length).with_context(|| format!("the stage `{}` failed", stage.name));
        times.push((stage, start.elapsed()));
        if let Err(error) = result {
            failed = Some(error);
            break;
        }
    }
    report(&times, length);
    failed.map_or(Ok(()), Err)
}

fn report(times: &[(&Stage, Duration)], length: Length) {
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    say("── where the time went");
    for (stage, time) in times {
        line(stage.name, *time, Duration::from_secs(stage.minutes * 60), length);
    }
    line("all", total, BUDGET, length);
}

fn line(name: &str, time: Duration, budget: Duration, length: Length) {
    let taken = format!("{name:>14} {:>7.1} s", time.as_secs_f64());
    if length == Length::Long || budget.is_zero() {
        return say(&taken);
    }
    let over = if time > budget { "  over its budget" } else { "" };
    say(&format!("{taken} of {:>3} min{over}", budget.as_secs() / 60));
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

fn contracts(length: Length) -> anyhow::Result<()> {
    let flag = if length == Length::Long { "--long" } else { "--ci" };
    script("contracts/check.sh", &[flag])
}

fn planted(length: Length) -> anyhow::Result<()> {
    let share = ["--share".to_owned()];
    crate::planted::run(if length == Length::Long { &[] } else { &share })
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
