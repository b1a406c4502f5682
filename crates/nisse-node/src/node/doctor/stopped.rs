//! A home on which no node runs: everything in it is read.

use std::path::Path;
use std::sync::Arc;

use nisse_content::{BlockStore, StoreOptions};
use nisse_store::{CopyOnWrite, Disk, DiskLock};

use super::content::Wanted;
use super::{RESTORE, chain, content, count, databases, journal};
use crate::control::Check;
use crate::error::{ErrorKind, NodeError};
use crate::home::Home;
use crate::identity::{self, device};
use crate::node::Seams;
use crate::options::ChainChoice;

/// Reads what a home holds whose door is in order, and keeps nodes off it meanwhile. `chain`: the operator's choice, where
/// the configuration could be read.
pub fn check_stopped(folder: &Path, choice: Option<&ChainChoice>, seams: &Seams) -> Vec<Check> {
    // Held to the end.
    let (check, _lock) = match lock(&seams.disk, folder) {
        Ok(lock) => lock,
        Err(taken) => return vec![taken],
    };
    let above: Arc<dyn Disk> = Arc::new(CopyOnWrite::new(Arc::clone(&seams.disk)));
    let disk = &*seams.disk;
    let (journal, told) = journal::check(disk, folder);
    let (chain, own) = chain::check(disk, folder, choice, told.as_ref());
    let mut checks = vec![check, journal, chain];
    match Home::open(Arc::clone(&above), seams.entropy.as_ref(), folder) {
        Ok(home) => {
            checks.extend(chain::transactions(disk, &home, own.as_ref()));
            checks.extend(identity(&above, &home, seams));
            checks.push(audit(&above, &home, seams));
        }
        Err(error) => checks.push(Check::refused("transactions", error, RESTORE)),
    }
    // A journal that is not read was there once.
    let lived = told.as_ref().is_none_or(|told| told.lived);
    checks.extend(databases::check(&seams.disk, folder, lived));
    checks.extend(contents(above, folder, told.as_ref()));
    checks
}

type Kept = (Check, Option<Box<dyn DiskLock>>);

fn lock(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Kept, Check> {
    match nisse_store::Home::keep_closed(&**disk, folder) {
        Ok(lock) => Ok((Check::sound("lock", "nobody holds it"), lock)),
        Err(error) => Err(Check::refused("lock", error.into(), RESTORE)),
    }
}

/// Whose home it is: every credential is read, and its signature verified. Where there is one, there is the device's key.
fn identity(above: &Arc<dyn Disk>, home: &Home, seams: &Seams) -> Vec<Check> {
    let (of, length) = match identity::look(above, seams.entropy.as_ref(), home) {
        Ok((Some(of), length)) => (of, length),
        Ok((None, _)) => return vec![Check::sound("identity", "none")],
        Err(error) => return vec![Check::refused("identity", error, RESTORE)],
    };
    let mut checks = vec![Check::sound("identity", format!("{of}, {}", count(length, "credential")))];
    // A vault that cannot be read is told of at the door.
    if matches!(device::listed(&*seams.disk, home.path()), Ok(None)) {
        checks.push(Check::refused("keys", device::missing(home), RESTORE));
    }
    checks
}

/// The audit log: every line is read.
fn audit(above: &Arc<dyn Disk>, home: &Home, seams: &Seams) -> Check {
    match crate::audit::open(Arc::clone(above), Arc::clone(&seams.clock), seams.entropy.as_ref(), home) {
        Ok((audit, _)) => Check::sound("audit", count(audit.length(), "line")),
        Err(error) => Check::refused("audit", error, RESTORE),
    }
}

fn contents(above: Arc<dyn Disk>, folder: &Path, told: Option<&journal::Told>) -> Vec<Check> {
    let store = match BlockStore::open(above, folder.join("content"), StoreOptions::default()) {
        Ok(store) => store,
        Err(error) => {
            let failed = NodeError::caused(ErrorKind::Failed, "content_failed", &error).with_hint(error.hint());
            return vec![Check::refused("content", failed, RESTORE)];
        }
    };
    content::check(&store, &told.map(|told| Wanted::of(&told.agents)).unwrap_or_default())
}
