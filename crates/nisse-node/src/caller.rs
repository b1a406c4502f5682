//! Who asks: the owner at this machine, one of the identity's other devices or agents, the holder of a token, or a member
//! of a space that owns an agent here.

use nisse_model::{AgentName, Did};

use crate::error::{ErrorKind, NodeError};
use crate::owned::Held;

tokio::task_local! {
    static CALLER: Asker;
}

/// Somebody else than the owner at this machine.
#[derive(Debug, Clone)]
pub struct Asker {
    /// As the audit log names them.
    name: String,
    /// The key of a device that may do all that the owner may.
    device: Option<Did>,
    /// They have a part of what the owner may do, and no more.
    is_bounded: bool,
    /// A member of spaces that own agents here: nothing else of this home is there for them.
    member: Option<Held>,
}

impl Asker {
    /// Who may do all that the owner may.
    pub(crate) fn device(name: String, key: Did) -> Self {
        Self { name, device: Some(key), is_bounded: false, member: None }
    }

    /// Who may do a part of it.
    pub(crate) fn bounded(name: String) -> Self {
        Self { name, device: None, is_bounded: true, member: None }
    }

    /// Who may do what spaces give that own agents here.
    pub(crate) fn member(name: String, held: Held) -> Self {
        Self { name, device: None, is_bounded: true, member: Some(held) }
    }

    /// As the audit log names them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a member of a space, who is nothing to this home's identity.
    pub fn is_member(&self) -> bool {
        self.member.is_some()
    }
}

/// Does something in the name of somebody else than the owner at this machine.
pub async fn acting_as<T>(who: Asker, work: impl Future<Output = T>) -> T {
    CALLER.scope(who, work).await
}

/// In whose name this task acts, as the audit log names it.
pub(crate) fn caller() -> String {
    CALLER.try_with(|asker| asker.name.clone()).unwrap_or_else(|_| "owner".to_owned())
}

/// The device that asks, if it is another one than this.
pub(crate) fn device() -> Option<Did> {
    CALLER.try_with(|asker| asker.device).unwrap_or(None)
}

/// Refuses whoever has a part of the owner's rights alone what speaks in the home's name for good.
pub(crate) fn refuse_bounded(text: &str) -> Result<(), NodeError> {
    if !is_bounded() {
        return Ok(());
    }
    Err(NodeError::new(ErrorKind::Refused, "not_permitted", text)
        .with_hint("the owner does it, or a device of the identity".to_owned()))
}

/// Whether whoever this task acts for has a part of the owner's rights alone.
pub(crate) fn is_bounded() -> bool {
    CALLER.try_with(|asker| asker.is_bounded).unwrap_or(false)
}

/// Whether whoever this task acts for is a member of a space, who is nothing to this home's identity.
pub(crate) fn is_member() -> bool {
    CALLER.try_with(Asker::is_member).unwrap_or(false)
}

/// Whether whoever this task acts for may know of an agent of this home's operator.
pub(crate) fn sees(agent: &AgentName) -> bool {
    CALLER.try_with(|asker| asker.member.as_ref().is_none_or(|held| held.sees(agent))).unwrap_or(true)
}
