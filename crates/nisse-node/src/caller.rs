//! Who asks: the owner at this machine, one of the identity's other devices or agents, or the holder of a token.

use nisse_model::Did;

use crate::error::{ErrorKind, NodeError};

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
}

impl Asker {
    /// Who may do all that the owner may.
    pub(crate) fn device(name: String, key: Did) -> Self {
        Self { name, device: Some(key), is_bounded: false }
    }

    /// Who may do a part of it.
    pub(crate) fn bounded(name: String) -> Self {
        Self { name, device: None, is_bounded: true }
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
