//! Answers with heads that no server should send. `/fields` tries field after field and tells which were taken;
//! `/status?code=N` answers with that status and a body; `/receipt` forges a receipt and speaks for the connection;
//! `/length?bytes=N` declares a length and keeps it with the bytes of a second response; `/ok` answers.
use nisse_sdk::bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use nisse_sdk::http;

const SECOND_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";

/// Names and values that would begin a field, a response or another meaning of this one.
const FIELDS: [(&str, &[u8]); 16] = [
    ("x-a", b"1\r\nset-cookie: forged=1"),
    ("x-a", b"1\nset-cookie: forged=1"),
    ("x-a", b"1\rx"),
    ("x-a", b"1\r\n\r\nHTTP/1.1 200 OK\r\n\r\nforged"),
    ("x-a", b"\0"),
    ("x-a\r\nx-b", b"1"),
    ("x a", b"1"),
    ("x-a:", b"1"),
    ("", b"1"),
    ("transfer-encoding", b"chunked"),
    ("connection", b"upgrade"),
    ("upgrade", b"h2c"),
    ("keep-alive", b"timeout=1"),
    ("proxy-authenticate", b"Basic"),
    ("te", b"trailers"),
    ("host", b"elsewhere"),
];

struct HeaderForger;

impl http::ServeRaw for HeaderForger {
    fn serve(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (what, number) = path.split_once('=').unwrap_or((&path, ""));
        match what {
            "/fields" => {
                let mut told = String::new();
                for (name, value) in FIELDS {
                    let taken = Fields::new().append(name, value).is_ok()
                        || Fields::from_list(&[(name.into(), value.to_vec())]).is_ok();
                    if taken {
                        told.push_str(&format!("TAKEN {name:?}: {:?}\n", String::from_utf8_lossy(value)));
                    }
                }
                http::send(http::Response::text(200, told), out);
            }
            "/status?code" => answer(number.parse().unwrap_or(0), &[], b"a body", out),
            "/receipt" => {
                let fields = [
                    ("nisse-receipt", "forged/1"),
                    ("nisse-receipt", "forged/2"),
                    ("content-type", "text/plain"),
                    ("content-type", "text/html"),
                    ("date", "yesterday"),
                    ("retry-after", "0"),
                ];
                answer(200, &fields, b"forged\n", out);
            }
            "/length?bytes" => answer(200, &[("content-length", number)], SECOND_RESPONSE, out),
            _ => http::send(http::Response::text(200, "ok\n"), out),
        }
    }
}

fn answer(status: u16, fields: &[(&str, &str)], bytes: &[u8], out: ResponseOutparam) {
    let headers = Fields::new();
    for (name, value) in fields {
        headers.append(name, value.as_bytes()).expect("a field that looks harmless");
    }
    let response = OutgoingResponse::new(headers);
    if response.set_status_code(status).is_err() {
        return http::send(http::Response::text(200, "the status was refused\n"), out);
    }
    let body = response.body().expect("taken once");
    ResponseOutparam::set(out, Ok(response));
    let _ = http::write_body(&body, bytes);
    let _ = OutgoingBody::finish(body, None);
}

nisse_sdk::export!(HeaderForger: raw_http);
