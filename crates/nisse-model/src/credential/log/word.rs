//! What somebody's word in a space counts for: what is signed outside of the log, and names what its author had seen of it.

use super::State;
use super::rules::At;
use crate::Timestamp;
use crate::credential::{CredentialId, Did, Role};

/// What comes of a statement in a space that its author made elsewhere, having seen some of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// Its author had the right to it, and nothing took that away.
    Counts,
    /// Its author had the right to it by all that it had seen; something that it had not seen cuts it off.
    CutOff,
    /// Nothing that its author had seen gives it the right, or something that it had seen took it.
    Nothing,
    /// It had seen credentials that are not here: nobody can say yet.
    Unknown,
}

impl State<'_> {
    /// What a key's word for an identity counts for in a space, where it needs this role, by whoever had seen these, then.
    /// What the log holds is valid or void as it is now, whether its author could know so or not.
    pub fn word(
        &self,
        key: Did,
        identity: Did,
        space: CredentialId,
        role: Role,
        seen: &[CredentialId],
        time: Timestamp,
    ) -> Word {
        let Some(ancestors) = self.log.ancestors_of(seen) else { return Word::Unknown };
        let may = |with_unseen| {
            let at = At::Beside { ancestors: &ancestors, with_unseen };
            self.ask(|rules| rules.acts_in(key, identity, (space, role), time, at))
        };
        if may(true) {
            Word::Counts
        } else if may(false) {
            Word::CutOff
        } else {
            Word::Nothing
        }
    }
}
