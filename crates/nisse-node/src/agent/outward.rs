//! What an invocation's effects are to others: writes to the agent's state, and what leaves the agent.
//!
//! Made of the effects alone, so that recovery makes the same of them as the commit did.

use nisse_model::{DeploymentId, Effect, InvocationId, Timestamp};
use nisse_store::{Position, StateWrite};

/// Effects that wait to leave the node; the agent waits when there are more.
pub(crate) const OUTWARD_QUEUE_MAX: usize = 1_024;

/// What leaves the agent after its commit.
#[derive(Debug)]
pub(crate) enum Outward {
    /// The alarm was set or cleared, by the invocation `by`. `position` is the completion's place in the journal.
    Alarm { deployment: DeploymentId, by: InvocationId, position: Position, at: Option<Timestamp> },
    /// An answer for the agent's OracleFeed. `key` makes it go out once; `position` is its record's place in the journal.
    Publish { deployment: DeploymentId, key: String, position: Position, asset: String, value: i64, decimals: u8 },
}

/// The writes among the effects, in order.
pub(crate) fn state_writes(effects: &[Effect]) -> Vec<StateWrite> {
    let write = |effect: &Effect| match effect {
        Effect::StatePut { key, value } => Some(StateWrite { key: key.clone(), value: Some(value.clone()) }),
        Effect::StateDelete { key } => Some(StateWrite { key: key.clone(), value: None }),
        Effect::AlarmSet { .. }
        | Effect::AlarmClear
        | Effect::PublishToChain { .. }
        | Effect::Space { .. }
        | Effect::Answer(_) => None,
    };
    effects.iter().filter_map(write).collect()
}

/// What leaves the node, each with a key made of the invocation and the effect's place in it. An agent has one alarm, so
/// of several effects on it the last one is all that anybody needs to know.
pub(crate) fn outward_effects(
    deployment: DeploymentId,
    id: InvocationId,
    position: Position,
    effects: &[Effect],
) -> Vec<Outward> {
    let is_alarm = |effect: &Effect| matches!(effect, Effect::AlarmSet { .. } | Effect::AlarmClear);
    let alarm = effects.iter().rposition(is_alarm);
    let outward = |(index, effect): (usize, &Effect)| match effect {
        Effect::AlarmSet { .. } | Effect::AlarmClear if alarm != Some(index) => None,
        Effect::AlarmSet { at } => Some(Outward::Alarm { deployment, by: id, position, at: Some(*at) }),
        Effect::AlarmClear => Some(Outward::Alarm { deployment, by: id, position, at: None }),
        Effect::PublishToChain { asset, value, decimals } => Some(Outward::Publish {
            deployment,
            key: format!("effect:{id}:{index}"),
            position,
            asset: asset.to_string(),
            value: *value,
            decimals: *decimals,
        }),
        // What changes spaces has a way of its own: `spaces/outbox.rs`. An answer goes to whoever runs the job.
        Effect::StatePut { .. } | Effect::StateDelete { .. } | Effect::Space { .. } | Effect::Answer(_) => None,
    };
    effects.iter().enumerate().filter_map(outward).collect()
}
