//! Traps when it is started; would answer HTTP if it ever got there.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http};

struct TrapAtStart;

impl Handler for TrapAtStart {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        assert!(!invocation.event.is_started(), "this agent does not start");
        Ok(Outcome::empty())
    }
}

impl http::Serve for TrapAtStart {
    fn serve(_: http::Request) -> http::Response {
        http::Response::text(200, "alive\n")
    }
}

nisse_sdk::export!(TrapAtStart);
