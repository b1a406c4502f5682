// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Selection, State} from "../../src/Types.sol";
import {LeaseActs} from "./LeaseActs.sol";
import {SealActs} from "./SealActs.sol";

/// An order from its deployment to the start: attested, bid on, assigned, rejected, reopened.
abstract contract OrderActs is LeaseActs, SealActs {
    function _order(uint256 roll) internal {
        DeployParams memory params;
        if (roll % 8 == 0) {
            params.publication = rawPublication;
            _count("deployHome");
            address operator = operators[(roll >> 8) % 3];
            vm.prank(operator);
            uint64 home = manager.deployHome(params);
            _new(home, State.Assigned, operator, params);
            (ghosts[home].home, ghosts[home].node) = (true, operator);
            return;
        }
        if (roll >> 187 & 1 == 0 && manager.deployments() % 5 == 4) return _meeting(roll);
        if (roll % 16 == 1) return _career(operators[(roll >> 8) % 3], 12 + (roll >> 16) % 16);
        params.publication = roll % 3 == 0 ? nextPublication : rawPublication;
        params.payment = uint128(1 + (roll >> 16) % 200 ether);
        params.maxRate = uint128(1 + (roll >> 96) % (roll % 7 == 0 ? 4000 ether : 100 ether));
        bool tree = roll % 5 == 0;
        if (roll >> 12 & 3 == 0) return _literalOrder(params, tree);
        if (tree) params.artifactCid = _dagPb(CONFIG);
        if (roll >> 14 & 3 == 0) params.onlyNode = operators[(roll >> 32) % 3];
        // A quarter is sealed.
        uint256 kind = (roll >> 178) % 12;
        Selection selection = Selection(kind < 9 ? kind % 3 : 3 + kind % 2);
        uint64 id = (roll >> 176) % 4 == 0 ? _plainOrder(params, tree) : _orderUnder(params, selection);
        _new(id, tree ? State.Unverified : State.Open, client, params);
        Ghost storage g = ghosts[id];
        if (_isSealed(g) && g.state == State.Open) _round(id, g, uint256(keccak256(abi.encode(roll))));
    }

    function _plainOrder(DeployParams memory params, bool tree) private returns (uint64) {
        _count(tree ? bytes32("deploy a tree") : bytes32("deploy"));
        vm.prank(client);
        return manager.deploy(params);
    }

    function _orderUnder(DeployParams memory params, Selection selection) private returns (uint64 id) {
        _count("deployUnder");
        vm.prank(client);
        id = manager.deployUnder(params, _terms(selection));
        ghosts[id].selection = selection;
    }

    // A node works for so many days at the least rate and has each of them counted.
    function _career(address node, uint256 days_) private {
        GhostNode storage n = ghostNodes[node];
        if (n.paused) {
            _count("resumeNode");
            n.paused = false;
            vm.prank(node);
            nodes.resumeNode();
        }
        if (n.stake < STAKE) _addStake(node, STAKE);
        DeployParams memory params;
        (params.publication, params.payment, params.maxRate) = (rawPublication, 1 ether, 1);
        _count("deploy");
        vm.prank(client);
        uint64 id = manager.deploy(params);
        _new(id, State.Open, client, params);
        Ghost storage g = ghosts[id];
        _pass(_window(params.publication));
        _bidOf(id, g, node, 1, 1);
        if (g.state != State.Assigned) return;
        _ack(id, g);
        for (uint256 i = 0; i < days_; ++i) {
            _pass(1 days);
            _settle(id, g);
            _countWork(id, g);
        }
    }

    // What I15 is about, at a number that is a multiple of five: the best known node bids, the least known one
    // underbids it, and the window closes.
    function _meeting(uint256 roll) private {
        DeployParams memory params;
        params.publication = rawPublication;
        (params.payment, params.maxRate) = (uint128(1 + (roll >> 16) % 200 ether), 10 ether);
        uint64 id = _orderUnder(params, roll >> 186 & 1 == 0 ? Selection.HighestReputation : Selection.Score);
        _new(id, State.Open, client, params);
        Ghost storage g = ghosts[id];
        _bidOf(id, g, _extreme(true), 2 + (roll >> 96) % 9 ether, 1);
        (address leader, uint256 standing) = leading(id);
        if (leader == address(0)) return;
        _bidOf(id, g, _extreme(false), standing - 1, 1);
        _pass(_window(params.publication));
        _count("assign");
        manager.assign(id);
        _toAssigned(id, g);
    }

    // The TIP's own call knows no limit but the publication's.
    function _literalOrder(DeployParams memory params, bool tree) internal {
        params.maxRate = MAX_RATE;
        _count(tree ? bytes32("deploy literal of a tree") : bytes32("deploy literal"));
        vm.prank(client);
        uint64 id = manager.deploy(_agentOf(params.publication), tree ? treeText : rawText, params.payment);
        _new(id, tree ? State.Unverified : State.Open, client, params);
    }

    function _new(uint64 id, State state, address owner, DeployParams memory params) internal {
        Ghost storage g = ghosts[id];
        g.publication = params.publication;
        g.owner = owner;
        g.only = params.onlyNode;
        g.deposited = params.payment;
        g.limit = params.maxRate;
        if (state == State.Open) g.deadline = _now() + _window(g.publication);
        live.push(id);
        _to(g, state);
    }

    // ---- before a node is found ------------------------------------------------------------------

    function _unverified(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 k = roll % 3;
        if (roll % 8 == 0) return _stopByOwner(id, g);
        if (roll % 8 == 1) return _reject(id, g, k);
        if (g.attested & 1 << k != 0 || !_mayAttest(g, k)) return;
        _count("attest");
        vm.prank(operators[k]);
        manager.attest(id);
        bool second = g.attested != 0;
        g.attested |= 1 << k;
        if (!second) return;
        g.deadline = _now() + _window(g.publication);
        _to(g, State.Open);
    }

    function _openOrder(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 kind = roll % 16;
        roll >>= 8;
        if (kind == 0) return _stopByOwner(id, g);
        if (kind == 1) return _money(id, g, roll);
        (address leader,) = leading(id);
        if (kind == 2) return _reject(id, g, roll & 1 << 100 == 0 || leader == address(0) ? roll % 3 : _index(leader));
        // The last second of a window, and the first one after it.
        if (kind == 3 && _now() + 1 < g.deadline) _pass(g.deadline - _now() - roll % 2);
        if (kind < 12 && leader != address(0) && _now() >= g.deadline) {
            _count("assign");
            vm.prank(stranger);
            manager.assign(id);
            return _toAssigned(id, g);
        }
        bool inRound = _isSealed(g) && _now() < g.deadline;
        if (inRound && kind < 14) return _round(id, g, roll);
        if (kind == 15 && !inRound && (_isSealed(g) || roll % 8 == 0)) return _noRound(id, g, roll >> 8);
        _anyBid(id, g, roll);
    }

    function _reject(uint64 id, Ghost storage g, uint256 k) internal override {
        if (g.barred & 1 << k != 0) return;
        _count("reject");
        vm.prank(operators[k]);
        manager.reject(id, "no");
        g.barred |= 1 << k;
        (address leader,) = leading(id);
        if (operators[k] == leader) _lost(id, g);
    }

    // ---- assigned --------------------------------------------------------------------------------

    function _assigned(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 kind = roll % 8;
        if (kind == 0) return _stopByOwner(id, g);
        if (kind == 1 && !g.home) {
            if (_now() <= g.deadline) _pass(g.deadline + 1 - _now());
            _count("reopen");
            vm.prank(stranger);
            manager.reopen(id);
            _missed(g);
            return _lost(id, g);
        }
        if (kind == 2 && !g.home) return _reject(id, g, _index(g.node));
        _ack(id, g);
    }

    function _ack(uint64 id, Ghost storage g) private {
        _count("ackStart");
        vm.prank(g.node);
        manager.ackStart(id, ++g.incarnation);
        g.startedAt = _now();
        _to(g, State.Running);
    }
}
