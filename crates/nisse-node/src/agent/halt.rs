//! How a halt ends a call: the guest's part of it is cut off after a moment, a commit never is.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use super::CallError;

/// How long a halted agent may go on with the call that it is in.
const HALT_GRACE: Duration = Duration::from_secs(2);

/// Whether a commit is under way in the middle of a call.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<AtomicBool>);

/// A commit is under way as long as this lives.
pub(super) struct Begun(UnderWay);

impl UnderWay {
    pub(super) fn begin(&self) -> Begun {
        self.0.store(true, Ordering::Relaxed);
        Begun(self.clone())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// Runs the guest's part of a call, and what the node commits in the middle of it.
pub(super) async fn until_halted<T>(
    halt: &mut watch::Receiver<bool>,
    commit: &UnderWay,
    call: impl Future<Output = T>,
) -> Result<T, CallError> {
    let halted = async {
        let _ = halt.wait_for(|halt| *halt).await;
        tokio::time::sleep(HALT_GRACE).await;
        // Nobody has to wake this: a commit moves only when the call is polled, and this is polled right behind it.
        poll_fn(|_| if commit.0.load(Ordering::Relaxed) { Poll::Pending } else { Poll::Ready(()) }).await;
    };
    tokio::select! {
        // First, so that a call that never waits costs no look at the signal.
        biased;
        end = call => Ok(end),
        () = halted => Err(CallError::Halted),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_goes_on_is_cut_off_a_moment_after_the_halt() {
        let (_sender, mut halt) = watch::channel(true);
        let begin = Instant::now();
        let end = until_halted(&mut halt, &UnderWay::default(), pending::<()>()).await;
        assert_eq!((end, begin.elapsed()), (Err(CallError::Halted), HALT_GRACE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_halt_waits_for_the_commit_of_a_head_and_cuts_the_guest_behind_it() {
        let (_sender, mut halt) = watch::channel(true);
        let commit = UnderWay::default();
        let mut committed = false;
        let call = async {
            sleep(HALT_GRACE / 2).await;
            let begun = commit.begin();
            sleep(HALT_GRACE * 5).await;
            committed = true;
            drop(begun);
            pending::<()>().await;
        };
        let end = tokio::time::timeout(HALT_GRACE * 10, until_halted(&mut halt, &commit, call)).await;
        assert_eq!(end.expect("the guest is cut off behind it"), Err(CallError::Halted));
        assert!(committed);
    }
}
