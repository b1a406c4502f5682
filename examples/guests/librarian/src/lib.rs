//! Keeps objects in its owner's spaces. What it has put it counts in its state too, in the same invocation: the two can
//! be compared. `POST /put/SPACE`, `/patch/SPACE/ID`, `/delete/SPACE/ID`, `/query/SPACE` and `/many/SPACE/COUNT` take JSON;
//! `/trap/…` does what `/put/…` does and then breaks off. `GET /get/SPACE/ID`, `/spaces` and `/count` look.
use nisse_sdk::spaces::{self, SpaceError};
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http, state};

struct Librarian;

impl Handler for Librarian {
    fn handle(Invocation { event, .. }: Invocation) -> Result<Outcome, Failure> {
        if !event.is_started() {
            put("notes", &String::from_utf8_lossy(&event.data)).map_err(Failure::permanent)?;
        }
        Ok(Outcome::empty())
    }
}

impl http::Serve for Librarian {
    fn serve(request: http::Request) -> http::Response {
        let body = request.body().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default();
        let words: Vec<&str> = request.path().split('/').skip(1).collect();
        let answer = match words[..] {
            ["spaces"] => listed(),
            ["count"] => count().map(|count| count.to_string()),
            ["get", space, id] => spaces::get(space, id).map(|found| found.unwrap_or_default()).map_err(said),
            ["query", space] => spaces::query(space, &body).map(|found| found.join("\n")).map_err(said),
            ["put", space] => put(space, &body),
            ["put-and-see", space] => put_and_see(space, &body),
            ["trap", space] => {
                let _ = put(space, &body);
                panic!("as it was told");
            }
            ["many", space, count] => many(space, count),
            ["patch", space, id] => spaces::patch(space, id, &body).map_err(said),
            ["delete", space, id] => spaces::delete(space, id).map(|()| String::new()).map_err(said),
            _ => return http::Response::text(404, "nothing here"),
        };
        match answer {
            Ok(text) => http::Response::text(200, text),
            Err(text) => http::Response::text(409, text),
        }
    }
}

fn put(space: &str, object: &str) -> Result<String, String> {
    let object = spaces::put(space, object).map_err(said)?;
    state::put("count", &(count()? + 1)).map_err(|error| error.to_string())?;
    Ok(object)
}

/// What a query finds right behind a change that nobody else sees yet.
fn put_and_see(space: &str, object: &str) -> Result<String, String> {
    put(space, object)?;
    let every = r#"{"type":"select","filter":{"type":"object","typename":null,"props":{}}}"#;
    Ok(spaces::query(space, every).map_err(said)?.join("\n"))
}

fn many(space: &str, count: &str) -> Result<String, String> {
    for number in 0..count.parse::<u64>().map_err(|error| error.to_string())? {
        put(space, &format!("{{\"number\":{number}}}"))?;
    }
    Ok(String::new())
}

fn count() -> Result<u64, String> {
    state::get::<u64>("count").map(Option::unwrap_or_default).map_err(|error| error.to_string())
}

fn listed() -> Result<String, String> {
    let lines = spaces::list().map_err(said)?.into_iter().map(|space| format!("{} {}", space.name, space.may_edit));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn said(error: SpaceError) -> String {
    let kind = match error {
        SpaceError::Malformed(_) => "malformed",
        SpaceError::Denied(_) => "denied",
        SpaceError::NotFound(_) => "not-found",
        SpaceError::TooLarge(_) => "too-large",
        SpaceError::Closed => "closed",
        SpaceError::Unavailable(_) => "unavailable",
    };
    format!("{kind}: {error}")
}

nisse_sdk::export!(Librarian);
