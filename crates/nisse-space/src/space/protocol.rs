//! What a connection speaks, from the space's side.

use std::fmt;

use super::{Rights, Turn};
use crate::document_id::DocumentId;
use crate::repo_protocol::PeerName;
use crate::space::held::Held;

/// One connection's side of a protocol. What it says before a turn's end may not depend on what the turn brought: that is
/// for [`Self::tell`], when all is durable.
pub(super) trait SyncProtocol: Send {
    /// They were let in.
    fn begin(&mut self, held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal>;

    /// They said something.
    fn hear(&mut self, bytes: &[u8], rights: Rights, held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal>;

    /// They may do something else from now on, or this home may.
    fn rights(&mut self, rights: Rights);

    /// Credentials or changes arrived: what waits for some perhaps can be taken now. Whether something was.
    fn take_waiting(&mut self, held: &mut Held, turn: &mut Turn<'_>) -> Result<bool, Refusal>;

    /// Somebody else said something that is kept nowhere.
    fn pass_on(&mut self, passing: &Passing, turn: &mut Turn<'_>);

    /// All of the turn is durable: says what they are to hear of it.
    fn tell(&mut self, rights: Rights, held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal>;

    /// The last thing that they are told.
    fn farewell(&self, refusal: &Refusal) -> Option<Vec<u8>>;
}

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// They said so.
    Left,
    /// What they said is not taken, or can't be answered.
    Because(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Left => "it left",
            Self::Because(why) => why,
        })
    }
}

/// What one client says to others through us.
pub(super) struct Passing {
    pub(super) sender: PeerName,
    pub(super) document: DocumentId,
    pub(super) count: u64,
    pub(super) session: String,
    pub(super) data: Vec<u8>,
    /// Homes that it was sent by before it came here; none: it was said here.
    pub(super) hops: u8,
}
