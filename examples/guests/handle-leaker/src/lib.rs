//! Takes resources and never gives one back: `/fields`, `/pollables`, `/requests`, `/options`; with something in them:
//! `/bodies`, `/request-bodies`, `/sends`, `/full-fields`, `/many-fields`, `/copied-fields`, `/authorities`. The whole agent
//! leaks, one request after another; each request takes `?count=N` of them, a million if it does not say. `/dropped` fills
//! each kind and drops it. `/poll` waits for so many at once, `/same` for so many times the same one.
use nisse_sdk::bindings::wasi::clocks::monotonic_clock;
use nisse_sdk::bindings::wasi::http::outgoing_handler;
use nisse_sdk::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions,
};
use nisse_sdk::bindings::wasi::io::poll::{self, Pollable};
use nisse_sdk::http;
use std::mem::forget;

const COUNT: u64 = 1_000_000;
/// As much as the host takes in one write.
const CHUNK_BYTES: usize = 64 * 1024;
/// Nearly what a table of fields may hold, and a long name of a host.
const FIELDS_BYTES: usize = 120 * 1024;
/// Fields of no value at all that fit into one table.
const FIELDS: usize = 3_000;

struct HandleLeaker;

impl http::Serve for HandleLeaker {
    fn serve(request: http::Request) -> http::Response {
        let count = request.parameter("count").and_then(|count| count.parse().ok()).unwrap_or(COUNT);
        let leak: fn() = match request.path() {
            "/fields" => || forget(Fields::new()),
            "/pollables" => || forget(monotonic_clock::subscribe_duration(u64::MAX)),
            "/requests" => || forget(OutgoingRequest::new(Fields::new())),
            "/options" => || forget(RequestOptions::new()),
            "/bodies" => || forget(full_response()),
            "/request-bodies" => || forget(full_request()),
            "/sends" => || forget(sent_request()),
            "/full-fields" => || forget(full_fields()),
            "/many-fields" => || forget(many_fields()),
            "/copied-fields" => || {
                let copy = full_fields().clone();
                // Until it is changed, a copy is none.
                let _ = copy.append("y", b"");
                forget(copy);
            },
            "/authorities" => || forget(long_authority()),
            "/dropped" => return drop_each(count),
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

/// Writes for as long as nothing has to be waited for. What was written stays behind the message that it belongs to.
fn fill(body: &OutgoingBody) {
    let stream = body.write().expect("taken once");
    while let Ok(1..) = stream.check_write() {
        if stream.write(&vec![b'x'; CHUNK_BYTES]).is_err() {
            break;
        }
    }
}

fn full_response() -> OutgoingResponse {
    let response = OutgoingResponse::new(Fields::new());
    fill(&response.body().expect("taken once"));
    response
}

fn full_request() -> OutgoingRequest {
    let request = OutgoingRequest::new(Fields::new());
    fill(&request.body().expect("taken once"));
    request
}

/// A request whose body grows and never comes to its end.
fn sent_request() -> Option<(OutgoingBody, FutureIncomingResponse)> {
    let request = OutgoingRequest::new(Fields::new());
    let _ = (request.set_authority(Some("example.org")), request.set_path_with_query(Some("/")));
    let body = request.body().expect("taken once");
    let answer = outgoing_handler::handle(request, None).ok()?;
    let stream = body.write().expect("taken once");
    for _ in 0..15 {
        stream.subscribe().block();
        if !matches!(stream.check_write(), Ok(1..)) || stream.write(&vec![b'x'; CHUNK_BYTES]).is_err() {
            break;
        }
    }
    drop(stream);
    Some((body, answer))
}

fn full_fields() -> Fields {
    let fields = Fields::new();
    let _ = fields.append("x", &vec![b'x'; FIELDS_BYTES]);
    fields
}

fn many_fields() -> Fields {
    Fields::from_list(&vec![("x".to_owned(), Vec::new()); FIELDS]).expect("they fit")
}

fn long_authority() -> OutgoingRequest {
    let request = OutgoingRequest::new(Fields::new());
    let _ = request.set_authority(Some(&"a".repeat(FIELDS_BYTES)));
    request
}

fn drop_each(count: u64) -> http::Response {
    for _ in 0..count {
        drop(full_response());
        drop(full_request());
        drop(full_fields());
        drop(long_authority());
    }
    http::Response::text(200, format!("dropped {count}\n"))
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
