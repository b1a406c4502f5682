//! The contracts' refusals in one sentence each.

use alloy::primitives::U256;
use alloy::sol_types::{SolInterface, decode_revert_reason};
use nisse_model::Amount;

use crate::contracts::{
    AddressBook, Cid, Escrow, Heartbeats, Manager, Nodes, OracleFeed, OracleFeeds, Rare, Reputation, State, TalosToken,
};
use crate::tx::{Revert, to_model};

/// Reads what a call reverted with.
pub(crate) fn decode(data: &[u8]) -> Revert {
    manager(data)
        .or_else(|| nodes(data))
        .or_else(|| heartbeats(data))
        .or_else(|| reputation(data))
        .or_else(|| others(data))
        .or_else(|| cids(data))
        .or_else(|| rare(data))
        .or_else(|| decode_revert_reason(data).map(|text| Revert { name: "Error".to_owned(), text }))
        .unwrap_or_else(|| match data {
            [] => Revert { name: String::new(), text: "the contract reverted without a reason".to_owned() },
            _ => Revert { name: String::new(), text: format!("the contract reverted with 0x{}", hex::encode(data)) },
        })
}

/// The refusal that no contract words: there was too little gas to come to its end.
pub(crate) fn out_of_gas(gas_limit: u64) -> Revert {
    Revert { name: "OutOfGas".to_owned(), text: format!("the call ran out of gas at {gas_limit}") }
}

