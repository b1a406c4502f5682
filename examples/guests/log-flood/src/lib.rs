//! Floods the log: `/fast` with lines, `/huge` with one line of many MiB, `/escapes` with lines that would drive a
//! terminal or forge a line of someone else. Events carry the same words as data.
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http, log};

const LINES: usize = 100_000;
const HUGE_BYTES: usize = 16 << 20;

/// Each tries to be more than the text of one line.
const STRANGE: [&str; 10] = [
    "\u{1b}[2J\u{1b}[H\u{1b}[31mcleared",
    "\u{1b}]0;title\u{7}\u{1b}]52;c;ZWNobyBoaQ==\u{7}clipboard",
    "\u{1b}]8;;https://evil.example/\u{1b}\\link\u{1b}]8;;\u{1b}\\",
    "\u{9b}31m eight-bit control",
    "one\ntwo\r\nthree\rfour",
    "x\n2026-01-01T00:00:00Z ERROR nisse: forged=true agent=\"neighbour\"",
    "\",\"level\":\"error\",\"forged\":true,\"x\":\"",
    "nul\0nul \u{8}\u{8}\u{8}backspace \u{7f}delete",
    "\u{202e}desrever\u{202c} \u{2066}isolate\u{2069} \u{200b}zero width",
    "",
];

struct LogFlood;

impl Handler for LogFlood {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        Ok(Outcome::text(flood(invocation.event.text().unwrap_or_default())))
    }
}

impl http::Serve for LogFlood {
    fn serve(request: http::Request) -> http::Response {
        http::Response::text(200, flood(request.path().trim_start_matches('/')))
    }
}

fn flood(what: &str) -> String {
    match what {
        "fast" => {
            for line in 0..LINES {
                log::info(format!("line {line}"));
            }
            format!("{LINES} lines\n")
        }
        "huge" => {
            log::error("x".repeat(HUGE_BYTES));
            format!("{HUGE_BYTES} bytes\n")
        }
        "escapes" => {
            for line in STRANGE {
                log::warn(line);
            }
            format!("{} lines\n", STRANGE.len())
        }
        _ => {
            log::info("quiet");
            "quiet\n".into()
        }
    }
}

nisse_sdk::export!(LogFlood);
