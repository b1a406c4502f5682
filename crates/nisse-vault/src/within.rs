//! A vault within this process, for simulated worlds: the same client, and no process of its own. Nothing keeps its keys from
//! the rest of the process.

use std::sync::Arc;

use nisse_store::{Clock, Disk, Entropy};
use tokio::sync::{mpsc, watch};

use crate::client::{Call, VaultClient, VaultState, client};
use crate::error::VaultError;
use crate::keeper::{Keeper, VaultPaths, refusal};
use crate::unlock::Cost;
use crate::wire::{Answer, Request};

/// Keeps the vault and answers for it, as its process does.
pub struct VaultWithin {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    paths: VaultPaths,
    cost: Cost,
    calls: mpsc::Receiver<Call>,
    state: watch::Sender<VaultState>,
    /// Its owner sealed it: it is not unlocked by what lies there until they say so.
    sealed: bool,
}

/// A client, and the vault that has to run for it.
pub fn vault_within(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    paths: VaultPaths,
    cost: Cost,
) -> (VaultClient, VaultWithin) {
    let (client, calls, state) = client();
    (client, VaultWithin { disk, clock, entropy, paths, cost, calls, state, sealed: false })
}

impl VaultWithin {
    /// Opens the vault and answers, one request after the other, until `ending` is done. A vault that does not open says why
    /// to each request, and is tried again by the next one.
    pub async fn run(mut self, ending: impl Future<Output = ()>) {
        tokio::pin!(ending);
        let mut opened = None;
        self.tell(&mut opened);
        loop {
            let call = tokio::select! {
                // In order, so that a simulated world goes the same way each time.
                biased;
                () = &mut ending => return,
                call = self.calls.recv() => call,
            };
            // Every client is gone: nobody asks any more.
            let Some(Call { request, answer }) = call else { return ending.await };
            // Nor does whoever went away while others were served.
            if answer.is_closed() {
                continue;
            }
            let (sealing, unlocking) = (matches!(request, Request::Seal), matches!(request, Request::Unlock { .. }));
            let looks = opened.is_none() || request.changes();
            let answered = self.opened(&mut opened).and_then(|keeper| keeper.answer(request));
            let answered = answered.unwrap_or_else(|error| refusal(&error));
            if matches!(answered, Answer::Done) && (sealing || unlocking) {
                self.sealed = sealing;
                opened = opened.filter(|_| unlocking);
            }
            if looks {
                self.tell(&mut opened);
            }
            // Whoever asked may have gone.
            let _ = answer.send(Ok(answered));
        }
    }

    fn opened<'k>(&self, opened: &'k mut Option<Keeper>) -> Result<&'k mut Keeper, VaultError> {
        if opened.is_none() {
            let (disk, clock, entropy) = (Arc::clone(&self.disk), Arc::clone(&self.clock), Arc::clone(&self.entropy));
            *opened = Some(Keeper::open(disk, clock, entropy, self.paths.clone(), self.cost, self.sealed)?);
        }
        opened.as_mut().ok_or(VaultError::Sealed)
    }

    /// Tells how the vault stands now.
    fn tell(&self, opened: &mut Option<Keeper>) {
        self.state.send_replace(match self.opened(opened) {
            Ok(keeper) => VaultState::Known(keeper.status()),
            Err(error) => VaultState::Broken(format!("failed to {error}")),
        });
    }
}
