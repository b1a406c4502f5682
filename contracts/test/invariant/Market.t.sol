// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, State} from "../../src/Types.sol";
import {Escrow} from "../../src/Escrow.sol";
import {Manager} from "../../src/Manager.sol";
import {Nodes} from "../../src/Nodes.sol";
import {TalosToken} from "../../src/TalosToken.sol";
import {Test} from "../Base.sol";
import {Handler} from "./Handler.sol";

/// What always holds, whatever clients, nodes and the court do. The numbers are those of the design: I1 money
/// is conserved, I2 locks stay within stakes, I3 payment is exact and path-independent, I4 one node and only
/// the allowed edges, I5 stake leaves late, I6 slashes sum up (in the handler), I7 what runs changes only by
/// an acknowledged update, I8 a raw CID is the hash, I9 the lowest bid leads, I10 the owner closes in one call
/// (in the handler). I13 (no loop over unbounded storage) is read off the source, I14 is a unit test.
contract MarketInvariants is Test {
    Handler private _handler;
    TalosToken private _token;
    Nodes private _nodes;
    Manager private _manager;
    Escrow private _escrow;
    address private constant client = address(0xC11E47);
    address private constant finder = address(0xF14D);
    address private constant treasury = address(0x7EA5);

    event Calls(string action, uint256 count);
    event Edge(State from, State to, uint256 count);

    function setUp() external {
        _handler = new Handler();
        (address token, address nodes, address manager, address escrow) = _handler.contractsUnderTest();
        (_token, _nodes, _manager, _escrow) = (TalosToken(token), Nodes(nodes), Manager(manager), Escrow(escrow));
        targetContract(address(_handler));
    }

    function targetSelectors() external view returns (FuzzSelector[] memory selectors) {
        selectors = new FuzzSelector[](1);
        selectors[0].addr = address(_handler);
        selectors[0].selectors = new bytes4[](1);
        selectors[0].selectors[0] = Handler.act.selector;
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function invariant_the_market_is_sound() external view {
        uint256 lines = _liveLeases();
        uint256 owed;
        uint256 stakes;
        for (uint256 i = 0; i < 3; ++i) {
            address node = _handler.operators(i);
            owed += _escrow.claimable(node);
            Nodes.Node memory n = _nodes.node(node);
            stakes += uint256(n.stake) + n.unbonding;
            // I2: nothing is locked but what leases hold, and never more than the stake.
            yes(n.locked <= n.stake, "I2 locked within stake");
            yes(n.locked <= _handler.locked(node) || n.locked == n.stake, "I2 locked only for leases");
            // I5: what unbonds has its time.
            if (n.unbonding != 0) eq(n.unbondedAt, _handler.stakeEndsAt(node), "I5 unbonding time");
        }
        // I1: money is conserved, in both houses.
        eq(_token.balanceOf(address(_escrow)), lines + owed + _escrow.claimable(client), "I1 escrow");
        uint256 shares = _nodes.claimable(finder) + _nodes.claimable(client) + _nodes.claimable(treasury);
        eq(shares, _handler.slashed(), "I6 shares");
        eq(_token.balanceOf(address(_nodes)), stakes + shares, "I1 stakes");
        eq(stakes + shares + _handler.stakeOut(), _handler.stakeIn(), "I1 every stake is somewhere");
    }

    // Checks each live lease, and that what has been earned is what was used. Returns what lines still hold.
    function _liveLeases() private view returns (uint256 left) {
        uint256[3] memory running;
        uint256 count = _handler.liveCount();
        for (uint256 i = 0; i < count; ++i) {
            Deployment memory d = _manager.deployment(_handler.live(i));
            Handler.Ghost memory g = _handler.ghost(d.id);
            _checkMoney(d, g);
            _checkNode(d, g);
            left += d.deposited - d.paid;
            for (uint256 k = 0; k < 3; ++k) {
                if (g.state == State.Running && g.node == _handler.operators(k)) running[k] += d.paid;
            }
        }
        for (uint256 k = 0; k < 3; ++k) {
            address node = _handler.operators(k);
            eq(_escrow.earned(node), _handler.earned(node) + running[k], "I3 earned");
        }
        left += _endedLeases();
    }

    function _checkMoney(Deployment memory d, Handler.Ghost memory g) private view {
        eq(d.deposited, g.home ? 0 : g.deposited, "I3 deposit");
        uint256 used = _handler.usedBy(d.id);
        eq(uint256(d.paid) + d.due, used, "I3 paid and due are rate times time");
        yes(used <= d.deposited, "I3 never beyond the deposit");
    }

    function _checkNode(Deployment memory d, Handler.Ghost memory g) private view {
        eq(uint256(d.state), uint256(g.state), "I4 state");
        if (g.state == State.Open || g.state == State.Unverified) {
            eq(d.node, g.best, "I9 the lowest bid leads");
            eq(d.rate, g.bestRate, "I9 at its rate");
            eq(d.maxRate, g.limit, "limit");
        } else {
            eq(d.node, g.node, "I4 one node");
            if (!g.home) eq(d.rate, g.bestRate, "rate");
        }
        eq(_manager.activeNode(d.id), g.state == State.Running ? g.node : address(0), "I4 active node");
        eq(d.publication, g.publication, "I7 only an acknowledged update changes what runs");
        if (d.artifactCid[1] == 0x55) {
            eq(d.artifactCid, abi.encodePacked(hex"01551220", d.artifactHash), "I8 a raw CID is the hash");
        }
    }

    // A few of those that ended: nothing stays in their lines.
    function _endedLeases() private view returns (uint256 left) {
        uint256 count = _handler.endedCount();
        for (uint256 i = count < 4 ? 0 : count - 4; i < count; ++i) {
            uint64 id = _handler.ended(i);
            Deployment memory d = _manager.deployment(id);
            yes(d.state == State.Stopped || d.state == State.Expired, "I4 ended is ended");
            eq(d.deposited, d.paid, "nothing stays behind");
            left += d.deposited - d.paid;
        }
    }

    /// Printed and, in the long profile, held to a floor for every action and every edge.
    function afterInvariant() external {
        uint256 floor = vm.envOr("NISSE_EDGE_FLOOR", uint256(0));
        uint256 total;
        for (uint256 i = 0; i < 30; ++i) {
            total += _handler.calls(i);
            yes(_handler.calls(i) >= floor, "an action is too rare");
        }
        _edge(State.None, State.Open, floor);
        _edge(State.None, State.Unverified, floor);
        _edge(State.None, State.Assigned, floor);
        _edge(State.Unverified, State.Open, floor);
        _edge(State.Unverified, State.Stopped, floor);
        _edge(State.Open, State.Open, floor);
        _edge(State.Open, State.Assigned, floor);
        _edge(State.Open, State.Stopped, floor);
        _edge(State.Assigned, State.Open, floor);
        _edge(State.Assigned, State.Running, floor);
        _edge(State.Assigned, State.Stopped, floor);
        _edge(State.Running, State.Stopped, floor);
        _edge(State.Running, State.Expired, floor);
        emit Calls("all", total);
    }

    function _edge(State from, State to, uint256 floor) private {
        uint256 count = _handler.edges(from, to);
        emit Edge(from, to, count);
        yes(count >= floor, "an edge is too rare");
    }
}
