//! Takes resources and never gives one back: `/fields`, `/pollables`, `/requests`, `/options`. The whole agent leaks, one
//! request after another; each request takes `?count=N` of them, a million if it does not say.
use nisse_sdk::bindings::wasi::clocks::monotonic_clock;
use nisse_sdk::bindings::wasi::http::types::{Fields, OutgoingRequest, RequestOptions};
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
            _ => return http::Response::text(200, "ok\n"),
        };
        for _ in 0..count {
            leak();
        }
        http::Response::text(200, format!("leaked {count}\n"))
    }
}

nisse_sdk::export!(HandleLeaker: http);
