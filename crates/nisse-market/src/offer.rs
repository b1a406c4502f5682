//! What a node offers by its signature: to run an order of one client at this rate, without a round of bids.
//!
//! EIP-712 `Offer(address node,address client,Resources upTo,uint128 rate,uint64 validUntil,uint64 nonce)` with
//! `Resources(uint32 cpuMillis,uint64 memoryBytes,bool gpu)`, in the domain {name "nisse", version "1", chain, contract}.
//! The contract takes each once.

use alloy::sol_types::SolStruct as _;
use nisse_model::{Address, AmountPerHour, DeploymentId, Resources};

use crate::contracts;
use crate::receipt::domain_of;
use crate::signer::{SignError, SignatureError, Signer, signer_of};
use crate::tx::to_alloy;

/// An offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Whose.
    pub node: Address,
    /// Who may take it; `None` is anybody.
    pub client: Option<Address>,
    /// The most that the agent may ask for.
    pub up_to: Resources,
    /// What an hour costs.
    pub rate: AmountPerHour,
    /// Unix time in seconds, as contracts count it: until then it can be taken.
    pub valid_until: u64,
    /// Used once by each node.
    pub nonce: u64,
}

/// An offer with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedOffer {
    /// What is offered.
    pub offer: Offer,
    /// `r`, `s` and 27 or 28.
    pub signature: [u8; 65],
}

impl Offer {
    /// The EIP-712 digest that is signed, on one market.
    pub fn digest(&self, chain: u64, manager: Address) -> [u8; 32] {
        let domain = domain_of(DeploymentId { chain, contract: manager, number: 0 });
        self.to_contract().eip712_signing_hash(&domain).0
    }

    /// Signs with the node's key.
    pub async fn sign(self, chain: u64, manager: Address, signer: &dyn Signer) -> Result<SignedOffer, SignError> {
        let signature = signer.sign_hash(self.digest(chain, manager)).await?;
        Ok(SignedOffer { offer: self, signature: signature.to_bytes() })
    }

    pub(crate) fn to_contract(self) -> contracts::Offer {
        let Self { node, client, up_to: Resources { cpu, memory, gpu }, rate, valid_until, nonce } = self;
        contracts::Offer {
            node: to_alloy(node),
            client: to_alloy(client.unwrap_or_default()),
            upTo: contracts::Resources { cpuMillis: cpu.millis, memoryBytes: memory.0, gpu },
            rate: rate.0,
            validUntil: valid_until,
            nonce,
        }
    }
}

impl SignedOffer {
    /// The address whose key signed.
    pub fn signer(&self, chain: u64, manager: Address) -> Result<Address, SignatureError> {
        signer_of(self.offer.digest(chain, manager), &self.signature)
    }
}
