//! The homes that this one controls: their keys, and where they were last.

use std::net::SocketAddr;
use std::path::Path;

use nisse_model::Did;
use nisse_store::Disk;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, NodeError};

/// The file of the home.
const FILE: &str = "remotes.json";
/// Bytes of it, and how many stand in it.
const FILE_BYTES_MAX: u64 = 1 << 20;
const REMOTES_MAX: usize = 256;

/// Another home of the same identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// What `--remote` calls it.
    pub name: String,
    /// Its key.
    #[serde(with = "as_text")]
    pub did: Did,
    /// Where it is reached.
    pub addresses: Vec<SocketAddr>,
}

/// Keys in a file are texts.
mod as_text {
    use nisse_model::Did;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(did: &Did, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(did)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Did, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Those that a home knows; none where it knows none.
pub(crate) fn read(disk: &dyn Disk, home: &Path) -> Result<Vec<Remote>, NodeError> {
    let path = home.join(FILE);
    if !disk.exists(&path) {
        return Ok(Vec::new());
    }
    let failed = |why: &dyn std::fmt::Display| {
        NodeError::new(ErrorKind::Failed, "remotes_failed", format!("failed to read {}: {why}", path.display()))
            .with_hint("put it back from a copy, or remove it and pair again".to_owned())
    };
    let bytes = disk.read(&path, FILE_BYTES_MAX).map_err(|error| failed(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| failed(&error))
}

/// Keeps one, in the place of what was known of the same key or under the same name.
pub(crate) fn keep(disk: &dyn Disk, home: &Path, remote: Remote) -> Result<(), NodeError> {
    let mut remotes = read(disk, home)?;
    remotes.retain(|known| known.did != remote.did && known.name != remote.name);
    remotes.push(remote);
    let beyond = remotes.len().saturating_sub(REMOTES_MAX);
    remotes.drain(..beyond);
    let path = home.join(FILE);
    let text = serde_json::to_vec_pretty(&remotes).expect("names, keys and addresses are JSON");
    disk.replace(&path, &text).map_err(|error| {
        NodeError::new(ErrorKind::Failed, "remotes_failed", format!("failed to write {}: {error}", path.display()))
    })
}
