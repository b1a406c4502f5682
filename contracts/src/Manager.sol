// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {
    Resources,
    State,
    StopReason,
    ReopenReason,
    Publication,
    DeployParams,
    Order,
    Deployment
} from "./Types.sol";
import {Cid} from "./Cid.sol";
import {Escrow} from "./Escrow.sol";
import {LowestPrice} from "./LowestPrice.sol";
import {Nodes} from "./Nodes.sol";

/// @title The market
/// @notice Publications, orders, bids, leases. Money lies in the Escrow that this contract makes; stakes lie
/// in Nodes. Time is in seconds, money in token units, rates in token units per hour. What moves tokens is
/// guarded against re-entrance; the rest calls only Nodes and Escrow, which then call nobody.
contract Manager is ReentrancyGuardTransient {
    // ---- shapes in storage -----------------------------------------------------------------------

    // The first slot has all the figures, so that a deploy never reads the second. `cpuMillis` is never zero.
    struct Record {
        uint80 maxRate;
        uint56 memoryBytes;
        uint48 gasBudget;
        uint32 cpuMillis;
        uint24 bidWindow;
        bool gpu;
        bool dagPb;
        address publisher;
        uint64 publishedAt;
        bytes32 manifestHash;
        bytes32 artifactHash;
        bytes32 configHash;
        bytes32 artifactDigest;
        string agentId;
    }

    // Two slots, so that the whole life of a lease writes only these and its Escrow line. After the bidding
    // only the first changes.
    struct Lease {
        address owner;
        // Open: end of bidding. Assigned: last moment to ack. Running and after: when money began to run.
        uint32 moment;
        uint24 publication;
        uint24 incarnation;
        State state;
        uint8 flags;
        address node;
        // Open without a bid: the order's limit.
        uint80 rate;
    }

    // Written only where a deployment differs from its publication; `flags` says which are in use.
    struct Extra {
        bytes32 configHash;
        bytes32 artifactDigest;
        address onlyNode;
        uint80 maxRate;
        address supersedesMarket;
        uint64 supersedesId;
    }

    struct Update {
        uint32 revision;
        uint24 publication;
        bool dagPb;
        bytes32 configHash;
        bytes32 artifactDigest;
    }

    struct Withdrawal {
        uint96 amount;
        uint40 readyAt;
    }

    // How many open orders an agent id has, and the sum of their numbers: with one, the sum is its number.
    // The mark keeps the slot from returning to zero, so that a deploy never pays for a new one.
    struct OpenOrders {
        uint64 count;
        uint128 sum;
        bool mark;
    }

    uint8 private constant HOME = 1;
    uint8 private constant PAUSED = 2;
    uint8 private constant DAG_PB = 4;
    uint8 private constant OWN_CONFIG = 8;
    uint8 private constant ONLY_NODE = 16;
    uint8 private constant OWN_LIMIT = 32;
    uint8 private constant BARRED = 64;
    uint8 private constant SUPERSEDES = 128;

    // ---- limits and settings ---------------------------------------------------------------------

    /// @notice Longest agent id, in bytes.
    uint256 public constant AGENT_ID_BYTES_MAX = 128;
    /// @notice Longest bid window, in seconds: 7 days.
    uint32 public constant BID_WINDOW_MAX = 7 days;
    /// @notice Missed acks after which a node is barred from an order.
    uint8 public constant MISSES_MAX = 3;
    /// @notice Longest reason of a rejection, in bytes.
    uint256 public constant REASON_BYTES_MAX = 256;

    /// @notice The token that leases are paid in.
    IERC20 public immutable token;
    /// @notice Who may bid, and their stakes.
    Nodes public immutable nodes;
    /// @notice Where the money lies; a client approves this address.
    Escrow public immutable escrow;
    /// @notice Seconds in which an assigned node must acknowledge.
    uint32 public immutable ackTimeout;
    /// @notice Seconds of notice before a client withdraws from a line.
    uint32 public immutable withdrawNotice;
    /// @notice Hours of a lease's rate that are locked of the node's stake.
    uint32 public immutable lockHours;
    /// @notice Nodes that must attest a dag-pb artifact before bidding opens.
    uint8 public immutable quorum;

    // ---- state -----------------------------------------------------------------------------------

    /// @notice Number of the newest publication; numbers start at 1.
    uint24 public publications;
    /// @notice Number of the newest deployment; numbers start at 1.
    uint64 public deployments;

    mapping(uint64 publication => Record) private _publications;
    mapping(bytes32 publisherAndAgent => uint64) private _latest;
    mapping(bytes32 agentKey => OpenOrders) private _openOrders;
    mapping(uint64 deployment => Lease) private _leases;
    mapping(uint64 deployment => Extra) private _extras;
    mapping(uint64 deployment => Update) private _updates;
    mapping(uint64 deployment => Withdrawal) private _withdrawals;
    mapping(uint64 deployment => uint8) private _attestations;
    mapping(uint64 deployment => mapping(address node => bool)) private _attested;
    // Missed acks; type(uint8).max = barred.
    mapping(uint64 deployment => mapping(address node => uint8)) private _misses;

    // ---- events ----------------------------------------------------------------------------------

    /// @param agentKey keccak256 of the agent id
    event Published(
        uint64 indexed id, address indexed publisher, bytes32 indexed agentKey, Publication publication
    );
    event Deployed(uint64 indexed id, address indexed owner, bytes32 indexed agentKey, Order order);
    /// @notice Deployment `id` continues `oldId` of the Manager `market`.
    event Superseded(uint64 indexed id, address indexed market, uint64 indexed oldId);
    event Attested(uint64 indexed id, address indexed node, uint8 attestations);
    /// @notice A quorum attested the artifact; bidding is open until `biddingEnds`.
    event Verified(uint64 indexed id, uint64 biddingEnds);
    event BidPlaced(uint64 indexed id, address indexed node, uint128 rate);
    /// @param ackBy last unix time of the ack; 0 for a home lease, which may take its time
    event Assigned(uint64 indexed id, address indexed node, uint128 rate, uint64 ackBy);
    event Started(uint64 indexed id, address indexed node, uint32 incarnation, uint128 rate, uint64 startedAt);
    /// @param amount token units credited to the node by this settlement
    event Settled(uint64 indexed id, address indexed node, uint256 amount);
    /// @param refund token units returned to the owner
    event Stopped(uint64 indexed id, address indexed node, StopReason reason, uint256 refund);
    event Expired(uint64 indexed id, address indexed node);
    event Rejected(uint64 indexed id, address indexed node, string reason);
    /// @param node the node that lost the order
    event Reopened(uint64 indexed id, address indexed node, ReopenReason reason, uint64 biddingEnds);
    event UpdateRequested(
        uint64 indexed id, address indexed node, uint32 revision, uint64 publication, Order order
    );
    event Updated(uint64 indexed id, address indexed node, uint32 revision, uint64 publication, uint32 incarnation);
    event UpdateRejected(uint64 indexed id, address indexed node, uint32 revision, string reason);
    event Paused(uint64 indexed id, address indexed node);
    event Resumed(uint64 indexed id, address indexed node);
    event Deposited(uint64 indexed id, address indexed from, uint128 amount);
    event ClientWithdrawRequested(uint64 indexed id, uint128 amount, uint64 readyAt);
    event ClientWithdrawn(uint64 indexed id, uint128 amount);

    // ---- errors ----------------------------------------------------------------------------------

    error AgentIdLength(uint256 length, uint256 max);
    error AgentIdWithoutVersion();
    error ManifestCidMismatch(bytes32 digest, bytes32 manifestHash);
    error ManifestCidNotRaw();
    /// @notice A raw CID is the hash itself, and this one is another's.
    error ArtifactCidMismatch(bytes32 digest, bytes32 artifactHash);
    error ArtifactHashZero();
    error ResourcesZero();
    error RateZero();
    error RateTooHigh(uint256 rate, uint256 max);
    error BidWindowTooLong(uint32 window, uint32 max);
    error PaymentZero();
    error AmountTooLarge(uint256 amount, uint256 max);
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

    /// @param nodes_ the registry of nodes, whose owner then calls `addManager` with this contract
    /// @param ackTimeout_ seconds, e.g. 60
    /// @param withdrawNotice_ seconds, e.g. 3600
    /// @param lockHours_ hours, e.g. 24
    /// @param quorum_ nodes, e.g. 2
    constructor(Nodes nodes_, uint32 ackTimeout_, uint32 withdrawNotice_, uint32 lockHours_, uint8 quorum_) {
        if (ackTimeout_ == 0 || quorum_ == 0) revert SettingZero();
        nodes = nodes_;
        token = nodes_.token();
        escrow = new Escrow(nodes_.token());
        ackTimeout = ackTimeout_;
        withdrawNotice = withdrawNotice_;
        lockHours = lockHours_;
        quorum = quorum_;
    }

    // ---- publications ----------------------------------------------------------------------------

    /// @notice Make a package known. The record is immutable; a later one of the same publisher and agent id
    /// takes its place for deployments yet to come.
    /// @param manifestCid binary raw CID of agent.yaml, whose digest must be `manifestHash`
    /// @param artifactCid binary CID; where raw, its digest must be `artifactHash`
    /// @return id the publication's number
    function publish(
        string calldata agentId,
        bytes calldata manifestCid,
        bytes32 manifestHash,
        bytes calldata artifactCid,
        bytes32 artifactHash,
        bytes32 configHash,
        Resources calldata resources,
        uint128 maxRate,
        uint32 bidWindow,
        uint64 gasBudget
    ) external returns (uint64 id) {
        {
            (bytes32 digest, bool dagPb) = Cid.parse(manifestCid);
            if (dagPb) revert ManifestCidNotRaw();
            if (digest != manifestHash) revert ManifestCidMismatch(digest, manifestHash);
        }
        _nameHash(agentId);
        if (artifactHash == 0) revert ArtifactHashZero();
        if (resources.cpuMillis == 0 || resources.memoryBytes == 0) revert ResourcesZero();
        if (resources.memoryBytes > type(uint56).max) revert AmountTooLarge(resources.memoryBytes, type(uint56).max);
        if (gasBudget > type(uint48).max) revert AmountTooLarge(gasBudget, type(uint48).max);
        if (bidWindow > BID_WINDOW_MAX) revert BidWindowTooLong(bidWindow, BID_WINDOW_MAX);
        id = ++publications;
        Record storage p = _publications[id];
        {
            (bytes32 digest, bool dagPb) = Cid.parse(artifactCid);
            if (dagPb) {
                p.dagPb = true;
                p.artifactDigest = digest;
            } else if (digest != artifactHash) {
                revert ArtifactCidMismatch(digest, artifactHash);
            }
        }
        p.publisher = msg.sender;
        p.maxRate = _rate(maxRate);
        p.gpu = resources.gpu;
        p.manifestHash = manifestHash;
        p.artifactHash = artifactHash;
        p.configHash = configHash;
        p.memoryBytes = uint56(resources.memoryBytes);
        p.cpuMillis = resources.cpuMillis;
        p.gasBudget = uint48(gasBudget);
        p.bidWindow = uint24(bidWindow);
        p.publishedAt = uint64(block.timestamp);
        p.agentId = agentId;
        bytes32 agentKey = keccak256(bytes(agentId));
        _latest[_latestKey(msg.sender, agentKey)] = id;
        _openOrders[agentKey].mark = true;
        emit Published(id, msg.sender, agentKey, _publication(id));
    }

    // ---- deploying -------------------------------------------------------------------------------

    /// @notice Order a publication to be run. The payment moves from the caller into escrow.
    /// @return id the deployment's number
    function deploy(DeployParams calldata params) external nonReentrant returns (uint64 id) {
        (bytes32 digest, bool dagPb) = (bytes32(0), false);
        bool own = params.artifactCid.length != 0;
        if (own) (digest, dagPb) = Cid.parse(params.artifactCid);
        id = _deploy(params, own, digest, dagPb);
    }

    /// @notice Order the caller's own newest publication of `agentId`, fetched by `ipfsCid`.
    /// @param ipfsCid text form of the artifact's CID
    /// @param payment token units
    function deploy(string calldata agentId, string calldata ipfsCid, uint256 payment)
        external
        nonReentrant
        returns (uint64 id)
    {
        uint64 publicationId = _latest[_latestKey(msg.sender, keccak256(bytes(agentId)))];
        if (publicationId == 0) revert NotPublished(msg.sender, agentId);
        (bytes32 digest, bool dagPb) = Cid.parseText(ipfsCid);
        DeployParams memory params;
        params.publication = publicationId;
        if (payment > type(uint96).max) revert AmountTooLarge(payment, type(uint96).max);
        params.payment = uint128(payment);
        id = _deploy(params, true, digest, dagPb);
    }

    /// @notice Take a publication into one's own house: the caller is a node's operator and runs it itself,
    /// without payment, without end. Assigned at once.
    /// @param params `payment`, `maxRate` and `onlyNode` must be zero
    function deployHome(DeployParams calldata params) external nonReentrant returns (uint64 id) {
        if (!nodes.isRegistered(msg.sender)) revert NotOperator(msg.sender);
        if (params.payment != 0) revert HomeLease(0);
        if (params.maxRate != 0) revert RateTooHigh(params.maxRate, 0);
        if (params.onlyNode != address(0)) revert OnlyNode(0, params.onlyNode);
        (bytes32 digest, bool dagPb) = (bytes32(0), false);
        bool own = params.artifactCid.length != 0;
        if (own) (digest, dagPb) = Cid.parse(params.artifactCid);
        Order memory order;
        (id, order) = _create(params, own, digest, dagPb, HOME);
        emit Deployed(id, msg.sender, keccak256(bytes(order.agentId)), order);
        emit Assigned(id, msg.sender, 0, 0);
        _link(id, params);
    }

    function _deploy(DeployParams memory params, bool own, bytes32 digest, bool dagPb) private returns (uint64 id) {
        if (params.payment == 0) revert PaymentZero();
        Order memory order;
        (id, order) = _create(params, own, digest, dagPb, 0);
        bytes32 agentKey = keccak256(bytes(order.agentId));
        _listOrder(agentKey, id);
        emit Deployed(id, msg.sender, agentKey, order);
        _link(id, params);
        escrow.deposit(id, msg.sender, params.payment);
    }

    // Store owner, publication and whatever differs from it.
    function _create(DeployParams memory params, bool own, bytes32 digest, bool dagPb, uint8 flags)
        private
        returns (uint64 id, Order memory order)
    {
        Record storage p = _known(params.publication);
        id = ++deployments;
        Extra storage extra = _extras[id];
        if (!own) (dagPb, digest) = (p.dagPb, p.dagPb ? p.artifactDigest : p.artifactHash);
        _describe(order, params.publication, p, digest, dagPb, params.configHash);
        if (!dagPb && digest != order.artifactHash) revert ArtifactCidMismatch(digest, order.artifactHash);
        order.payment = params.payment;
        order.verified = !dagPb;
        if (dagPb) {
            flags |= DAG_PB;
            extra.artifactDigest = digest;
        }
        if (params.configHash != 0) {
            flags |= OWN_CONFIG;
            extra.configHash = params.configHash;
        }
        if (params.onlyNode != address(0)) {
            flags |= ONLY_NODE;
            extra.onlyNode = params.onlyNode;
            order.onlyNode = params.onlyNode;
        }
        if (params.maxRate != 0) {
            flags |= OWN_LIMIT;
            extra.maxRate = _rate(params.maxRate);
            order.maxRate = params.maxRate;
        }
        if (params.supersedesMarket != address(0)) {
            flags |= SUPERSEDES;
            extra.supersedesMarket = params.supersedesMarket;
            extra.supersedesId = params.supersedesId;
        }
        order.home = flags & HOME != 0;
        if (order.home) {
            (order.maxRate, order.verified) = (0, true);
            _leases[id].node = msg.sender;
        } else {
            if (order.maxRate == 0) revert RateZero();
            _leases[id].rate = uint80(order.maxRate);
            if (!dagPb) order.biddingEnds = uint64(block.timestamp) + order.bidWindow;
        }
        State state = order.home ? State.Assigned : dagPb ? State.Unverified : State.Open;
        _save(_leases[id], msg.sender, order.biddingEnds, params.publication, 0, state, flags);
    }

    // A link within this market must be the caller's own, ended deployment.
    function _link(uint64 id, DeployParams memory params) private {
        if (params.supersedesMarket == address(0)) return;
        if (params.supersedesMarket == address(this)) {
            Lease storage old = _leases[params.supersedesId];
            if (old.owner != msg.sender) revert NotOwner(params.supersedesId, msg.sender);
            if (old.state < State.Stopped) revert NotSuperseded(params.supersedesId, old.state);
        }
        emit Superseded(id, params.supersedesMarket, params.supersedesId);
    }

    // ---- attesting, rejecting --------------------------------------------------------------------

    /// @notice A node says that the bytes behind the order's dag-pb CID have the artifact's hash.
    function attest(uint64 id) external {
        Lease storage lease = _leaseIn(id, State.Unverified);
        _requireNotBarred(id, lease);
        nodes.requireEligible(msg.sender, 0);
        if (_attested[id][msg.sender]) revert AlreadyAttested(id, msg.sender);
        _attested[id][msg.sender] = true;
        uint8 count = ++_attestations[id];
        emit Attested(id, msg.sender, count);
        if (count >= quorum) {
            uint64 ends = uint64(block.timestamp) + _publications[lease.publication].bidWindow;
            lease.moment = uint32(ends);
            lease.state = State.Open;
            emit Verified(id, ends);
        }
    }

    /// @notice A node will not run this order, and says why. It is barred from this order and from nothing
    /// else. The leading bidder loses its bid, the assigned node its assignment; the order goes on.
    function reject(uint64 id, string calldata reason) external {
        _checkReason(reason);
        Lease storage lease = _lease(id);
        State state = lease.state;
        if (state != State.Unverified && state != State.Open && state != State.Assigned) {
            revert WrongState(id, state);
        }
        if (lease.flags & HOME != 0) revert HomeLease(id);
        if (!nodes.isRegistered(msg.sender)) revert NotOperator(msg.sender);
        _requireNotBarred(id, lease);
        bool assigned = state == State.Assigned;
        if (assigned && msg.sender != lease.node) revert NotNode(id, msg.sender);
        _bar(id, lease, msg.sender);
        emit Rejected(id, msg.sender, reason);
        if (msg.sender == lease.node) _reopen(id, lease, ReopenReason.Rejected, assigned);
    }

    // ---- bidding ---------------------------------------------------------------------------------

    /// @notice Offer to run an order for `rate` token units per hour. With a bid window of 0, or once the
    /// window has passed without a bid, the bid is assigned at once. While a bid leads, `lockHours` of its rate
    /// are locked of the node's stake.
    function bid(uint64 id, uint128 rate) external {
        _bid(id, rate);
    }

    /// @notice Offer to run the one open order of `agentId` for `price` token units per hour.
    function bid(string calldata agentId, uint256 price) external {
        OpenOrders storage open = _openOrders[keccak256(bytes(agentId))];
        (uint64 count, uint128 sum) = (open.count, open.sum);
        if (count == 0) revert NoOpenOrder(agentId);
        if (count > 1) revert Ambiguous(agentId, count);
        _bid(uint64(sum), price);
    }

    /// @notice Give the order to the leading bidder once bids are closed. Anyone may.
    function assign(uint64 id) external {
        Lease storage lease = _leaseIn(id, State.Open);
        if (lease.node == address(0)) revert NoBids(id);
        if (block.timestamp < lease.moment) revert BiddingOpen(id, lease.moment);
        _assign(id, lease, lease.node, lease.rate);
    }

    function _bid(uint64 id, uint256 rate) private {
        Lease storage lease = _lease(id);
        (address leader, uint256 standing, State state, uint8 flags) =
            (lease.node, lease.rate, lease.state, lease.flags);
        if (state == State.Unverified) revert NotVerified(id, _attestations[id], quorum);
        if (state != State.Open) revert WrongState(id, state);
        if (rate == 0) revert RateZero();
        if (flags & ONLY_NODE != 0 && _extras[id].onlyNode != msg.sender) revert OnlyNode(id, _extras[id].onlyNode);
        _requireNotBarred(id, lease);
        bool first = leader == address(0);
        if (!LowestPrice.leads(first, standing, rate)) revert NotBetter(id, rate, standing);
        uint256 moment = lease.moment;
        bool closed = block.timestamp >= moment;
        if (closed && !first) revert BiddingClosed(id, uint64(moment));
        if (!first) nodes.unlock(leader, standing * lockHours);
        nodes.lock(msg.sender, rate * lockHours);
        lease.node = msg.sender;
        // At most the order's limit, which fits.
        lease.rate = uint80(rate);
        emit BidPlaced(id, msg.sender, uint128(rate));
        if (closed) _assign(id, lease, msg.sender, rate);
    }

    function _assign(uint64 id, Lease storage lease, address node, uint256 rate) private {
        uint64 ackBy = uint64(block.timestamp) + ackTimeout;
        uint24 publicationId = lease.publication;
        _save(lease, lease.owner, ackBy, publicationId, lease.incarnation, State.Assigned, lease.flags);
        _unlistOrder(publicationId, id);
        emit Assigned(id, node, uint128(rate), ackBy);
    }

    // ---- a lease's life --------------------------------------------------------------------------

    /// @notice The assigned node says that the agent is live. Money runs from here.
    /// @param incarnation number of this start of the agent, above the deployment's last
    function ackStart(uint64 id, uint32 incarnation) external {
        Lease storage lease = _leaseIn(id, State.Assigned);
        if (msg.sender != lease.node) revert NotNode(id, msg.sender);
        uint24 next = _incarnation(id, lease, incarnation);
        _save(lease, lease.owner, block.timestamp, lease.publication, next, State.Running, lease.flags);
        emit Started(id, msg.sender, incarnation, lease.rate, uint64(block.timestamp));
    }

    /// @notice Put an order whose node did not acknowledge in time back on the market, unpaid. Anyone may.
    /// After `MISSES_MAX` misses the node is barred from the order.
    function reopen(uint64 id) external {
        Lease storage lease = _leaseIn(id, State.Assigned);
        if (lease.flags & HOME != 0) revert HomeLease(id);
        if (block.timestamp <= lease.moment) revert AckPending(id, lease.moment);
        address node = lease.node;
        uint8 misses = ++_misses[id][node];
        if (misses >= MISSES_MAX) _bar(id, lease, node);
        _reopen(id, lease, ReopenReason.NoAck, true);
    }

    /// @notice End a deployment. Its owner may at any time, its node while it runs. What is due is paid, the
    /// rest returns to the owner: at once when the owner calls, else to the owner's account in escrow.
    function stop(uint64 id) external nonReentrant {
        Lease storage lease = _lease(id);
        State state = lease.state;
        if (state >= State.Stopped) revert WrongState(id, state);
        (address owner, address node) = (lease.owner, lease.node);
        bool byOwner = msg.sender == owner;
        if (!byOwner && (state != State.Running || msg.sender != node)) revert NotOwner(id, msg.sender);
        bool home = lease.flags & HOME != 0;
        uint256 accrued = state == State.Running ? _accrued(lease) : 0;
        lease.state = State.Stopped;
        if (state < State.Assigned) _unlistOrder(lease.publication, id);
        if (!home && node != address(0)) nodes.unlock(node, uint256(lease.rate) * lockHours);
        uint256 refund = home ? 0 : _close(id, node, accrued, owner, byOwner);
        emit Stopped(id, node, byOwner ? StopReason.Owner : StopReason.Node, refund);
    }

    /// @notice End a lease whose deposit is used up, paying exactly what is due. Anyone may.
    function expire(uint64 id) external nonReentrant {
        Lease storage lease = _leaseIn(id, State.Running);
        if (lease.flags & HOME != 0) revert HomeLease(id);
        uint64 ends = _endsAt(id, lease);
        if (block.timestamp < ends) revert NotRunOut(id, ends);
        (address owner, address node) = (lease.owner, lease.node);
        uint256 accrued = _accrued(lease);
        lease.state = State.Expired;
        nodes.unlock(node, uint256(lease.rate) * lockHours);
        _close(id, node, accrued, owner, false);
        emit Expired(id, node);
    }

    /// @notice Credit the node with what is due by now. Anyone may; a home lease has nothing due.
    /// @return amount token units credited
    function settle(uint64 id) external returns (uint256 amount) {
        Lease storage lease = _leaseIn(id, State.Running);
        address node = lease.node;
        amount = escrow.settle(id, node, _accrued(lease));
        if (amount != 0) emit Settled(id, node, amount);
    }

    /// @notice The owner asks the agent to rest; the node keeps its place and is paid.
    function pause(uint64 id) external {
        Lease storage lease = _ownedRunning(id);
        if (lease.flags & PAUSED != 0) revert AlreadyPaused(id);
        lease.flags |= PAUSED;
        emit Paused(id, lease.node);
    }

    /// @notice The owner asks a resting agent to go on.
    function resume(uint64 id) external {
        Lease storage lease = _ownedRunning(id);
        if (lease.flags & PAUSED == 0) revert NotPaused(id);
        lease.flags &= ~PAUSED;
        emit Resumed(id, lease.node);
    }

    // ---- updates ---------------------------------------------------------------------------------

    /// @notice The owner asks the node to run another publication of the same agent (the name before `@`).
    /// A later request takes the place of one not yet answered.
    /// @param configHash 0 = as published
    /// @param artifactCid empty = as published
    /// @return revision number of this request
    function update(uint64 id, uint64 publicationId, bytes32 configHash, bytes calldata artifactCid)
        external
        returns (uint32 revision)
    {
        Lease storage lease = _ownedRunning(id);
        Record storage p = _known(publicationId);
        if (_nameHash(p.agentId) != _nameHash(_publications[lease.publication].agentId)) {
            revert AnotherAgent(id, publicationId);
        }
        (bytes32 digest, bool dagPb) = (p.dagPb ? p.artifactDigest : p.artifactHash, p.dagPb);
        if (artifactCid.length != 0) (digest, dagPb) = Cid.parse(artifactCid);
        if (!dagPb && digest != p.artifactHash) revert ArtifactCidMismatch(digest, p.artifactHash);
        Update storage asked = _updates[id];
        revision = asked.revision + 1;
        asked.revision = revision;
        asked.publication = uint24(publicationId);
        asked.dagPb = dagPb;
        asked.configHash = configHash;
        asked.artifactDigest = digest;
        Order memory order;
        _describe(order, publicationId, p, digest, dagPb, configHash);
        order.home = lease.flags & HOME != 0;
        order.verified = !dagPb;
        emit UpdateRequested(id, lease.node, revision, publicationId, order);
    }

    /// @notice The node runs what the owner asked for.
    /// @param revision the request that it answers; a newer one makes this refuse
    /// @param incarnation number of the agent's start with it, above the deployment's last
    function ackUpdate(uint64 id, uint32 revision, uint32 incarnation) external {
        (Lease storage lease, Update storage asked) = _asked(id, revision);
        uint24 publicationId = asked.publication;
        lease.publication = publicationId;
        lease.incarnation = _incarnation(id, lease, incarnation);
        uint8 flags = lease.flags & ~(DAG_PB | OWN_CONFIG);
        Extra storage extra = _extras[id];
        if (asked.dagPb) {
            flags |= DAG_PB;
            extra.artifactDigest = asked.artifactDigest;
        }
        if (asked.configHash != 0) {
            flags |= OWN_CONFIG;
            extra.configHash = asked.configHash;
        }
        lease.flags = flags;
        asked.publication = 0;
        emit Updated(id, msg.sender, revision, publicationId, incarnation);
    }

    /// @notice The node could not bring the update to life; the agent goes on as it was.
    function rejectUpdate(uint64 id, uint32 revision, string calldata reason) external {
        _checkReason(reason);
        (, Update storage asked) = _asked(id, revision);
        asked.publication = 0;
        emit UpdateRejected(id, msg.sender, revision, reason);
    }

    // ---- the client's money ----------------------------------------------------------------------

    /// @notice Add `amount` token units of the caller's to a deployment, which may be another's. Refused once
    /// the deposit has run out: what was served since then is not paid for afterwards.
    function deposit(uint64 id, uint128 amount) external nonReentrant {
        Lease storage lease = _live(id);
        if (amount == 0) revert PaymentZero();
        if (lease.state == State.Running) {
            uint64 ends = _endsAt(id, lease);
            if (block.timestamp >= ends) revert RanOut(id, ends);
        }
        emit Deposited(id, msg.sender, amount);
        escrow.deposit(id, msg.sender, amount);
    }

    /// @notice The owner announces a withdrawal; it may follow after `withdrawNotice`. A second
    /// announcement replaces the first.
    function requestClientWithdraw(uint64 id, uint128 amount) external {
        Lease storage lease = _live(id);
        if (msg.sender != lease.owner) revert NotOwner(id, msg.sender);
        if (amount == 0) revert PaymentZero();
        if (amount > type(uint96).max) revert AmountTooLarge(amount, type(uint96).max);
        uint40 readyAt = uint40(block.timestamp + withdrawNotice);
        _withdrawals[id] = Withdrawal(uint96(amount), readyAt);
        emit ClientWithdrawRequested(id, amount, readyAt);
    }

    /// @notice The owner receives what was announced, after the node has been paid what is due.
    function clientWithdraw(uint64 id) external nonReentrant {
        Lease storage lease = _live(id);
        if (msg.sender != lease.owner) revert NotOwner(id, msg.sender);
        Withdrawal memory asked = _withdrawals[id];
        if (asked.amount == 0) revert NoWithdrawal(id);
        if (block.timestamp < asked.readyAt) revert NoticeRuns(id, asked.readyAt);
        delete _withdrawals[id];
        address node = lease.node;
        uint256 accrued = lease.state == State.Running ? _accrued(lease) : 0;
        emit ClientWithdrawn(id, asked.amount);
        uint256 settled = escrow.take(id, node, accrued, msg.sender, asked.amount);
        if (settled != 0) emit Settled(id, node, settled);
    }

    // ---- views -----------------------------------------------------------------------------------

    /// @notice Everything about one deployment.
    function deployment(uint64 id) external view returns (Deployment memory d) {
        Lease storage lease = _lease(id);
        Record storage p = _publications[lease.publication];
        Extra storage extra = _extras[id];
        (State state, uint8 flags) = (lease.state, lease.flags);
        bool home = flags & HOME != 0;
        bool bidding = state == State.Open || state == State.Unverified;
        d.id = id;
        d.owner = lease.owner;
        d.state = state;
        d.node = lease.node;
        d.publication = lease.publication;
        d.agentId = p.agentId;
        d.manifestCid = Cid.encode(p.manifestHash, false);
        bool dagPb = flags & DAG_PB != 0;
        d.artifactCid = Cid.encode(dagPb ? extra.artifactDigest : p.artifactHash, dagPb);
        d.artifactHash = p.artifactHash;
        d.configHash = flags & OWN_CONFIG != 0 ? extra.configHash : p.configHash;
        d.resources = Resources(p.cpuMillis, p.memoryBytes, p.gpu);
        d.gasBudget = p.gasBudget;
        d.rate = bidding && d.node == address(0) ? 0 : lease.rate;
        d.maxRate = home ? 0 : _limit(id, lease);
        d.bidWindow = p.bidWindow;
        if (state == State.Open || state == State.Assigned) d.deadline = lease.moment;
        (d.deposited, d.paid) = escrow.lineOf(id);
        if (lease.incarnation != 0 && state >= State.Running) d.startedAt = lease.moment;
        if (state == State.Running && !home) {
            d.endsAt = _endsAt(id, lease);
            d.due = uint128(_due(lease, d.deposited, d.paid));
        }
        d.incarnation = lease.incarnation;
        d.home = home;
        d.paused = flags & PAUSED != 0;
        d.attestations = _attestations[id];
        d.verified = !dagPb || home || state != State.Unverified;
        d.onlyNode = extra.onlyNode;
        d.supersedesMarket = extra.supersedesMarket;
        d.supersedesId = extra.supersedesId;
        d.updateRevision = _updates[id].revision;
        d.updatePublication = _updates[id].publication;
    }

    /// @notice The newest publication of `agentId` by `publisher`.
    function publication(address publisher, string calldata agentId) external view returns (Publication memory) {
        uint64 id = _latest[_latestKey(publisher, keccak256(bytes(agentId)))];
        if (id == 0) revert NotPublished(publisher, agentId);
        return _publication(id);
    }

    /// @notice One publication by number.
    function publicationById(uint64 id) external view returns (Publication memory) {
        _known(id);
        return _publication(id);
    }

    /// @notice How many orders of `agentId` are open or await their quorum.
    function openOrders(string calldata agentId) external view returns (uint256) {
        return _openOrders[keccak256(bytes(agentId))].count;
    }

    /// @notice Token units that a settlement now would credit to the node.
    function due(uint64 id) external view returns (uint256) {
        Lease storage lease = _lease(id);
        if (lease.state != State.Running) return 0;
        (uint128 deposited, uint128 paid) = escrow.lineOf(id);
        return _due(lease, deposited, paid);
    }

    /// @notice The node that runs a deployment now; zero for none.
    function activeNode(uint64 id) external view returns (address) {
        Lease storage lease = _leases[id];
        return lease.state == State.Running ? lease.node : address(0);
    }

    /// @notice Gas that the node may have spent on the agent's own transactions by now: the budget for each
    /// started hour of the lease. The node keeps the account.
    function gasAllowance(uint64 id) external view returns (uint256) {
        Lease storage lease = _lease(id);
        if (lease.state != State.Running) return 0;
        uint256 hours_ = (block.timestamp - lease.moment) / 1 hours + 1;
        return hours_ * _publications[lease.publication].gasBudget;
    }

    /// @notice Whether a node may no longer take an order.
    function isBarred(uint64 id, address node) external view returns (bool) {
        return _misses[id][node] == type(uint8).max;
    }

    /// @notice The announced withdrawal: token units, and the unix time from which it may follow.
    function clientWithdrawal(uint64 id) external view returns (uint128 amount, uint64 readyAt) {
        Withdrawal storage asked = _withdrawals[id];
        return (asked.amount, asked.readyAt);
    }

    // ---- inside ----------------------------------------------------------------------------------

    function _lease(uint64 id) private view returns (Lease storage lease) {
        lease = _leases[id];
        if (lease.state == State.None) revert UnknownDeployment(id);
    }

    function _leaseIn(uint64 id, State wanted) private view returns (Lease storage lease) {
        lease = _lease(id);
        if (lease.state != wanted) revert WrongState(id, lease.state);
    }

    // Write a lease's first slot at once; field by field it would be read and written five times over.
    function _save(
        Lease storage lease,
        address owner,
        uint256 moment,
        uint256 publicationId,
        uint256 incarnation,
        State state,
        uint256 flags
    ) private {
        uint256 word = uint256(uint160(owner)) | uint256(uint32(moment)) << 160 | publicationId << 192
            | incarnation << 216 | uint256(state) << 240 | flags << 248;
        assembly ("memory-safe") {
            sstore(lease.slot, word)
        }
    }

    // Not ended, and with money in it.
    function _live(uint64 id) private view returns (Lease storage lease) {
        lease = _lease(id);
        if (lease.state >= State.Stopped) revert WrongState(id, lease.state);
        if (lease.flags & HOME != 0) revert HomeLease(id);
    }

    function _ownedRunning(uint64 id) private view returns (Lease storage lease) {
        lease = _leaseIn(id, State.Running);
        if (msg.sender != lease.owner) revert NotOwner(id, msg.sender);
    }

    function _asked(uint64 id, uint32 revision) private view returns (Lease storage lease, Update storage asked) {
        lease = _leaseIn(id, State.Running);
        if (msg.sender != lease.node) revert NotNode(id, msg.sender);
        asked = _updates[id];
        if (asked.publication == 0 || asked.revision != revision) revert NoUpdate(id, revision);
    }

    function _known(uint64 id) private view returns (Record storage p) {
        p = _publications[id];
        if (p.cpuMillis == 0) revert UnknownPublication(id);
    }

    function _limit(uint64 id, Lease storage lease) private view returns (uint80) {
        return lease.flags & OWN_LIMIT != 0 ? _extras[id].maxRate : _publications[lease.publication].maxRate;
    }

    function _accrued(Lease storage lease) private view returns (uint256) {
        return uint256(lease.rate) * (block.timestamp - lease.moment) / 1 hours;
    }

    function _due(Lease storage lease, uint256 deposited, uint256 paid) private view returns (uint256) {
        uint256 accrued = _accrued(lease);
        uint256 total = accrued < deposited ? accrued : deposited;
        return total > paid ? total - paid : 0;
    }

    // The first second at which the whole deposit is due.
    function _endsAt(uint64 id, Lease storage lease) private view returns (uint64) {
        (uint128 deposited,) = escrow.lineOf(id);
        uint256 rate = lease.rate;
        uint256 seconds_ = (uint256(deposited) * 1 hours + rate - 1) / rate;
        uint256 ends = lease.moment + seconds_;
        return ends < type(uint64).max ? uint64(ends) : type(uint64).max;
    }

    function _close(uint64 id, address node, uint256 accrued, address owner, bool push)
        private
        returns (uint256 refund)
    {
        uint256 amount;
        (amount, refund) = escrow.close(id, node, accrued, owner, push);
        if (amount != 0) emit Settled(id, node, amount);
    }

    function _reopen(uint64 id, Lease storage lease, ReopenReason reason, bool assigned) private {
        address node = lease.node;
        uint256 locked = uint256(lease.rate) * lockHours;
        uint64 ends = uint64(block.timestamp) + _publications[lease.publication].bidWindow;
        lease.node = address(0);
        lease.rate = _limit(id, lease);
        lease.state = State.Open;
        lease.moment = uint32(ends);
        emit Reopened(id, node, reason, ends);
        if (assigned) _listOrder(keccak256(bytes(_publications[lease.publication].agentId)), id);
        nodes.unlock(node, locked);
    }

    function _bar(uint64 id, Lease storage lease, address node) private {
        _misses[id][node] = type(uint8).max;
        lease.flags |= BARRED;
    }

    function _requireNotBarred(uint64 id, Lease storage lease) private view {
        if (lease.flags & BARRED != 0 && _misses[id][msg.sender] == type(uint8).max) revert Barred(id, msg.sender);
    }

    function _listOrder(bytes32 agentKey, uint64 id) private {
        OpenOrders storage open = _openOrders[agentKey];
        open.count += 1;
        open.sum += id;
    }

    function _unlistOrder(uint24 publicationId, uint64 id) private {
        OpenOrders storage open = _openOrders[keccak256(bytes(_publications[publicationId].agentId))];
        open.count -= 1;
        open.sum -= id;
    }

    function _describe(
        Order memory order,
        uint64 publicationId,
        Record storage p,
        bytes32 digest,
        bool dagPb,
        bytes32 configHash
    ) private view {
        order.publication = publicationId;
        order.agentId = p.agentId;
        order.manifestCid = Cid.encode(p.manifestHash, false);
        order.artifactCid = Cid.encode(digest, dagPb);
        order.artifactHash = p.artifactHash;
        order.configHash = configHash != 0 ? configHash : p.configHash;
        order.resources = Resources(p.cpuMillis, p.memoryBytes, p.gpu);
        order.maxRate = p.maxRate;
        order.bidWindow = p.bidWindow;
        order.gasBudget = p.gasBudget;
    }

    function _publication(uint64 id) private view returns (Publication memory view_) {
        Record storage p = _publications[id];
        view_.id = id;
        view_.publisher = p.publisher;
        view_.agentId = p.agentId;
        view_.manifestCid = Cid.encode(p.manifestHash, false);
        view_.manifestHash = p.manifestHash;
        view_.artifactCid = Cid.encode(p.dagPb ? p.artifactDigest : p.artifactHash, p.dagPb);
        view_.artifactHash = p.artifactHash;
        view_.configHash = p.configHash;
        view_.resources = Resources(p.cpuMillis, p.memoryBytes, p.gpu);
        view_.maxRate = p.maxRate;
        view_.bidWindow = p.bidWindow;
        view_.gasBudget = p.gasBudget;
        view_.publishedAt = p.publishedAt;
    }

    function _latestKey(address publisher, bytes32 agentKey) private pure returns (bytes32) {
        return keccak256(abi.encode(publisher, agentKey));
    }

    function _incarnation(uint64 id, Lease storage lease, uint32 given) private view returns (uint24) {
        if (given <= lease.incarnation) revert StaleIncarnation(id, given, lease.incarnation);
        if (given > type(uint24).max) revert AmountTooLarge(given, type(uint24).max);
        return uint24(given);
    }

    function _rate(uint256 rate) private pure returns (uint80) {
        if (rate > type(uint80).max) revert RateTooHigh(rate, type(uint80).max);
        return uint80(rate);
    }

    function _checkReason(string calldata reason) private pure {
        uint256 length = bytes(reason).length;
        if (length > REASON_BYTES_MAX) revert ReasonTooLong(length, REASON_BYTES_MAX);
    }

    // Hash of the name: what stands before the `@`. An id is at most AGENT_ID_BYTES_MAX long.
    function _nameHash(string memory agentId) private pure returns (bytes32) {
        bytes memory text = bytes(agentId);
        uint256 length = text.length;
        if (length == 0 || length > AGENT_ID_BYTES_MAX) revert AgentIdLength(length, AGENT_ID_BYTES_MAX);
        for (uint256 i = 1; i + 1 < length; ++i) {
            if (text[i] == "@") {
                assembly ("memory-safe") {
                    mstore(text, i)
                }
                return keccak256(text);
            }
        }
        revert AgentIdWithoutVersion();
    }
}
