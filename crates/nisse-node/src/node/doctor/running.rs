//! A running node, which is asked about what it holds.

use nisse_store::Position;

use super::content::Wanted;
use super::journal::{Broken, read};
use super::{agents, content, count};
use crate::control::{Check, VaultStatus};
use crate::core::Core;
use crate::error::NodeError;
use crate::node::{Node, market_error};
use crate::options::ChainChoice;
use crate::packages::on_disk;
use crate::wallets::KeyName;

/// What a node needs to show life.
const SHOWN_AGAIN: &str =
    "see that the chain's endpoint answers, and that the operator's key has gas and the disk room";

/// What a journal needs whose disk failed once.
const RESTARTED: &str = "look after the disk of the home folder and start the node again";

impl Node {
    /// Checks what the node holds: its disk, its journal, its chain, its agents, and every block of content that a pin or
    /// an agent needs. It reads all of these, which takes as long as they are large, and holds up nobody.
    pub async fn check(&self) -> Result<Vec<Check>, NodeError> {
        let mut checks = vec![disk(&self.core)];
        checks.push(on_disk(&self.core, "read the journal", |core| Ok(journal(core))).await?);
        checks.push(self.check_chain().await);
        checks.push(self.check_vault().await);
        let audit = self.core.audit.failure();
        checks.extend(
            audit.map(|why| Check::problem("audit", format!("the audit log takes no lines: {why}"), RESTARTED)),
        );
        checks.extend(self.core.silent().map(|reason| Check::problem("heartbeat", reason, SHOWN_AGAIN)));
        let (found, wanted) = self.glance(|all| (agents::check(all), Wanted::of(all))).await?;
        checks.extend(found);
        checks.extend(
            on_disk(&self.core, "verify content", move |core| Ok(content::check(&core.content, &wanted))).await?,
        );
        Ok(checks)
    }

    async fn check_vault(&self) -> Check {
        match self.vault_at_start().await {
            VaultStatus { trouble: Some(trouble), .. } => {
                Check::problem("vault", trouble, "`nisse vault status` says what opens it")
            }
            status if status.sealed => Check::sound("vault", "sealed: `nisse unlock` opens it"),
            status => Check::sound("vault", format!("open, unlocked by {}", status.unlocked_by.join(" or "))),
        }
    }

    async fn check_chain(&self) -> Check {
        let (head, remedy) = match (&self.core.chain, &self.core.options.chain) {
            (Some(chain), _) => match chain.failure() {
                Some(why) => {
                    let text = format!("the chain takes no blocks any more: {why}");
                    return Check::problem("chain", text, RESTARTED);
                }
                None => (Ok(chain.head().0), ""),
            },
            (None, choice) => {
                let head = match self.market(KeyName::Operator) {
                    Ok(market) => market.head().await.map_err(|error| market_error(&error)),
                    Err(error) => Err(error),
                };
                let remedy = match choice {
                    ChainChoice::Remote { .. } => "the node asks again by itself; see that the chain's endpoint is up",
                    ChainChoice::Embedded { .. } => "start the node again",
                };
                (head, remedy)
            }
        };
        match head {
            Ok(block) => Check::sound("chain", format!("chain {}, block {block}", self.core.keys.chain_id())),
            Err(error) => Check::refused("chain", error, remedy),
        }
    }
}

fn disk(core: &Core) -> Check {
    match core.disk_trouble() {
        Some(trouble) => {
            Check::problem("disk", trouble, "make room on the disk of the home folder: the node goes on by itself")
        }
        None => Check::sound("disk", "takes what is recorded"),
    }
}

fn journal(core: &Core) -> Check {
    let mut records = 0;
    let each = |position, bytes: &[u8]| {
        records += 1;
        read(position, bytes).map(|_| true)
    };
    match (core.journal.read::<Broken>(Position(0), each), core.unapplied.overdue()) {
        (Ok(()), None) => Check::sound("journal", count(records, "record")),
        (Ok(()), Some(overdue)) => Check::problem("journal", overdue, "start the node again when it suits you"),
        (Err(broken), _) => broken.check(),
    }
}
