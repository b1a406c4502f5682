//! Answers with what it was asked: the request over HTTP, the event's data to an event.
//!
//! Both handlers keep state, so a test can see that they share one agent's map.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http, state};

struct Echo;

impl Handler for Echo {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        let event = invocation.event;
        state::put("event", &event.data)?;
        state::put("event-type", &event.type_)?;
        Ok(Outcome { content_type: event.content_type, data: event.data })
    }
}

impl http::Serve for Echo {
    fn serve(request: http::Request) -> http::Response {
        answer(&request).unwrap_or_else(|error| http::Response::text(503, format!("{error}\n")))
    }
}

fn answer(request: &http::Request) -> Result<http::Response, state::StateError> {
    if request.path() == "/event" {
        return Ok(match state::get::<Vec<u8>>("event")? {
            Some(data) => http::Response::new(200, "application/octet-stream", data)
                .with_header("x-event-type", &state::get::<String>("event-type")?.unwrap_or_default()),
            None => http::Response::text(404, "no event has come\n"),
        });
    }
    let sent = match request.body() {
        Ok(sent) => sent,
        Err(error) => return Ok(error.into()),
    };
    let requests = state::get::<u64>("requests")?.unwrap_or(0) + 1;
    state::put("requests", &requests)?;
    let mut body = format!("{:?} {}\n", request.method(), request.path_with_query()).into_bytes();
    body.extend_from_slice(sent);
    Ok(http::Response::new(200, "text/plain; charset=utf-8", body).with_header("x-requests", &requests.to_string()))
}

nisse_sdk::export!(Echo);
