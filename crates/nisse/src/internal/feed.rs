//! The demo's price feed: a TLS server on loopback that answers as the real price service does.
//!
//! Its authority and key stay in the home, so that a second demo resumes. It ends when its parent does: its standard
//! input closes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nisse_egress::ServerIdentity;
use nisse_store::{Clock as _, SystemClock};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::failure::{Exit, Failure};
use crate::output;

/// The name that it stands behind.
const HOST: &str = "api.coingecko.com";
/// Where the price begins, in hundredths of a dollar, and how far it swings.
const PRICE_CENTS: u64 = 341_215;
const SWING_CENTS: u64 = 9_700;
/// The swing's period.
const PERIOD_SECONDS: u64 = 600;

pub(crate) fn run(dir: &Path, listen: SocketAddr) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    runtime.block_on(serve(dir, listen))
}

fn failed(text: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("failed to serve prices: {text}"))
}

async fn serve(dir: &Path, listen: SocketAddr) -> Result<(), Failure> {
    let identity = Arc::new(identity(dir)?);
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        // The port of the last demo is taken by someone else now: any other will do.
        Err(_) => TcpListener::bind((listen.ip(), 0)).await.map_err(failed)?,
    };
    let address = listener.local_addr().map_err(failed)?;
    std::fs::write(dir.join("address"), address.to_string()).map_err(failed)?;
    output::line(address.to_string());
    let mut parent = tokio::io::stdin();
    let mut nothing = [0; 16];
    loop {
        let stream = tokio::select! {
            read = parent.read(&mut nothing) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => continue,
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        let identity = Arc::clone(&identity);
        tokio::spawn(async move {
            // A client that gives up is none of the feed's business.
            if let Ok(stream) = identity.accept(stream).await {
                let service = service_fn(|request| async move { answer(&request) });
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}

/// The identity in the folder, made at first.
fn identity(dir: &Path) -> Result<ServerIdentity, Failure> {
    let read = |name: &str| std::fs::read_to_string(dir.join(name));
    if let (Ok(certificate), Ok(key), Ok(authority)) = (read("cert.pem"), read("key.pem"), read("ca.pem")) {
        return ServerIdentity::from_pem(&certificate, &key, &authority).map_err(failed);
    }
    let identity = ServerIdentity::generate(HOST).map_err(failed)?;
    std::fs::create_dir_all(dir).map_err(failed)?;
    write_private(&dir.join("key.pem"), identity.key_pem()).map_err(failed)?;
    std::fs::write(dir.join("cert.pem"), identity.certificate_pem()).map_err(failed)?;
    // Last: with it in place, everything is.
    std::fs::write(dir.join("ca.pem"), identity.authority_pem()).map_err(failed)?;
    Ok(identity)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// `/api/v3/simple/price?ids=…&vs_currencies=usd`, as the real service answers it.
fn answer(request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let query = request.uri().query().unwrap_or_default();
    let right =
        request.uri().path() == "/api/v3/simple/price" && query.split('&').any(|pair| pair == "vs_currencies=usd");
    let (status, body) = if right {
        let ids = query.split('&').find_map(|pair| pair.strip_prefix("ids=")).unwrap_or_default();
        let cents = price_cents(SystemClock::default().now().seconds());
        let price = serde_json::json!({ "usd": cents as f64 / 100.0 });
        let prices: serde_json::Map<String, serde_json::Value> =
            ids.split(',').filter(|id| *id == "ethereum").map(|id| (id.to_owned(), price.clone())).collect();
        (StatusCode::OK, serde_json::Value::Object(prices).to_string())
    } else {
        (StatusCode::NOT_FOUND, "{\"error\":\"coin not found\"}".to_owned())
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json; charset=utf-8"));
    Ok(response)
}

/// A triangle between the two ends of the swing.
fn price_cents(seconds: u64) -> u64 {
    let place = seconds % PERIOD_SECONDS;
    let half = PERIOD_SECONDS / 2;
    let rise = if place < half { place } else { PERIOD_SECONDS - place };
    PRICE_CENTS + SWING_CENTS * rise / half
}
