//! Calls itself until the stack ends: `GET /` and every event but `started`. `/host` asks the host for something at each
//! depth, so that the host's own frames come on top of a stack that is nearly full. `/ok` answers.
use nisse_sdk::bindings::wasi::clocks::monotonic_clock;
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
            "/host" => http::Response::text(200, format!("{}\n", deeper_with_host(0))),
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

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what this agent is for")]
fn deeper_with_host(depth: u64) -> u64 {
    // Nothing that is counted: the stack ends before the host calls do.
    let asked = std::hint::black_box(monotonic_clock::resolution());
    std::hint::black_box(deeper_with_host(std::hint::black_box(depth + 1))) + asked
}

nisse_sdk::export!(Recursion);
