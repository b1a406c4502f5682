//! Completions written straight into a buffer: what is the same in all of one agent's is encoded once.

use minicbor::Encoder;
use nisse_model::{Address, AgentName, DeploymentId, Effect, Timestamp};

use super::{COMPLETION_VERSION, KIND_COMPLETION, KIND_OPENING, StoredEffect};

/// Fields of a stored completion.
const FIELDS: u64 = 10;

/// Writes the completions of one agent in the form that [`super::Entry::encode`] gives them.
#[derive(Debug)]
pub(crate) struct CompletionWriter {
    /// Kind, version, the array's head and its first field.
    head: Vec<u8>,
    /// The fields that follow the record.
    tail: Vec<u8>,
}

/// What differs from one completion to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompletionParts<'a> {
    pub(crate) at: Timestamp,
    pub(crate) invocation: [u8; 16],
    pub(crate) succeeded: bool,
    pub(crate) effects: &'a [Effect],
    pub(crate) record: &'a [u8],
}

type Written = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

impl CompletionWriter {
    /// For one agent under one deployment.
    pub(crate) fn new(deployment: DeploymentId, owner: Address, agent: &AgentName) -> Self {
        let mut head = vec![KIND_COMPLETION, COMPLETION_VERSION];
        let mut tail = Vec::new();
        let mut write = || -> Written {
            Encoder::new(&mut head).array(FIELDS)?.u64(deployment.chain)?;
            let mut tail = Encoder::new(&mut tail);
            tail.bytes(&owner.0)?.str(&agent.to_string())?.bytes(&deployment.contract.0)?.u64(deployment.number)?;
            Ok(())
        };
        write().expect("memory takes every write");
        Self { head, tail }
    }

    /// Adds the opening of a streamed answer to a buffer.
    pub(crate) fn write_opening(&self, parts: &CompletionParts<'_>, buffer: &mut Vec<u8>) {
        let begin = buffer.len();
        self.write(parts, buffer);
        buffer[begin] = KIND_OPENING;
    }

    /// Adds one completion to a buffer.
    pub(crate) fn write(&self, parts: &CompletionParts<'_>, buffer: &mut Vec<u8>) {
        let CompletionParts { at, invocation, succeeded, effects, record } = *parts;
        buffer.reserve(self.head.len() + record.len() + self.tail.len() + 64);
        buffer.extend_from_slice(&self.head);
        let mut write = || -> Written {
            let mut encoder = Encoder::new(&mut *buffer);
            encoder.u64(at.0)?.bytes(&invocation)?.bool(succeeded)?.array(effects.len() as u64)?;
            for effect in effects {
                encoder.encode(StoredEffect::from(effect))?;
            }
            encoder.bytes(record)?;
            Ok(())
        };
        write().expect("memory takes every write");
        buffer.extend_from_slice(&self.tail);
    }
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;
    use crate::entry::{Completion, Entry};

    #[test]
    fn a_completion_is_written_as_its_entry_is_encoded() {
        let deployment = DeploymentId { chain: 1 << 52, contract: Address([1; 20]), number: 300 };
        let effects = vec![
            Effect::StatePut { key: "a".to_owned(), value: vec![0, 255] },
            Effect::AlarmClear,
            Effect::PublishToChain { asset: "ETH/USD".parse().expect("an asset"), value: -3, decimals: 8 },
        ];
        let completion = Completion {
            deployment,
            owner: Address([4; 20]),
            agent: "a.b".parse().expect("a name"),
            at: Timestamp(1_700_000_000_000),
            invocation: [9; 16],
            succeeded: true,
            effects: effects.clone(),
            record: vec![7; 500],
        };
        let writer = CompletionWriter::new(deployment, completion.owner, &completion.agent);
        for effects in [effects, Vec::new()] {
            let completion = Completion { effects, ..completion.clone() };
            let mut buffer = vec![1, 2, 3];
            let Completion { at, invocation, succeeded, effects, record, .. } = &completion;
            let (at, invocation, succeeded) = (*at, *invocation, *succeeded);
            writer.write(&CompletionParts { at, invocation, succeeded, effects, record }, &mut buffer);
            assert_eq!(buffer[3..], Entry::Completion(completion.clone()).encode());
            buffer.truncate(3);
            let Completion { effects, record, .. } = &completion;
            writer.write_opening(&CompletionParts { at, invocation, succeeded, effects, record }, &mut buffer);
            assert_eq!(buffer[3..], Entry::Opening(completion).encode());
        }
    }
}
