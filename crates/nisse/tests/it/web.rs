//! Raw HTTP/1.1 over a socket of our own, so that a test can say exactly what it means, lies included.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take. Longer than any limit of the node that a story waits for.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How much of an answer is kept.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to the end that its head promised.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// One request on a connection of its own. The headers are sent as they stand, `host` too.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(head.as_bytes())?;
    // The answer may come before the body is read: a refusal does.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let ended = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    match (answer(&bytes), ended) {
        (Some(answer), _) => Ok(answer),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads an answer that the end of the connection ended. `None` where not even its head came.
fn answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, head, body: Vec::new(), whole: true };
    let rest = &bytes[end + 4..];
    if answer.header("transfer-encoding") == Some("chunked") {
        (answer.body, answer.whole) = chunks(rest);
    } else {
        answer.whole = answer.header("content-length").is_none_or(|length| length == rest.len().to_string());
        answer.body = rest.to_vec();
    }
    Some(answer)
}

fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let length = std::str::from_utf8(&rest[..line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(length) = length else { return (body, false) };
        rest = &rest[line + 2..];
        if length == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[..length.min(rest.len())]);
        match rest.get(length + 2..) {
            Some(next) => rest = next,
            None => return (body, false),
        }
    }
}

/// One call of the chain's JSON-RPC.
pub(crate) fn rpc(address: &str, method: &str, params: serde_json::Value) -> serde_json::Value {
    let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let headers = [("host", address), ("content-type", "application/json")];
    let answer = request(address, "POST", "/", &headers, body.as_bytes()).unwrap().json();
    assert!(answer["error"].is_null(), "{method}: {answer}");
    answer["result"].clone()
}

/// An address that nobody listens on now: `run.json` does not name the chain's.
pub(crate) fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
