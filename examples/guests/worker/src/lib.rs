//! Notes each event that it handles, by its function and its id, and how often it did: none may be noted twice.
//!
//! The event's data says how that ends: `{"do": "fail"}` for ever, `"retry"` at the first attempt, `"trap"`, `"loop"`, or well.
//! `GET` tells of all of them, `FUNCTION EVENT COUNT` on a line each.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http, state};
use serde_json::{Value, json};

struct Worker;

impl Handler for Worker {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        let Invocation { function, event, attempt, .. } = invocation;
        let data: Value = serde_json::from_str(event.text().unwrap_or_default()).unwrap_or_default();
        let key = format!("{function} {}", event.id);
        state::put(&key, &(state::get::<u64>(&key)?.unwrap_or(0) + 1))?;
        match data["do"].as_str() {
            Some("fail") => return Err(Failure::permanent("as asked")),
            Some("retry") if attempt == 1 => return Err(Failure::retryable("as asked")),
            Some("trap") => panic!("as asked"),
            Some("loop") => loop {
                std::hint::black_box(());
            },
            _ => {}
        }
        let answer = json!({ "function": function, "type": event.type_, "data": data }).to_string();
        Ok(Outcome { content_type: "application/json".into(), data: answer.into_bytes() })
    }
}

impl http::Serve for Worker {
    fn serve(_: http::Request) -> http::Response {
        match lines() {
            Ok(lines) => http::Response::text(200, lines),
            Err(error) => http::Response::text(503, format!("failed to {error}\n")),
        }
    }
}

fn lines() -> Result<String, state::StateError> {
    let (mut lines, mut after) = (String::new(), None::<String>);
    loop {
        let keys = state::keys("", after.as_deref())?;
        let Some(last) = keys.last().cloned() else { return Ok(lines) };
        for key in keys {
            let count = state::get::<u64>(&key)?.unwrap_or(0);
            lines.push_str(&format!("{key} {count}\n"));
        }
        after = Some(last);
    }
}

nisse_sdk::export!(Worker);
