//! `nisse:agent/chain`: answers for the deployment's OracleFeeds, sent after the invocation has been committed.

use std::sync::atomic::Ordering;

use nisse_model::AssetName;
use wasmtime::component::HasSelf;

use super::{Capability, Need};
use crate::bindings::imports::nisse::agent::chain::{self, Decimal, PublishError};
use crate::guest_state::GuestState;
use crate::limits::PUBLICATIONS_MAX;

/// Most decimals that a feed takes.
const DECIMALS_MAX: u8 = 18;

pub(super) const CHAIN: Capability = Capability {
    interfaces: &["nisse:agent/chain"],
    need: Need::PublishToChain,
    link: |linker| chain::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state),
};

impl chain::Host for GuestState {
    fn publish(&mut self, asset: String, answer: Decimal) -> wasmtime::Result<Result<String, PublishError>> {
        let result = self.publish_checked(&asset, answer);
        let refused = result.is_err();
        self.dispatcher().note("chain.publish", &(asset, answer.value, answer.decimals), &refused)?;
        Ok(result)
    }
}

impl GuestState {
    fn publish_checked(&mut self, asset: &str, answer: Decimal) -> Result<String, PublishError> {
        let malformed = |text: String| PublishError::Malformed(text);
        // Linked only when granted; asked again because a capability is never trusted to be unreachable.
        if !self.dispatcher().grants().may_publish() {
            return Err(PublishError::Denied("the agent has no permission `publish_to_chain`".to_owned()));
        }
        let asset: AssetName =
            asset.parse().map_err(|error: nisse_model::ParseAssetNameError| malformed(error.to_string()))?;
        if answer.decimals > DECIMALS_MAX {
            return Err(malformed(format!("{} decimals: at most {DECIMALS_MAX} are taken", answer.decimals)));
        }
        if self.call.closed.load(Ordering::Relaxed) {
            let text = "the response head has left: an HTTP invocation publishes before it answers";
            return Err(PublishError::Denied(text.to_owned()));
        }
        if let Some(refused) = &self.call.publish_refused {
            return Err(PublishError::Denied(refused.clone()));
        }
        if self.call.overlay.publications() >= PUBLICATIONS_MAX {
            let text = format!("{PUBLICATIONS_MAX} answers are allowed in one invocation");
            return Err(PublishError::Denied(text));
        }
        let index = self
            .call
            .overlay
            .publish(asset, answer.value, answer.decimals)
            .map_err(|spent| PublishError::Denied(spent.to_string()))?;
        Ok(format!("{}/{index}", self.call.invocation))
    }
}
