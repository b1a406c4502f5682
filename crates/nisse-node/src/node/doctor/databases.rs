//! What the node keeps beside its journal: the index of records and the agents' states.

use std::path::Path;
use std::sync::Arc;

use nisse_store::{Database, DatabaseError, Disk};

use super::{NEWER, RESTORE, UNREADABLE};
use crate::control::Check;
use crate::error::{ErrorKind, NodeError};

/// What each is called, and where it stands.
const DATABASES: [(&str, &str); 2] = [("index", "state/index.redb"), ("state", "state/agents.redb")];

/// Holds both against their checksums. `lived`: a node has run here, so they were made.
pub(super) fn check(disk: &Arc<dyn Disk>, home: &Path, lived: bool) -> Vec<Check> {
    DATABASES.into_iter().map(|(name, file)| one(name, disk, &home.join(file), lived)).collect()
}

fn one(name: &str, disk: &Arc<dyn Disk>, path: &Path, lived: bool) -> Check {
    if !disk.exists(path) {
        let gone = format!("failed to find {}: a node lived on this home", path.display());
        return if lived { Check::problem(name, gone, RESTORE) } else { Check::sound(name, "not begun yet") };
    }
    match Database::check(Arc::clone(disk), path) {
        Ok(()) => Check::sound(name, "every page fits its checksum"),
        Err(error) => {
            let remedy = match error {
                DatabaseError::Newer { .. } => NEWER,
                DatabaseError::Disk { .. } => UNREADABLE,
                _ => RESTORE,
            };
            Check::refused(name, NodeError::caused(ErrorKind::Failed, "database_failed", &error), remedy)
        }
    }
}