fn manager(data: &[u8]) -> Option<Revert> {
    use Manager::ManagerErrors as E;
    let error = E::abi_decode(data).ok()?;
    let text = match &error {
        E::AgentIdLength(e) => format!("the agent id has {} bytes: 1 to {} are allowed", e.length, e.max),
        E::AgentIdWithoutVersion(_) => "the agent id has no version: NAME@vVERSION is expected".to_owned(),
        E::ManifestCidMismatch(e) => {
            format!("the manifest's CID is of {}, its hash is {}", plain(&e.digest), plain(&e.manifestHash))
        }
        E::ManifestCidNotRaw(_) => "the manifest's CID is not that of one raw block (bafkrei…)".to_owned(),
        E::ArtifactCidMismatch(e) => {
            format!("the artifact's CID is of {}, artifact_hash is {}", plain(&e.digest), plain(&e.artifactHash))
        }
        E::ArtifactHashZero(_) => "artifact_hash is zero".to_owned(),
        E::ResourcesZero(_) => "the agent asks for no processor or no memory".to_owned(),
        E::RateZero(_) => "a rate of zero is for home leases only".to_owned(),
        E::RateTooHigh(e) => format!("the rate {} is above the most allowed, {}", talos(e.rate), talos(e.max)),
        E::BidWindowTooLong(e) => format!("a bid window of {} s is longer than {} s", e.window, e.max),
        E::PaymentZero(_) => "the payment is zero".to_owned(),
        E::UnknownPublication(e) => format!("there is no publication {}", e.publication),
        E::NotPublished(e) => format!("{} has not published {}", to_model(e.publisher), e.agentId),
        E::UnknownDeployment(e) => format!("there is no deployment {}", e.id),
        E::WrongState(e) => format!("deployment {} is {}", e.id, state(&e.state)),
        E::NotVerified(e) => {
            format!("deployment {}'s artifact is attested by {} of {} nodes", e.id, e.attestations, e.quorum)
        }
        E::NotOwner(e) => format!("deployment {} is not {}'s", e.id, to_model(e.caller)),
        E::NotNode(e) => format!("{} is not the node of deployment {}", to_model(e.caller), e.id),
        E::NotOperator(e) => format!("{} is no registered node: stake first", to_model(e.caller)),
        E::OnlyNode(e) => format!("only node {} may run deployment {}", to_model(e.node), e.id),
        E::Barred(e) => format!("node {} may no longer take deployment {}", to_model(e.node), e.id),
        E::NotBetter(e) => {
            let (rate, standing) = (talos(e.rate), talos(e.standing));
            format!("a bid of {rate} TALOS per hour does not beat {standing} for deployment {}", e.id)
        }
        E::BiddingClosed(e) => format!("bids for deployment {} closed at {}", e.id, e.closedAt),
        E::BiddingOpen(e) => format!("bids for deployment {} are taken until {}", e.id, e.until),
        E::NoBids(e) => format!("deployment {} has no bids", e.id),
        E::NoOpenOrder(e) => format!("{} has no open order", e.agentId),
        E::Ambiguous(e) => format!("{} has {} open orders: name one by its number", e.agentId, e.openOrders),
        E::AlreadyAttested(e) => format!("node {} has attested deployment {} already", to_model(e.node), e.id),
        E::AckPending(e) => format!("the node of deployment {} may acknowledge until {}", e.id, e.until),
        E::StaleIncarnation(e) => format!("deployment {} had incarnation {}, {} came", e.id, e.last, e.given),
        E::HomeLease(_) => "a home lease has no payment, no end and no second node".to_owned(),
        E::NotRunOut(e) => format!("deployment {} is paid until {}", e.id, e.endsAt),
        E::RanOut(e) => format!("deployment {} ran out at {}: deploy it again", e.id, e.endsAt),
        E::AlreadyPaused(e) => format!("deployment {} is paused already", e.id),
        E::NotPaused(e) => format!("deployment {} is not paused", e.id),
        E::NoUpdate(e) => format!("deployment {} awaits no update {}", e.id, e.revision),
        E::AnotherAgent(e) => format!("publication {} is not of deployment {}'s agent", e.publication, e.id),
        E::NoWithdrawal(e) => format!("no withdrawal from deployment {} was announced", e.id),
        E::NoticeRuns(e) => format!("the withdrawal from deployment {} may follow from {}", e.id, e.readyAt),
        E::ReasonTooLong(e) => format!("a reason of {} bytes: at most {} are allowed", e.length, e.max),
        E::NotSuperseded(e) => format!("deployment {} is {}: only an ended one is continued", e.oldId, state(&e.state)),
        E::SettingZero(_) => "a setting of the market is zero".to_owned(),
        E::NoReputation(_) => "this market knows no reputation: the lowest price alone is chosen by".to_owned(),
        E::OfferExpired(e) => format!("the offer was good until {}, and it is {}", e.validUntil, e.now_),
        E::OfferForAnother(e) => format!("the offer is {}'s, not {}'s", to_model(e.client), to_model(e.caller)),
        E::OfferUsed(e) => format!("node {}'s offer {} was taken or revoked", to_model(e.node), e.nonce),
        E::OfferNotSigned(e) => format!("the offer is signed by {}, not by {}", to_model(e.signer), to_model(e.node)),
        E::OfferTooSmall(_) => "the offer is for a smaller agent".to_owned(),
        E::ArtifactCidNotRaw(_) => "an offer is taken for an artifact of one block only".to_owned(),
        E::BidsSealed(e) => format!("bids for deployment {} are sealed until {}", e.id, e.until),
        E::NotSealed(e) => format!("bids for deployment {} are not sealed", e.id),
        E::WindowTooShort(e) => format!("a bid window of {} s: sealed bids need {} s or more", e.window, e.least),
        E::CommitClosed(e) => format!("sealed bids for deployment {} were taken until {}", e.id, e.until),
        E::RevealNotOpen(e) => {
            format!("sealed bids for deployment {} are revealed from {} until {}", e.id, e.from, e.until)
        }
        E::AlreadyCommitted(e) => format!("this sealed bid for deployment {} was made before", e.id),
        E::NotCommitted(e) => {
            format!("node {} has no such sealed bid for this round of deployment {}", to_model(e.node), e.id)
        }
        E::BidHeld(e) => {
            format!("stake of a bid for deployment {} that was not revealed is held until {}", e.id, e.until)
        }
        E::ProviderTooLong(e) => format!("a provider's URL of {} bytes: at most {} are allowed", e.length, e.max),
    };
    Some(Revert { name: name(&error), text })
}

