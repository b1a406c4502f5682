//! The vault's own process: it keeps the root key to itself, and answers one socket.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use nisse_store::{Disk as _, SystemClock, SystemDisk, SystemEntropy};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

use crate::error::VaultError;
use crate::keeper::{Keeper, VaultPaths, refusal};
use crate::unlock::Cost;
use crate::wire::{Answer, Request, read_message, write_message};

/// How long it waits for the vault's process before it, which ends with its node, to let go of the vault.
const LOCK_TRIES: u32 = 150;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why the vault's process ended before its node did.
#[derive(Debug, thiserror::Error)]
pub enum VaultChildError {
    /// The socket broke, or what came over it is nothing that a node says.
    #[error("speak to the node")]
    Socket(#[from] io::Error),
    /// This process's memory could not be kept from others.
    #[error("keep the vault's memory to itself")]
    Closed(#[source] rustix::io::Errno),
}

/// The whole life of the vault's process: what `nisse internal vault` calls with its end of the socket. It ends when the node
/// closes the other one, or when the vault is sealed: what has no memory has no root key in it.
pub fn vault_child_main(
    paths: &VaultPaths,
    sealed: bool,
    socket: &mut (impl Read + Write),
) -> Result<(), VaultChildError> {
    close_memory()?;
    let mut held = None;
    let mut tries = LOCK_TRIES;
    let open = || {
        let lock = paths.folder.join("lock");
        let failed = |error: io::Error| VaultError::file("lock", &lock, &error);
        SystemDisk.create_dir_durable(&paths.folder).map_err(failed)?;
        while held.is_none() {
            held = SystemDisk.try_lock(&lock).map_err(failed)?;
            // It is waited for once: who asks later is told at once.
            tries = tries.saturating_sub(1);
            if held.is_none() && tries == 0 {
                return Err(failed(io::Error::other("another process holds it")));
            }
            std::thread::sleep(if held.is_none() { LOCK_PAUSE } else { Duration::ZERO });
        }
        let (clock, entropy) = (Arc::new(SystemClock::default()), Arc::new(SystemEntropy));
        Keeper::open(Arc::new(SystemDisk), clock, entropy, paths.clone(), Cost::DEFAULT, sealed)
    };
    serve(open, socket)
}

/// The same for `nisse internal vault --read-only`: it reads a vault that another process may have open, takes no lock, and
/// writes, renames and removes nothing. What changes the vault is refused.
pub fn vault_reader_main(
    paths: &VaultPaths,
    sealed: bool,
    socket: &mut (impl Read + Write),
) -> Result<(), VaultChildError> {
    close_memory()?;
    let open = || {
        let (clock, entropy) = (Arc::new(SystemClock::default()), Arc::new(SystemEntropy));
        Keeper::look(Arc::new(SystemDisk), clock, entropy, paths.clone(), Cost::DEFAULT, sealed)
    };
    serve(open, socket)
}

/// Neither a core file nor a debugger of the same user sees this memory. Nor does the swap, where as much may be locked as
/// there is: all of it, each page once it is used. Elsewhere Argon2's memory alone is 32 times the usual limit of 8 MiB, and
/// what is locked is the page of the root key ([`serve`]). What is derived from it, and what is opened with it, is wiped
/// as soon as it was used, and is not locked.
fn close_memory() -> Result<(), VaultChildError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(VaultChildError::Closed)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(VaultChildError::Closed)?;
    if getrlimit(Resource::Memlock).current.is_none() {
        // A kernel that does not know it leaves the page of the root key.
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
    Ok(())
}

/// Answers until the node closes its end or the vault is sealed. A vault that does not open says why to each request, and is
/// tried again by the next one.
pub(crate) fn serve(
    mut open: impl FnMut() -> Result<Keeper, VaultError>,
    socket: &mut (impl Read + Write),
) -> Result<(), VaultChildError> {
    let mut opened: Option<Keeper> = None;
    while let Some(message) = read_message(socket, Request::RESTORE)? {
        let request = Request::decode(&message)?;
        drop(message);
        let sealing = matches!(request, Request::Seal);
        let answered = match &mut opened {
            Some(keeper) => keeper.answer(request),
            None => open().and_then(|keeper| opened.insert(keeper).answer(request)),
        };
        // Each request may leave another root key than it found; to lock a page again costs less than a microsecond.
        let _ = opened.as_ref().map(Keeper::hold_in_memory);
        let answer = answered.unwrap_or_else(|error| refusal(&error));
        write_message(socket, &Answer::encode(&answer))?;
        if sealing && matches!(answer, Answer::Done) {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
