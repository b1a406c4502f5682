//! Answers as no server should: `/endless` without end, `/headers` with a huge head, `/short` and `/long` with another
//! length than declared, `/unfinished` without finishing, `/stall` with one byte and then silence, `/none` not at all,
//! `/trap` with a trap after the head, `/empty` with a million writes of nothing, `/trailers` with fields after the body that
//! would change what came before.
use nisse_sdk::bindings::wasi::clocks::monotonic_clock;
use nisse_sdk::bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use nisse_sdk::http;

const HEADERS: usize = 10_000;
const CHUNK_BYTES: usize = 64 * 1024;
const EMPTY_WRITES: usize = 1_000_000;
const TRAILERS: [(&str, &str); 4] = [
    ("content-length", "3"),
    ("set-cookie", "forged=1"),
    ("nisse-receipt", "forged"),
    ("transfer-encoding", "chunked"),
];

struct BodyFlood;

impl http::ServeRaw for BodyFlood {
    fn serve(request: IncomingRequest, out: ResponseOutparam) {
        match request.path_with_query().unwrap_or_default().as_str() {
            "/endless" => {
                let body = answer(&[], out);
                let stream = body.write().expect("taken once");
                let chunk = [b'x'; CHUNK_BYTES];
                while let Ok(ready) = stream.check_write() {
                    match usize::try_from(ready).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES) {
                        0 => stream.subscribe().block(),
                        bytes if stream.write(&chunk[..bytes]).is_err() => break,
                        _ => {}
                    }
                }
            }
            "/headers" => {
                let headers: Vec<(String, Vec<u8>)> =
                    (0..HEADERS).map(|number| (format!("x-{number}"), vec![b'x'; 1_000])).collect();
                finish(answer(&headers, out), b"");
            }
            "/short" => finish(answer(&[("content-length".into(), b"10".to_vec())], out), b"short"),
            "/long" => finish(answer(&[("content-length".into(), b"2".to_vec())], out), b"longer than two"),
            "/unfinished" => drop(http::write_body(&answer(&[], out), b"half")),
            "/stall" => {
                let body = answer(&[], out);
                let _ = http::write_body(&body, b"x");
                monotonic_clock::subscribe_duration(u64::MAX).block();
            }
            "/empty" => {
                let body = answer(&[], out);
                let stream = body.write().expect("taken once");
                for _ in 0..EMPTY_WRITES {
                    match stream.check_write() {
                        Ok(0) => stream.subscribe().block(),
                        Ok(_) if stream.write(b"").is_ok() => {}
                        _ => break,
                    }
                }
                drop(stream);
                let _ = OutgoingBody::finish(body, None);
            }
            "/trailers" => {
                let body = answer(&[], out);
                let _ = http::write_body(&body, b"before the trailers");
                let trailers = Fields::new();
                for (name, value) in TRAILERS {
                    let _ = trailers.append(name, value.as_bytes());
                }
                let _ = OutgoingBody::finish(body, Some(trailers));
            }
            "/none" => drop(out),
            "/trap" => {
                let body = answer(&[], out);
                let _ = http::write_body(&body, b"before the trap");
                panic!("as asked");
            }
            _ => http::send(http::Response::text(200, "ok\n"), out),
        }
    }
}

/// Sends a head with these headers and gives the body.
fn answer(headers: &[(String, Vec<u8>)], out: ResponseOutparam) -> OutgoingBody {
    let headers = Fields::from_list(headers).expect("well-formed headers");
    let response = OutgoingResponse::new(headers);
    let body = response.body().expect("taken once");
    ResponseOutparam::set(out, Ok(response));
    body
}

fn finish(body: OutgoingBody, bytes: &[u8]) {
    let _ = http::write_body(&body, bytes);
    let _ = OutgoingBody::finish(body, None);
}

nisse_sdk::export!(BodyFlood: raw_http);
