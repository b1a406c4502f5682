//! Only handles events, and ends as the event's data says: `fail`, `retry`, `trap`, `alarm MILLISECONDS`, or well.
//!
//! It writes before it ends, so that a test can see whether the writes of a failed invocation are gone.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, alarm, state};
use std::time::Duration;

struct EventsOnly;

impl Handler for EventsOnly {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        let before = state::get::<String>("last")?.unwrap_or_else(|| "nothing".into());
        let event = invocation.event;
        state::put("last", &format!("{} {}", event.type_, event.id))?;
        let words: Vec<&str> = event.text().unwrap_or_default().split(' ').collect();
        match words.as_slice() {
            ["fail"] => return Err(Failure::permanent("as asked")),
            ["retry"] if invocation.attempt == 1 => return Err(Failure::retryable("as asked")),
            ["trap"] => panic!("as asked"),
            ["alarm", delay] => {
                let delay = delay.parse().map_err(|_| Failure::permanent("an alarm takes milliseconds"))?;
                alarm::after(Duration::from_millis(delay))?;
            }
            _ => {}
        }
        Ok(Outcome::text(format!("{} attempt {} after {before}", event.type_, invocation.attempt)))
    }
}

nisse_sdk::export!(EventsOnly: events);
