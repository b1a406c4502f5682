//! Reads a request's body slowly, `/byte` one byte each 10 ms, or never, `/never`, and answers how much it got.
use nisse_sdk::bindings::wasi::clocks::monotonic_clock;
use nisse_sdk::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use nisse_sdk::http;

const PAUSE_NANOSECONDS: u64 = 10_000_000;

struct SlowReader;

impl http::ServeRaw for SlowReader {
    fn serve(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let mut bytes = 0;
        if let (Ok(body), true) = (request.consume(), path != "/ok") {
            let stream = body.stream().expect("taken once");
            if path == "/never" {
                monotonic_clock::subscribe_duration(u64::MAX).block();
            }
            while let Ok(chunk) = stream.blocking_read(1) {
                bytes += chunk.len();
                monotonic_clock::subscribe_duration(PAUSE_NANOSECONDS).block();
            }
        }
        http::send(http::Response::text(200, format!("{bytes}\n")), out);
    }
}

nisse_sdk::export!(SlowReader: raw_http);
