//! Never ends: `/spin` in its own code, `/calls` in host calls, `/wait` in one host call that waits. `/ok` answers.
//!
//! Events carry the same words as data.
use nisse_sdk::bindings::wasi::clocks::monotonic_clock;
use nisse_sdk::{Failure, Handler, Invocation, Outcome, clock, http, state};

struct EndlessLoop;

impl Handler for EndlessLoop {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        run(invocation.event.text().unwrap_or_default());
        Ok(Outcome::text("ok"))
    }
}

impl http::Serve for EndlessLoop {
    fn serve(request: http::Request) -> http::Response {
        run(request.path().trim_start_matches('/'));
        http::Response::text(200, "ok\n")
    }
}

fn run(what: &str) {
    match what {
        "spin" => spin(),
        "calls" => loop {
            std::hint::black_box(clock::now());
            let _ = std::hint::black_box(state::get::<Vec<u8>>("nothing"));
        },
        "wait" => monotonic_clock::subscribe_duration(u64::MAX).block(),
        // Waits that are over at once, one after another.
        "polls" => loop {
            monotonic_clock::subscribe_duration(0).block();
        },
        _ => {}
    }
}

fn spin() -> ! {
    let mut number = 1u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

nisse_sdk::export!(EndlessLoop);
