// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ghosts} from "./Ghosts.sol";

/// Calls that must be refused. Each is made at the lowest level and must end in the error that is named; of every so
/// many it is asked in full whether all is as it was before.
abstract contract Refusals is Ghosts {
    // To ask everything takes some thirty times as long as the call that is refused.
    uint256 private constant LOOKED_AT_EVERY = 16;
    bytes4 private constant PANIC = bytes4(keccak256("Panic(uint256)"));

    uint256 private _refusals;

    error Allowed(bytes32 name, bytes32 kind);
    error RefusedOtherwise(bytes32 name, bytes32 kind, bytes4 found, bytes4 expected);
    error ChangedBy(bytes32 name, bytes32 kind);

    /// @param id the deployment that is looked at besides what belongs to none
    /// @param why the error's selector; zero for any error that has a name
    function _refused(
        bytes32 name,
        bytes32 kind,
        uint64 id,
        address caller,
        address target,
        bytes memory call,
        bytes4 why
    ) internal {
        bool look = ++_refusals % LOOKED_AT_EVERY == 0;
        bytes32 before = look ? _seen(id) : bytes32(0);
        vm.prank(caller);
        (bool done, bytes memory said) = target.call(call);
        if (done) revert Allowed(name, kind);
        bytes4 found = bytes4(said);
        if (why == 0 ? found == 0 || found == PANIC : found != why) revert RefusedOtherwise(name, kind, found, why);
        if (look && _seen(id) != before) revert ChangedBy(name, kind);
        _count(name, kind);
    }

    function _pause(address node) internal {
        _count("pauseNode");
        ghostNodes[node].paused = true;
        vm.prank(node);
        nodes.pauseNode();
    }

    /// A call that must succeed, for those whose data was put together already.
    function _allowed(address caller, address target, bytes memory call) internal {
        vm.prank(caller);
        (bool done, bytes memory said) = target.call(call);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(said, 32), mload(said))
        }
    }

    // As often as not at the very last second at which it is still refused, where that is near.
    function _until(uint256 last, uint256 roll) internal {
        if (roll % 2 == 0 && _now() < last && last - _now() < 2 days) _pass(last - _now());
    }

    /// A digest of all that may be asked about a deployment, the nodes and the money.
    function _seen(uint64 id) internal view returns (bytes32 digest) {
        digest = _ask(digest, address(manager), abi.encodeCall(manager.deployment, (id)));
        digest = _ask(digest, address(manager), abi.encodeCall(manager.selectionOf, (id)));
        digest = _ask(digest, address(manager), abi.encodeCall(manager.clientWithdrawal, (id)));
        digest = _ask(digest, address(manager), abi.encodeCall(manager.openOrders, (AGENT)));
        digest = _ask(digest, address(manager), abi.encodeCall(manager.deployments, ()));
        if (commits.length != 0) {
            Commit storage last = commits[commits.length - 1];
            bytes memory call = abi.encodeCall(manager.sealedBid, (last.id, last.node, last.commitment));
            digest = _ask(digest, address(manager), call);
        }
        digest = _ask(digest, address(nodes), abi.encodeCall(nodes.slasher, ()));
        digest = _ask(digest, address(nodes), abi.encodeCall(nodes.reputation, ()));
        digest = _ask(digest, address(nodes), abi.encodeCall(nodes.isManager, (stranger)));
        for (uint256 k = 0; k < 3; ++k) {
            digest = _ask(digest, address(nodes), abi.encodeCall(nodes.node, (operators[k])));
            digest = _ask(digest, address(manager), abi.encodeCall(manager.isBarred, (id, operators[k])));
            digest = _ask(digest, address(heartbeats), abi.encodeCall(heartbeats.lastOf, (operators[k])));
            uint64 next = nonces[operators[k]];
            digest = _ask(digest, address(manager), abi.encodeCall(manager.offerUsed, (operators[k], next)));
            digest = _ask(digest, address(reputation), abi.encodeCall(reputation.factsOf, (operators[k])));
            digest = _moneyOf(digest, operators[k]);
        }
        digest = _moneyOf(digest, client);
        digest = _moneyOf(digest, stranger);
        digest = _moneyOf(digest, address(escrow));
        digest = _moneyOf(digest, address(nodes));
    }

    function _moneyOf(bytes32 digest, address who) private view returns (bytes32) {
        digest = _ask(digest, address(token), abi.encodeCall(token.balanceOf, (who)));
        digest = _ask(digest, address(escrow), abi.encodeCall(escrow.claimable, (who)));
        return _ask(digest, address(nodes), abi.encodeCall(nodes.claimable, (who)));
    }

    function _ask(bytes32 digest, address target, bytes memory call) private view returns (bytes32) {
        (bool done, bytes memory answer) = target.staticcall(call);
        yes(done, "every question has its answer");
        return keccak256(bytes.concat(digest, answer));
    }
}
