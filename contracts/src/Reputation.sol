// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IReputation} from "./IReputation.sol";
import {LowestPrice} from "./LowestPrice.sol";
import {Manager} from "./Manager.sol";
import {Nodes} from "./Nodes.sol";
import {Selection} from "./Types.sol";

/// @title What nodes are known for
/// @notice Two figures of each node, both in seconds: the time that it was paid to work, and its faults. They come
/// from the market's contracts alone, nobody's word is asked for, and both lose half of their weight in 90 days.
///
/// A node may rent itself, and nothing here tells whether it does. So time counts once, however many leases it was paid
/// for in it, and as far back only as a stake takes to leave Nodes, and for a node that has the least stake at work
/// when it is counted. A reputation that is made up costs a stake that is bound for as long as a true one takes, and
/// nobody gains it sooner with ten nodes' money.
contract Reputation is IReputation {
    // One slot. The figures are in 2^-16 seconds and as they stood at `moment`.
    struct Record {
        uint64 worked;
        uint64 faults;
        uint40 moment;
        uint40 countedUntil;
    }

    /// @notice Seconds in which a figure loses half of its weight.
    uint256 public constant HALF_LIFE = 90 days;
    /// @notice Seconds that stand against every node's work: what it takes to be known.
    uint256 public constant NEWCOMER = 30 days;
    /// @notice Seconds of fault of a period in which a node lost leases by silence.
    uint256 public constant FAULT_MISSED = 3 days;
    /// @notice Seconds of fault of a slash for anything but silence.
    uint256 public constant FAULT_SLASHED = 10 days;
    /// @notice A perfect score.
    uint256 public constant SCORE_MAX = 10_000;
    /// @notice Below this score a node is a newcomer: ten days of work without a fault.
    uint256 public constant ESTABLISHED = 2500;
    /// @notice One order in so many goes to the lowest price, whoever bids.
    uint64 public constant OPEN_TO_ALL = 5;

    uint256 private constant ONE = 1 << 16;

    /// @notice Stakes, and which Managers there are. Its owner then calls `setReputation` with this contract.
    Nodes public immutable nodes;

    mapping(address node => Record) private _records;
    mapping(address slasher => mapping(address node => mapping(uint40 period => bool))) private _missed;
    // Whose silence was told of in this transaction, before the slash that follows from it.
    address private transient _silent;

    /// @notice Paid time of `node` was counted.
    /// @param manager the deployment's Manager
    event Counted(address indexed manager, uint64 indexed deployment, address indexed node, uint256 seconds_);
    /// @notice `node` did wrong.
    event Faulted(address indexed node, uint256 seconds_);

    /// @notice Nodes knows no such Manager.
    error NotManager(address manager);
    /// @notice The caller is not whom Nodes names as its slasher.
    error NotSlasher(address caller);
    /// @notice The caller is not Nodes.
    error NotNodes(address caller);
    /// @notice The deployment has no paid time: it is at home, has not run, or was taken from its node.
    error NothingPaid(uint64 deployment);
    /// @notice The lease is paid until `paidUntil` (unix time), and only what is paid after `from` is counted: until
    /// there the node has been counted, or its stake might have been gone since.
    error NothingNew(uint64 deployment, uint64 paidUntil, uint64 from);
    /// @notice Token units that the node has at work, and what is needed for its time to count.
    error StakeTooLow(uint256 stake, uint256 needed);

    constructor(Nodes nodes_) {
        nodes = nodes_;
    }

    // ---- what is told ----------------------------------------------------------------------------

    /// @notice Count what a node has been paid for by a lease that runs or has ended, since it was last counted. Anyone
    /// may; settle first, for what is due is not yet paid. A node that counts less often than every
    /// `nodes.unbondingTime()` loses the rest, and so does one whose lease is taken from it.
    /// @return gained seconds
    function count(Manager manager, uint64 deployment) external returns (uint256 gained) {
        if (!nodes.isManager(address(manager))) revert NotManager(address(manager));
        (address node, uint256 from, uint256 until) = manager.paidTime(deployment);
        if (node == address(0)) revert NothingPaid(deployment);
        Record memory record = _records[node];
        if (from < record.countedUntil) from = record.countedUntil;
        uint256 oldest = block.timestamp - nodes.unbondingTime();
        if (from < oldest) from = oldest;
        if (until <= from) revert NothingNew(deployment, uint64(until), uint64(from));
        (uint256 stake, uint256 needed) = (nodes.stakeOf(node), nodes.minStake());
        if (stake < needed) revert StakeTooLow(stake, needed);
        gained = until - from;
        _note(node, record, gained, 0, until);
        emit Counted(address(manager), deployment, node, gained);
    }

    /// @inheritdoc IReputation
    /// @dev Once for each period, whatever number of leases the node lost in it.
    function missed(address node, uint40 period) external {
        if (msg.sender != nodes.slasher()) revert NotSlasher(msg.sender);
        _silent = node;
        if (_missed[msg.sender][node][period]) return;
        _missed[msg.sender][node][period] = true;
        _fault(node, FAULT_MISSED);
    }

    /// @inheritdoc IReputation
    /// @dev A slash for the silence that was just told of is the same fault.
    function slashed(address node) external {
        if (msg.sender != address(nodes)) revert NotNodes(msg.sender);
        if (_silent == node) _silent = address(0);
        else _fault(node, FAULT_SLASHED);
    }

    // ---- what it comes to ------------------------------------------------------------------------

    /// @inheritdoc IReputation
    /// @notice The rule. One order in `OPEN_TO_ALL`, by its number, goes to the lowest price, so that newcomers can
    /// begin. In the others a node that is none stands before every newcomer, whatever the price; among equals it is
    /// the higher score and then the lower price (HighestReputation), or the lower price times what the score lacks to
    /// twice the perfect one (Score). What is still equal goes to the earlier.
    function leads(
        uint64 deployment,
        Selection selection,
        address leader,
        uint256 standing,
        address bidder,
        uint256 rate
    ) external view returns (bool) {
        if (leader == address(0)) return true;
        bool cheaper = LowestPrice.leads(false, standing, rate);
        if (selection == Selection.LowestPrice || deployment % OPEN_TO_ALL == 0) return cheaper;
        (uint256 score, uint256 against) = (scoreOf(bidder), scoreOf(leader));
        bool newcomer = score < ESTABLISHED;
        if (newcomer != (against < ESTABLISHED)) return !newcomer;
        if (selection == Selection.Score) {
            return rate * (2 * SCORE_MAX - score) < standing * (2 * SCORE_MAX - against);
        }
        // Nobody sets a score to a figure of his own: what is equal is judged by the price.
        // slither-disable-next-line incorrect-equality
        return score == against ? cheaper : score > against;
    }

    /// @notice What of a node's time was good work, in ten-thousandths: worked / (worked + NEWCOMER + faults).
    function scoreOf(address node) public view returns (uint16) {
        (uint256 worked, uint256 faults,) = _now(_records[node]);
        return uint16(SCORE_MAX * worked / (worked + NEWCOMER * ONE + faults));
    }

    /// @notice A node's figures by now, in seconds, and the unix time until which it has been counted; 0 for never.
    function factsOf(address node) external view returns (uint256 worked, uint256 faults, uint64 countedUntil) {
        (worked, faults, countedUntil) = _now(_records[node]);
        (worked, faults) = (worked / ONE, faults / ONE);
    }

    /// @notice Whether a node is not known well enough yet, or known for too many faults.
    function isNewcomer(address node) external view returns (bool) {
        return scoreOf(node) < ESTABLISHED;
    }

    // ---- inside ----------------------------------------------------------------------------------

    function _fault(address node, uint256 seconds_) private {
        Record memory record = _records[node];
        _note(node, record, 0, seconds_, record.countedUntil);
        emit Faulted(node, seconds_);
    }

    function _note(address node, Record memory record, uint256 gained, uint256 fault, uint256 countedUntil) private {
        (uint256 worked, uint256 faults,) = _now(record);
        _records[node] = Record(
            _to64(worked + gained * ONE), _to64(faults + fault * ONE), uint40(block.timestamp), uint40(countedUntil)
        );
    }

    function _now(Record memory record) private view returns (uint256 worked, uint256 faults, uint64 countedUntil) {
        worked = _decayed(record.worked, record.moment, block.timestamp);
        faults = _decayed(record.faults, record.moment, block.timestamp);
        countedUntil = record.countedUntil;
    }

    // A figure's weight doubles backwards with each half-life of unix time and is drawn straight in between. That what
    // is left is the ratio of two such weights makes it the same whether it is worked out once or in a thousand steps,
    // but for the rounding, which is down and why the figures have fractions of a second.
    function _decayed(uint256 figure, uint256 from, uint256 to) private pure returns (uint256) {
        uint256 halvings = to / HALF_LIFE - from / HALF_LIFE;
        if (halvings > 64) return 0;
        // Nothing here is chance: the remainder is how far a moment lies into its half-life.
        // slither-disable-next-line weak-prng
        return figure * (HALF_LIFE + from % HALF_LIFE) / (HALF_LIFE + to % HALF_LIFE) >> halvings;
    }

    function _to64(uint256 figure) private pure returns (uint64) {
        return figure < type(uint64).max ? uint64(figure) : type(uint64).max;
    }
}
