//! Takes resources and never gives one back: `/fields`, `/pollables`, `/requests`, `/options`. The whole agent leaks, one
//! request after another; each request takes `?count=N` of them, a million if it does not say. `/poll` waits for so many
//! at once, `/same` for so many times the same one.
use nisse_sdk::bindings::wasi::clocks::monotonic_clock;
use nisse_sdk::bindings::wasi::http::types::{Fields, OutgoingRequest, RequestOptions};
use nisse_sdk::bindings::wasi::io::poll::{self, Pollable};
use nisse_sdk::http;
use std::mem::forget;

const COUNT: u64 = 1_000_000;

struct HandleLeaker;

impl http::Serve for HandleLeaker {
    fn serve(request: http::Request) -> http::Response {
        let count = request.parameter("count").and_then(|count| count.parse().ok()).unwrap_or(COUNT);
        let leak: fn() = match request.path() {
            "/fields" => || forget(Fields::new()),
            "/pollables" => || forget(monotonic_clock::subscribe_duration(u64::MAX)),
            "/requests" => || forget(OutgoingRequest::new(Fields::new())),
            "/options" => || forget(RequestOptions::new()),
            "/poll" => return poll_for(&(0..count).map(pollable).collect::<Vec<_>>(), count),
            "/same" => return poll_for(&[pollable(0)], count),
            _ => return http::Response::text(200, "ok\n"),
        };
        for _ in 0..count {
            leak();
        }
        http::Response::text(200, format!("leaked {count}\n"))
    }
}

/// One that is ready at once, so that nothing is waited for.
fn pollable(_: u64) -> Pollable {
    monotonic_clock::subscribe_duration(0)
}

/// Polls a list of `count` entries that are these, over and over.
fn poll_for(these: &[Pollable], count: u64) -> http::Response {
    let list: Vec<&Pollable> = these.iter().cycle().take(usize::try_from(count).unwrap_or(usize::MAX)).collect();
    http::Response::text(200, format!("{} of {} are ready\n", poll::poll(&list).len(), list.len()))
}

nisse_sdk::export!(HandleLeaker: http);
