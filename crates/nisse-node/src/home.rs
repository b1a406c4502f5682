//! The home folder: its layout, its format, its lock, its token, and the traces that a key leaves.
//!
//! A home is made once. Where one stands, nothing is ever made "fresh" over it: a newer format, a lock that another
//! process holds, a key that does not read or is gone is a refusal. Only the token is drawn anew at each start, so that
//! one that leaked opens nothing any more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_store::{Disk, Entropy, HomeError};
use zeroize::Zeroizing;

use crate::error::{ErrorKind, NodeError};
use crate::wallets::KeyName;

/// Longest secret of a home: a key.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Bytes of the control API's token before hex.
const TOKEN_BYTES: usize = 32;
/// And in hex.
pub(crate) const TOKEN_DIGITS: usize = TOKEN_BYTES * 2;

/// Where an earlier nisse kept the seed of this device's key.
const DEVICE_KEY: &str = "keys/device";

/// The folders of DESIGN §5.16 that this nisse uses.
const FOLDERS: [&str; 7] = ["keys", "chain", "content", "journal", "state", "spaces", "cwasm"];

/// What is written once a home's operator key is durable: where one of these holds anything, that key was once there.
const TRACES: [&str; 3] = ["journal", "chain", "state"];

/// An open, locked home.
pub(crate) struct Home {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    token: String,
    _lock: nisse_store::Home,
}

