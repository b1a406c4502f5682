//! What a deployment's owner asks of the node that runs it, signed with the owner's key.
//!
//! EIP-712 `OwnerRequest(string method,string path,bytes32 body,address node,uint64 deployment,bytes32 nonce,uint64
//! expires)` in the domain {name "nisse", version "1", chain, contract}: a request of one node, market or moment says
//! nothing to another.

use alloy::primitives::B256;
use alloy::sol_types::SolStruct as _;
use nisse_model::{Address, DeploymentId, Hash256};

use crate::receipt::domain_of;
use crate::signer::{SignError, SignatureError, Signer, signer_of};
use crate::tx::to_alloy;

mod typed {
    alloy::sol! {
        struct OwnerRequest {
            string method;
            string path;
            bytes32 body;
            address node;
            uint64 deployment;
            bytes32 nonce;
            uint64 expires;
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRequest {
    /// Such as `GET`.
    pub method: String,
    /// Path and query, as they are sent.
    pub path: String,
    /// SHA-256 of the body; of no bytes where there is none.
    pub body: Hash256,
    /// Who is asked.
    pub node: Address,
    /// What it is about.
    pub deployment: DeploymentId,
    /// Used once.
    pub nonce: [u8; 32],
    /// Unix time in seconds, as contracts count it: from then on it asks for nothing.
    pub expires: u64,
}

/// A request with somebody's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOwnerRequest {
    /// What is asked.
    pub request: OwnerRequest,
    /// `r`, `s` and 27 or 28.
    pub signature: [u8; 65],
}

impl OwnerRequest {
    /// The EIP-712 digest that is signed.
    pub fn digest(&self) -> [u8; 32] {
        let typed = typed::OwnerRequest {
            method: self.method.clone(),
            path: self.path.clone(),
            body: B256::from(self.body.0),
            node: to_alloy(self.node),
            deployment: self.deployment.number,
            nonce: B256::from(self.nonce),
            expires: self.expires,
        };
        typed.eip712_signing_hash(&domain_of(self.deployment)).0
    }

    /// Signs with the owner's key.
    pub async fn sign(self, signer: &dyn Signer) -> Result<SignedOwnerRequest, SignError> {
        let signature = signer.sign_hash(self.digest()).await?;
        Ok(SignedOwnerRequest { request: self, signature: signature.to_bytes() })
    }
}

impl SignedOwnerRequest {
    /// The address whose key signed.
    pub fn signer(&self) -> Result<Address, SignatureError> {
        signer_of(self.request.digest(), &self.signature)
    }
}
