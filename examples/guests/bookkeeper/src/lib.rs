//! Writes down everything that happens to it: how often each `start/ID`, `alarm/TIME` and `call/PATH` came. A `GET`
//! shows the books; a `POST` is a line of its own, and one under `/wake/` sets the alarm and answers its time. An alarm
//! publishes its own time, so that chain and books can be compared line by line.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, alarm, chain, http, state};

const ASSET: &str = "TIME/USD";
const LINES_MAX: usize = 1_000;
/// From `/wake/…` and from a start to the alarm.
const ALARM_MS: u64 = 250;

struct Bookkeeper;

impl Handler for Bookkeeper {
    fn handle(Invocation { event, .. }: Invocation) -> Result<Outcome, Failure> {
        if event.is_started() {
            line(&format!("start/{}", event.id))?;
            alarm::at(event.time + ALARM_MS)?;
        } else if event.is_alarm() {
            line(&format!("alarm/{}", event.time))?;
            if chain::publish(ASSET, event.time as i64, 0).is_err() {
                line(&format!("refused/{}", event.time))?;
            }
        } else {
            line(&format!("event/{}", event.id))?;
        }
        Ok(Outcome::empty())
    }
}

fn line(key: &str) -> Result<u64, Failure> {
    let times = state::get::<u64>(key)?.unwrap_or(0) + 1;
    state::put(key, &times)?;
    Ok(times)
}

impl http::Serve for Bookkeeper {
    fn serve(request: http::Request) -> http::Response {
        let answer = match request.method() {
            http::Method::Post => write(request.path()),
            _ => books(),
        };
        match answer {
            Ok(text) => http::Response::text(200, text),
            Err(failure) => http::Response::text(503, failure.text),
        }
    }
}

fn write(path: &str) -> Result<String, Failure> {
    let times = line(&format!("call{path}"))?;
    let Some(now) = path.strip_prefix("/wake/").and_then(|now| now.parse::<u64>().ok()) else {
        return Ok(times.to_string());
    };
    alarm::at(now + ALARM_MS)?;
    Ok((now + ALARM_MS).to_string())
}

fn books() -> Result<String, Failure> {
    let mut text = String::new();
    let mut after: Option<String> = None;
    loop {
        let keys = state::keys("", after.as_deref())?;
        let Some(last) = keys.last() else { return Ok(text) };
        after = Some(last.clone());
        for key in &keys {
            text.push_str(&format!("{key}={}\n", state::get::<u64>(key)?.unwrap_or(0)));
        }
        if text.lines().count() > LINES_MAX {
            return Err(Failure::permanent("too many lines"));
        }
    }
}

nisse_sdk::export!(Bookkeeper);
