//! What happens on the way to a live agent: each step is told at the moment it happens, and kept with its time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nisse_store::Clock;

use crate::control::Step;

/// Hears of each step. It runs where the step happens, so it must be quick.
type Listener = Box<dyn FnMut(&Step) + Send>;

/// Steps with their times since a beginning.
pub struct Timeline {
    clock: Arc<dyn Clock>,
    begun: Duration,
    listener: Listener,
    steps: Vec<Step>,
}

impl fmt::Debug for Timeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Timeline")
            .field("begun", &self.begun)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl Timeline {
    /// Begins now. Until somebody listens, the steps are kept and nothing else.
    pub fn begin(clock: Arc<dyn Clock>) -> Self {
        Self { begun: clock.elapsed(), clock, listener: Box::new(|_| ()), steps: Vec::new() }
    }

    /// The same with a listener.
    #[must_use]
    pub fn heard_by(self, listener: impl FnMut(&Step) + Send + 'static) -> Self {
        Self { listener: Box::new(listener), ..self }
    }

    /// A step has happened.
    pub fn note(&mut self, name: &str, detail: impl Into<String>) {
        let step = Step { name: name.to_owned(), detail: detail.into(), at_ms: self.elapsed_ms() };
        (self.listener)(&step);
        self.steps.push(step);
    }

    /// Milliseconds since the beginning.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        let elapsed = self.clock.elapsed().saturating_sub(self.begun);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// Gives away what was noted; the time runs on.
    pub(crate) fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use nisse_testkit::SimClock;

    use super::*;

    #[test]
    fn a_step_is_heard_when_it_happens_with_the_time_since_the_beginning() {
        let clock = SimClock::default();
        clock.advance(Duration::from_secs(7));
        let heard: Arc<Mutex<Vec<(String, u64)>>> = Arc::default();
        let all = || heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let told = Arc::clone(&heard);
        let mut timeline = Timeline::begin(Arc::new(clock.clone())).heard_by(move |step| {
            told.lock().unwrap_or_else(PoisonError::into_inner).push((step.name.clone(), step.at_ms));
        });
        clock.advance(Duration::from_millis(12));
        timeline.note("packed", "an artifact");
        assert_eq!(all(), [("packed".to_owned(), 12)]);
        clock.advance(Duration::from_millis(30));
        timeline.note("published", "a publication");
        assert_eq!(all().last(), Some(&("published".to_owned(), 42)));
        let kept: Vec<_> = timeline.take_steps().into_iter().map(|step| (step.name, step.at_ms)).collect();
        assert_eq!(kept, all());
        assert!(timeline.take_steps().is_empty(), "what was given away is not given again");
    }
}
