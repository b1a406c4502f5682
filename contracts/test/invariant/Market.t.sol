// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, State} from "../../src/Types.sol";
import {Escrow} from "../../src/Escrow.sol";
import {Manager} from "../../src/Manager.sol";
import {Nodes} from "../../src/Nodes.sol";
import {Reputation} from "../../src/Reputation.sol";
import {TalosToken} from "../../src/TalosToken.sol";
import {Test} from "../Base.sol";
import {Handler} from "./Handler.sol";

/// What always holds, whatever clients, nodes and the court do. The numbers are those of the design: I1 money is
/// conserved, I2 locks stay within stakes and are what bids, leases and commitments hold, I3 payment is exact and
/// path-independent, I4 one node and only the allowed edges (a proven silence opens or ends a lease, and no other), I5
/// stake leaves late, I6 slashes sum up, I7 what runs changes only by an acknowledged update, I8 a raw CID is the hash,
/// I9 the lowest bid leads, or the best, I10 the owner closes in one call (in the handler), I15 newcomers win an order in
/// five (in the handler), I16 a node is known for its paid time and its faults, and for no more time than there was. I13
/// (no loop over unbounded storage) is read off the source, I14 is a unit test.
abstract contract MarketInvariants is Test {
    Handler private _handler;
    TalosToken private _token;
    Nodes private _nodes;
    Manager private _manager;
    Escrow private _escrow;
    Reputation private _reputation;
    address private constant client = address(0xC11E47);
    address private constant finder = address(0xF14D);
    address private constant treasury = address(0x7EA5);

    string private constant REPORTS = "out/market-calls";

    function setUp() external {
        _handler = _makeHandler();
        (address token, address nodes, address manager, address escrow, address reputation) =
            _handler.contractsUnderTest();
        (_token, _nodes, _manager, _escrow) = (TalosToken(token), Nodes(nodes), Manager(manager), Escrow(escrow));
        _reputation = Reputation(reputation);
        targetContract(address(_handler));
    }

    function _makeHandler() internal virtual returns (Handler);

    // By its artifact: `new` would have the compiler translate all of it once more for each contract here.
    function _deployHandler(uint256 salt, uint256 attacksOf256) internal returns (Handler) {
        return Handler(vm.deployCode("Handler.sol:Handler", abi.encode(salt, attacksOf256)));
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
        _checkCommits();
        uint256 owed;
        uint256 stakes;
        for (uint256 i = 0; i < 3; ++i) {
            address node = _handler.operators(i);
            owed += _escrow.claimable(node);
            Nodes.Node memory n = _nodes.node(node);
            stakes += uint256(n.stake) + n.unbonding;
            Handler.GhostNode memory g = _handler.ghostNode(node);
            // I2: nothing is locked but what bids and leases hold, and never more than the stake.
            yes(n.locked <= n.stake, "I2 locked within stake");
            eq(n.locked, g.locked, "I2 locked");
            yes(n.locked <= _handler.heldOf(node), "I2 nothing is locked but what is held");
            // I5: what unbonds has its time.
            eq(n.stake, g.stake, "I5 stake");
            eq(n.unbonding, g.unbonding, "I5 unbonding");
            _checkKnown(node, g);
            if (n.unbonding != 0) eq(n.unbondedAt, g.unbondedAt, "I5 unbonding time");
        }
        // I1: money is conserved, in both houses.
        eq(_token.balanceOf(address(_escrow)), lines + owed + _escrow.claimable(client), "I1 escrow");
        uint256 shares = _share(finder) + _share(client) + _share(treasury);
        eq(shares, _handler.slashed(), "I6 shares");
        eq(_token.balanceOf(address(_nodes)), stakes + shares, "I1 stakes");
        eq(stakes + shares + _handler.stakeOut(), _handler.stakeIn(), "I1 every stake is somewhere");
    }

    // I2: each that is outstanding holds what it locked.
    function _checkCommits() private view {
        uint256 count = _handler.commitCount();
        for (uint256 i = 0; i < count; ++i) {
            Handler.Commit memory c = _handler.commit(i);
            (uint64 ends, uint128 limit) = _manager.sealedBid(c.id, c.node, c.commitment);
            eq(ends, c.ends, "I2 round");
            eq(limit, c.limit, "I2 limit");
        }
    }

    function _share(address account) private view returns (uint256 share) {
        share = _nodes.claimable(account);
        eq(share, _handler.shares(account), "I6 share");
    }

    function _checkKnown(address node, Handler.GhostNode memory g) private view {
        (uint256 worked, uint256 faults, uint64 countedUntil) = _reputation.factsOf(node);
        (uint256 workedToo, uint256 faultsToo) = _handler.factsOf(node);
        // The contract rounds a little down with each note.
        yes(worked <= workedToo && worked + 2 >= workedToo, "I16 worked");
        yes(faults <= faultsToo && faults + 2 >= faultsToo, "I16 faults");
        eq(countedUntil, g.countedUntil, "I16 counted until");
        yes(g.gained <= vm.getBlockTimestamp() - _nodes.node(node).registeredAt, "I16 no more than there was");
        yes(worked <= g.gained, "I16 nor by fading");
        uint256 score = _reputation.scoreOf(node);
        yes(score <= 10_000, "I16 score");
        yes(_reputation.isNewcomer(node) == (score < 2500), "I16 newcomer");
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
        eq(d.paid, g.paid, "I3 paid");
        yes(used <= d.deposited, "I3 never beyond the deposit");
    }

    function _checkNode(Deployment memory d, Handler.Ghost memory g) private view {
        eq(uint256(d.state), uint256(g.state), "I4 state");
        if (g.state == State.Open || g.state == State.Unverified) {
            (address node, uint256 rate) = _handler.leading(d.id);
            eq(d.node, node, "I9 the best bid leads");
            eq(d.rate, rate, "I9 at its rate");
            eq(d.maxRate, g.limit, "limit");
        } else {
            eq(d.node, g.node, "I4 one node");
            if (!g.home) eq(d.rate, g.rate, "rate");
        }
        eq(d.incarnation, g.incarnation, "incarnation");
        eq(d.startedAt, g.state == State.Running ? g.startedAt : 0, "started");
        eq(_manager.activeNode(d.id), g.state == State.Running ? g.node : address(0), "I4 active node");
        eq(uint256(_manager.selectionOf(d.id)), uint256(g.selection), "selection");
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

    /// Writes down what this history came to; test.sh sums all histories and holds the sums to a floor. Each has a file
    /// of its own, named by its rolls, since the runner tells the last one twice.
    function afterInvariant() external {
        string memory report = "";
        uint256 successful;
        uint256 refused;
        uint256 count = _handler.tallyCount();
        for (uint256 i = 0; i < count; ++i) {
            (bytes32 name, bytes32 kind, uint256 calls) = _handler.tallies(i);
            string memory line = kind == 0 ? _string(name) : string.concat(_string(kind), ", ", _string(name));
            report = string.concat(report, line, ": ", vm.toString(calls), "\n");
            // Waiting is no call to the market, and winning none of its own.
            if (kind != 0) refused += calls;
            else if (name != "wait" && bytes3(name) != "won") successful += calls;
        }
        report = string.concat(report, _edges());
        report = string.concat(report, "refused calls: ", vm.toString(refused), "\n");
        report = string.concat(report, "successful calls: ", vm.toString(successful), "\n");
        vm.createDir(REPORTS, true);
        vm.writeFile(string.concat(REPORTS, "/", vm.toString(uint256(_handler.history())), ".txt"), report);
    }

    function _edges() private view returns (string memory report) {
        State[14] memory from = [
            State.None, State.None, State.None, State.Unverified, State.Unverified, State.Open, State.Open,
            State.Open, State.Assigned, State.Assigned, State.Assigned, State.Running, State.Running, State.Running
        ];
        State[14] memory to = [
            State.Open, State.Unverified, State.Assigned, State.Open, State.Stopped, State.Open, State.Assigned,
            State.Stopped, State.Open, State.Running, State.Stopped, State.Open, State.Stopped, State.Expired
        ];
        string[7] memory states = ["none", "unverified", "open", "assigned", "running", "stopped", "expired"];
        for (uint256 i = 0; i < from.length; ++i) {
            string memory edge = string.concat("edge ", states[uint256(from[i])], " -> ", states[uint256(to[i])]);
            report = string.concat(report, edge, ": ", vm.toString(_handler.edges(from[i], to[i])), "\n");
        }
    }

    function _string(bytes32 text) private pure returns (string memory) {
        uint256 length;
        while (length < 32 && text[length] != 0) ++length;
        bytes memory bytes_ = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            bytes_[i] = text[i];
        }
        return string(bytes_);
    }
}

/// Mostly what the market is for, so that its histories go deep.
contract PeacefulMarketInvariants is MarketInvariants {
    function _makeHandler() internal override returns (Handler) {
        return _deployHandler(1, 6);
    }
}

/// A thief at every other corner.
contract HostileMarketInvariants is MarketInvariants {
    function _makeHandler() internal override returns (Handler) {
        return _deployHandler(2, 80);
    }
}
