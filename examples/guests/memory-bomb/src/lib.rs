//! Takes memory: `GET /` and every event but `started` until the sandbox ends it, `GET /count` until it is refused,
//! `GET /large` in one piece.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http};

const PIECE_BYTES: usize = 1 << 20;

struct MemoryBomb;

impl Handler for MemoryBomb {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        if invocation.event.is_started() {
            return Ok(Outcome::empty());
        }
        Ok(Outcome::text(format!("{} MiB", take(true))))
    }
}

impl http::Serve for MemoryBomb {
    fn serve(request: http::Request) -> http::Response {
        match request.path() {
            "/count" => http::Response::text(200, format!("{} MiB\n", take(false))),
            "/large" => http::Response::new(200, "application/octet-stream", vec![1; usize::MAX / 2]),
            "/ok" => http::Response::text(200, "ok\n"),
            _ => http::Response::text(200, format!("{} MiB\n", take(true))),
        }
    }
}

/// Takes and touches pieces, and says how many it got before one was refused.
fn take(to_the_end: bool) -> usize {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if to_the_end {
            // A refusal aborts, which is a trap.
            piece.reserve_exact(PIECE_BYTES);
        } else if piece.try_reserve_exact(PIECE_BYTES).is_err() || pieces.try_reserve(1).is_err() {
            return pieces.len();
        }
        piece.resize(PIECE_BYTES, 0xaa);
        pieces.push(std::hint::black_box(piece));
    }
}

nisse_sdk::export!(MemoryBomb);
