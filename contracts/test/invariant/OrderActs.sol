// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, State} from "../../src/Types.sol";
import {LeaseActs} from "./LeaseActs.sol";

/// An order from its deployment to the start: attested, bid on, assigned, rejected, reopened.
abstract contract OrderActs is LeaseActs {
    function _order(uint256 roll) internal {
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

    function _new(uint64 id, State state, address owner, DeployParams memory params) internal {
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

    function _unverified(uint64 id, Ghost storage g, uint256 roll) internal {
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

    function _openOrder(uint64 id, Ghost storage g, uint256 roll) internal {
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

    function _toAssigned(Ghost storage g) internal {
        g.node = g.best;
        g.deadline = _now() + ACK_TIMEOUT;
        _to(g, State.Assigned);
    }

    function _reject(uint64 id, Ghost storage g, uint256 k) internal {
        if (g.barred & 1 << k != 0) return;
        _count(Action.Reject);
        vm.prank(operators[k]);
        manager.reject(id, "no");
        g.barred |= 1 << k;
        if (operators[k] == g.best) _lost(g);
    }

    // The order is open again, without its node.
    function _lost(Ghost storage g) internal {
        _unlock(g.best, g.bestRate);
        (g.node, g.best, g.bestRate) = (address(0), address(0), 0);
        g.deadline = _now() + g.window;
        _to(g, State.Open);
    }

    // ---- assigned --------------------------------------------------------------------------------

    function _assigned(uint64 id, Ghost storage g, uint256 roll) internal {
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
}
