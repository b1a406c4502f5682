//! What a person sees while a command waits for the node: one line on a terminal's stderr that counts the seconds and
//! goes away. A file or a pipe gets nothing of it.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// Between two looks of the line.
const STEP: Duration = Duration::from_millis(200);
/// What answers sooner than this needs no line.
const STEPS_SILENT: u32 = 2;

/// Waits for the work and says so meanwhile.
pub(crate) async fn during<F: Future>(what: &str, work: F) -> F::Output {
    tokio::pin!(work);
    // A terminal that cannot clear a line would keep every one of them.
    let shows = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    if !shows {
        return work.await;
    }
    let mut steps = 0;
    loop {
        tokio::select! {
            done = &mut work => {
                if steps > STEPS_SILENT {
                    write("\r\u{1b}[K");
                }
                return done;
            }
            () = tokio::time::sleep(STEP) => {
                steps += 1;
                if steps > STEPS_SILENT {
                    write(&format!("\r\u{1b}[K{what} … {} s", u128::from(steps) * STEP.as_millis() / 1_000));
                }
            }
        }
    }
}

fn write(text: &str) {
    let mut terminal = std::io::stderr();
    // A terminal that went away has nobody to tell.
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}
