//! Receipts: a node's signature over one invocation record, in the form that a contract can check (DESIGN §5.4).
//!
//! EIP-712 `Receipt(uint64 deployment,uint64 seq,bytes32 recordHash)` in the domain {name "nisse", version "1", chain,
//! contract}, so that a receipt of one market says nothing on another.

use alloy::primitives::B256;
use alloy::sol_types::{Eip712Domain, SolStruct as _, eip712_domain};
use nisse_model::{Address, DeploymentId, Hash256};

use crate::signer::{SignError, SignatureError, Signer, signer_of};
use crate::tx::to_alloy;

mod typed {
    alloy::sol! {
        struct Receipt {
            uint64 deployment;
            uint64 seq;
            bytes32 recordHash;
        }
    }
}

/// The domain of all that is signed about a deployment: its market's.
pub(crate) fn domain_of(deployment: DeploymentId) -> Eip712Domain {
    eip712_domain! {
        name: "nisse",
        version: "1",
        chain_id: deployment.chain,
        verifying_contract: to_alloy(deployment.contract),
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
    /// It is nobody's.
    #[error("verify a receipt: {0}")]
    Signature(SignatureError),
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
        typed.eip712_signing_hash(&domain_of(self.deployment)).0
    }

    /// Signs with the node's key.
    pub async fn sign(self, signer: &dyn Signer) -> Result<SignedReceipt, SignError> {
        let signature = signer.sign_hash(self.digest()).await?;
        Ok(SignedReceipt { receipt: self, signature: signature.to_bytes() })
    }
}

impl SignedReceipt {
    /// The address whose key signed.
    pub fn signer(&self) -> Result<Address, ReceiptError> {
        signer_of(self.receipt.digest(), &self.signature).map_err(ReceiptError::Signature)
    }

    /// Checks that `node` signed.
    pub fn verify(&self, node: Address) -> Result<(), ReceiptError> {
        match self.signer()? {
            found if found == node => Ok(()),
            found => Err(ReceiptError::OtherSigner { expected: node, found }),
        }
    }
}
