//! Whether a home and the node on it are in order: what `nisse doctor` tells. No check changes the home: what is not read
//! as it lies there is opened on a disk that keeps every change in memory.

mod agents;
mod chain;
mod content;
mod databases;
mod door;
mod journal;
mod running;
mod stopped;

pub use door::check_door;
pub use stopped::check_stopped;

/// What to do about a part of a home that nothing makes anew.
const RESTORE: &str = "put it back from a copy of this home";

/// What to do where somebody else's program wrote what is read.
const NEWER: &str = "use the nisse that wrote it, or a newer one";
/// What to do where the disk gives nothing: that says nothing about what is there.
const UNREADABLE: &str = "see that the disk of the home folder can be read, and look again";

/// How many of something, in words.
fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
