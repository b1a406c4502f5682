// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, State} from "../../src/Types.sol";
import {World} from "../Base.sol";

/// Acts on a market as its clients, nodes, a court and bystanders would, always by a call that must succeed,
/// and keeps its own account of what the contracts should hold. Calls are counted by action, changes of
/// state by edge. The runner calls `act`; a roll of its numbers picks the action among those possible.
contract Handler is World {
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
    mapping(uint64 publication => uint256) private _open;
    uint64[] public live;
    uint64[] public ended;
    uint256 public slashed;
    uint256 public stakeIn;
    uint256 public stakeOut;
    uint256 private _clock;
    uint64 public rawPublication;
    uint64 public nextPublication;
    address[3] public operators = [bob, carol, dave];

    constructor() {
        setUp();
        _clock = 1_800_000_000;
        nodes.setSlasher(court);
        rawPublication = _publish(600);
        nextPublication = _publish(client, AGENT_NEXT, _raw(ARTIFACT), 300);
        _publish(bob, AGENT, _raw(ARTIFACT), 0);
        for (uint256 i = 0; i < 3; ++i) {
            _fund(operators[i]);
            vm.prank(operators[i]);
            nodes.addStake(90_000 ether);
            ghostNodes[operators[i]].stake = 100_000 ether;
        }
        _fund(client);
        stakeIn = 300_000 ether;
    }

    function _fund(address who) private {
        for (uint256 i = 0; i < 500; ++i) {
            token.faucetTo(who, 1_000_000 ether);
        }
    }

    // The handler alone moves time, so it need not ask for it.
    function _now() internal view override returns (uint256) {
        return _clock;
    }

    function _pass(uint256 seconds_) internal override {
        _clock += seconds_;
        vm.warp(_clock);
    }

    function ghostNode(address node) external view returns (GhostNode memory) {
        return ghostNodes[node];
    }

    function ghost(uint64 id) external view returns (Ghost memory) {
        return ghosts[id];
    }

    function _unbonding() internal pure override returns (uint32) {
        return 1 days;
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

    // ---- the one entry ---------------------------------------------------------------------------

    /// Several actions in one call, since the runner's own part of a call costs more than an action.
    function act(uint256 seed) external {
        for (uint256 i = 0; i < ACTIONS_PER_CALL; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _act(seed);
        }
    }

    function _act(uint256 seed) private {
        // Time passes a little with every action, so that windows close and money runs.
        if (seed & 3 == 0) _pass((seed >> 8) % 200);
        uint256 what = (seed >> 16) % 100;
        uint64 id = live.length == 0 ? 0 : live[(seed >> 32) % live.length];
        uint256 roll = seed >> 64;
        if (id == 0 || (live.length < LIVE_MAX && what < 22)) return _order(roll);
        if (what < 30) return _node(operators[roll % 3], roll >> 8);
        Ghost storage g = ghosts[id];
        if (g.state == State.Unverified) _unverified(id, g, roll);
        else if (g.state == State.Open) _openOrder(id, g, roll);
        else if (g.state == State.Assigned) _assigned(id, g, roll);
        else _runningLease(id, g, roll);
    }

    // ---- ordering --------------------------------------------------------------------------------

    function _order(uint256 roll) private {
        DeployParams memory params;
        if (roll % 8 == 0) {
            params.publication = rawPublication;
            _count(Action.DeployHome);
            address operator = operators[(roll >> 8) % 3];
            vm.prank(operator);
            uint64 home = manager.deployHome(params);
            _new(home, State.Assigned, operator, params);
            (ghosts[home].home, ghosts[home].node) = (true, operator);
            return;
        }
        params.publication = roll % 3 == 0 ? nextPublication : rawPublication;
        params.payment = uint128(1 + (roll >> 16) % 200 ether);
        params.maxRate = uint128(1 + (roll >> 96) % 100 ether);
        bool tree = roll % 5 == 0;
        if (tree) params.artifactCid = _dagPb(CONFIG);
        _count(tree ? Action.DeployTree : Action.Deploy);
        vm.prank(client);
        uint64 id = manager.deploy(params);
        _new(id, tree ? State.Unverified : State.Open, client, params);
    }

    function _new(uint64 id, State state, address owner, DeployParams memory params) private {
        Ghost storage g = ghosts[id];
        g.publication = params.publication;
        g.owner = owner;
        g.deposited = params.payment;
        g.limit = params.maxRate;
        g.window = params.publication == nextPublication ? 300 : 600;
        if (state == State.Open) g.deadline = _now() + g.window;
        live.push(id);
        _to(g, state);
    }

    // ---- before a node is found ------------------------------------------------------------------

    function _unverified(uint64 id, Ghost storage g, uint256 roll) private {
        uint256 k = roll % 3;
        if (roll % 8 == 0) return _stopByOwner(id, g);
        if (roll % 8 == 1) return _reject(id, g, k);
        if (g.attested & 1 << k != 0 || !_mayTake(g, k, 0)) return;
        _count(Action.Attest);
        vm.prank(operators[k]);
        manager.attest(id);
        bool second = g.attested != 0;
        g.attested |= 1 << k;
        if (!second) return;
        g.deadline = _now() + g.window;
        _to(g, State.Open);
    }

    function _openOrder(uint64 id, Ghost storage g, uint256 roll) private {
        uint256 kind = roll % 16;
        if (kind == 0) return _stopByOwner(id, g);
        if (kind == 1) return _money(id, g, roll >> 8);
        bool closed = _now() >= g.deadline;
        if (g.best != address(0) && closed) {
            _count(Action.Assign);
            manager.assign(id);
            return _toAssigned(g);
        }
        uint256 k = (roll >> 16) % 3;
        if (kind == 2) return _reject(id, g, roll & 1 << 100 == 0 || g.best == address(0) ? k : _index(g.best));
        uint256 highest = g.best == address(0) ? g.limit : g.bestRate - 1;
        if (highest == 0) return _pass(600);
        uint256 rate = 1 + (roll >> 32) % highest;
        if (g.best != address(0)) _unlock(g.best, g.bestRate);
        if (!_mayTake(g, k, rate * LOCK_HOURS)) {
            if (g.best != address(0)) ghostNodes[g.best].locked += g.bestRate * LOCK_HOURS;
            return;
        }
        bool literal = _open[g.publication] == 1;
        _count(literal ? Action.BidLiteral : Action.Bid);
        vm.prank(operators[k]);
        if (literal) manager.bid(g.publication == rawPublication ? AGENT : AGENT_NEXT, rate);
        else manager.bid(id, uint128(rate));
        (g.best, g.bestRate) = (operators[k], rate);
        ghostNodes[g.best].locked += rate * LOCK_HOURS;
        if (closed) _toAssigned(g);
    }

    function _toAssigned(Ghost storage g) private {
        g.node = g.best;
        g.deadline = _now() + ACK_TIMEOUT;
        _to(g, State.Assigned);
    }

    function _mayTake(Ghost storage g, uint256 k, uint256 lock) private view returns (bool) {
        GhostNode storage n = ghostNodes[operators[k]];
        return g.barred & 1 << k == 0 && !n.paused && n.stake >= STAKE && n.stake - n.locked >= lock;
    }

    function _reject(uint64 id, Ghost storage g, uint256 k) private {
        if (g.barred & 1 << k != 0) return;
        _count(Action.Reject);
        vm.prank(operators[k]);
        manager.reject(id, "no");
        g.barred |= 1 << k;
        if (operators[k] == g.best) _lost(g);
    }

    function _index(address node) private view returns (uint256) {
        return node == operators[0] ? 0 : node == operators[1] ? 1 : 2;
    }

    // The order is open again, without its node.
    function _lost(Ghost storage g) private {
        _unlock(g.best, g.bestRate);
        (g.node, g.best, g.bestRate) = (address(0), address(0), 0);
        g.deadline = _now() + g.window;
        _to(g, State.Open);
    }

    // ---- assigned --------------------------------------------------------------------------------

    function _assigned(uint64 id, Ghost storage g, uint256 roll) private {
        uint256 kind = roll % 8;
        if (kind == 0) return _stopByOwner(id, g);
        if (kind == 1 && !g.home) {
            if (_now() <= g.deadline) _pass(ACK_TIMEOUT + 1);
            _count(Action.Reopen);
            manager.reopen(id);
            uint256 k = _index(g.node);
            if (++g.misses[k] == 3) g.barred |= 1 << k;
            return _lost(g);
        }
        if (kind == 2 && !g.home) return _reject(id, g, _index(g.node));
        _count(Action.AckStart);
        vm.prank(g.node);
        manager.ackStart(id, ++g.incarnation);
        g.startedAt = _now();
        _to(g, State.Running);
    }

    // ---- running ---------------------------------------------------------------------------------

    function _runningLease(uint64 id, Ghost storage g, uint256 roll) private {
        uint256 kind = roll % 32;
        roll >>= 8;
        if (!g.home && _used(g) == g.deposited && kind != 0) {
            _count(Action.Expire);
            manager.expire(id);
            return _end(id, g, State.Expired);
        }
        if (kind == 0) {
            _stopByOwner(id, g);
        } else if (kind == 1) {
            _count(Action.StopByNode);
            vm.prank(g.node);
            manager.stop(id);
            // At home the node is the owner.
            _end(id, g, State.Stopped);
        } else if (kind < 8) {
            _count(Action.Settle);
            manager.settle(id);
        } else if (kind < 12) {
            if (!g.home) _money(id, g, roll);
        } else if (kind < 16) {
            _rest(id, g);
        } else if (kind < 22) {
            _renew(id, g, roll);
        } else {
            _count(Action.Wait);
            _pass(roll % 1 hours);
        }
    }

    function _rest(uint64 id, Ghost storage g) private {
        _count(g.paused ? Action.Resume : Action.Pause);
        vm.prank(g.owner);
        if (g.paused) manager.resume(id);
        else manager.pause(id);
        g.paused = !g.paused;
    }

    function _renew(uint64 id, Ghost storage g, uint256 roll) private {
        if (g.asked == 0) {
            _count(Action.Update);
            uint64 publication = roll % 2 == 0 ? rawPublication : nextPublication;
            vm.prank(g.owner);
            g.revision = manager.update(id, publication, 0, "");
            g.asked = publication;
        } else if (roll % 3 == 0) {
            _count(Action.RejectUpdate);
            vm.prank(g.node);
            manager.rejectUpdate(id, g.revision, "no");
            g.asked = 0;
        } else {
            _count(Action.AckUpdate);
            vm.prank(g.node);
            manager.ackUpdate(id, g.revision, ++g.incarnation);
            (g.publication, g.asked) = (g.asked, 0);
        }
    }

    // ---- money -----------------------------------------------------------------------------------

    function _money(uint64 id, Ghost storage g, uint256 roll) private {
        if (g.state == State.Running && _used(g) == g.deposited) return;
        if (roll % 2 == 0) {
            uint256 amount = 1 + (roll >> 8) % 50 ether;
            _count(Action.Deposit);
            vm.prank(client);
            manager.deposit(id, uint128(amount));
            g.deposited += amount;
            return;
        }
        uint256 asked = g.withdrawal;
        uint256 left = g.deposited - _used(g);
        if (asked == 0 || asked > left) {
            if (left == 0) return;
            _count(Action.RequestWithdraw);
            vm.prank(g.owner);
            g.withdrawal = 1 + (roll >> 8) % left;
            g.withdrawalAt = _now() + NOTICE;
            manager.requestClientWithdraw(id, uint128(g.withdrawal));
        } else {
            if (_now() < g.withdrawalAt) _pass(g.withdrawalAt - _now());
            if (asked > g.deposited - _used(g)) return;
            _count(Action.ClientWithdraw);
            vm.prank(g.owner);
            manager.clientWithdraw(id);
            g.deposited -= asked;
            g.withdrawal = 0;
        }
    }

    /// What a lease has used of its deposit by now, by the handler's own account.
    function _used(Ghost storage g) private view returns (uint256 used) {
        if (g.state != State.Running || g.home) return 0;
        used = g.bestRate * (_now() - g.startedAt) / 3600;
        if (used > g.deposited) used = g.deposited;
    }

    function usedBy(uint64 id) external view returns (uint256) {
        return _used(ghosts[id]);
    }

    // ---- ends ------------------------------------------------------------------------------------

    function _stopByOwner(uint64 id, Ghost storage g) private {
        uint256 before = token.balanceOf(g.owner);
        uint256 refund = g.home ? 0 : g.deposited - _used(g);
        _count(Action.StopByOwner);
        vm.prank(g.owner);
        manager.stop(id);
        // I10: one call closes and refunds, whatever the state.
        eq(token.balanceOf(g.owner) - before, refund, "refund");
        _end(id, g, State.Stopped);
    }

    function _end(uint64 id, Ghost storage g, State state) private {
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

    function _unlock(address node, uint256 rate) private {
        uint256 amount = rate * LOCK_HOURS;
        GhostNode storage n = ghostNodes[node];
        n.locked = amount < n.locked ? n.locked - amount : 0;
    }

    // ---- a node's own money ----------------------------------------------------------------------

    function _node(address node, uint256 roll) private {
        GhostNode storage n = ghostNodes[node];
        uint256 kind = roll % 12;
        roll >>= 8;
        if (kind < 2) {
            if (escrow.claimable(node) == 0) return;
            _count(Action.Withdraw);
            vm.prank(node);
            escrow.withdraw(node);
        } else if (kind < 5 || n.stake < 3 * STAKE) {
            uint256 amount = 1 + roll % STAKE;
            _count(Action.AddStake);
            vm.prank(node);
            nodes.addStake(uint128(amount));
            n.stake += amount;
            stakeIn += amount;
        } else if (kind < 8) {
            _unbond(node, n, roll);
        } else if (kind == 8) {
            if (n.unbonding == 0 || _now() < n.unbondedAt) return;
            _count(Action.WithdrawStake);
            vm.prank(node);
            eq(nodes.withdraw(), n.unbonding, "withdrawn");
            stakeOut += n.unbonding;
            n.unbonding = 0;
        } else if (kind == 9) {
            _slash(node, n, roll);
        } else if (!n.paused) {
            _count(Action.PauseNode);
            n.paused = true;
            vm.prank(node);
            nodes.pauseNode();
        }
        if (n.paused && roll % 4 == 0) {
            _count(Action.ResumeNode);
            n.paused = false;
            vm.prank(node);
            nodes.resumeNode();
        }
    }

    // While some is on its way out, asking again would start its time anew; so mostly it is let go.
    function _unbond(address node, GhostNode storage n, uint256 roll) private {
        uint256 free = n.stake - n.locked;
        if (free == 0 || (n.unbonding != 0 && roll % 8 != 0)) return;
        uint256 amount = 1 + roll % (free < STAKE ? free : STAKE);
        _count(Action.Unbond);
        vm.prank(node);
        nodes.requestUnbond(uint128(amount));
        n.stake -= amount;
        n.unbonding += amount;
        n.unbondedAt = _now() + _unbonding();
    }

    function _slash(address node, GhostNode storage n, uint256 roll) private {
        uint256 all = n.stake + n.unbonding;
        if (all == 0) return;
        uint256 amount = 1 + roll % (all < 500 ether ? all : 500 ether);
        _count(Action.Slash);
        vm.prank(court);
        nodes.slash(node, 1, uint128(amount), "down", finder, client, uint128((roll >> 128) % 300 ether));
        slashed += amount;
        uint256 working = amount < n.stake ? amount : n.stake;
        n.stake -= working;
        n.unbonding -= amount - working;
        if (n.locked > n.stake) n.locked = n.stake;
    }

    // ---- counting --------------------------------------------------------------------------------

    function _count(Action action) private {
        calls[uint256(action)] += 1;
    }

    function _to(Ghost storage g, State state) private {
        edges[g.state][state] += 1;
        bool was = g.state == State.Open || g.state == State.Unverified;
        bool is_ = state == State.Open || state == State.Unverified;
        if (is_ && !was) _open[g.publication] += 1;
        if (was && !is_) _open[g.publication] -= 1;
        g.state = state;
    }
}
