//! Asks for content by whatever CID it is told, `/read?cid=…`, many times, `/read-all?cid=…`, and publishes:
//! `/publish?asset=…&value=…&decimals=…`, `/flood` far more answers than anyone wants. `/late` publishes after its response.
use nisse_sdk::bindings::nisse::agent::chain::{self, Decimal};
use nisse_sdk::bindings::nisse::agent::ipfs;
use nisse_sdk::bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http};

const READS: usize = 100_000;
const ANSWERS: i64 = 100_000;

struct GrantSeeker;

impl Handler for GrantSeeker {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        Ok(Outcome::text(seek(invocation.event.text().unwrap_or_default())))
    }
}

impl http::ServeRaw for GrantSeeker {
    fn serve(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        if path == "/late" {
            let response = OutgoingResponse::new(Fields::new());
            let body = response.body().expect("taken once");
            ResponseOutparam::set(out, Ok(response));
            let late = format!("{:?}\n", publish("LATE", 1, 0));
            let _ = http::write_body(&body, late.as_bytes());
            let _ = OutgoingBody::finish(body, None);
            return;
        }
        http::send(http::Response::text(200, seek(&path)), out);
    }
}

fn seek(path: &str) -> String {
    let (what, query) = path.split_once('?').unwrap_or((path, ""));
    let value = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    };
    match what {
        "/read" => read(value("cid")),
        "/read-all" => {
            let mut bytes = 0;
            for number in 0..READS {
                match ipfs::read(value("cid")) {
                    Ok(content) => bytes += std::hint::black_box(content).len(),
                    Err(error) => return format!("refused after {number}: {error:?}\n"),
                }
            }
            format!("{bytes} bytes\n")
        }
        "/publish" => {
            let number = value("value").parse().unwrap_or(i64::MIN);
            format!("{:?}\n", publish(value("asset"), number, value("decimals").parse().unwrap_or(u8::MAX)))
        }
        "/flood" => {
            for number in 0..ANSWERS {
                if let Err(error) = publish("FLOOD", number, 0) {
                    return format!("refused after {number}: {error:?}\n");
                }
            }
            format!("{ANSWERS} answers\n")
        }
        _ => "ok\n".into(),
    }
}

fn read(cid: &str) -> String {
    match ipfs::read(cid) {
        Ok(content) => format!("read {} bytes\n", content.len()),
        Err(error) => format!("{error:?}\n"),
    }
}

fn publish(asset: &str, value: i64, decimals: u8) -> Result<String, chain::PublishError> {
    chain::publish(asset, Decimal { value, decimals })
}

nisse_sdk::export!(GrantSeeker: events, raw_http);
