//! Counts its alarms, each of which sets the next. `GET` tells how many came, and how many came again though an earlier
//! run of theirs was kept: the second must be 0.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, alarm, http, state};
use std::time::Duration;

const DISTANCE: Duration = Duration::from_millis(100);

struct Ticker;

impl Handler for Ticker {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        if invocation.event.is_alarm() {
            let id = invocation.event.id;
            let again = state::get::<String>("last")?.is_some_and(|last| last == id);
            state::put("last", &id)?;
            add_one(if again { "again" } else { "count" })?;
        }
        alarm::after(DISTANCE)?;
        Ok(Outcome::empty())
    }
}

impl http::Serve for Ticker {
    fn serve(_: http::Request) -> http::Response {
        match number("count").and_then(|count| Ok((count, number("again")?))) {
            Ok((count, again)) => http::Response::text(200, format!("{count} {again}\n")),
            Err(error) => http::Response::text(503, format!("failed to {error}\n")),
        }
    }
}

fn number(key: &str) -> Result<u64, state::StateError> {
    Ok(state::get::<u64>(key)?.unwrap_or(0))
}

fn add_one(key: &str) -> Result<(), state::StateError> {
    state::put(key, &(number(key)? + 1))
}

nisse_sdk::export!(Ticker);
