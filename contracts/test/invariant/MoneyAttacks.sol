// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {DeployParams, Resources, Selection, Terms} from "../../src/Types.sol";
import {Escrow} from "../../src/Escrow.sol";
import {NodesEvents} from "../../src/NodesEvents.sol";
import {MarketEvents} from "../../src/market/MarketEvents.sol";
import {Refusals} from "./Refusals.sol";

/// Reaching for money and stakes that are another's, or not yet one's own; and orders that do not hold together.
abstract contract MoneyAttacks is Refusals {
    bytes32 private constant KIND = "refused";

    function _attackMoney(uint64 id, uint256 roll) internal {
        uint256 kind = roll % 4;
        address node = operators[(roll >> 8) % 3];
        roll >>= 16;
        if (kind == 0) _ledger(id, node, roll);
        else if (kind == 1) _stakes(id, node, roll);
        else if (kind == 2) _roles(id, node, roll);
        else _orders(id, node, roll);
    }

    // The lines are the Manager's alone to write, whoever knocks.
    function _ledger(uint64 id, address node, uint256 roll) private {
        address caller = roll % 2 == 0 ? stranger : roll % 4 == 1 ? client : node;
        uint256 kind = (roll >> 8) % 6;
        if (kind == 5) {
            bytes4 nothing = Escrow.NothingToWithdraw.selector;
            bytes memory take = abi.encodeCall(escrow.withdraw, (stranger));
            return _refused("withdraw of nothing", KIND, id, stranger, address(escrow), take, nothing);
        }
        (bytes32 name, bytes memory call) = kind == 0
            ? (bytes32("deposit past the Manager"), abi.encodeCall(escrow.deposit, (id, client, 1)))
            : kind == 1
            ? (bytes32("settle past the Manager"), abi.encodeCall(escrow.settle, (id, caller, 1 ether)))
            : kind == 2
            ? (bytes32("close past the Manager"), abi.encodeCall(escrow.close, (id, node, 0, caller, true)))
            : kind == 3
            ? (bytes32("rebase past the Manager"), abi.encodeCall(escrow.rebase, (id, node, 1 ether)))
            : (bytes32("take past the Manager"), abi.encodeCall(escrow.take, (id, node, 0, caller, 1)));
        _refused(name, KIND, id, caller, address(escrow), call, Escrow.NotManager.selector);
    }

    // I2, I5: what is locked, what unbonds and what is another's.
    function _stakes(uint64 id, address node, uint256 roll) private {
        GhostNode storage n = ghostNodes[node];
        uint256 kind = roll % 5;
        (bytes32 name, bytes memory call, bytes4 why) = ("", bytes(""), bytes4(0));
        if (kind == 0) {
            (name, why) = ("requestUnbond of locked stake", NodesEvents.FreeStakeTooLow.selector);
            call = abi.encodeCall(nodes.requestUnbond, (uint128(n.stake - n.locked + 1)));
        } else if (kind == 1) {
            (name, why) = ("register twice", NodesEvents.AlreadyRegistered.selector);
            call = abi.encodeCall(nodes.register, ("x", Resources(1, 1, false), STAKE));
        } else if (kind == 2) {
            (name, why, node) = ("claimSlashed of nothing", NodesEvents.NothingToClaim.selector, stranger);
            call = abi.encodeCall(nodes.claimSlashed, ());
        } else if (n.unbonding == 0) {
            (name, why) = ("withdraw stake unasked", NodesEvents.NothingUnbonding.selector);
            call = abi.encodeCall(nodes.withdraw, ());
        } else {
            if (_now() >= n.unbondedAt) return;
            // As often as not at the last second before.
            if (kind == 3) _pass(n.unbondedAt - 1 - _now());
            (name, why) = ("withdraw stake too early", NodesEvents.StillUnbonding.selector);
            call = abi.encodeCall(nodes.withdraw, ());
        }
        _refused(name, KIND, id, node, address(nodes), call, why);
    }

    function _roles(uint64 id, address node, uint256 roll) private {
        uint256 kind = roll % 7;
        address caller = roll & 1 << 8 == 0 ? stranger : node;
        (bytes32 name, bytes memory call, bytes4 why) = ("", bytes(""), NodesEvents.NotManager.selector);
        if (kind == 0) {
            (name, call) = ("lock past the Manager", abi.encodeCall(nodes.lock, (node, 1)));
        } else if (kind == 1) {
            (name, call) = ("unlock past the Manager", abi.encodeCall(nodes.unlock, (node, 1)));
        } else if (kind == 2) {
            (name, why) = ("slash without a court", NodesEvents.NotSlasher.selector);
            call = abi.encodeCall(nodes.slash, (node, id, 1, "x", caller, caller, 1));
        } else if (kind == 3) {
            (name, why, caller) = ("slash above the stake", NodesEvents.SlashTooLarge.selector, address(heartbeats));
            uint256 all = ghostNodes[node].stake + ghostNodes[node].unbonding;
            call = abi.encodeCall(nodes.slash, (node, id, uint128(all + 1), "x", finder, client, 1));
        } else {
            why = Ownable.OwnableUnauthorizedAccount.selector;
            (name, call) = kind == 4
                ? (bytes32("addManager by another"), abi.encodeCall(nodes.addManager, (caller)))
                : kind == 5
                ? (bytes32("setSlasher by another"), abi.encodeCall(nodes.setSlasher, (caller)))
                : (bytes32("setReputation by another"), abi.encodeCall(nodes.setReputation, (caller)));
        }
        _refused(name, KIND, id, caller, address(nodes), call, why);
    }

    function _orders(uint64 id, address node, uint256 roll) private {
        uint256 kind = roll % 10;
        if (kind < 3) return _literalOrders(id, kind, roll >> 8);
        DeployParams memory params;
        params.publication = rawPublication;
        params.payment = 1;
        params.maxRate = 1;
        (bytes32 name, address by, bytes4 why) = ("", client, bytes4(0));
        if (kind == 3) {
            // I8: a raw CID is the hash.
            (name, why) = ("deploy of other bytes", MarketEvents.ArtifactCidMismatch.selector);
            params.artifactCid = _raw(CONFIG);
        } else if (kind == 4) {
            (name, why, params.payment) = ("deploy for nothing", MarketEvents.PaymentZero.selector, 0);
        } else if (kind == 5) {
            (name, why) = ("deploy without money", IERC20Errors.ERC20InsufficientAllowance.selector);
            by = stranger;
        } else if (kind == 6) {
            if (live.length == 0) return;
            uint64 old = live[(roll >> 8) % live.length];
            if (ghosts[old].owner != client) return;
            (name, why) = ("deploy in place of a live one", MarketEvents.NotSuperseded.selector);
            (params.supersedesMarket, params.supersedesId) = (address(manager), old);
        } else if (kind == 7 && roll >> 16 & 3 == 0) {
            params.publication = otherPublication;
            (name, why) = ("deployUnder without a window", MarketEvents.WindowTooShort.selector);
            bytes memory short = abi.encodeCall(manager.deployUnder, (params, _terms(Selection.SealedPrice)));
            return _refused(name, KIND, id, by, address(manager), short, why);
        } else if (kind == 7) {
            (name, why) = ("deployUnder with a long provider", MarketEvents.ProviderTooLong.selector);
            Terms memory terms = Terms(Selection(roll / 10 % 5), string(new bytes(257)));
            bytes memory long = abi.encodeCall(manager.deployUnder, (params, terms));
            return _refused(name, KIND, id, by, address(manager), long, why);
        } else if (kind == 8) {
            return _withoutReputation(id, params, roll);
        } else {
            bool operator = roll & 1 << 8 == 0;
            name = operator ? bytes32("deployHome for money") : bytes32("deployHome without a node");
            by = operator ? node : client;
            why = operator ? MarketEvents.HomeLease.selector : MarketEvents.NotOperator.selector;
            bytes memory home = abi.encodeCall(manager.deployHome, (params));
            return _refused(name, KIND, id, by, address(manager), home, why);
        }
        bytes memory call =
            abi.encodeWithSignature("deploy((uint64,uint128,uint128,bytes32,bytes,address,address,uint64))", params);
        _refused(name, KIND, id, by, address(manager), call, why);
    }

    // While the owner of Nodes has taken the reputation away.
    function _withoutReputation(uint64 id, DeployParams memory params, uint256 roll) private {
        Selection selection =
            [Selection.HighestReputation, Selection.Score, Selection.SealedScore][(roll >> 8) % 3];
        bytes memory call = abi.encodeCall(manager.deployUnder, (params, _terms(selection)));
        bytes4 why = MarketEvents.NoReputation.selector;
        nodes.setReputation(address(0));
        _refused("deployUnder without a reputation", KIND, id, client, address(manager), call, why);
        nodes.setReputation(address(reputation));
    }

    // The TIP's own two calls.
    function _literalOrders(uint64 id, uint256 kind, uint256 roll) private {
        (bytes32 name, address by, bytes memory call, bytes4 why) = ("", stranger, bytes(""), bytes4(0));
        if (kind == 0) {
            (name, why) = ("deploy literal unpublished", MarketEvents.NotPublished.selector);
            call = _literal(rawText);
        } else if (kind == 1) {
            (name, by, why) = ("deploy literal of other bytes", client, MarketEvents.ArtifactCidMismatch.selector);
            call = _literal(otherText);
        } else {
            uint64 publication = roll % 4 == 0 ? rawPublication : nextPublication;
            uint256 open = _open[publication];
            if (open == 1) return;
            name = open == 0 ? bytes32("bid literal without an order") : bytes32("bid literal among several");
            (by, call) = (bob, abi.encodeWithSignature("bid(string,uint256)", _agentOf(publication), 1));
            why = open == 0 ? MarketEvents.NoOpenOrder.selector : MarketEvents.Ambiguous.selector;
        }
        _refused(name, KIND, id, by, address(manager), call, why);
    }

    function _literal(string storage cid) private pure returns (bytes memory) {
        return abi.encodeWithSignature("deploy(string,string,uint256)", AGENT, cid, PAYMENT);
    }
}
