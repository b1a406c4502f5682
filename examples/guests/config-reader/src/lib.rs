//! Answers with its configuration: `/` and any event with the whole block, any other path with the value of that key.
//! Its start and each request are a line of its log.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, config, http, log};
use serde_json::{Map, Value};

struct ConfigReader;

impl Handler for ConfigReader {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        if invocation.event.is_started() {
            log::info(format!("configured with {}", config::text()));
        }
        Ok(Outcome::text(config::text()))
    }
}

impl http::Serve for ConfigReader {
    fn serve(request: http::Request) -> http::Response {
        log::info(format!("asked for {}", request.path()));
        match request.path().trim_start_matches('/') {
            "" => http::Response::text(200, config::text()),
            key => value(key),
        }
    }
}

fn value(key: &str) -> http::Response {
    match serde_json::from_str::<Map<String, Value>>(&config::text()) {
        Ok(block) => match block.get(key) {
            Some(value) => http::Response::text(200, value.to_string()),
            None => http::Response::text(404, format!("{key} is not set\n")),
        },
        Err(error) => http::Response::text(503, format!("failed to read the config: {error}\n")),
    }
}

nisse_sdk::export!(ConfigReader);
