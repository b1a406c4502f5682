// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Order, Publication, ReopenReason, Resources, Selection, State, StopReason} from "../Types.sol";

/// @title What the market says
/// @notice Every event carries what a node or a client needs to act on it without asking back; every refusal
/// carries what would have been accepted.
abstract contract MarketEvents {
    // ---- events ----------------------------------------------------------------------------------

    /// @notice A package was published; the record is immutable.
    /// @param agentKey keccak256 of the agent id
    event Published(
        uint64 indexed id, address indexed publisher, bytes32 indexed agentKey, Publication publication
    );
    /// @notice An order was placed, or a home lease made.
    event Deployed(uint64 indexed id, address indexed owner, bytes32 indexed agentKey, Order order);
    /// @notice The order that was just placed chooses so; one without this event goes to the lowest price.
    /// @param provider URL of where the content can be had; empty where none was named
    event OrderTerms(uint64 indexed id, Selection selection, string provider);
    /// @notice Deployment `id` continues `oldId` of the Manager `market`.
    event Superseded(uint64 indexed id, address indexed market, uint64 indexed oldId);
    /// @notice A node attested a dag-pb artifact.
    event Attested(uint64 indexed id, address indexed node, uint8 attestations);
    /// @notice A quorum attested the artifact; bidding is open until `biddingEnds`.
    event Verified(uint64 indexed id, uint64 biddingEnds);
    /// @notice `node` leads with `rate` token units per hour.
    event BidPlaced(uint64 indexed id, address indexed node, uint128 rate);
    /// @notice A node has committed itself to a rate that is not known yet.
    /// @param roundEnds unix time of the round's end, until which it can be revealed
    event BidCommitted(uint64 indexed id, address indexed node, bytes32 commitment, uint64 roundEnds);
    /// @notice A node has revealed what it had committed itself to, in token units per hour. If it leads, `BidPlaced`
    /// follows.
    event BidRevealed(uint64 indexed id, address indexed node, uint128 rate);
    /// @notice What a commitment that was not revealed had locked is free again.
    event BidReclaimed(uint64 indexed id, address indexed node, bytes32 commitment);
    /// @notice A node takes an offer back, whether it has made it or not.
    event OfferRevoked(address indexed node, uint64 indexed nonce);
    /// @notice The order is `node`'s; it starts the agent and acknowledges.
    /// @param ackBy last unix time of the ack; 0 for a home lease, which may take its time
    event Assigned(uint64 indexed id, address indexed node, uint128 rate, uint64 ackBy);
    /// @notice The agent is live; money runs from `startedAt` (unix time).
    event Started(uint64 indexed id, address indexed node, uint32 incarnation, uint128 rate, uint64 startedAt);
    /// @notice A node was credited.
    /// @param amount token units credited to the node by this settlement
    event Settled(uint64 indexed id, address indexed node, uint256 amount);
    /// @notice A deployment was ended by its owner or its node; `node` is zero where none had been found.
    /// @param refund token units returned to the owner
    event Stopped(uint64 indexed id, address indexed node, StopReason reason, uint256 refund);
    /// @notice A lease ended because its deposit was used up.
    event Expired(uint64 indexed id, address indexed node);
    /// @notice A node will not run the order; it is barred from this one.
    event Rejected(uint64 indexed id, address indexed node, string reason);
    /// @notice An order is back on the market.
    /// @param node the node that lost the order
    event Reopened(uint64 indexed id, address indexed node, ReopenReason reason, uint64 biddingEnds);
    /// @notice The owner asks `node` to run what `order` describes.
    event UpdateRequested(
        uint64 indexed id, address indexed node, uint32 revision, uint64 publication, Order order
    );
    /// @notice The node runs the update.
    event Updated(uint64 indexed id, address indexed node, uint32 revision, uint64 publication, uint32 incarnation);
    /// @notice The node kept what ran before.
    event UpdateRejected(uint64 indexed id, address indexed node, uint32 revision, string reason);
    /// @notice The owner asks the agent to rest; it goes on paying.
    event Paused(uint64 indexed id, address indexed node);
    /// @notice The owner asks the agent to go on.
    event Resumed(uint64 indexed id, address indexed node);
    /// @notice `from` added `amount` token units to a deployment.
    event Deposited(uint64 indexed id, address indexed from, uint128 amount);
    /// @notice The owner will withdraw `amount` token units, not before `readyAt` (unix time).
    event ClientWithdrawRequested(uint64 indexed id, uint128 amount, uint64 readyAt);
    /// @notice The owner withdrew `amount` token units.
    event ClientWithdrawn(uint64 indexed id, uint128 amount);

    // ---- errors ----------------------------------------------------------------------------------

    /// @notice An agent id has 1 to `max` bytes.
    error AgentIdLength(uint256 length, uint256 max);
    /// @notice An agent id is `name@version`, neither of them empty.
    error AgentIdWithoutVersion();
    /// @notice The manifest's CID names other bytes than its hash.
    error ManifestCidMismatch(bytes32 digest, bytes32 manifestHash);
    /// @notice The manifest's CID must be raw.
    error ManifestCidNotRaw();
    /// @notice A raw CID is the hash itself, and this one is another's.
    error ArtifactCidMismatch(bytes32 digest, bytes32 artifactHash);
    /// @notice The artifact's hash is missing.
    error ArtifactHashZero();
    /// @notice CPU and memory must be above zero.
    error ResourcesZero();
    /// @notice Only a home lease costs nothing.
    error RateZero();
    /// @notice Token units per hour, and the most that is taken.
    error RateTooHigh(uint256 rate, uint256 max);
    /// @notice Seconds, and the most that is taken.
    error BidWindowTooLong(uint32 window, uint32 max);
    /// @notice The amount is zero.
    error PaymentZero();
    /// @notice A figure is above what its field holds.
    error AmountTooLarge(uint256 amount, uint256 max);
    /// @notice No publication has this number.
    error UnknownPublication(uint64 publication);
    /// @notice The publisher has published nothing of this agent id.
    error NotPublished(address publisher, string agentId);
    /// @notice No deployment has this number.
    error UnknownDeployment(uint64 id);
    /// @notice The deployment is in another state than the call needs.
    error WrongState(uint64 id, State state);
    /// @notice The artifact awaits its quorum.
    error NotVerified(uint64 id, uint8 attestations, uint8 quorum);
    /// @notice The caller is not the deployment's owner.
    error NotOwner(uint64 id, address caller);
    /// @notice The caller is not whom Nodes names as its slasher.
    error NotSlasher(address caller);
    /// @notice The caller is not the deployment's node.
    error NotNode(uint64 id, address caller);
    /// @notice The caller operates no registered node.
    error NotOperator(address caller);
    /// @notice The order is for `node` alone.
    error OnlyNode(uint64 id, address node);
    /// @notice The node has rejected this order, or lost it too often by a missed ack or by silence.
    error Barred(uint64 id, address node);
    /// @notice The rate is above the limit, which `standing` then is; or the bid does not take the lead from the one
    /// at `standing`, by what the order chooses by. Token units per hour.
    error NotBetter(uint64 id, uint256 rate, uint256 standing);
    /// @notice Bidding ended at this unix time; the order can be assigned.
    error BiddingClosed(uint64 id, uint64 closedAt);
    /// @notice Bidding goes on until this unix time.
    error BiddingOpen(uint64 id, uint64 until);
    /// @notice The order's bids are sealed until this unix time: commit, then reveal.
    error BidsSealed(uint64 id, uint64 until);
    /// @notice The order's bids are not sealed.
    error NotSealed(uint64 id);
    /// @notice Seconds, and the least that a round of sealed bids needs.
    error WindowTooShort(uint32 window, uint32 least);
    /// @notice This round's commitments were taken until this unix time.
    error CommitClosed(uint64 id, uint64 until);
    /// @notice This round's commitments are revealed from the one unix time until the other.
    error RevealNotOpen(uint64 id, uint64 from, uint64 until);
    /// @notice The node has made this commitment, and has not revealed or reclaimed it.
    error AlreadyCommitted(uint64 id, bytes32 commitment);
    /// @notice The node has no such commitment; to be revealed, none in this round.
    error NotCommitted(uint64 id, address node, bytes32 commitment);
    /// @notice What was committed to and not revealed can be reclaimed from this unix time.
    error BidHeld(uint64 id, uint64 until);
    /// @notice The offer was good until `validUntil`; it is `now_` (unix time).
    error OfferExpired(uint64 validUntil, uint64 now_);
    /// @notice The offer is for `client` alone.
    error OfferForAnother(address client, address caller);
    /// @notice The node has taken this offer back, or it was taken before.
    error OfferUsed(address node, uint64 nonce);
    /// @notice The offer does not bear its node's signature of 65 bytes, for this chain and this Manager; `signer` is
    /// whose it bears, 0 for nobody's.
    error OfferNotSigned(address node, address signer);
    /// @notice The agent needs more than is offered.
    error OfferTooSmall(Resources needed, Resources upTo);
    /// @notice An offer is taken for a raw CID alone; a dag-pb one awaits its quorum and takes bids after it.
    error ArtifactCidNotRaw();
    /// @notice Nobody has bid.
    error NoBids(uint64 id);
    /// @notice No order of this agent id is open.
    error NoOpenOrder(string agentId);
    /// @notice Several orders of this agent id are open; bid by number.
    error Ambiguous(string agentId, uint256 openOrders);
    /// @notice The node has attested this order.
    error AlreadyAttested(uint64 id, address node);
    /// @notice The node has until this unix time to acknowledge.
    error AckPending(uint64 id, uint64 until);
    /// @notice An incarnation must be above the last.
    error StaleIncarnation(uint64 id, uint32 given, uint32 last);
    /// @notice A home lease has no money, no end and no market. 0 where none exists yet.
    error HomeLease(uint64 id);
    /// @notice The deposit lasts until this unix time.
    error NotRunOut(uint64 id, uint64 endsAt);
    /// @notice The deposit was used up at this unix time.
    error RanOut(uint64 id, uint64 endsAt);
    /// @notice The agent rests already.
    error AlreadyPaused(uint64 id);
    /// @notice The agent does not rest.
    error NotPaused(uint64 id);
    /// @notice No update of this revision is pending.
    error NoUpdate(uint64 id, uint32 revision);
    /// @notice The publication is of another agent.
    error AnotherAgent(uint64 id, uint64 publication);
    /// @notice No withdrawal was announced.
    error NoWithdrawal(uint64 id);
    /// @notice The announced withdrawal may follow from this unix time.
    error NoticeRuns(uint64 id, uint64 readyAt);
    /// @notice Bytes, and the most that is taken.
    error ReasonTooLong(uint256 length, uint256 max);
    /// @notice Bytes, and the most that is taken.
    error ProviderTooLong(uint256 length, uint256 max);
    /// @notice Nodes names no reputation, by which the order would choose; the lowest price needs none.
    error NoReputation();
    /// @notice The old deployment has not ended.
    error NotSuperseded(uint64 oldId, State state);
    /// @notice Ack timeout and quorum must be above zero.
    error SettingZero();
}
