//! Load on an HTTP server: a few connections that each send the next request when the answer has come.
//!
//! One thread, no HTTP library on the way out: on a small machine whatever the load costs is taken from the server, and
//! a slow client makes every server look alike.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 16;
/// What is spent before anything counts.
const WARM_UP: Duration = Duration::from_millis(250);
/// Longest answer that is understood, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 32;
/// How long one answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// What one turn of load found.
pub(crate) struct Turn {
    /// Requests per second.
    pub(crate) rate: f64,
    /// Microseconds until half of the answers, and until 99 of 100.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// The server's processor time per request, in microseconds.
    pub(crate) cpu_us: f64,
}

/// `GET /` for as long as `time`; `cpu_seconds` tells what the server has used so far.
pub(crate) fn turn(
    address: SocketAddr,
    host: &str,
    time: Duration,
    cpu_seconds: impl Fn() -> anyhow::Result<f64>,
) -> anyhow::Result<Turn> {
    let request: Rc<[u8]> = format!("GET / HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\n\r\n").into_bytes().into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let times = Rc::new(RefCell::new(Vec::with_capacity(1 << 20)));
    let (counting, failure) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(None)));
    LocalSet::new().block_on(&runtime, async {
        for _ in 0..CONNECTIONS {
            let (request, times, counting, failure) =
                (request.clone(), times.clone(), counting.clone(), failure.clone());
            tokio::task::spawn_local(async move {
                if let Err(error) = connection(address, &request, &times, &counting).await {
                    failure.borrow_mut().get_or_insert(error);
                }
            });
        }
        tokio::time::sleep(WARM_UP).await;
        let (begun, used) = (Instant::now(), cpu_seconds()?);
        counting.set(true);
        tokio::time::sleep(time).await;
        counting.set(false);
        let (elapsed, used) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - used);
        if let Some(error) = failure.take() {
            return Err(error);
        }
        let mut times = std::mem::take(&mut *times.borrow_mut());
        ensure!(!times.is_empty(), "nothing was answered");
        times.sort_unstable();
        let count = times.len() as f64;
        let at = |percent: usize| f64::from(times[times.len() * percent / 100]) / 1000.0;
        Ok(Turn { rate: count / elapsed, p50_us: at(50), p99_us: at(99), cpu_us: used * 1e6 / count })
    })
}

async fn connection(
    address: SocketAddr,
    request: &[u8],
    times: &RefCell<Vec<u32>>,
    counting: &Cell<bool>,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = (vec![0; ANSWER_BYTES_MAX], 0);
    loop {
        let begun = Instant::now();
        stream.write_all(request).await?;
        let length = loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            ensure!(read > 0, "the server hung up");
            filled += read;
            if let Some(length) = answer_length(&buffer[..filled])? {
                break length;
            }
        };
        ensure!(length == filled, "the server answered more than was asked");
        filled = 0;
        if counting.get() {
            times.borrow_mut().push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
    }
}

/// One request by itself and the text of its answer: for what is measured once, such as the first answer of a server.
pub(crate) fn ask(address: SocketAddr, host: &str, method: &str) -> anyhow::Result<String> {
    exchange(address, &format!("{method} / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n"))
}

/// Posts JSON by itself.
pub(crate) fn post(address: SocketAddr, host: &str, json: &str) -> anyhow::Result<String> {
    let fields = format!("content-type: application/json\r\ncontent-length: {}", json.len());
    exchange(address, &format!("POST / HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n\r\n{json}"))
}

fn exchange(address: SocketAddr, request: &str) -> anyhow::Result<String> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    stream.write_all(request.as_bytes())?;
    let (mut buffer, mut filled) = (vec![0; ANSWER_BYTES_MAX], 0);
    let length = loop {
        if let Some(length) = answer_length(&buffer[..filled])? {
            break length;
        }
        let read = stream.read(&mut buffer[filled..])?;
        ensure!(read > 0, "the server hung up");
        filled += read;
    };
    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// How long the answer at the beginning of `bytes` is, once all of it is there. Anything but 200 is an error.
fn answer_length(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else {
        ensure!(bytes.len() < ANSWER_BYTES_MAX, "an answer of more than {ANSWER_BYTES_MAX} bytes");
        return Ok(None);
    };
    if response.code != Some(200) {
        bail!("answered {:?}: {}", response.code, String::from_utf8_lossy(&bytes[head..]));
    }
    let field = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if let Some(length) = field("content-length") {
        let length: usize = std::str::from_utf8(length.value)?.parse()?;
        return Ok((bytes.len() >= head + length).then_some(head + length));
    }
    ensure!(field("transfer-encoding").is_some(), "an answer of unknown length");
    chunked(bytes, head)
}

fn chunked(bytes: &[u8], mut at: usize) -> anyhow::Result<Option<usize>> {
    loop {
        let status = httparse::parse_chunk_size(&bytes[at..]);
        let Ok(status) = status else { bail!("a chunk without a size") };
        let httparse::Status::Complete((line, length)) = status else { return Ok(None) };
        at += line + usize::try_from(length).context("a chunk's size")? + 2;
        if at > bytes.len() {
            return Ok(None);
        }
        if length == 0 {
            return Ok(Some(at));
        }
    }
}