fn nodes(data: &[u8]) -> Option<Revert> {
    use Nodes::NodesErrors as E;
    let error = E::abi_decode(data).ok()?;
    let text = match &error {
        E::NotRegistered(e) => format!("{} is no registered node: stake first", to_model(e.node)),
        E::AlreadyRegistered(e) => format!("{} is a registered node already", to_model(e.node)),
        E::NodeIsPaused(e) => format!("node {} is paused", to_model(e.node)),
        E::NodeNotPaused(e) => format!("node {} is not paused", to_model(e.node)),
        E::StakeTooLow(e) => format!("a stake of {} TALOS is below {}", talos(e.stake), talos(e.needed)),
        E::FreeStakeTooLow(e) => {
            format!(
                "node {} has {} TALOS of free stake, {} are needed",
                to_model(e.node),
                talos(e.free),
                talos(e.needed)
            )
        }
        E::AmountZero(_) => "the amount is zero".to_owned(),
        E::AmountTooLarge(e) => format!("{} TALOS are more than {}", talos(e.amount), talos(e.max)),
        E::NothingUnbonding(e) => format!("node {} has announced no withdrawal of stake", to_model(e.node)),
        E::StillUnbonding(e) => format!("node {}'s stake is free from {}", to_model(e.node), e.unbondedAt),
        E::CapacityZero(_) => "the node offers no processor or no memory".to_owned(),
        E::EndpointEmpty(_) => "the node's endpoint is empty".to_owned(),
        E::EndpointTooLong(e) => format!("an endpoint of {} bytes: at most {} are allowed", e.length, e.max),
        E::NotManager(e) => format!("{} is not the market's Manager", to_model(e.caller)),
        E::GasTooLow(e) => format!("{} gas is left, and {} is needed", e.left, e.needed),
        E::ZeroAddress(_) => "an address is zero".to_owned(),
    };
    Some(Revert { name: name(&error), text })
}

fn heartbeats(data: &[u8]) -> Option<Revert> {
    use Heartbeats::HeartbeatsErrors as E;
    let error = E::abi_decode(data).ok()?;
    let text = match &error {
        E::AlreadyBeaten(e) => format!("node {} has shown life in period {}", to_model(e.node), e.period),
        E::NotWatched(e) => format!("no node must show life for deployment {} now", e.deployment),
        E::NotWhole(e) => {
            format!("deployment {} did not run for all of period {}: see {}", e.deployment, e.period, e.moment)
        }
        E::StillTime(e) => format!("a node may show life in period {} until {}", e.period, e.until),
        E::Forgotten(e) => format!("period {} is too old: {} is the oldest that is looked at", e.period, e.oldest),
    };
    Some(Revert { name: name(&error), text })
}

fn reputation(data: &[u8]) -> Option<Revert> {
    use Reputation::ReputationErrors as E;
    let error = E::abi_decode(data).ok()?;
    let text = match &error {
        E::NothingPaid(e) => format!("deployment {} has no paid time", e.deployment),
        E::NothingNew(e) => {
            format!("deployment {} is paid until {}, and counted from {} on alone", e.deployment, e.paidUntil, e.from)
        }
    };
    Some(Revert { name: name(&error), text })
}

