//! The chain of records, as anyone can check it: each names the one before, and the state goes on where it stood.

use nisse_model::{Hash256, InvocationRecord};
use nisse_node::{ErrorKind, Node};
use nisse_testkit::{Failure, check};

use super::Slot;

impl Slot {
    /// Reads on from the last record that was checked; all that were ever shown still stand.
    pub(super) async fn judge_records(&mut self, node: &Node) -> Result<(), Failure> {
        let Some(deployment) = self.deployments.last().cloned() else { return Ok(()) };
        let name = self.name;
        let (mut seq, mut previous) = self.checked.get(&deployment).cloned().unwrap_or((0, None));
        loop {
            let bundle = match node.receipt(&deployment, seq + 1).await {
                Ok(bundle) => bundle,
                Err(error) if error.kind == ErrorKind::NotFound => break,
                Err(error) => return Err(error.into()),
            };
            seq += 1;
            let bytes = hex::decode(&bundle.record).unwrap_or_default();
            let record = InvocationRecord::decode(&bytes)
                .map_err(|error| Failure::Violation(format!("record {seq} of {name} does not read: {error}")))?;
            check(record.seq == seq, || format!("record {seq} of {name} says that it is {}", record.seq))?;
            let before: Option<&InvocationRecord> = previous.as_ref();
            let hash = before.map_or(Hash256::ZERO, |before| Hash256::of(&before.encode()));
            check(record.previous == hash, || format!("record {seq} of {name} does not follow the one before"))?;
            self.shown(deployment.clone(), seq, bundle.record_hash)?;
            previous = Some(record);
        }
        let lost = self.records.range((deployment.clone(), seq + 1)..=(deployment.clone(), u64::MAX)).next();
        check(lost.is_none(), || format!("{name} showed record {lost:?}, and its chain ends at {seq}"))?;
        self.checked.insert(deployment, (seq, previous));
        Ok(())
    }
}
