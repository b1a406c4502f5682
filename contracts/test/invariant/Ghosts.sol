// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {World} from "../Base.sol";

/// What the contracts should hold, by an account of its own; the actions keep it, the invariants compare it. Calls
/// are counted by action, changes of state by edge.
abstract contract Ghosts is World {
    enum Action {
        Deploy,
        DeployTree,
        DeployHome,
        Attest,
        Bid,
        BidLiteral,
        Assign,
        AckStart,
        Reopen,
        Reject,
        StopByOwner,
        StopByNode,
        Expire,
        Settle,
        Deposit,
        RequestWithdraw,
        ClientWithdraw,
        Pause,
        Resume,
        Update,
        AckUpdate,
        RejectUpdate,
        Withdraw,
        AddStake,
        Unbond,
        WithdrawStake,
        Slash,
        PauseNode,
        ResumeNode,
        Wait
    }

    // What the contracts should say, kept apart from them. Masks have a bit per operator.
    struct Ghost {
        address owner;
        address node;
        address best;
        State state;
        bool home;
        bool paused;
        uint256 bestRate;
        uint256 limit;
        uint256 deposited;
        uint256 startedAt;
        uint256 deadline;
        uint256 window;
        uint256 barred;
        uint256 attested;
        uint256[3] misses;
        uint64 publication;
        uint64 asked;
        uint32 revision;
        uint32 incarnation;
        uint256 withdrawal;
        uint256 withdrawalAt;
    }

    struct GhostNode {
        uint256 stake;
        uint256 locked;
        uint256 unbonding;
        uint256 unbondedAt;
        bool paused;
    }

    uint256 internal constant ACTIONS_PER_CALL = 64;
    uint256 internal constant LIVE_MAX = 6;
    address internal constant court = address(0xC047);
    address internal constant finder = address(0xF14D);

    uint256[30] public calls;
    mapping(State from => mapping(State to => uint256)) public edges;
    mapping(uint64 id => Ghost) internal ghosts;
    mapping(address node => GhostNode) internal ghostNodes;
    mapping(address node => uint256) public earned;
    mapping(uint64 publication => uint256) internal _open;
    uint64[] public live;
    uint64[] public ended;
    uint256 public slashed;
    uint256 public stakeIn;
    uint256 public stakeOut;
    uint256 internal _clock;
    uint64 public rawPublication;
    uint64 public nextPublication;
    address[3] public operators = [bob, carol, dave];

    // The handler alone moves time, so it need not ask for it.
    function _now() internal view override returns (uint256) {
        return _clock;
    }

    function _pass(uint256 seconds_) internal override {
        _clock += seconds_;
        vm.warp(_clock);
    }

    function _unbonding() internal pure override returns (uint32) {
        return 1 days;
    }

    // ---- what the invariants ask ------------------------------------------------------------------

    function ghostNode(address node) external view returns (GhostNode memory) {
        return ghostNodes[node];
    }

    function ghost(uint64 id) external view returns (Ghost memory) {
        return ghosts[id];
    }

    function liveCount() external view returns (uint256) {
        return live.length;
    }

    function endedCount() external view returns (uint256) {
        return ended.length;
    }

    function contractsUnderTest() external view returns (address, address, address, address) {
        return (address(token), address(nodes), address(manager), address(escrow));
    }

    function usedBy(uint64 id) external view returns (uint256) {
        return _used(ghosts[id]);
    }

    // ---- what the actions tell --------------------------------------------------------------------

    /// What a lease has used of its deposit by now, by the handler's own account.
    function _used(Ghost storage g) internal view returns (uint256 used) {
        if (g.state != State.Running || g.home) return 0;
        used = g.bestRate * (_now() - g.startedAt) / 3600;
        if (used > g.deposited) used = g.deposited;
    }

    function _end(uint64 id, Ghost storage g, State state) internal {
        uint256 used = _used(g);
        if (used != 0) earned[g.node] += used;
        if (!g.home && g.best != address(0)) _unlock(g.best, g.bestRate);
        g.deposited = used;
        _to(g, state);
        for (uint256 i = 0; i < live.length; ++i) {
            if (live[i] == id) {
                live[i] = live[live.length - 1];
                live.pop();
                break;
            }
        }
        ended.push(id);
    }

    function _unlock(address node, uint256 rate) internal {
        uint256 amount = rate * LOCK_HOURS;
        GhostNode storage n = ghostNodes[node];
        n.locked = amount < n.locked ? n.locked - amount : 0;
    }

    function _mayTake(Ghost storage g, uint256 k, uint256 lock) internal view returns (bool) {
        GhostNode storage n = ghostNodes[operators[k]];
        return g.barred & 1 << k == 0 && !n.paused && n.stake >= STAKE && n.stake - n.locked >= lock;
    }

    function _index(address node) internal view returns (uint256) {
        return node == operators[0] ? 0 : node == operators[1] ? 1 : 2;
    }

    function _count(Action action) internal {
        calls[uint256(action)] += 1;
    }

    function _to(Ghost storage g, State state) internal {
        edges[g.state][state] += 1;
        bool was = g.state == State.Open || g.state == State.Unverified;
        bool is_ = state == State.Open || state == State.Unverified;
        if (is_ && !was) _open[g.publication] += 1;
        if (was && !is_) _open[g.publication] -= 1;
        g.state = state;
    }
}
