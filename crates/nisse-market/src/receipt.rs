//! Receipts: a node's signature over one invocation record, in the form that a contract can check (DESIGN §5.4).
//!
//! EIP-712 `Receipt(uint64 deployment,uint64 seq,bytes32 recordHash)` in the domain {name "nisse", version "1", chain,
//! contract}, so that a receipt of one market says nothing on another.

use alloy::primitives::B256;
use alloy::sol_types::{SolStruct as _, eip712_domain};
use nisse_model::{Address, DeploymentId, Hash256};

use crate::signer::{SignError, Signer};
use crate::tx::{to_alloy, to_model};

mod typed {
    alloy::sol! {
        struct Receipt {
            uint64 deployment;
            uint64 seq;
            bytes32 recordHash;
        }
    }
}

/// What a receipt states: this node made this record as invocation `seq` of this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Chain, contract and number.
    pub deployment: DeploymentId,
    /// The invocation's number within the deployment.
    pub seq: u64,
    /// Hash of the invocation record.
    pub record: Hash256,
}

/// A receipt with its node's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What is stated.
    pub receipt: Receipt,
    /// `r`, `s` and 27 or 28.
    pub signature: [u8; 65],
}

/// Why a receipt does not hold. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The recovery byte is neither 27 nor 28.
    #[error("verify a receipt: its last byte is {0}, 27 or 28 is expected")]
    RecoveryByte(u8),
    /// `s` lies in the upper half: the same signature in its second form.
    #[error("verify a receipt: its signature is not in the canonical low-s form")]
    HighS,
    /// No key has made this signature.
    #[error("verify a receipt: its signature belongs to no key")]
    NoSigner,
    /// Another key has made it.
    #[error("verify a receipt: {found} signed it, {expected} is the node")]
    OtherSigner {
        /// The node's address.
        expected: Address,
        /// The signer's address.
        found: Address,
    },
}

impl Receipt {
    /// The EIP-712 digest that is signed.
    pub fn digest(&self) -> [u8; 32] {
        let typed =
            typed::Receipt { deployment: self.deployment.number, seq: self.seq, recordHash: B256::from(self.record.0) };
        let domain = eip712_domain! {
            name: "nisse",
            version: "1",
            chain_id: self.deployment.chain,
            verifying_contract: to_alloy(self.deployment.contract),
        };
        typed.eip712_signing_hash(&domain).0
    }

    /// Signs with the node's key.
    pub async fn sign(self, signer: &dyn Signer) -> Result<SignedReceipt, SignError> {
        let signature = signer.sign_hash(self.digest()).await?;
        Ok(SignedReceipt { receipt: self, signature: signature.to_bytes() })
    }
}

impl SignedReceipt {
    /// The address whose key signed. Exactly one form of each signature is taken.
    pub fn signer(&self) -> Result<Address, ReceiptError> {
        let last = self.signature[64];
        if last != 27 && last != 28 {
            return Err(ReceiptError::RecoveryByte(last));
        }
        let signature =
            alloy::primitives::Signature::from_raw_array(&self.signature).map_err(|_| ReceiptError::NoSigner)?;
        if signature.normalize_s().is_some() {
            return Err(ReceiptError::HighS);
        }
        let found = signature.recover_address_from_prehash(&B256::from(self.receipt.digest()));
        found.map(to_model).map_err(|_| ReceiptError::NoSigner)
    }

    /// Checks that `node` signed.
    pub fn verify(&self, node: Address) -> Result<(), ReceiptError> {
        match self.signer()? {
            found if found == node => Ok(()),
            found => Err(ReceiptError::OtherSigner { expected: node, found }),
        }
    }
}
