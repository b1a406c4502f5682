// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Ownable2Step, Ownable} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {NodesEvents} from "./NodesEvents.sol";
import {Tidings} from "./Tidings.sol";
import {Resources} from "./Types.sol";
import {TokenIn} from "./TokenIn.sol";

/// @title The nodes and their stakes
/// @notice A node is known by its operator's address. Stake secures its leases: a part is locked for each
/// paid lease, the rest may be unbonded, and what is unbonding can still be slashed until it is withdrawn.
contract Nodes is NodesEvents, Ownable2Step {
    using TokenIn for IERC20;

    // Two slots, so that a bid reads one.
    struct Record {
        uint96 stake;
        uint96 locked;
        Status status;
        uint40 registeredAt;
        uint96 unbonding;
        uint40 unbondedAt;
        uint32 cpuMillis;
        uint64 memoryBytes;
        bool gpu;
        string endpoint;
    }

    /// @notice Longest endpoint, in bytes.
    uint256 public constant ENDPOINT_BYTES_MAX = 256;
    /// @notice The finder's share of a slash: 10 %.
    uint256 public constant FINDER_SHARE_PERCENT = 10;

    /// @notice The token that stakes and leases are paid in.
    IERC20 public immutable token;
    /// @notice Token units at work that a node needs to be given leases.
    uint128 public immutable minStake;
    /// @notice Seconds between the request to unbond and the withdrawal.
    uint32 public immutable unbondingTime;
    /// @notice Who receives the rest of a slash.
    address public immutable treasury;

    /// @notice Who may slash; the zero address is nobody.
    address public slasher;
    /// @notice What nodes are known for, which orders may choose by; the zero address is nothing.
    address public reputation;
    /// @notice Contracts that lock stake for leases. They are only ever added: a lease of an older
    /// Manager must be able to unlock what it locked.
    mapping(address manager => bool) public isManager;
    /// @notice Token units that an address may claim from slashes.
    mapping(address account => uint256) public claimable;
    mapping(address operator => Record) private _nodes;

    modifier onlyManager() {
        if (!isManager[msg.sender]) revert NotManager(msg.sender);
        _;
    }

    /// @param token_ the market's token
    /// @param minStake_ token units; 10,000 TALOS is `10_000e18`
    /// @param unbondingTime_ seconds
    /// @param treasury_ who receives the rest of a slash
    /// @param owner_ who adds Managers and names the slasher
    constructor(IERC20 token_, uint128 minStake_, uint32 unbondingTime_, address treasury_, address owner_)
        Ownable(owner_)
    {
        if (address(token_) == address(0) || treasury_ == address(0)) revert ZeroAddress();
        token = token_;
        minStake = minStake_;
        unbondingTime = unbondingTime_;
        treasury = treasury_;
    }

    /// @notice Join with a stake of at least `minStake`; the caller must have approved this contract.
    function register(string calldata endpoint, Resources calldata capacity, uint128 stake) external {
        Record storage record = _nodes[msg.sender];
        if (record.status != Status.None) revert AlreadyRegistered(msg.sender);
        if (stake < minStake) revert StakeTooLow(stake, minStake);
        _checkEndpoint(endpoint);
        _checkCapacity(capacity);
        record.status = Status.Active;
        record.stake = _to96(stake);
        record.registeredAt = uint40(block.timestamp);
        _store(record, capacity);
        record.endpoint = endpoint;
        emit NodeRegistered(msg.sender, endpoint, capacity, stake);
        token.take(msg.sender, stake);
    }

    /// @notice Add `amount` token units to the caller's stake.
    function addStake(uint128 amount) external {
        Record storage record = _registered(msg.sender);
        if (amount == 0) revert AmountZero();
        uint96 stake = _to96(uint256(record.stake) + amount);
        record.stake = stake;
        emit StakeAdded(msg.sender, amount, stake);
        token.take(msg.sender, amount);
    }

    /// @notice Take `amount` token units out of work. Together with what is already unbonding they can be
    /// withdrawn after `unbondingTime`, counted anew. What is locked for leases stays.
    function requestUnbond(uint128 amount) external {
        Record storage record = _registered(msg.sender);
        if (amount == 0) revert AmountZero();
        uint256 free = record.stake - record.locked;
        if (amount > free) revert FreeStakeTooLow(msg.sender, free, amount);
        uint40 unbondedAt = uint40(block.timestamp + unbondingTime);
        record.stake -= uint96(amount);
        record.unbonding += uint96(amount);
        record.unbondedAt = unbondedAt;
        emit UnbondRequested(msg.sender, amount, unbondedAt);
    }

    /// @notice Receive what has finished unbonding.
    function withdraw() external returns (uint128 amount) {
        Record storage record = _registered(msg.sender);
        amount = record.unbonding;
        if (amount == 0) revert NothingUnbonding(msg.sender);
        if (block.timestamp < record.unbondedAt) {
            revert StillUnbonding(msg.sender, record.unbondedAt, uint64(block.timestamp));
        }
        record.unbonding = 0;
        record.unbondedAt = 0;
        emit Withdrawn(msg.sender, amount);
        token.give(msg.sender, amount);
    }

    /// @notice Announce another capacity. It is for those who choose a node; what the node admits is its
    /// own decision, made before it bids.
    function setCapacity(Resources calldata capacity) external {
        Record storage record = _registered(msg.sender);
        _checkCapacity(capacity);
        _store(record, capacity);
        emit CapacityChanged(msg.sender, capacity);
    }

    /// @notice Announce another endpoint.
    function setEndpoint(string calldata endpoint) external {
        Record storage record = _registered(msg.sender);
        _checkEndpoint(endpoint);
        record.endpoint = endpoint;
        emit EndpointChanged(msg.sender, endpoint);
    }

    /// @notice Take no new leases (drain); those that run go on.
    function pauseNode() external {
        Record storage record = _registered(msg.sender);
        if (record.status == Status.Paused) revert NodeIsPaused(msg.sender);
        record.status = Status.Paused;
        emit NodePaused(msg.sender);
    }

    /// @notice Take new leases again.
    function resumeNode() external {
        Record storage record = _registered(msg.sender);
        if (record.status != Status.Paused) revert NodeNotPaused(msg.sender);
        record.status = Status.Active;
        emit NodeResumed(msg.sender);
    }

    /// @notice Revert with the reason unless `operator` may take a lease that locks `amount`.
    function requireEligible(address operator, uint256 amount) public view {
        Record storage record = _nodes[operator];
        (uint256 stake, uint256 locked, Status status) = (record.stake, record.locked, record.status);
        if (status == Status.None) revert NotRegistered(operator);
        if (status == Status.Paused) revert NodeIsPaused(operator);
        if (stake < minStake) revert StakeTooLow(stake, minStake);
        if (stake - locked < amount) revert FreeStakeTooLow(operator, stake - locked, amount);
    }

    /// @notice Hold `amount` of a node's stake for a bid and the lease that follows. Managers only; reverts
    /// as `requireEligible`. Told by the Manager's `BidPlaced`, so without an event of its own.
    function lock(address operator, uint256 amount) external onlyManager {
        requireEligible(operator, amount);
        // The sum is at most the stake, which fits.
        _nodes[operator].locked += uint96(amount);
    }

    /// @notice Free what a bid or a lease had locked; less where a slash has already consumed it. Managers only.
    function unlock(address operator, uint256 amount) external onlyManager {
        Record storage record = _nodes[operator];
        uint256 locked = record.locked;
        record.locked = uint96(amount < locked ? locked - amount : 0);
    }

    /// @notice Take stake from a node that did wrong: 10 % to the finder, up to `claim` to the victim, the
    /// rest to the treasury. Working stake goes first, then what is unbonding. The reputation is told, and cannot
    /// stop it. The slasher only.
    /// @param claim token units that the victim lost at most
    function slash(
        address operator,
        uint64 deployment,
        uint128 amount,
        bytes32 reason,
        address finder,
        address victim,
        uint128 claim
    ) external {
        if (msg.sender != slasher) revert NotSlasher(msg.sender);
        if (finder == address(0) || (victim == address(0) && claim != 0)) revert ZeroAddress();
        if (amount == 0) revert AmountZero();
        _consume(operator, amount);
        uint256 toFinder = uint256(amount) * FINDER_SHARE_PERCENT / 100;
        uint256 toVictim = amount - toFinder;
        if (toVictim > claim) toVictim = claim;
        uint256 toTreasury = amount - toFinder - toVictim;
        claimable[finder] += toFinder;
        claimable[victim] += toVictim;
        claimable[treasury] += toTreasury;
        emit Slashed(
            operator,
            deployment,
            amount,
            reason,
            finder,
            uint128(toFinder),
            victim,
            uint128(toVictim),
            uint128(toTreasury)
        );
        Tidings.slashed(reputation, operator);
    }

    /// @notice Receive the caller's share of slashes.
    function claimSlashed() external returns (uint256 amount) {
        amount = claimable[msg.sender];
        if (amount == 0) revert NothingToClaim(msg.sender);
        claimable[msg.sender] = 0;
        emit Claimed(msg.sender, amount);
        token.give(msg.sender, amount);
    }

    /// @notice Let a Manager lock stake. For good: see `isManager`.
    function addManager(address manager) external onlyOwner {
        if (manager == address(0)) revert ZeroAddress();
        isManager[manager] = true;
        emit ManagerAdded(manager);
    }

    /// @notice Name who may slash; the zero address switches slashing off.
    function setSlasher(address slasher_) external onlyOwner {
        slasher = slasher_;
        emit SlasherChanged(slasher_);
    }

    /// @notice Name the contract that knows what nodes are known for; the zero address is none, and then every order
    /// goes to the lowest price.
    function setReputation(address reputation_) external onlyOwner {
        reputation = reputation_;
        emit ReputationChanged(reputation_);
    }

    /// @notice Everything about one node; `status` is None for an unknown address.
    function node(address operator) external view returns (Node memory view_) {
        Record storage record = _nodes[operator];
        view_.status = record.status;
        view_.stake = record.stake;
        view_.locked = record.locked;
        view_.unbonding = record.unbonding;
        view_.unbondedAt = record.unbondedAt;
        view_.registeredAt = record.registeredAt;
        view_.capacity = Resources(record.cpuMillis, record.memoryBytes, record.gpu);
        view_.endpoint = record.endpoint;
    }

    /// @notice Token units that a node has at work.
    function stakeOf(address operator) external view returns (uint256) {
        return _nodes[operator].stake;
    }

    /// @notice Whether an address is a node's operator, at work or paused.
    function isRegistered(address operator) external view returns (bool) {
        return _nodes[operator].status != Status.None;
    }

    // Take `amount` of what is at work, then of what is unbonding. A lock never outgrows the stake.
    function _consume(address operator, uint256 amount) private {
        Record storage record = _registered(operator);
        uint256 working = record.stake;
        uint256 leaving = record.unbonding;
        if (amount > working + leaving) revert SlashTooLarge(operator, amount, working + leaving);
        uint256 fromWorking = amount < working ? amount : working;
        uint96 left = uint96(working - fromWorking);
        record.stake = left;
        record.unbonding = uint96(leaving - (amount - fromWorking));
        if (record.locked > left) record.locked = left;
    }

    function _registered(address operator) private view returns (Record storage record) {
        record = _nodes[operator];
        if (record.status == Status.None) revert NotRegistered(operator);
    }

    function _store(Record storage record, Resources calldata capacity) private {
        record.cpuMillis = capacity.cpuMillis;
        record.memoryBytes = capacity.memoryBytes;
        record.gpu = capacity.gpu;
    }

    function _checkCapacity(Resources calldata capacity) private pure {
        if (capacity.cpuMillis == 0 || capacity.memoryBytes == 0) revert CapacityZero();
    }

    function _checkEndpoint(string calldata endpoint) private pure {
        uint256 length = bytes(endpoint).length;
        if (length == 0) revert EndpointEmpty();
        if (length > ENDPOINT_BYTES_MAX) revert EndpointTooLong(length, ENDPOINT_BYTES_MAX);
    }

    function _to96(uint256 amount) private pure returns (uint96) {
        if (amount > type(uint96).max) revert AmountTooLarge(amount, type(uint96).max);
        return uint96(amount);
    }
}
