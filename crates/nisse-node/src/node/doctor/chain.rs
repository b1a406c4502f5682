//! The home's own chain and the transactions that its keys sent there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nisse_market::embedded::{ChainSurvey, EmbeddedChain, OpenChainError};
use nisse_market::{QueueError, QueueSurvey, TxQueue};
use nisse_model::Address;
use nisse_store::{Disk, JournalError};

use super::journal::Told;
use super::{NEWER, RESTORE, UNREADABLE, count};
use crate::control::Check;
use crate::error::{ErrorKind, NodeError};
use crate::home::Home;
use crate::node::start::chain::{FOLDER, REBUILD};
use crate::options::ChainChoice;
use crate::wallets::{self, KeyName};

/// What stands before the name of a key in the folder of its transactions.
const QUEUE: &str = "queue-";

/// Which chain a home is on, as far as its files say.
enum Kind {
    /// Its own.
    Own,
    /// None of its own: what was there would have left traces.
    Elsewhere(String),
    /// No node ran yet.
    NotBegun,
}

/// Runs the home's own chain again. `Some` where it is there and in order.
pub(super) fn check(
    disk: &dyn Disk,
    home: &Path,
    choice: Option<&ChainChoice>,
    told: Option<&Told>,
) -> (Check, Option<ChainSurvey>) {
    let folder = home.join(FOLDER);
    match kind(disk, &folder, choice, told) {
        Kind::NotBegun => return (Check::sound("chain", "not begun yet"), None),
        Kind::Elsewhere(url) => return (Check::sound("chain", format!("{url}: a running node asks it")), None),
        Kind::Own => {}
    }
    let found = match EmbeddedChain::survey(disk, &folder) {
        Ok(found) => found,
        Err(error) => {
            let remedy = match &error {
                error if error.is_lost() => REBUILD,
                OpenChainError::Record { .. } | OpenChainError::Log(JournalError::Newer { .. }) => NEWER,
                _ => UNREADABLE,
            };
            let text = NodeError::caused(ErrorKind::Failed, "chain_failed", &error).text;
            return (Check::problem("chain", text, remedy), None);
        }
    };
    let operators = folder.join(format!("{QUEUE}{}", KeyName::Operator.as_str()));
    if found.head.0 > 0 && !disk.exists(&operators) {
        let text = format!("failed to find {}: the chain holds transactions that it sent", operators.display());
        return (Check::problem("chain", text, REBUILD), None);
    }
    if let Some(other) = told.and_then(|told| stray(told, found.chain_id)) {
        let remedy = format!("{REBUILD}; a chain elsewhere is named by `market.chain` in nisse.toml");
        return (Check::problem("chain", other, remedy), None);
    }
    (Check::sound("chain", seen(&found)), Some(found))
}

fn kind(disk: &dyn Disk, folder: &Path, choice: Option<&ChainChoice>, told: Option<&Told>) -> Kind {
    if let Some(ChainChoice::Remote { url, .. }) = choice {
        return Kind::Elsewhere(format!("elsewhere, at {url}"));
    }
    if disk.exists(&folder.join("blocks")) {
        return Kind::Own;
    }
    // A home that joined another's chain by a flag has sent transactions and made no market.
    let sent = TxQueue::survey(disk, &folder.join(format!("{QUEUE}{}", KeyName::Operator.as_str())));
    match (sent, told) {
        (Ok(QueueSurvey { of: Some(_), made_a_market: false, .. }), _) => Kind::Elsewhere("elsewhere".to_owned()),
        (Ok(QueueSurvey { of: None, .. }), Some(told)) if !told.lived => Kind::NotBegun,
        _ => Kind::Own,
    }
}

/// A live agent of another chain.
fn stray(told: &Told, chain_id: u64) -> Option<String> {
    let mut live = told.agents.agents().iter().filter(|(_, agent)| agent.life.is_live());
    let (deployment, agent) = live.find(|(deployment, _)| deployment.chain != chain_id)?;
    Some(format!(
        "failed to find {} on chain {chain_id}: it was deployed on chain {}",
        agent.placement.package.agent_id, deployment.chain
    ))
}

fn seen(found: &ChainSurvey) -> String {
    let (number, hash) = found.head;
    let run = match found.run_again_from {
        0 => "every block".to_owned(),
        from => format!("every block after {from}"),
    };
    let torn = match found.torn_bytes {
        0 => String::new(),
        torn => format!("; behind it {} of a block that nobody was told of", count(torn, "byte")),
    };
    format!(
        "chain {}, block {number} 0x{}; {run} was run again and came out the same{torn}",
        found.chain_id,
        hex::encode(hash)
    )
}

/// Reads what the home's keys sent. `chain`: the home's own, where it is in order.
pub(super) fn transactions(disk: &dyn Disk, home: &Home, chain: Option<&ChainSurvey>) -> Vec<Check> {
    // What cannot be read is told of at the door.
    let keys = wallets::listed(disk, home).unwrap_or_default();
    let names = disk.read_dir(&home.join(FOLDER)).unwrap_or_default();
    let mut problems = Vec::new();
    let mut sound = Vec::new();
    for folder in names {
        let Some(name) = folder.file_name().and_then(|name| name.to_str()?.strip_prefix(QUEUE)) else { continue };
        let queue = Queue { folder: folder.clone(), name: name.to_owned() };
        match queue.look(disk, &keys, chain) {
            Ok(records) => sound.push(format!("{name}: {}", count(records, "record"))),
            Err(problem) => problems.push(problem),
        }
    }
    match (problems.is_empty(), sound.is_empty()) {
        (true, true) => vec![Check::sound("transactions", "none yet")],
        (true, false) => vec![Check::sound("transactions", sound.join(", "))],
        (false, _) => problems,
    }
}

struct Queue {
    folder: PathBuf,
    name: String,
}

impl Queue {
    fn look(
        &self,
        disk: &dyn Disk,
        keys: &BTreeMap<String, Address>,
        chain: Option<&ChainSurvey>,
    ) -> Result<u64, Check> {
        let problem = |text: String, remedy: &str| Check::problem("transactions", text, remedy);
        let found = TxQueue::survey(disk, &self.folder).map_err(|error| {
            let remedy = match (&error, chain) {
                (QueueError::Damaged(_), Some(_)) => REBUILD,
                (QueueError::Damaged(_), None) => RESTORE,
                // It may be of a newer format, or not to be read now.
                _ => UNREADABLE,
            };
            problem(NodeError::caused(ErrorKind::Failed, "queue_failed", &error).text, remedy)
        })?;
        let Some((key, chain_id)) = found.of else { return Ok(found.records) };
        let of = || format!("failed to use {}: it belongs to key {key} on chain {chain_id}", self.folder.display());
        // One whose key is not in the home is another's business.
        if let Some(own) = keys.get(&self.name)
            && *own != key
        {
            return Err(problem(format!("{}, and this home's is {own}", of()), "put that key back from a copy"));
        }
        match chain {
            Some(chain) if chain.chain_id != chain_id => {
                Err(problem(format!("{}, and this home's is chain {}", of(), chain.chain_id), REBUILD))
            }
            _ => Ok(found.records),
        }
    }
}