impl Home {
    /// Opens the home at `path`, making it where nothing stands.
    pub(crate) fn open(disk: Arc<dyn Disk>, entropy: &dyn Entropy, path: &Path) -> Result<Self, NodeError> {
        let lock = nisse_store::Home::open(&disk, path)?;
        for folder in FOLDERS {
            disk.create_dir_all(&path.join(folder)).map_err(|error| failed("make", &path.join(folder), &error))?;
        }
        disk.sync_dir(path).map_err(|error| failed("sync", path, &error))?;
        let mut bytes = [0; TOKEN_BYTES];
        entropy.fill(&mut bytes);
        let home = Self { path: path.to_owned(), disk, token: hex::encode(bytes), _lock: lock };
        // That of a killed node names a port which anybody may listen on by now.
        home.remove_run_file();
        home.write(&home.join("token"), home.token.as_bytes())?;
        Ok(home)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder or file inside.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The disk that it lies on.
    pub(crate) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    /// The same, to keep.
    pub(crate) fn shared_disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// The token that opens the control API.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The secret of a wallet's key that lies in a file, as an earlier nisse kept it.
    pub(crate) fn key_file(&self, name: KeyName) -> Result<Option<Zeroizing<[u8; 32]>>, NodeError> {
        let path = self.key_path(name);
        if !self.disk.exists(&path) {
            return Ok(None);
        }
        let (text, mut secret) = (Zeroizing::new(self.secret(&path)?), Zeroizing::new([0; 32]));
        hex::decode_to_slice(text.trim(), secret.as_mut_slice()).map_err(|_| self.key_invalid(name))?;
        Ok(Some(secret))
    }

    /// Removes such a file, once the vault has what it held.
    pub(crate) fn remove_key_file(&self, name: KeyName) -> Result<(), NodeError> {
        self.remove_key(&self.key_path(name))
    }

    /// The seed of this device's key, where it lies in a file.
    pub(crate) fn device_key_file(&self) -> Result<Option<Zeroizing<[u8; 32]>>, NodeError> {
        device_key_file(&*self.disk, &self.path)
    }

    /// Removes that file, once the vault has what it held.
    pub(crate) fn remove_device_key_file(&self) -> Result<(), NodeError> {
        self.remove_key(&self.join(DEVICE_KEY))
    }

    fn remove_key(&self, path: &Path) -> Result<(), NodeError> {
        let removed = self.disk.remove_file(path).and_then(|()| self.disk.sync_dir(&self.join("keys")));
        removed.map_err(|error| failed("remove", path, &error))
    }

    /// What is said of a file that holds no key.
    pub(crate) fn key_invalid(&self, name: KeyName) -> NodeError {
        let path = self.key_path(name);
        let text = format!("failed to read {}: it holds no secp256k1 key of 64 hex digits", path.display());
        NodeError::new(ErrorKind::Refused, "key_invalid", text)
            .with_hint("put the key back from a copy; nisse never draws a new one over an old one".to_owned())
    }

    /// Writes `run.json`, by which the CLI finds the running node.
    pub(crate) fn write_run_file(&self, json: &serde_json::Value) -> Result<(), NodeError> {
        self.write(&self.join("run.json"), format!("{json}\n").as_bytes())
    }

    /// Removes `run.json` at an orderly end.
    pub(crate) fn remove_run_file(&self) {
        // A missing file is what is wanted.
        let _ = self.disk.remove_file(&self.join("run.json"));
    }

    /// A secret's text, if it is ours alone.
    fn secret(&self, path: &Path) -> Result<String, NodeError> {
        nisse_store::Home::check_secret(&*self.disk, path)?;
        let bytes = self.disk.read(path, SECRET_BYTES_MAX).map_err(|error| failed("read", path, &error))?;
        String::from_utf8(bytes).map_err(|_| {
            NodeError::new(ErrorKind::Refused, "home_damaged", format!("failed to read {}: not text", path.display()))
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
        self.disk.replace(path, bytes).map_err(|error| failed("write", path, &error))
    }

    /// Refuses to draw a key where one has left traces: a new one would be another identity (DESIGN §5.16).
    pub(crate) fn check_never_used(&self, name: KeyName) -> Result<(), NodeError> {
        let trace = match name {
            KeyName::Operator => {
                let holds = |folder: &Path| {
                    let names = self.disk.read_dir(folder).map_err(|error| failed("list", folder, &error))?;
                    Ok::<_, NodeError>(!names.is_empty())
                };
                let mut found = None;
                for folder in TRACES.map(|folder| self.join(folder)) {
                    if found.is_none() && holds(&folder)? {
                        found = Some(folder);
                    }
                }
                found
            }
            KeyName::Deployer => {
                let queue = self.join("chain").join(format!("queue-{}", name.as_str()));
                self.disk.exists(&queue).then_some(queue)
            }
        };
        let Some(trace) = trace else { return Ok(()) };
        let text = format!(
            "failed to find the key `{}`: the vault has none, and {} shows that it was used",
            name.as_str(),
            trace.display()
        );
        Err(NodeError::new(ErrorKind::Refused, "key_missing", text).with_hint(
            "put `vault` and `keys` of this home back from a copy, or what `nisse vault export` made by `nisse vault \
             restore`: no other key reaches what it owns. Another home begins anew with --home DIR"
                .to_owned(),
        ))
    }

    fn key_path(&self, name: KeyName) -> PathBuf {
        self.join("keys").join(name.as_str())
    }
}

/// The seed of the key of the device that a home is, where it lies in a file, as an earlier nisse kept it.
pub(crate) fn device_key_file(disk: &dyn Disk, home: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, NodeError> {
    let path = home.join(DEVICE_KEY);
    if !disk.exists(&path) {
        return Ok(None);
    }
    nisse_store::Home::check_secret(disk, &path)?;
    let bytes = disk.read(&path, SECRET_BYTES_MAX).map_err(|error| failed("read", &path, &error))?;
    let text = Zeroizing::new(bytes);
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii(), seed.as_mut_slice()).map_err(|_| {
        let text = format!("failed to read {}: it holds no Ed25519 seed of 64 hex digits", path.display());
        NodeError::new(ErrorKind::Refused, "key_invalid", text)
            .with_hint("put the key back from a copy; nisse never draws a new one over an old one".to_owned())
    })?;
    Ok(Some(seed))
}

impl From<HomeError> for NodeError {
    fn from(error: HomeError) -> Self {
        let (kind, hint) = match &error {
            HomeError::Locked(_) => (ErrorKind::Refused, "end that one first, or name another home with --home".into()),
            HomeError::Newer { .. } => (ErrorKind::Refused, "use the nisse that made it, or a newer one".into()),
            HomeError::Foreign { .. } => {
                (ErrorKind::Refused, "name an empty folder, or one that a node has made, with --home".into())
            }
            HomeError::Unreadable(_) => (
                ErrorKind::Refused,
                "put its `format` file back from a copy: nisse makes nothing anew where a node lived".into(),
            ),
            HomeError::NotOurs(_) => {
                (ErrorKind::Refused, "run it as the user who owns it, or name another home with --home".into())
            }
            HomeError::Open { path, closed, .. } => (
                ErrorKind::Refused,
                format!("see that nothing in it was changed, then `chmod {closed:o} {}`", path.display()),
            ),
            HomeError::Disk { source, .. } => (ErrorKind::Failed, hint_of(source.kind()).into()),
        };
        Self::caused(kind, "home_refused", &error).with_hint(hint)
    }
}

/// What to do about a folder that the disk refuses.
fn hint_of(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => "run it as the user who owns the folder, or name another home with --home",
        io::ErrorKind::NotFound => "put it back from a copy, or name another home with --home",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on that disk",
        _ => "name a folder on a disk that can be written to with --home",
    }
}

fn failed(verb: &str, path: &Path, error: &io::Error) -> NodeError {
    NodeError::new(ErrorKind::Failed, "home_failed", format!("failed to {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
