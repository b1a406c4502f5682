//! Calls itself until the stack ends: `GET /` and every event but `started`. `/ok` answers.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http};

struct Recursion;

impl Handler for Recursion {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        if invocation.event.is_started() {
            return Ok(Outcome::empty());
        }
        Ok(Outcome::text(deeper(0).to_string()))
    }
}

impl http::Serve for Recursion {
    fn serve(request: http::Request) -> http::Response {
        match request.path() {
            "/ok" => http::Response::text(200, "ok\n"),
            _ => http::Response::text(200, format!("{}\n", deeper(0))),
        }
    }
}

/// The addition after the call keeps this from becoming a loop.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what this agent is for")]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(depth + 1))) + 1
}

nisse_sdk::export!(Recursion);
