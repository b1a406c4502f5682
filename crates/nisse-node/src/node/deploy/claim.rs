//! One deployment of a name at a time: two at once would both find it free, and both pay.

use std::sync::Arc;

use nisse_model::{Address, AgentName};

use crate::core::Core;
use crate::error::{ErrorKind, NodeError};

/// An owner's name while it is being deployed; given back when dropped.
pub(super) struct Claim {
    core: Arc<Core>,
    owner: Address,
    name: AgentName,
}

impl Claim {
    pub(super) fn take(core: &Arc<Core>, owner: Address, name: &AgentName) -> Result<Self, NodeError> {
        if !core.begin_deploying(owner, name) {
            let text = format!("failed to deploy {name}: it is being deployed at this moment");
            let hint = format!("`nisse status {name}` shows how far it is");
            return Err(NodeError::new(ErrorKind::Conflict, "agent_deploying", text).with_hint(hint));
        }
        Ok(Self { core: Arc::clone(core), owner, name: name.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.core.end_deploying(self.owner, &self.name);
    }
}
