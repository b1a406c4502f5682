//! nisse doctor: checks a home without changing it, running or not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_node::control::Check;
use nisse_node::{ChainChoice, Seams, check_door, check_stopped};
use nisse_store::{Home, SystemClock, SystemDisk, SystemEntropy};
use serde_json::json;

use crate::cli::{Shared, Up};
use crate::failure::{Exit, Failure};
use crate::{config, output, progress};

/// What to do where nothing else is known.
const REMEDY: &str = "look after it and run `nisse doctor` again";

pub(crate) async fn run(shared: &Shared) -> Result<(), Failure> {
    let home = config::home(shared.home.as_deref())?;
    let (running, checks) = progress::during("looking through the home", look(shared, home)).await;
    let sound = checks.iter().all(Check::is_sound);
    if shared.json {
        output::json(&json!({ "sound": sound, "running": running, "checks": checks }));
    } else {
        checks.iter().for_each(print);
    }
    match sound {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failed, "failed to find all of this home in order")
            .hint("each line above says what is wrong and what to do about it")),
    }
}

fn print(check: &Check) {
    let found = match (&check.problem, &check.detail) {
        (Some(problem), _) => problem.clone(),
        (None, Some(detail)) => format!("in order: {detail}"),
        (None, None) => "in order".to_owned(),
    };
    output::line(format!("{:<14} {found}", check.check));
}

/// Whether a node runs on the home, and what was found.
async fn look(shared: &Shared, home: PathBuf) -> (bool, Vec<Check>) {
    if let Err(absent) = stands(&home) {
        return (false, vec![absent]);
    }
    let seams =
        Seams { disk: Arc::new(SystemDisk), clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
    let mut checks = check_door(&home, &seams);
    let is_ours = checks.iter().all(|check| check.check != "home" || check.is_sound());
    let (configured, chain) = configuration(&home);
    checks.insert(1, configured);
    match Home::holder(&home) {
        Ok(Some(holder)) => {
            checks.extend(asked(shared, holder).await);
            (true, checks)
        }
        Ok(None) => {
            if is_ours {
                checks.extend(read(home, chain, seams).await);
            }
            checks.push(Check::sound("node", "not running; `nisse up` starts it"));
            (false, checks)
        }
        Err(error) => {
            let text = format!("failed to ask who holds {}: {error}", home.join("lock").display());
            checks.push(Check::problem("lock", text, "run it as the user who owns the home"));
            (false, checks)
        }
    }
}

/// Whether there is anything to look at.
fn stands(home: &Path) -> Result<(), Check> {
    let found = match std::fs::read_dir(home) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        listed => listed.map(|mut names| names.next()),
    };
    match found {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            let text = format!("no home stands in {}", home.display());
            Err(Check::problem("home", text, "`nisse up` makes one, and --home names another"))
        }
        Err(error) => Err(refused("home", crate::failure::unreadable(home, &error))),
    }
}

/// The file's values, held against what each may be.
fn configuration(home: &Path) -> (Check, Option<ChainChoice>) {
    match config::load(home, &Up::default()) {
        Ok(config) => {
            let path = home.join("nisse.toml");
            let detail = match path.exists() {
                true => path.display().to_string(),
                false => "no nisse.toml, so every value is built in".to_owned(),
            };
            (Check::sound("configuration", detail), Some(config.options.chain))
        }
        Err(failure) => (refused("configuration", failure), None),
    }
}

/// Everything is read where waiting for the disk is allowed.
async fn read(home: PathBuf, chain: Option<ChainChoice>, seams: Seams) -> Vec<Check> {
    let read = tokio::task::spawn_blocking(move || check_stopped(&home, chain.as_ref(), &seams)).await;
    read.unwrap_or_else(|error| vec![Check::problem("home", format!("failed to look through it: {error}"), REMEDY)])
}

/// What the running node says of what it holds.
async fn asked(shared: &Shared, holder: u32) -> Vec<Check> {
    let client = match super::client(shared).await {
        Ok(client) => client,
        Err(failure) if failure.is_unreachable() => {
            let text = format!("process {holder} holds this home and does not serve");
            return vec![Check::problem("node", text, "look again when it has come up or ended")];
        }
        Err(failure) => return vec![refused("node", failure)],
    };
    match client.get::<Vec<Check>>("/api/v1/node/check").await {
        Ok(mut checks) => {
            checks.push(Check::sound("node", "running"));
            checks
        }
        Err(error) => vec![refused("node", error.into())],
    }
}

fn refused(check: &str, failure: Failure) -> Check {
    let remedy = failure.hint_text().unwrap_or(REMEDY).to_owned();
    Check::problem(check, failure.text(), remedy)
}
