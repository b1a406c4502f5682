//! Streams its answers. `/large` is a mebibyte, `/events` five server-sent events with a pause before each, `/endless`
//! goes on for ever, `/trap` panics after its first chunk. `/late-write` tries to change something after its head and
//! tells what came of it. A `POST` counts itself before its head; `/count` answers how often.
use nisse_sdk::bindings::wasi::clocks::monotonic_clock;
use nisse_sdk::bindings::wasi::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use nisse_sdk::bindings::wasi::io::streams::{OutputStream, StreamError};
use nisse_sdk::{alarm, http, state};

const CHUNK_BYTES: usize = 4096;
const LARGE_CHUNKS: usize = 256;
const EVENTS: usize = 5;
const PAUSE_NANOSECONDS: u64 = 200_000_000;

struct Stream;

impl http::ServeRaw for Stream {
    fn serve(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let count = state::get::<u64>("count").ok().flatten().unwrap_or(0);
        if path == "/count" {
            return http::send(http::Response::text(200, count.to_string()), out);
        }
        if let Method::Post = request.method() {
            state::put("count", &(count + 1)).expect("there is room");
        }
        let kind = if path == "/events" { "text/event-stream" } else { "text/plain" };
        let headers = Fields::from_list(&[("content-type".into(), kind.into())]).expect("a header");
        let response = OutgoingResponse::new(headers);
        let body = response.body().expect("taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("taken once");
        // Who listens no more is told nothing more.
        let _ = write(&path, &stream);
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write(path: &str, stream: &OutputStream) -> Result<(), StreamError> {
    let chunk = [b'.'; CHUNK_BYTES];
    match path {
        "/large" => (0..LARGE_CHUNKS).try_for_each(|_| stream.blocking_write_and_flush(&chunk)),
        "/events" => (0..EVENTS).try_for_each(|number| {
            pause();
            stream.blocking_write_and_flush(format!("data: {number}\n\n").as_bytes())
        }),
        "/endless" => loop {
            stream.blocking_write_and_flush(&chunk)?;
        },
        "/trap" => {
            stream.blocking_write_and_flush(b"first\n")?;
            pause();
            panic!("after its first chunk");
        }
        "/late-write" => {
            stream.blocking_write_and_flush(b"begun\n")?;
            pause();
            let put = state::put("late", &1_u64).map_or_else(|error| error.to_string(), |()| "taken".into());
            let delete = state::delete("count").map_or_else(|error| error.to_string(), |()| "taken".into());
            let alarm = alarm::at(1).map_or_else(|error| error.to_string(), |()| "taken".into());
            stream.blocking_write_and_flush(format!("put: {put}\ndelete: {delete}\nalarm: {alarm}\n").as_bytes())
        }
        _ => stream.blocking_write_and_flush(b"at once\n"),
    }
}

fn pause() {
    monotonic_clock::subscribe_duration(PAUSE_NANOSECONDS).block();
}

nisse_sdk::export!(Stream: raw_http);
