//! The queue for an agent's one turn, the right to run one call, and the promise that a call that has begun comes to its
//! end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::OwnedMutexGuard;

use super::CallError;
use super::task::Task;

/// Places that no request takes: however many callers there are, an alarm finds one.
const EVENT_PLACES: usize = 1;

/// What wants the agent's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// A request.
    Request,
    /// An event.
    Event,
}

/// How many calls wait or run, and how many may.
pub(super) struct Queue {
    calls: Arc<AtomicUsize>,
    calls_max: usize,
}

impl Queue {
    pub(super) fn new(calls_max: usize) -> Self {
        assert!(calls_max > EVENT_PLACES, "requests need a place as well");
        Self { calls: Arc::default(), calls_max }
    }

    /// Takes a place, or says at once that there is none.
    pub(super) fn enter(&self, wants: Wants) -> Result<Place, CallError> {
        let most = match wants {
            Wants::Request => self.calls_max - EVENT_PLACES,
            Wants::Event => self.calls_max,
        };
        let place = Place(Arc::clone(&self.calls));
        if self.calls.fetch_add(1, Ordering::Relaxed) >= most { Err(CallError::Busy(most)) } else { Ok(place) }
    }
}

/// One place among the calls that wait or run.
pub(super) struct Place(Arc<AtomicUsize>);

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
        let queue = Queue::new(2);
        let task = Arc::new(tokio::sync::Mutex::new(None));
        let place = queue.enter(Wants::Request).expect("it is empty");
        let mut turn = Turn::new(Arc::clone(&task).lock_owned().await, place);
        assert!(matches!(turn.task(), Err(CallError::Halted)), "the agent has ended");
        assert!(queue.enter(Wants::Request).is_err());
        drop(turn);
        assert!(queue.enter(Wants::Request).is_ok());
    }

    #[test]
    fn callers_of_an_agent_leave_one_place_to_its_events() {
        let queue = Queue::new(8);
        let requests: Vec<Place> = (0..7).map(|_| queue.enter(Wants::Request).expect("there is room")).collect();
        for _ in 0..3 {
            assert_eq!(queue.enter(Wants::Request).err(), Some(CallError::Busy(7)));
        }
        let event = queue.enter(Wants::Event).expect("a request never takes the last place");
        assert_eq!(queue.enter(Wants::Event).err(), Some(CallError::Busy(8)));
        drop(requests);
        let events: Vec<Place> = (0..7).map(|_| queue.enter(Wants::Event).expect("there is room")).collect();
        drop((event, events));
        assert_eq!(queue.calls.load(Ordering::Relaxed), 0, "each refusal gave back what it had counted");
    }
}