fn others(data: &[u8]) -> Option<Revert> {
    if let Ok(error) = TalosToken::TalosTokenErrors::abi_decode(data) {
        use TalosToken::TalosTokenErrors as E;
        let text = match &error {
            E::FaucetCapped(e) => format!("the faucet gives {} TALOS at most, not {}", talos(e.max), talos(e.asked)),
            E::ERC20InsufficientBalance(e) => {
                format!("{} has {} TALOS, {} are needed", to_model(e.sender), talos(e.balance), talos(e.needed))
            }
            E::ERC20InsufficientAllowance(e) => {
                format!("{} may take {} TALOS, {} are needed", to_model(e.spender), talos(e.allowance), talos(e.needed))
            }
            E::OwnableUnauthorizedAccount(e) => format!("{} does not own the contract", to_model(e.account)),
        };
        return Some(Revert { name: name(&error), text });
    }
    if let Ok(error) = Escrow::EscrowErrors::abi_decode(data) {
        use Escrow::EscrowErrors as E;
        let text = match &error {
            E::InsufficientLine(e) => {
                format!("deployment {} has {} TALOS left, {} were asked", e.deployment, talos(e.left), talos(e.asked))
            }
            E::NothingToWithdraw(e) => format!("{} has nothing to withdraw", to_model(e.payee)),
        };
        return Some(Revert { name: name(&error), text });
    }
    if let Ok(error) = OracleFeeds::OracleFeedsErrors::abi_decode(data) {
        use OracleFeeds::OracleFeedsErrors as E;
        let text = match &error {
            E::NotActiveNode(e) => format!("{} does not run deployment {}", to_model(e.caller), e.deployment),
            E::AssetLength(e) => format!("an asset's name of {} bytes: 1 to {} are allowed", e.length, e.max),
        };
        return Some(Revert { name: name(&error), text });
    }
    if let Ok(error) = OracleFeed::OracleFeedErrors::abi_decode(data) {
        use OracleFeed::OracleFeedErrors as E;
        let text = match &error {
            E::NoData(_) => "the feed has no answer yet".to_owned(),
            E::AnswerOutOfRange(e) => format!("{} is no answer: it must be above zero", e.answer),
        };
        return Some(Revert { name: name(&error), text });
    }
    let error = AddressBook::AddressBookErrors::abi_decode(data).ok()?;
    use AddressBook::AddressBookErrors as E;
    let text = match &error {
        E::UnknownName(e) => format!("the address book has no {} in version {}", plain(&e.name), e.version),
        E::UnknownVersion(e) => format!("the address book has no version {}, the newest is {}", e.asked, e.newest),
    };
    Some(Revert { name: name(&error), text })
}

fn cids(data: &[u8]) -> Option<Revert> {
    use Cid::CidErrors as E;
    let error = Cid::CidErrors::abi_decode(data).ok()?;
    let text = match &error {
        E::CidLength(e) => format!("a CID of {} bytes: {} are expected", e.found, e.expected),
        E::CidNotBase32(e) => format!("the CID's character {} is no lower-case base32", e.position),
        E::CidUnsupported(e) => {
            format!("a CID that starts with {:#010x}: raw or dag-pb with SHA-256 is taken", e.prefix)
        }
    };
    Some(Revert { name: name(&error), text })
}

/// What no honest caller of a healthy market meets: the name says enough.
fn rare(data: &[u8]) -> Option<Revert> {
    let name = name(&Rare::RareErrors::abi_decode(data).ok()?);
    Some(Revert { text: format!("the contract refused with {name}"), name })
}

/// The error's own name, from its Solidity signature.
fn name<E: SolInterface>(error: &E) -> String {
    let selector = error.selector();
    let all = [
        Manager::ManagerErrors::signature_by_selector(selector),
        Nodes::NodesErrors::signature_by_selector(selector),
        Escrow::EscrowErrors::signature_by_selector(selector),
        OracleFeeds::OracleFeedsErrors::signature_by_selector(selector),
        OracleFeed::OracleFeedErrors::signature_by_selector(selector),
        Heartbeats::HeartbeatsErrors::signature_by_selector(selector),
        Reputation::ReputationErrors::signature_by_selector(selector),
        AddressBook::AddressBookErrors::signature_by_selector(selector),
        TalosToken::TalosTokenErrors::signature_by_selector(selector),
        Cid::CidErrors::signature_by_selector(selector),
        Rare::RareErrors::signature_by_selector(selector),
    ];
    let signature = all.into_iter().flatten().next().unwrap_or_default();
    signature.split('(').next().unwrap_or_default().to_owned()
}

fn talos(amount: U256) -> Amount {
    Amount(amount.saturating_to())
}

fn plain(bytes: &alloy::primitives::B256) -> String {
    hex::encode(bytes)
}

fn state(state: &State) -> &'static str {
    match state {
        State::None => "unknown",
        State::Unverified => "unverified",
        State::Open => "open for bids",
        State::Assigned => "assigned",
        State::Running => "running",
        State::Stopped => "stopped",
        State::Expired => "expired",
        State::__Invalid => "in a state that this program does not know",
    }
}
