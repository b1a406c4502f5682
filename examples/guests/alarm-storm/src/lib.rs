//! Sets its alarm into the past whenever one comes, so that the next is due at once. `/storm` begins it, `/calm` ends it,
//! `/count` tells how many came, `/flood` sets and clears the alarm a million times in one call.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, alarm, http, state};

const TIMES: usize = 1_000_000;

struct AlarmStorm;

impl Handler for AlarmStorm {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        if invocation.event.is_alarm() && !state::get::<u64>("calm")?.is_some_and(|calm| calm == 1) {
            state::put("count", &(state::get::<u64>("count")?.unwrap_or(0) + 1))?;
            alarm::at(1)?;
        }
        Ok(Outcome::empty())
    }
}

impl http::Serve for AlarmStorm {
    fn serve(request: http::Request) -> http::Response {
        match answer(request.path()) {
            Ok(text) => http::Response::text(200, text),
            Err(failure) => http::Response::text(503, failure.text),
        }
    }
}

fn answer(path: &str) -> Result<String, Failure> {
    match path {
        "/storm" => {
            state::put("calm", &0u64)?;
            alarm::at(0)?;
        }
        "/calm" => {
            state::put("calm", &1u64)?;
            alarm::clear()?;
        }
        "/count" => return Ok(format!("{}\n", state::get::<u64>("count")?.unwrap_or(0))),
        "/flood" => {
            for time in 0..TIMES {
                alarm::at(time as u64)?;
                alarm::clear()?;
            }
        }
        _ => {}
    }
    Ok("ok\n".into())
}

nisse_sdk::export!(AlarmStorm);
