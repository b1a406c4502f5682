//! The journal: every record is read, and with them the agents that it tells of.

use std::path::Path;

use nisse_model::Address;
use nisse_orchestrator::Orchestrator;
use nisse_store::{Disk, Journal, JournalError, JournalSurvey, Position};

use super::{NEWER, RESTORE, UNREADABLE, count};
use crate::control::Check;
use crate::entry::Entry;
use crate::error::{ErrorKind, NodeError, chain};
use crate::node::rebuild::history::reader;

/// What a journal tells.
pub(super) struct Told {
    pub(super) agents: Orchestrator,
    /// Whether a node ever lived here.
    pub(super) lived: bool,
}

/// Why a journal is not read to its end.
pub(super) enum Broken {
    Journal(JournalError),
    Entry { position: Position, why: String },
}

impl From<JournalError> for Broken {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl Broken {
    pub(super) fn check(self) -> Check {
        let (text, remedy) = match self {
            Self::Entry { position, why } => {
                (format!("failed to read record {position} of the journal: {why}"), NEWER.to_owned())
            }
            Self::Journal(error) => {
                let remedy = match &error {
                    JournalError::Damaged { path, .. } => {
                        format!(
                            "put {} back from a copy of this home: nothing behind the damage is ever skipped",
                            path.display()
                        )
                    }
                    JournalError::Gap { .. } => {
                        "put the file that stood before it back from a copy of this home".to_owned()
                    }
                    JournalError::Newer { .. } => NEWER.to_owned(),
                    _ => UNREADABLE.to_owned(),
                };
                (NodeError::caused(ErrorKind::Failed, "journal_failed", &error).text, remedy)
            }
        };
        Check::problem("journal", text, remedy)
    }
}

/// Whether a record of the journal is one.
pub(super) fn read(position: Position, bytes: &[u8]) -> Result<Entry, Broken> {
    Entry::decode(bytes).map_err(|error| Broken::Entry { position, why: chain(&error) })
}

/// Reads the journal of a home on which no node runs.
pub(super) fn check(disk: &dyn Disk, home: &Path) -> (Check, Option<Told>) {
    let make = || Orchestrator::new(reader(Address::default()));
    let mut agents = make();
    let surveyed = Journal::survey(disk, &home.join("journal"), |position, bytes| {
        match read(position, bytes)? {
            Entry::Decision(decision) => agents.restore(&decision),
            Entry::Snapshot(decisions) => {
                agents = make();
                decisions.iter().for_each(|decision| agents.restore(decision));
            }
            _ => {}
        }
        Ok::<_, Broken>(())
    });
    match surveyed {
        Ok(JournalSurvey { segments: 0, .. }) if was_used(disk, home) => {
            let text =
                format!("failed to find the journal in {}: a node lived on this home", home.join("journal").display());
            (Check::problem("journal", text, RESTORE), None)
        }
        Ok(JournalSurvey { segments: 0, .. }) => {
            (Check::sound("journal", "not begun yet"), Some(Told { agents, lived: false }))
        }
        Ok(found) => (Check::sound("journal", told(&found)), Some(Told { agents, lived: found.next > Position(0) })),
        Err(broken) => (broken.check(), None),
    }
}

/// A start begins the journal before anything else that is kept in these folders.
fn was_used(disk: &dyn Disk, home: &Path) -> bool {
    disk.read_dir(&home.join("chain")).is_ok_and(|names| !names.is_empty())
}

fn told(found: &JournalSurvey) -> String {
    let held = format!("{} in {}", count(found.records(), "record"), count(found.segments as u64, "file"));
    match found.torn_bytes {
        0 => held,
        torn => format!(
            "{held}; behind them {} of a write that nobody was told of: the next start cuts them off",
            count(torn, "byte")
        ),
    }
}
