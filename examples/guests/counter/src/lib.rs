//! Counts requests: `POST` counts one more, any other method only reads.
use nisse_sdk::{http, state};

struct Counter;

impl http::Serve for Counter {
    fn serve(request: http::Request) -> http::Response {
        match count(matches!(request.method(), http::Method::Post)) {
            Ok(count) => http::Response::text(200, format!("{count}\n")),
            Err(error) => http::Response::text(503, format!("failed to {error}\n")),
        }
    }
}

fn count(one_more: bool) -> Result<u64, state::StateError> {
    let mut count = state::get::<u64>("count")?.unwrap_or(0);
    if one_more {
        count += 1;
        state::put("count", &count)?;
    }
    Ok(count)
}

nisse_sdk::export!(Counter: http);
