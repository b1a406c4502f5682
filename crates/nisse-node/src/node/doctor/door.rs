//! What stands at a home's door: whose it is, its format, its keys and its token.

use std::path::Path;
use std::sync::Arc;

use nisse_store::{CopyOnWrite, Disk, HOME_FORMAT};

use super::RESTORE;
use crate::control::Check;
use crate::error::{ErrorKind, NodeError};
use crate::home::{Home, TOKEN_DIGITS};
use crate::identity::device;
use crate::node::Seams;
use crate::wallets::{self, KeyName};

/// Longest token file that is read.
const TOKEN_BYTES_MAX: u64 = 4 << 10;

/// Checks whose a home is, its format, its keys and its token; a node may run on it meanwhile. A home that is refused is
/// not looked into.
pub fn check_door(folder: &Path, seams: &Seams) -> Vec<Check> {
    let above: Arc<dyn Disk> = Arc::new(CopyOnWrite::new(Arc::clone(&seams.disk)));
    let home = match Home::open(Arc::clone(&above), seams.entropy.as_ref(), folder) {
        Ok(home) => home,
        Err(error) => return vec![Check::refused("home", error, RESTORE)],
    };
    let mut checks = vec![Check::sound("home", format!("format {HOME_FORMAT}"))];
    checks.extend(keys(&home, &*seams.disk));
    checks.push(token(&*seams.disk, &folder.join("token")));
    checks
}

fn keys(home: &Home, disk: &dyn Disk) -> Vec<Check> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    match wallets::listed(disk, home) {
        Ok(listed) => {
            for name in KeyName::ALL {
                match listed.get(name.as_str()) {
                    Some(address) => found.push(format!("{} {address}", name.as_str())),
                    // One that was never needed is drawn when it is.
                    None => problems.extend(home.check_never_used(name).err()),
                }
            }
        }
        Err(error) => problems.push(error),
    }
    match device::listed(disk, home.path()) {
        Ok(did) => found.extend(did.map(|did| format!("{} {did}", device::NAME))),
        // What is wrong with the vault is told once.
        Err(error) if problems.iter().all(|told| told.text != error.text) => problems.push(error),
        Err(_) => {}
    }
    let mut problems: Vec<Check> = problems.into_iter().map(|error| Check::refused("keys", error, RESTORE)).collect();
    problems.extend(open_files(home, disk));
    match (problems.is_empty(), found.is_empty()) {
        (true, true) => vec![Check::sound("keys", "none yet")],
        (true, false) => vec![Check::sound("keys", found.join(", "))],
        (false, _) => problems,
    }
}

/// Copies and whatever else lies beside the keys: as secret as they are.
fn open_files(home: &Home, disk: &dyn Disk) -> Vec<Check> {
    // Those were looked at above.
    let known = KeyName::ALL.map(KeyName::as_str).into_iter().chain([device::NAME]);
    let known: Vec<_> = known.map(|name| home.join("keys").join(name)).collect();
    let beside = disk.read_dir(&home.join("keys")).unwrap_or_default();
    let checked = beside.iter().filter(|path| !known.contains(path));
    let refused = checked.filter_map(|path| nisse_store::Home::check_secret(disk, path).err());
    refused.map(|error| Check::refused("keys", error.into(), RESTORE)).collect()
}

fn token(disk: &dyn Disk, path: &Path) -> Check {
    if !disk.exists(path) {
        return Check::sound("token", "none yet; each start draws another");
    }
    if let Err(error) = nisse_store::Home::check_secret(disk, path) {
        return Check::refused("token", error.into(), RESTORE);
    }
    let remedy = "start the node again: it draws another";
    match disk.read(path, TOKEN_BYTES_MAX) {
        Ok(bytes)
            if bytes.trim_ascii().len() == TOKEN_DIGITS && bytes.trim_ascii().iter().all(u8::is_ascii_hexdigit) =>
        {
            Check::sound("token", "closed to others")
        }
        Ok(_) => {
            let text = format!("failed to read {}: it holds no token of {TOKEN_DIGITS} hex digits", path.display());
            Check::problem("token", text, remedy)
        }
        Err(error) => {
            let text = format!("failed to read {}: {error}", path.display());
            Check::refused("token", NodeError::new(ErrorKind::Failed, "home_failed", text), remedy)
        }
    }
}
