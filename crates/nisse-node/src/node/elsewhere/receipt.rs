//! What another node gives as a receipt, believed as far as it proves itself.

use nisse_model::{Address, DeploymentId};

use crate::control::ReceiptBundle;

/// The same receipt, if it is the one that was asked for and nothing in it is mere text of a stranger.
pub(super) fn checked(
    told: ReceiptBundle,
    deployment: DeploymentId,
    seq: u64,
    node: Address,
) -> Result<ReceiptBundle, String> {
    let record = told.verify(node).map_err(|error| format!("failed to {error}"))?;
    if (record.deployment, record.seq) != (deployment, seq) {
        return Err(format!("its record is number {} of {}", record.seq, record.deployment));
    }
    if told.node != node.to_string() {
        return Err("it names another node".to_owned());
    }
    if record.host_calls.iter().any(|call| call.function.contains(char::is_control)) {
        return Err("its record names a host call with control characters".to_owned());
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use nisse_market::{LocalKey, Receipt, Signer as _};
    use nisse_model::{Hash256, HostCallRecord, HostCallResult, InvocationRecord};

    use super::*;
    use crate::fixtures::{deployment, record};

    async fn told(record: InvocationRecord, key: &LocalKey) -> ReceiptBundle {
        let receipt = Receipt { deployment: record.deployment, seq: record.seq, record: record.hash() };
        let signature = receipt.sign(key).await.expect("a signature").signature;
        ReceiptBundle::of(&record, signature, key.address())
    }

    #[tokio::test]
    async fn a_receipt_is_of_this_invocation_by_this_node_or_none() {
        let (key, other) = ([1; 32], [2; 32]);
        let [key, other] = [key, other].map(|secret| LocalKey::from_bytes(&secret).expect("a key"));
        let node = key.address();
        let right = told(record(deployment(1), 7), &key).await;
        assert_eq!(checked(right.clone(), deployment(1), 7, node), Ok(right.clone()), "as it was told");
        let call = HostCallRecord {
            function: "state.get\u{1b}[2J".to_owned(),
            arguments: Hash256::ZERO,
            result: HostCallResult::of(b""),
        };
        let painted = InvocationRecord { host_calls: vec![call], ..record(deployment(1), 7) };
        for (wrong, words) in [
            (told(record(deployment(1), 6), &key).await, "its record is number 6"),
            (told(record(deployment(2), 7), &key).await, "its record is number 7 of 7:"),
            (told(record(deployment(1), 7), &other).await, "is the node"),
            (told(painted, &key).await, "a host call with control characters"),
            (ReceiptBundle { node: "\u{1b}[2J".to_owned(), ..right.clone() }, "it names another node"),
            (ReceiptBundle { record_hash: "\u{1b}[2J".to_owned(), ..right.clone() }, "failed to verify"),
            (ReceiptBundle { record: "00".to_owned(), ..right.clone() }, "failed to read"),
        ] {
            let refused = checked(wrong, deployment(1), 7, node).expect_err(words);
            assert!(refused.contains(words), "{refused}");
            assert!(!refused.contains(char::is_control), "{refused}");
        }
    }
}
