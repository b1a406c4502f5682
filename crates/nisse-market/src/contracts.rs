//! The contracts of the market as this program calls them: shapes from `contracts/src`, held by a test against the
//! committed ABIs. Manager and Nodes stand here with the shapes that they share; the others know no shapes.

mod book;
mod bytecode;
mod feeds;
mod heartbeats;
mod money;
mod rare;
mod reputation;

pub(crate) use book::AddressBook;
pub(crate) use bytecode::{arguments, creation_code};
pub(crate) use feeds::{OracleFeed, OracleFeeds};
pub(crate) use heartbeats::Heartbeats;
pub(crate) use money::{Escrow, TalosToken};
pub(crate) use rare::{Cid, Rare};
pub(crate) use reputation::Reputation;

use alloy::sol;

sol! {
    #[derive(Debug)]
    struct Resources {
        uint32 cpuMillis;
        uint64 memoryBytes;
        bool gpu;
    }

    #[derive(Debug, PartialEq, Eq)]
    enum State { None, Unverified, Open, Assigned, Running, Stopped, Expired }

    #[derive(Debug, PartialEq, Eq)]
    enum StopReason { Owner, Node }

    #[derive(Debug, PartialEq, Eq)]
    enum ReopenReason { NoAck, Rejected, Silent }

    #[derive(Debug, PartialEq, Eq)]
    enum Selection { LowestPrice, HighestReputation, Score, SealedPrice, SealedScore }

    #[derive(Debug)]
    struct Terms {
        Selection selection;
        string provider;
    }

    #[derive(Debug)]
    struct Publication {
        uint64 id;
        address publisher;
        string agentId;
        bytes manifestCid;
        bytes32 manifestHash;
        bytes artifactCid;
        bytes32 artifactHash;
        bytes32 configHash;
        Resources resources;
        uint128 maxRate;
        uint32 bidWindow;
        uint64 gasBudget;
        uint64 publishedAt;
    }

    #[derive(Debug)]
    struct Offer {
        address node;
        address client;
        Resources upTo;
        uint128 rate;
        uint64 validUntil;
        uint64 nonce;
    }

    #[derive(Debug)]
    struct DeployParams {
        uint64 publication;
        uint128 payment;
        uint128 maxRate;
        bytes32 configHash;
        bytes artifactCid;
        address onlyNode;
        address supersedesMarket;
        uint64 supersedesId;
    }

    #[derive(Debug)]
    struct Order {
        uint64 publication;
        string agentId;
        bytes manifestCid;
        bytes artifactCid;
        bytes32 artifactHash;
        bytes32 configHash;
        Resources resources;
        uint128 payment;
        uint128 maxRate;
        uint32 bidWindow;
        uint64 biddingEnds;
        uint64 gasBudget;
        address onlyNode;
        bool home;
        bool verified;
    }

    // The contract's `Deployment` is flat; ABI encoding puts a fixed-size struct in place of its fields, so these groups
    // read the same bytes with fewer fields each than a tuple may have here.
    #[derive(Debug)]
    struct Deployment {
        uint64 id;
        address owner;
        State state;
        address node;
        uint64 publication;
        string agentId;
        bytes manifestCid;
        bytes artifactCid;
        DeploymentTerms terms;
        DeploymentMoney money;
        DeploymentStanding standing;
    }

    #[derive(Debug)]
    struct DeploymentTerms {
        bytes32 artifactHash;
        bytes32 configHash;
        Resources resources;
        uint64 gasBudget;
        uint128 rate;
        uint128 maxRate;
        uint32 bidWindow;
    }

    #[derive(Debug)]
    struct DeploymentMoney {
        uint64 deadline;
        uint64 startedAt;
        uint64 endsAt;
        uint128 deposited;
        uint128 paid;
        uint128 due;
    }

    #[derive(Debug)]
    struct DeploymentStanding {
        uint32 incarnation;
        bool home;
        bool paused;
        bool verified;
        uint8 attestations;
        address onlyNode;
        address supersedesMarket;
        uint64 supersedesId;
        uint32 updateRevision;
        uint64 updatePublication;
    }

    #[derive(Debug)]
    interface Manager {
        constructor(address nodes, uint32 ackTimeout, uint32 withdrawNotice, uint32 lockHours, uint8 quorum);

        function escrow() external view returns (address);
        function lockHours() external view returns (uint32);
        function offerUsed(address node, uint64 nonce) external view returns (bool);
        function publications() external view returns (uint32);
        function deployments() external view returns (uint64);
        function publish(
            string agentId,
            bytes manifestCid,
            bytes32 manifestHash,
            bytes artifactCid,
            bytes32 artifactHash,
            bytes32 configHash,
            Resources resources,
            uint128 maxRate,
            uint32 bidWindow,
            uint64 gasBudget
        ) external returns (uint64 id);
        function deploy(DeployParams params) external returns (uint64 id);
        function deploy(string agentId, string ipfsCid, uint256 payment) external returns (uint64 id);
        function deployUnder(DeployParams params, Terms terms) external returns (uint64 id);
        function deployWith(DeployParams params, Offer offer, bytes signature) external returns (uint64 id);
        function deployHome(DeployParams params) external returns (uint64 id);
        function attest(uint64 id) external;
        function reject(uint64 id, string reason) external;
        function bid(uint64 id, uint128 rate) external;
        function bid(string agentId, uint256 price) external;
        function commitBid(uint64 id, bytes32 commitment) external;
        function revealBid(uint64 id, uint128 rate, bytes32 salt) external;
        function reclaimBid(uint64 id, address node, bytes32 commitment) external;
        function sealedBid(uint64 id, address node, bytes32 commitment)
            external
            view
            returns (uint64 roundEnds, uint128 rate);
        function assign(uint64 id) external;
        function ackStart(uint64 id, uint32 incarnation) external;
        function reopen(uint64 id) external;
        function stop(uint64 id) external;
        function expire(uint64 id) external;
        function settle(uint64 id) external returns (uint256 amount);
        function pause(uint64 id) external;
        function resume(uint64 id) external;
        function update(uint64 id, uint64 publicationId, bytes32 configHash, bytes artifactCid)
            external
            returns (uint32 revision);
        function ackUpdate(uint64 id, uint32 revision, uint32 incarnation) external;
        function rejectUpdate(uint64 id, uint32 revision, string reason) external;
        function deposit(uint64 id, uint128 amount) external;
        function requestClientWithdraw(uint64 id, uint128 amount) external;
        function clientWithdraw(uint64 id) external;
        function deployment(uint64 id) external view returns (Deployment d);
        function publication(address publisher, string agentId) external view returns (Publication p);
        function publicationById(uint64 id) external view returns (Publication p);
        function selectionOf(uint64 id) external view returns (Selection selection);
        function openOrders(string agentId) external view returns (uint256);
        function gasAllowance(uint64 id) external view returns (uint256);

        event Published(
            uint64 indexed id, address indexed publisher, bytes32 indexed agentKey, Publication publication
        );
        event Deployed(uint64 indexed id, address indexed owner, bytes32 indexed agentKey, Order order);
        event OrderTerms(uint64 indexed id, Selection selection, string provider);
        event OfferRevoked(address indexed node, uint64 indexed nonce);
        event Superseded(uint64 indexed id, address indexed market, uint64 indexed oldId);
        event Attested(uint64 indexed id, address indexed node, uint8 attestations);
        event Verified(uint64 indexed id, uint64 biddingEnds);
        event BidPlaced(uint64 indexed id, address indexed node, uint128 rate);
        event BidCommitted(uint64 indexed id, address indexed node, bytes32 commitment, uint64 roundEnds);
        event BidRevealed(uint64 indexed id, address indexed node, uint128 rate);
        event BidReclaimed(uint64 indexed id, address indexed node, bytes32 commitment);
        event Assigned(uint64 indexed id, address indexed node, uint128 rate, uint64 ackBy);
        event Started(uint64 indexed id, address indexed node, uint32 incarnation, uint128 rate, uint64 startedAt);
        event Settled(uint64 indexed id, address indexed node, uint256 amount);
        event Stopped(uint64 indexed id, address indexed node, StopReason reason, uint256 refund);
        event Expired(uint64 indexed id, address indexed node);
        event Rejected(uint64 indexed id, address indexed node, string reason);
        event Reopened(uint64 indexed id, address indexed node, ReopenReason reason, uint64 biddingEnds);
        event UpdateRequested(
            uint64 indexed id, address indexed node, uint32 revision, uint64 publication, Order order
        );
        event Updated(
            uint64 indexed id, address indexed node, uint32 revision, uint64 publication, uint32 incarnation
        );
        event UpdateRejected(uint64 indexed id, address indexed node, uint32 revision, string reason);
        event Paused(uint64 indexed id, address indexed node);
        event Resumed(uint64 indexed id, address indexed node);
        event Deposited(uint64 indexed id, address indexed from, uint128 amount);
        event ClientWithdrawRequested(uint64 indexed id, uint128 amount, uint64 readyAt);
        event ClientWithdrawn(uint64 indexed id, uint128 amount);

        error AgentIdLength(uint256 length, uint256 max);
        error AgentIdWithoutVersion();
        error ManifestCidMismatch(bytes32 digest, bytes32 manifestHash);
        error ManifestCidNotRaw();
        error ArtifactCidMismatch(bytes32 digest, bytes32 artifactHash);
        error ArtifactHashZero();
        error ResourcesZero();
        error RateZero();
        error RateTooHigh(uint256 rate, uint256 max);
        error BidWindowTooLong(uint32 window, uint32 max);
        error PaymentZero();
        error UnknownPublication(uint64 publication);
        error NotPublished(address publisher, string agentId);
        error UnknownDeployment(uint64 id);
        error WrongState(uint64 id, State state);
        error NotVerified(uint64 id, uint8 attestations, uint8 quorum);
        error NotOwner(uint64 id, address caller);
        error NotNode(uint64 id, address caller);
        error NotOperator(address caller);
        error OnlyNode(uint64 id, address node);
        error Barred(uint64 id, address node);
        error NotBetter(uint64 id, uint256 rate, uint256 standing);
        error BiddingClosed(uint64 id, uint64 closedAt);
        error BiddingOpen(uint64 id, uint64 until);
        error NoBids(uint64 id);
        error NoOpenOrder(string agentId);
        error Ambiguous(string agentId, uint256 openOrders);
        error AlreadyAttested(uint64 id, address node);
        error AckPending(uint64 id, uint64 until);
        error StaleIncarnation(uint64 id, uint32 given, uint32 last);
        error HomeLease(uint64 id);
        error NotRunOut(uint64 id, uint64 endsAt);
        error RanOut(uint64 id, uint64 endsAt);
        error AlreadyPaused(uint64 id);
        error NotPaused(uint64 id);
        error NoUpdate(uint64 id, uint32 revision);
        error AnotherAgent(uint64 id, uint64 publication);
        error NoWithdrawal(uint64 id);
        error NoticeRuns(uint64 id, uint64 readyAt);
        error ReasonTooLong(uint256 length, uint256 max);
        error NotSuperseded(uint64 oldId, State state);
        error SettingZero();
        error NoReputation();
        error ProviderTooLong(uint256 length, uint256 max);
        error OfferExpired(uint64 validUntil, uint64 now_);
        error OfferForAnother(address client, address caller);
        error OfferUsed(address node, uint64 nonce);
        error OfferNotSigned(address node, address signer);
        error OfferTooSmall(Resources needed, Resources upTo);
        error ArtifactCidNotRaw();
        error BidsSealed(uint64 id, uint64 until);
        error NotSealed(uint64 id);
        error WindowTooShort(uint32 window, uint32 least);
        error CommitClosed(uint64 id, uint64 until);
        error RevealNotOpen(uint64 id, uint64 from, uint64 until);
        error AlreadyCommitted(uint64 id, bytes32 commitment);
        error NotCommitted(uint64 id, address node, bytes32 commitment);
        error BidHeld(uint64 id, uint64 until);
    }

    #[derive(Debug)]
    interface Nodes {
        enum Status { None, Active, Paused }

        struct Node {
            Status status;
            uint128 stake;
            uint128 locked;
            uint128 unbonding;
            uint64 unbondedAt;
            uint64 registeredAt;
            Resources capacity;
            string endpoint;
        }

        constructor(address token, uint128 minStake, uint32 unbondingTime, address treasury, address owner);

        function register(string endpoint, Resources capacity, uint128 stake) external;
        function setEndpoint(string endpoint) external;
        function addStake(uint128 amount) external;
        function requestUnbond(uint128 amount) external;
        function withdraw() external returns (uint128 amount);
        function addManager(address manager) external;
        function setSlasher(address slasher) external;
        function setReputation(address reputation) external;
        function claimSlashed() external returns (uint256 amount);
        function claimable(address account) external view returns (uint256);
        function node(address operator) external view returns (Node view_);
        function minStake() external view returns (uint128);

        event NodeRegistered(address indexed node, string endpoint, Resources capacity, uint128 stake);
        event StakeAdded(address indexed node, uint128 amount, uint128 stake);

        error NotRegistered(address node);
        error AlreadyRegistered(address node);
        error NodeIsPaused(address node);
        error NodeNotPaused(address node);
        error StakeTooLow(uint256 stake, uint256 needed);
        error FreeStakeTooLow(address node, uint256 free, uint256 needed);
        error AmountZero();
        error AmountTooLarge(uint256 amount, uint256 max);
        error NothingUnbonding(address node);
        error StillUnbonding(address node, uint64 unbondedAt, uint64 now_);
        error CapacityZero();
        error EndpointEmpty();
        error EndpointTooLong(uint256 length, uint256 max);
        error NotManager(address caller);
        error GasTooLow(uint256 left, uint256 needed);
        error ZeroAddress();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests;
