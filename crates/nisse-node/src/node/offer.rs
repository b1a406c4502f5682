//! Offers of this node: signed for one client, good for a minute, and checked once more when one is taken.
//!
//! Nothing is held for an offer, or whoever asked often enough would hold everything: what is taken when there is no room
//! left goes back to the market.

use nisse_market::{Offer, SignedOffer};
use nisse_model::{Address, Amount, AmountPerHour, ByteSize, Cpu, Resources};
use nisse_orchestrator::Refusal;

use super::Node;
use crate::control::{NodeOffer, OfferAsked};
use crate::error::{ErrorKind, NodeError};
use crate::wallets::KeyName;

/// Where the public listener gives them.
pub const OFFER_PATH: &str = "/.well-known/nisse/v1/offer";
/// Seconds for which an offer is good.
const GOOD_FOR: u64 = 60;

impl Node {
    /// This node's offer for an agent of somebody's. A stranger learns no more of why there is none than a client needs.
    pub async fn offer(&self, asked: OfferAsked) -> Result<NodeOffer, NodeError> {
        let client = asked.client.as_deref().unwrap_or_default();
        let client =
            client.parse::<Address>().ok().filter(|client| *client != Address::default()).ok_or_else(|| {
                let text = "failed to read `client`: the address of who would deploy is expected";
                NodeError::new(ErrorKind::Usage, "client_invalid", text)
            })?;
        let (resources, gas_budget) = (resources(&asked), asked.gas_budget);
        let quote = self.look(move |all| all.quote(client, resources, gas_budget)).await?;
        let rate = quote.map_err(|refusal| {
            tracing::debug!(%client, %refusal, "no offer was made");
            refused(match refusal {
                Refusal::Owner { .. } => "this node does not take agents of this client",
                Refusal::GasBudget { .. } => "it pays for less gas than this agent may burn",
                _ => "this node takes no such agent now",
            })
        })?;
        let market = self.market(KeyName::Operator).map_err(|error| {
            tracing::debug!(error = error.text, "no offer was made");
            let text = "failed to make an offer: this node does not reach its market now";
            NodeError::new(ErrorKind::Unreachable, "offer_late", text)
        })?;
        let mut nonce = [0; 8];
        self.core.entropy.fill(&mut nonce);
        let offer = Offer {
            node: self.core.operator,
            client: Some(client),
            up_to: resources,
            rate,
            valid_until: self.core.chain_clock().seconds() + GOOD_FOR,
            // JSON's numbers are exact below 2^53.
            nonce: u64::from_be_bytes(nonce) >> 11,
        };
        let (chain, manager) = (market.addresses().chain, market.addresses().manager);
        let signed = offer.sign(chain, manager, self.core.signer.as_ref()).await;
        let signed = signed.map_err(|error| NodeError::caused(ErrorKind::Failed, "signing_failed", &error))?;
        Ok(told(chain, manager, &signed))
    }
}

fn refused(reason: &str) -> NodeError {
    NodeError::new(ErrorKind::Refused, "offer_refused", format!("failed to make an offer: {reason}"))
}

pub(super) fn resources(asked: &OfferAsked) -> Resources {
    Resources { cpu: Cpu { millis: asked.cpu_millis }, memory: ByteSize(asked.memory_bytes), gpu: asked.gpu }
}

fn told(chain: u64, manager: Address, SignedOffer { offer, signature }: &SignedOffer) -> NodeOffer {
    NodeOffer {
        chain,
        market: manager.to_string(),
        node: offer.node.to_string(),
        client: offer.client.unwrap_or_default().to_string(),
        cpu_millis: offer.up_to.cpu.millis,
        memory_bytes: offer.up_to.memory.0,
        gpu: offer.up_to.gpu,
        rate: offer.rate.to_string(),
        valid_until: offer.valid_until,
        nonce: offer.nonce,
        signature: format!("0x{}", hex::encode(signature)),
    }
}

/// What another node said, as its offer; the words of why it is none.
pub(super) fn read(told: &NodeOffer) -> Result<SignedOffer, String> {
    let address = |text: &str| text.parse::<Address>().map_err(|error| format!("it named no address: {error}"));
    let rate: Amount = told.rate.parse().map_err(|error| format!("it named no rate: {error}"))?;
    let signature = told.signature.strip_prefix("0x").unwrap_or(&told.signature);
    let signature = hex::decode(signature).ok().and_then(|bytes| bytes.try_into().ok());
    let offer = Offer {
        node: address(&told.node)?,
        client: Some(address(&told.client)?).filter(|client| *client != Address::default()),
        up_to: Resources { cpu: Cpu { millis: told.cpu_millis }, memory: ByteSize(told.memory_bytes), gpu: told.gpu },
        rate: AmountPerHour(rate.0),
        valid_until: told.valid_until,
        nonce: told.nonce,
    };
    Ok(SignedOffer { offer, signature: signature.ok_or("its signature is none")? })
}
