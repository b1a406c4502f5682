//! A receipt as it is handed on: an invocation record, and its node's signature. Whoever has it can check it.

use nisse_market::{Receipt, ReceiptError, SignedReceipt};
use nisse_model::{Address, DecodeRecordError, InvocationRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `nisse receipt show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptBundle {
    /// (chain, contract, number).
    pub deployment: String,
    /// Position in the deployment's chain of records, from 1.
    pub seq: u64,
    /// SHA-256 of `record`.
    pub record_hash: String,
    /// Hash of the record before.
    pub previous: String,
    /// The invocation record, hex of its CBOR.
    pub record: String,
    /// The node's address.
    pub node: String,
    /// EIP-712 signature over (chain, contract, deployment, seq, recordHash), hex.
    pub signature: String,
}

/// Why a receipt does not hold. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyReceiptError {
    /// The record is not hex.
    #[error("verify receipt {seq}: its record is not hex")]
    RecordNotHex {
        /// The receipt's number, as it says.
        seq: u64,
    },
    /// The record is none.
    #[error(transparent)]
    Record(#[from] DecodeRecordError),
    /// What stands beside the record is not what the record says.
    #[error("verify receipt {seq}: its `{field}` is not what its record says")]
    Other {
        /// The receipt's number, as it says.
        seq: u64,
        /// Which of its fields.
        field: &'static str,
    },
    /// The signature is not 65 bytes of hex.
    #[error("verify receipt {seq}: its signature is not 65 bytes of hex")]
    SignatureNotHex {
        /// The receipt's number, as it says.
        seq: u64,
    },
    /// The node has not signed it.
    #[error(transparent)]
    Signature(#[from] ReceiptError),
}

impl ReceiptBundle {
    /// What `node` gives as the receipt of a record that it has signed.
    pub(crate) fn of(record: &InvocationRecord, signature: [u8; 65], node: Address) -> Self {
        Self {
            deployment: record.deployment.to_string(),
            seq: record.seq,
            record_hash: record.hash().to_string(),
            previous: record.previous.to_string(),
            record: hex::encode(record.encode()),
            node: node.to_string(),
            signature: hex::encode(signature),
        }
    }

    /// The record, whoever made it.
    pub fn read(&self) -> Result<InvocationRecord, VerifyReceiptError> {
        let bytes = hex::decode(&self.record).map_err(|_| VerifyReceiptError::RecordNotHex { seq: self.seq })?;
        Ok(InvocationRecord::decode(&bytes)?)
    }

    /// Checks by itself that `node` signed this record and that the rest is what the record says, but for the name of
    /// the node: whom one expects is for the caller to know.
    pub fn verify(&self, node: Address) -> Result<InvocationRecord, VerifyReceiptError> {
        let seq = self.seq;
        let record = self.read()?;
        // A record has one stored form: this is the hash of the very bytes that are here.
        let hash = record.hash();
        for (field, is_its_own) in [
            ("deployment", self.deployment == record.deployment.to_string()),
            ("seq", seq == record.seq),
            ("record_hash", self.record_hash == hash.to_string()),
            ("previous", self.previous == record.previous.to_string()),
        ] {
            if !is_its_own {
                return Err(VerifyReceiptError::Other { seq, field });
            }
        }
        let mut signature = [0; 65];
        hex::decode_to_slice(&self.signature, &mut signature)
            .map_err(|_| VerifyReceiptError::SignatureNotHex { seq })?;
        let receipt = Receipt { deployment: record.deployment, seq, record: hash };
        SignedReceipt { receipt, signature }.verify(node)?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use nisse_market::{LocalKey, Signer as _};
    use nisse_model::Hash256;

    use super::*;
    use crate::fixtures::{deployment, record};

    #[tokio::test]
    async fn a_receipt_is_what_its_node_signed_and_says_what_its_record_says() {
        let [key, other] = [[1; 32], [2; 32]].map(|secret| LocalKey::from_bytes(&secret).expect("a key"));
        let (node, record) = (key.address(), record(deployment(1), 7));
        let receipt = Receipt { deployment: deployment(1), seq: 7, record: record.hash() };
        let signature = receipt.sign(&key).await.expect("a signature").signature;
        let right = ReceiptBundle::of(&record, signature, node);
        assert_eq!(right.verify(node), Ok(record.clone()));
        let refused = right.verify(other.address()).expect_err("another key signed").to_string();
        assert_eq!(refused, format!("verify a receipt: {node} signed it, {} is the node", other.address()));

        let bundle = || right.clone();
        let rewritten = InvocationRecord { output: Hash256::of(b"never answered"), ..record };
        for (wrong, words) in [
            (ReceiptBundle { record: "0g".to_owned(), ..bundle() }, "verify receipt 7: its record is not hex"),
            (ReceiptBundle { record: "00".to_owned(), ..bundle() }, "read a record: "),
            (ReceiptBundle { record: hex::encode(rewritten.encode()), ..bundle() }, "its `record_hash` is not"),
            (ReceiptBundle::of(&rewritten, signature, node), "verify a receipt: "),
            (ReceiptBundle { deployment: deployment(2).to_string(), ..bundle() }, "its `deployment` is not"),
            (ReceiptBundle { seq: 8, ..bundle() }, "verify receipt 8: its `seq` is not"),
            (ReceiptBundle { record_hash: String::new(), ..bundle() }, "its `record_hash` is not"),
            (ReceiptBundle { previous: "\u{1b}[2J".to_owned(), ..bundle() }, "its `previous` is not"),
            (ReceiptBundle { signature: "00".to_owned(), ..bundle() }, "its signature is not 65 bytes of hex"),
        ] {
            let refused = wrong.verify(node).expect_err(words).to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
