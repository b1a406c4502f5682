//! How a command ends when it does not succeed: a sentence, its cause, a hint, an exit code.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use nisse_api::client::{ClientError, DialError};
use nisse_node::{ErrorKind, NodeError};

use crate::output;

/// 0 ok, 1 failed, 2 usage, 3 refused, 4 unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    Refused = 3,
    Unreachable = 4,
}

/// A command's end.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    text: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, text: text.to_string(), hint: None }
    }

    /// A mistake in what was typed.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What went wrong, without a hint.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What to do about it, if there is something.
    pub(crate) fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether something that is needed does not answer.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.exit == Exit::Unreachable
    }

    /// Says it on stderr, for people or for programs.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let exit = self.exit as u8;
        if json {
            output::aside(&serde_json::json!({ "error": self.text, "hint": self.hint, "exit": exit }).to_string());
            return ExitCode::from(exit);
        }
        let colour = output::has_colour(&std::io::stderr());
        let word = |word: &str, code| if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_string() };
        output::aside(&format!("{} {}", word("error:", "1;31"), self.text));
        if let Some(hint) = &self.hint {
            output::aside(&format!("{} {hint}", word("hint:", "1;36")));
        }
        ExitCode::from(exit)
    }
}

#[cfg(test)]
impl Failure {
    /// What [`Failure::report`] says and ends with.
    pub(crate) fn told(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("exit {}\nerror: {}{hint}", self.exit as u8, self.text)
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let exit = match error.kind {
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Unsigned | ErrorKind::Refused | ErrorKind::Conflict => Exit::Refused,
            ErrorKind::Unreachable | ErrorKind::Busy => Exit::Unreachable,
            ErrorKind::NotFound | ErrorKind::Failed => Exit::Failed,
        };
        Self { exit, text: error.text, hint: error.hint }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(problem) => {
                let exit = match problem.status {
                    400 | 413 | 415 | 422 => Exit::Usage,
                    401 | 403 | 409 => Exit::Refused,
                    502..=504 => Exit::Unreachable,
                    _ => Exit::Failed,
                };
                Self { exit, text: problem.title, hint: problem.hint }
            }
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, with_causes(&error))
                .hint("start the node with `nisse up`, or name another home with --home"),
            ClientError::Dial(DialError { is_refused: true, text }) => Self::new(Exit::Refused, text)
                .hint("this device was cut off, or never admitted: `nisse device ls` there lists those that are"),
            ClientError::Dial(DialError { text, .. }) => Self::new(Exit::Unreachable, text)
                .hint("see that its node runs, and that its address is reached from here"),
            other => Self::new(Exit::Failed, with_causes(&other)),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, format!("{error:#}"))
    }
}

/// A file that is not there or not to be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::new(Exit::Failed, format!("failed to read {}: {error}", path.display()));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => failure.hint("run it as the user who owns the file or its folder"),
        std::io::ErrorKind::NotADirectory => failure.hint("name a folder: there is a file in its place"),
        _ => failure,
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    format!("failed to {}", chain(error))
}

/// A fragment with its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
