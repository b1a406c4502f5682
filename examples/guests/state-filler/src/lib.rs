//! Fills its state until it is refused: `/tiny` with tiny keys, `/huge` with the longest values, `/edges` with keys and
//! values just inside and outside of the bounds. Says what was refused; `/count` says how many keys are kept.
use nisse_sdk::state::{self, StateError};
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http};

const KEYS_MAX: u32 = 5_000_000;
const VALUE_BYTES_MAX: usize = 1 << 20;
const KEY_BYTES_MAX: usize = 512;

struct StateFiller;

impl Handler for StateFiller {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        Ok(Outcome::text(fill(invocation.event.text().unwrap_or_default())?))
    }
}

impl http::Serve for StateFiller {
    fn serve(request: http::Request) -> http::Response {
        match fill(request.path().trim_start_matches('/')) {
            Ok(text) => http::Response::text(200, text),
            Err(error) => http::Response::text(503, format!("failed to {error}\n")),
        }
    }
}

fn fill(what: &str) -> Result<String, StateError> {
    let mut text = String::new();
    match what {
        "tiny" => text = until_refused(&Vec::new()),
        "huge" => text = until_refused(&vec![0xaa; VALUE_BYTES_MAX]),
        "edges" => {
            for key_bytes in [0, 1, KEY_BYTES_MAX, KEY_BYTES_MAX + 1, 1 << 20] {
                let result = state::put(&"k".repeat(key_bytes), &vec![1]);
                text.push_str(&format!("key of {key_bytes}: {result:?}\n"));
            }
            for value_bytes in [0, VALUE_BYTES_MAX, VALUE_BYTES_MAX + 1, 8 << 20] {
                let result = state::put("value", &vec![1u8; value_bytes]);
                text.push_str(&format!("value of {value_bytes}: {result:?}\n"));
            }
        }
        "count" => {
            let (mut count, mut after) = (0, None);
            loop {
                let page = state::keys("", after.as_deref())?;
                let Some(last) = page.last() else { break };
                count += page.len();
                after = Some(last.clone());
            }
            text = format!("{count}\n");
        }
        _ => text.push_str("ok\n"),
    }
    Ok(text)
}

fn until_refused(value: &Vec<u8>) -> String {
    for number in 0..KEYS_MAX {
        if let Err(error) = state::put(&format!("{number:x}"), value) {
            return format!("refused after {number}: {error:?}\n");
        }
    }
    format!("never refused in {KEYS_MAX}\n")
}

nisse_sdk::export!(StateFiller);
