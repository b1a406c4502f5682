//! Keeps automerge's panics from ending more than the work at hand.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest text of a panic that is kept.
const TEXT_CHARACTERS_MAX: usize = 300;

/// automerge panicked. The text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("let automerge take bytes that it panics on: {0}")]
pub struct Panicked(pub String);

/// Calls `apply`, which gives a stranger's bytes to automerge, and tells when it panics.
///
/// What `apply` changed may be left half done: let it own the document (or work on a fork), so that a panic drops it.
///
/// # Errors
/// When it panics.
pub fn guarded<T>(apply: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(apply)).map_err(|panic| Panicked(text(&*panic)))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a text").chars().take(TEXT_CHARACTERS_MAX).collect()
}
