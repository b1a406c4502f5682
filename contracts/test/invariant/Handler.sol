// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Deployment, State} from "../../src/Types.sol";
import {Nodes} from "../../src/Nodes.sol";
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

    // What the contracts should say, kept apart from them.
    struct Ghost {
        address owner;
        address node;
        address best;
        uint256 bestRate;
        uint256 limit;
        uint256 deposited;
        uint256 startedAt;
        bool home;
        State state;
        uint64 publication;
    }

    uint256 internal constant LIVE_MAX = 6;
    address internal constant court = address(0xC047);
    address internal constant finder = address(0xF14D);

    uint256[30] public calls;
    mapping(State from => mapping(State to => uint256)) public edges;
    mapping(uint64 id => Ghost) internal ghosts;
    mapping(address node => uint256) public earned;
    mapping(address node => uint256) public locked;
    mapping(address node => uint256) public stakeEndsAt;
    uint64[] public live;
    uint64[] public ended;
    uint256 public slashed;
    uint256 public stakeIn;
    uint256 public stakeOut;
    uint256 public paidOut;
    uint64 public rawPublication;
    uint64 public nextPublication;
    address[3] public operators = [bob, carol, dave];

    constructor() {
        setUp();
        nodes.setSlasher(court);
        rawPublication = _publish(600);
        nextPublication = _publish(client, AGENT_NEXT, _raw(ARTIFACT), 300);
        _publish(bob, AGENT, _raw(ARTIFACT), 0);
        for (uint256 i = 0; i < 3; ++i) {
            token.faucetTo(operators[i], 1_000_000 ether);
            vm.prank(operators[i]);
            nodes.addStake(90_000 ether);
            vm.prank(operators[i]);
            token.approve(address(escrow), type(uint256).max);
        }
        stakeIn = 300_000 ether;
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
        for (uint256 i = 0; i < 16; ++i) {
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
        else if (g.state == State.Open) _open(id, g, roll);
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
            ghosts[home].home = true;
            ghosts[home].node = operator;
            return;
        }
        params.publication = roll % 3 == 0 ? nextPublication : rawPublication;
        params.payment = uint128(1 + (roll >> 16) % 200 ether);
        params.maxRate = uint128(1 + (roll >> 96) % 100 ether);
        bool tree = roll % 5 == 0;
        if (tree) params.artifactCid = _dagPb(CONFIG);
        _count(tree ? Action.DeployTree : Action.Deploy);
        token.faucetTo(client, params.payment);
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
        live.push(id);
        _to(g, state);
    }

    // ---- before a node is found ------------------------------------------------------------------

    function _unverified(uint64 id, Ghost storage g, uint256 roll) private {
        address node = operators[roll % 3];
        if (roll % 16 == 0) return _stopByOwner(id, g);
        if (!_mayTake(id, node, 0)) return;
        // Only the quorum's second voice changes the state; asking again would be refused.
        uint8 before = manager.deployment(id).attestations;
        vm.prank(node);
        try manager.attest(id) {
            _count(Action.Attest);
            if (before == 1) _to(g, State.Open);
        } catch {
            if (roll % 3 == 0) _reject(id, g, node);
        }
    }

    function _open(uint64 id, Ghost storage g, uint256 roll) private {
        uint256 kind = roll % 16;
        if (kind == 0) return _stopByOwner(id, g);
        if (kind == 1) return _money(id, g, roll >> 8);
        Deployment memory d = manager.deployment(id);
        bool closed = _now() >= d.deadline;
        if (g.best != address(0) && closed) {
            _count(Action.Assign);
            manager.assign(id);
            g.node = g.best;
            return _to(g, State.Assigned);
        }
        address node = operators[(roll >> 16) % 3];
        if (kind == 2) return _reject(id, g, node);
        uint256 highest = g.best == address(0) ? g.limit : g.bestRate - 1;
        if (highest == 0) return _pass(600);
        uint256 rate = 1 + (roll >> 32) % highest;
        if (!_mayTake(id, node, rate * LOCK_HOURS)) return;
        if (g.best != address(0)) locked[g.best] -= g.bestRate * LOCK_HOURS;
        vm.prank(node);
        if (manager.openOrders(d.agentId) == 1) {
            _literalBid(d.agentId, node, rate);
        } else {
            manager.bid(id, uint128(rate));
            _count(Action.Bid);
        }
        g.best = node;
        g.bestRate = rate;
        locked[node] += rate * LOCK_HOURS;
        if (closed) {
            g.node = node;
            _to(g, State.Assigned);
        }
    }

    // The view before it has spent the prank.
    function _literalBid(string memory agentId, address node, uint256 rate) private {
        vm.prank(node);
        manager.bid(agentId, rate);
        _count(Action.BidLiteral);
    }

    function _mayTake(uint64 id, address node, uint256 lock) private view returns (bool) {
        if (manager.isBarred(id, node)) return false;
        Nodes.Node memory n = nodes.node(node);
        return n.status == Nodes.Status.Active && n.stake >= STAKE && n.stake - n.locked >= lock;
    }

    function _reject(uint64 id, Ghost storage g, address node) private {
        if (manager.isBarred(id, node)) return;
        _count(Action.Reject);
        vm.prank(node);
        manager.reject(id, "no");
        if (node == g.best) _lost(g);
    }

    // The order is open again, without its node.
    function _lost(Ghost storage g) private {
        _unlock(g.best, g.bestRate);
        (g.node, g.best, g.bestRate) = (address(0), address(0), 0);
        _to(g, State.Open);
    }

    // ---- assigned --------------------------------------------------------------------------------

    function _assigned(uint64 id, Ghost storage g, uint256 roll) private {
        uint256 kind = roll % 8;
        if (kind == 0) return _stopByOwner(id, g);
        if (kind == 1 && !g.home) {
            if (_now() <= manager.deployment(id).deadline) _pass(ACK_TIMEOUT + 1);
            _count(Action.Reopen);
            manager.reopen(id);
            return _lost(g);
        }
        if (kind == 2 && !g.home) return _reject(id, g, g.node);
        _count(Action.AckStart);
        uint32 incarnation = manager.deployment(id).incarnation + 1;
        vm.prank(g.node);
        manager.ackStart(id, incarnation);
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
        bool paused = manager.deployment(id).paused;
        _count(paused ? Action.Resume : Action.Pause);
        vm.prank(g.owner);
        if (paused) manager.resume(id);
        else manager.pause(id);
    }

    function _renew(uint64 id, Ghost storage g, uint256 roll) private {
        Deployment memory d = manager.deployment(id);
        if (d.updatePublication == 0) {
            _count(Action.Update);
            vm.prank(g.owner);
            manager.update(id, roll % 2 == 0 ? rawPublication : nextPublication, 0, "");
        } else if (roll % 3 == 0) {
            _count(Action.RejectUpdate);
            vm.prank(g.node);
            manager.rejectUpdate(id, d.updateRevision, "no");
        } else {
            _count(Action.AckUpdate);
            vm.prank(g.node);
            manager.ackUpdate(id, d.updateRevision, d.incarnation + 1);
            g.publication = d.updatePublication;
        }
    }

    // ---- money -----------------------------------------------------------------------------------

    function _money(uint64 id, Ghost storage g, uint256 roll) private {
        if (g.state == State.Running && _used(g) == g.deposited) return;
        if (roll % 2 == 0) {
            uint256 amount = 1 + (roll >> 8) % 50 ether;
            _count(Action.Deposit);
            token.faucetTo(client, amount);
            vm.prank(client);
            manager.deposit(id, uint128(amount));
            g.deposited += amount;
            return;
        }
        (uint128 asked, uint64 readyAt) = manager.clientWithdrawal(id);
        uint256 left = g.deposited - _used(g);
        if (asked == 0 || asked > left) {
            if (left == 0) return;
            _count(Action.RequestWithdraw);
            vm.prank(g.owner);
            manager.requestClientWithdraw(id, uint128(1 + (roll >> 8) % left));
        } else {
            if (_now() < readyAt) _pass(readyAt - _now());
            if (asked > g.deposited - _used(g)) return;
            _count(Action.ClientWithdraw);
            vm.prank(g.owner);
            manager.clientWithdraw(id);
            g.deposited -= asked;
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
        locked[node] = amount < locked[node] ? locked[node] - amount : 0;
    }

    // ---- a node's own money ----------------------------------------------------------------------

    function _node(address node, uint256 roll) private {
        Nodes.Node memory n = nodes.node(node);
        uint256 kind = roll % 12;
        roll >>= 8;
        if (kind < 2) {
            if (escrow.claimable(node) == 0) return;
            _count(Action.Withdraw);
            vm.prank(node);
            paidOut += escrow.withdraw(node);
        } else if (kind < 6 || n.stake < 3 * STAKE) {
            if (n.status == Nodes.Status.Paused) {
                _count(Action.ResumeNode);
                vm.prank(node);
                return nodes.resumeNode();
            }
            uint128 amount = uint128(1 + roll % (3 * STAKE));
            token.faucetTo(node, amount);
            _count(Action.AddStake);
            vm.prank(node);
            nodes.addStake(amount);
            stakeIn += amount;
        } else if (kind < 8) {
            uint256 free = n.stake - n.locked;
            if (free == 0) return;
            _count(Action.Unbond);
            vm.prank(node);
            nodes.requestUnbond(uint128(1 + roll % (free < STAKE ? free : STAKE)));
            stakeEndsAt[node] = _now() + _unbonding();
        } else if (kind == 8) {
            if (n.unbonding == 0) return;
            if (_now() < stakeEndsAt[node]) return;
            _count(Action.WithdrawStake);
            vm.prank(node);
            stakeOut += nodes.withdraw();
        } else if (kind == 9) {
            _slash(node, n, roll);
        } else if (n.status == Nodes.Status.Active) {
            _count(Action.PauseNode);
            vm.prank(node);
            nodes.pauseNode();
        } else {
            _count(Action.ResumeNode);
            vm.prank(node);
            nodes.resumeNode();
        }
    }

    function _slash(address node, Nodes.Node memory n, uint256 roll) private {
        uint256 all = uint256(n.stake) + n.unbonding;
        if (all == 0) return;
        uint256 amount = 1 + roll % (all < 500 ether ? all : 500 ether);
        uint256 before = nodes.claimable(finder) + nodes.claimable(client) + nodes.claimable(treasury);
        _count(Action.Slash);
        vm.prank(court);
        nodes.slash(node, 1, uint128(amount), "down", finder, client, uint128((roll >> 128) % 300 ether));
        // I6: the splits sum to the amount, which was there.
        eq(
            nodes.claimable(finder) + nodes.claimable(client) + nodes.claimable(treasury) - before, amount, "splits"
        );
        slashed += amount;
        uint256 left = amount < n.stake ? n.stake - amount : 0;
        if (locked[node] > left) locked[node] = left;
    }

    // ---- counting --------------------------------------------------------------------------------

    function _count(Action action) private {
        calls[uint256(action)] += 1;
    }

    function _to(Ghost storage g, State state) private {
        edges[g.state][state] += 1;
        g.state = state;
    }
}
