//! What an agent reads by CID: what is public here, and what is not held here from other nodes.

use std::sync::{Arc, Weak};

use nisse_content::{BlockSource, FetchError, FetchLimits, Fetching};
use nisse_model::{Address, ContentId};

use crate::core::Core;
use crate::packages::near;

/// The way of one agent to content. It keeps nothing: what came from elsewhere is not for others to read here.
pub(crate) struct AgentContent {
    own: Arc<dyn BlockSource>,
    owner: Address,
    /// The node holds its agents, and not they the node.
    core: Weak<Core>,
}

impl AgentContent {
    /// For an agent of this owner.
    pub(crate) fn new(core: &Arc<Core>, owner: Address) -> Self {
        Self { own: Arc::clone(&core.preparer.content), owner, core: Arc::downgrade(core) }
    }
}

impl BlockSource for AgentContent {
    fn name(&self) -> &str {
        "nodes"
    }

    fn fetch(&self, cid: ContentId, limits: FetchLimits) -> Fetching<'_> {
        let fetching = async move {
            let missing = match self.own.fetch(cid, limits).await {
                Err(error @ FetchError::NotFound { .. }) => error,
                fetched => return fetched,
            };
            let Some(core) = self.core.upgrade() else { return Err(FetchError::CutOff { cid }) };
            if let Some(recent) = core.network.recent(cid, limits) {
                return Ok(recent);
            }
            let near = near(&core, self.owner).await;
            // Where there is nobody to ask, what is missing here is the answer.
            core.network.read(self.owner, cid, limits, near).await.unwrap_or(Err(missing))
        };
        Box::pin(async move {
            let late = FetchError::Deadline { cid, deadline: limits.deadline };
            tokio::time::timeout(limits.deadline, fetching).await.unwrap_or(Err(late))
        })
    }
}
