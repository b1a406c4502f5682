//! How a secret comes in: from a terminal without being shown, or from a pipe. Never as an argument, which other users of
//! the machine and the shell's history would see.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// Bytes that are read: more than any secret has.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// Bytes of a line that a terminal passes on (`N_TTY_BUF_SIZE` of Linux, with the line's end); what is typed beyond is gone.
const LINE_BYTES_MAX: usize = 4_095;

/// What was read; wiped when it is dropped.
pub(crate) type Input = Zeroizing<Vec<u8>>;

/// Secrets pass through this process: what it holds goes into no core file and to no debugger of another process of this
/// user.
pub(crate) fn keep_memory_closed() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let closed = set_dumpable_behavior(DumpableBehavior::NotDumpable).and_then(|()| setrlimit(Resource::Core, none));
    if let Err(error) = closed {
        tracing::warn!(%error, "this process's memory could not be kept from core files");
    }
}

/// One secret. `what` is asked for on a terminal, such as "passphrase".
pub(crate) async fn read(what: &str) -> Result<Input, Failure> {
    keep_memory_closed();
    if std::io::stdin().is_terminal() { ask(what).await } else { read_pipe(what) }
}

/// A new secret: asked for twice on a terminal, since it is not seen.
pub(crate) async fn read_new(what: &str) -> Result<Input, Failure> {
    let first = read(what).await?;
    if std::io::stdin().is_terminal() && ask(&format!("{what}, again")).await? != first {
        return Err(Failure::usage(format!("failed to read the {what}: the two are not the same")));
    }
    Ok(first)
}

/// One line that is shown as it is typed, such as words from paper: asked for on a terminal, or all of stdin.
pub(crate) async fn read_line(what: &str) -> Result<Zeroizing<String>, Failure> {
    keep_memory_closed();
    let bytes = if is_terminal() { ask_openly(what).await? } else { read_pipe(what)? };
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Failure::usage(format!("failed to read {what}: it is no text")))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Whether somebody can be asked.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

fn read_pipe(what: &str) -> Result<Input, Failure> {
    // Its room is there from the start: a buffer that grows leaves what it held behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(INPUT_BYTES_MAX + 1));
    let mut limited = std::io::stdin().lock().take(INPUT_BYTES_MAX as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(|error| unread(what, &error))?;
    if bytes.len() > INPUT_BYTES_MAX {
        return Err(Failure::usage(format!("failed to read the {what}: it is longer than 64 KiB")));
    }
    // `echo` and editors end a text with a line's end that nobody means. What is no text is taken as it is.
    if let Ok(text) = std::str::from_utf8(&bytes) {
        let length = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text).len();
        bytes.truncate(length);
    }
    if bytes.is_empty() {
        return Err(Failure::usage(format!("failed to read the {what}: nothing came on stdin")));
    }
    Ok(bytes)
}

async fn ask(what: &str) -> Result<Input, Failure> {
    typed(what, Some(Hidden::begin())).await
}

async fn ask_openly(what: &str) -> Result<Input, Failure> {
    typed(what, None).await
}

async fn typed(what: &str, hidden: Option<Hidden>) -> Result<Input, Failure> {
    let is_hidden = hidden.is_some();
    let mut prompt = std::io::stderr();
    let _ = write!(prompt, "{what}: ");
    let typing = tokio::task::spawn_blocking(|| {
        let mut line = Zeroizing::new(String::with_capacity(INPUT_BYTES_MAX));
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    // A terminal that is left by Ctrl-C shows again what is typed.
    let typed = tokio::select! {
        typed = typing => typed.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        _ = tokio::signal::ctrl_c() => Err(std::io::ErrorKind::Interrupted.into()),
    };
    drop(hidden);
    if is_hidden {
        let _ = writeln!(prompt);
    }
    let line = typed.map_err(|error| unread(what, &error))?;
    let line = line.trim_end_matches(['\n', '\r']);
    if line.len() >= LINE_BYTES_MAX {
        let text =
            format!("failed to read the {what}: a terminal passes no more than {LINE_BYTES_MAX} bytes of a line");
        return Err(Failure::usage(text).hint("give it on stdin: `< FILE`"));
    }
    if line.is_empty() {
        return Err(Failure::usage(format!("failed to read the {what}: nothing was typed")));
    }
    Ok(Zeroizing::new(line.as_bytes().to_vec()))
}

fn unread(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("failed to read the {what}: {error}"))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Option<Termios>);

impl Hidden {
    fn begin() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            // A terminal that cannot be silenced is still one to type on.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent);
        }
        Self(before)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}
