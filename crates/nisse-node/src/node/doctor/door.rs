//! What stands at a home's door: whose it is, its format, its keys and its token.

use std::path::Path;
use std::sync::Arc;

use nisse_market::Signer as _;
use nisse_store::{CopyOnWrite, Disk, HOME_FORMAT};

use super::RESTORE;
use crate::control::Check;
use crate::error::{ErrorKind, NodeError};
use crate::home::{Home, KeyName, TOKEN_DIGITS};
use crate::node::Seams;

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
    checks.extend(keys(&home, &*seams.disk, seams));
    checks.push(token(&*seams.disk, &folder.join("token")));
    checks
}

fn keys(home: &Home, disk: &dyn Disk, seams: &Seams) -> Vec<Check> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for name in [KeyName::Operator, KeyName::Deployer] {
        let stood = home.has_key(name);
        match home.key(name, seams.entropy.as_ref()) {
            Ok(key) if stood => found.push(format!("{} {}", name.as_str(), key.address())),
            // One that was never needed was drawn just now, and goes with the disk above.
            Ok(_) => {}
            Err(error) => problems.push(Check::refused("keys", error, RESTORE)),
        }
    }
    problems.extend(open_files(home, disk));
    match (problems.is_empty(), found.is_empty()) {
        (true, true) => vec![Check::sound("keys", "none yet")],
        (true, false) => vec![Check::sound("keys", found.join(", "))],
        (false, _) => problems,
    }
}

/// Copies and whatever else lies beside the keys: as secret as they are.
fn open_files(home: &Home, disk: &dyn Disk) -> Vec<Check> {
    let known = [KeyName::Operator, KeyName::Deployer].map(|name| home.join("keys").join(name.as_str()));
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
