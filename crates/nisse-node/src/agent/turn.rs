//! The right to run one call, and the promise that a call that has begun comes to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::OwnedMutexGuard;

use super::CallError;
use super::task::Task;

/// One place among the calls that wait or run.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes over a place that was counted.
    pub(super) fn new(counted: Arc<AtomicUsize>) -> Self {
        Self(counted)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The agent, for the length of one call.
pub(super) struct Turn {
    task: OwnedMutexGuard<Option<Task>>,
    _place: Place,
}

impl Turn {
    pub(super) fn new(task: OwnedMutexGuard<Option<Task>>, place: Place) -> Self {
        Self { task, _place: place }
    }

    /// The agent, unless it ended while this call waited.
    pub(super) fn task(&mut self) -> Result<&mut Task, CallError> {
        self.task.as_mut().ok_or(CallError::Halted)
    }
}

/// Runs a call on the caller's task, and on one of its own once the caller has gone away: what has begun must reach
/// its commit. Nobody has to join that task: it holds the agent's turn, which halting waits for.
pub(super) fn unbroken<T: Send + 'static>(call: impl Future<Output = T> + Send + 'static) -> Unbroken<T> {
    Unbroken(Some(Box::pin(call)))
}

/// See [`unbroken`].
pub(super) struct Unbroken<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Future for Unbroken<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out, so that a call that panics goes with it and is not polled once more.
        let mut call = self.0.take().expect("a future is not polled after its end");
        let ended = call.as_mut().poll(context);
        if ended.is_pending() {
            self.0 = Some(call);
        }
        ended
    }
}

impl<T: Send + 'static> Drop for Unbroken<T> {
    fn drop(&mut self) {
        let Some(call) = self.0.take() else { return };
        // Without a runtime the process is going down, as in a crash.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_call_whose_caller_leaves_comes_to_its_end() {
        let (go, wait) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut call = unbroken(async move {
            wait.await.expect("it is told to go on");
            done.send(7).expect("somebody listens");
        });
        assert!(futures::poll!(&mut call).is_pending());
        drop(call);
        go.send(()).expect("the call is still there");
        assert_eq!(ended.await, Ok(7));
    }

    #[tokio::test]
    async fn a_call_that_panics_gives_up_what_it_held_and_is_not_polled_again() {
        let turn = Arc::new(());
        let held = Arc::clone(&turn);
        let mut polled = false;
        let call = unbroken(std::future::poll_fn(move |_| -> Poll<()> {
            let _held = &held;
            assert!(!std::mem::replace(&mut polled, true), "a second poll");
            panic!("as told")
        }));
        let ended = tokio::spawn(call).await.expect_err("it panicked");
        assert_eq!(ended.into_panic().downcast_ref(), Some(&"as told"));
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&turn), 1, "no task of its own holds it");
    }

    #[tokio::test]
    async fn a_place_is_given_back_with_its_turn() {
        let calls = Arc::new(AtomicUsize::new(1));
        let task = Arc::new(tokio::sync::Mutex::new(None));
        let mut turn = Turn::new(Arc::clone(&task).lock_owned().await, Place::new(Arc::clone(&calls)));
        assert!(matches!(turn.task(), Err(CallError::Halted)), "the agent has ended");
        drop(turn);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    }
}
