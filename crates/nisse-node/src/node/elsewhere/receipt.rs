//! What another node gives as a receipt, believed as far as it proves itself.

use nisse_market::{Receipt, SignedReceipt};
use nisse_model::{Address, DeploymentId, Hash256, InvocationRecord};

use crate::control::ReceiptBundle;

/// The same receipt, each of its fields worked out from the record and the node that is expected to have signed it.
pub(super) fn checked(
    told: &ReceiptBundle,
    deployment: DeploymentId,
    seq: u64,
    node: Address,
) -> Result<ReceiptBundle, String> {
    let bytes = hex::decode(&told.record).map_err(|_| "its record is not hex".to_owned())?;
    let record = InvocationRecord::decode(&bytes).map_err(|error| format!("failed to {error}"))?;
    if (record.deployment, record.seq) != (deployment, seq) {
        return Err(format!("its record is number {} of {}", record.seq, record.deployment));
    }
    let mut signature = [0; 65];
    hex::decode_to_slice(&told.signature, &mut signature)
        .map_err(|_| "its signature is not 65 bytes of hex".to_owned())?;
    let hash = Hash256::of(&bytes);
    let signed = SignedReceipt { receipt: Receipt { deployment, seq, record: hash }, signature };
    signed.verify(node).map_err(|error| format!("failed to {error}"))?;
    Ok(ReceiptBundle {
        deployment: deployment.to_string(),
        seq,
        record_hash: hash.to_string(),
        previous: record.previous.to_string(),
        record: hex::encode(&bytes),
        node: node.to_string(),
        signature: hex::encode(signature),
    })
}

#[cfg(test)]
mod tests {
    use nisse_market::{LocalKey, Signer as _};

    use super::*;
    use crate::fixtures::{deployment, record};

    async fn told(number: u64, seq: u64, key: &LocalKey) -> ReceiptBundle {
        let bytes = record(deployment(number), seq).encode();
        let hash = Hash256::of(&bytes);
        let receipt = Receipt { deployment: deployment(number), seq, record: hash };
        let signature = receipt.sign(key).await.expect("a signature").signature;
        ReceiptBundle {
            deployment: "\u{1b}[2J".to_owned(),
            seq: 99,
            record_hash: "\u{1b}[2J".to_owned(),
            previous: String::new(),
            record: hex::encode(&bytes),
            node: "\u{1b}[2J".to_owned(),
            signature: hex::encode(signature),
        }
    }

    #[tokio::test]
    async fn a_receipt_is_of_this_invocation_by_this_node_or_none() {
        let (key, other) = ([1; 32], [2; 32]);
        let [key, other] = [key, other].map(|secret| LocalKey::from_bytes(&secret).expect("a key"));
        let node = key.address();
        let right = checked(&told(1, 7, &key).await, deployment(1), 7, node).expect("a receipt");
        let record = record(deployment(1), 7);
        let words = (right.deployment, right.seq, right.record_hash, right.previous, right.node);
        let hash = Hash256::of(&record.encode()).to_string();
        assert_eq!(words, (deployment(1).to_string(), 7, hash, record.previous.to_string(), node.to_string()));
        for (wrong, words) in [
            (told(1, 6, &key).await, "its record is number 6"),
            (told(2, 7, &key).await, "its record is number 7 of 7:"),
            (told(1, 7, &other).await, "is the node"),
            (ReceiptBundle { record: "0g".to_owned(), ..told(1, 7, &key).await }, "is not hex"),
            (ReceiptBundle { record: "00".to_owned(), ..told(1, 7, &key).await }, "failed to"),
            (ReceiptBundle { signature: "00".to_owned(), ..told(1, 7, &key).await }, "is not 65 bytes"),
        ] {
            let refused = checked(&wrong, deployment(1), 7, node).expect_err(words);
            assert!(refused.contains(words), "{refused}");
        }
    }
}
