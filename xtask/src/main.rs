//! The project's own tasks: `cargo xtask check` is what CI runs.
#![forbid(unsafe_code)]

#[cfg(test)]
mod architecture;
mod bench;
mod check;
mod command;
mod demo;
mod deny;
#[cfg(test)]
mod docs;
mod guests;
mod interop;
mod planted;

use anyhow::bail;

const HELP: &str = "\
cargo xtask check [--long] [[--without] STAGE...]
                               all that CI runs, the stages named, or all but those; with --long also what CI has no
                               time for: the release build, egress, a million calls of the contracts, every planted bug
cargo xtask bench [GROUP...]   every aim beside what is measured now, in one table; or the groups named
cargo xtask deny [--live]      licences, bans, sources, advisories
cargo xtask demo               the release binary's demo, as another user, with an empty home
cargo xtask guests [--check]   rebuild the committed guests, or compare them byte for byte
cargo xtask interop [STORY...] real counterparts and networks, installed here: anvil, browser, cast, egress, helia,
                               namespaces, slither, urls
cargo xtask planted [NAME...|--share]
                               plant each known bug, those named, or this commit's share, and demand that a test notices";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = arguments.split_first().map_or(("help", &[][..]), |(task, rest)| (task.as_str(), rest));
    match task {
        "bench" => bench::table(rest),
        "check" => check::all(rest),
        "deny" => deny::run(rest),
        "demo" => demo::run(check::Length::Long),
        "guests" => guests::run(rest),
        "interop" => interop::run(rest),
        "planted" => planted::run(rest),
        "help" | "--help" => {
            check::say(HELP);
            Ok(())
        }
        other => bail!("know the task `{other}`\n{HELP}"),
    }
}
