//! Reaches for everything that WASI has and tells what it got: `/tcp?address=A.B.C.D:PORT`, `/udp?address=…`,
//! `/lookup?name=…`, `/files`, `/environment`, `/input`, `/clocks`, `/random?bytes=N`. `/print` writes what no log should
//! show, `/exit?code=N` leaves, `/ok` answers. Events carry the same as data.
mod reach;

use nisse_sdk::{Failure, Handler, Invocation, Outcome, http};

struct WasiProber;

impl Handler for WasiProber {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        let (what, argument) = split(invocation.event.text().unwrap_or_default());
        Ok(Outcome::text(probe(what, argument)))
    }
}

impl http::Serve for WasiProber {
    fn serve(request: http::Request) -> http::Response {
        let argument = request.query().and_then(|query| query.split_once('=')).map_or("", |(_, value)| value);
        http::Response::text(200, probe(request.path().trim_start_matches('/'), argument))
    }
}

fn split(data: &str) -> (&str, &str) {
    data.split_once(' ').unwrap_or((data, ""))
}

fn probe(what: &str, argument: &str) -> String {
    match what {
        "tcp" => reach::tcp(argument),
        "udp" => reach::udp(argument),
        "lookup" => reach::lookup(argument),
        "files" => reach::files(),
        "environment" => reach::environment(),
        "input" => reach::input(),
        "clocks" => reach::clocks(),
        "random" => reach::random(argument.parse().unwrap_or(u64::MAX)),
        "print" => reach::print(),
        "exit" => reach::exit(argument == "0"),
        _ => "ok\n".into(),
    }
}

nisse_sdk::export!(WasiProber);
