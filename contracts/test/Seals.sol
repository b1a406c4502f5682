// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, Selection} from "../src/Types.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

/// Orders whose bids are sealed, and what is asked of them.
abstract contract Seals is World {
    uint256 internal constant LIMIT_LOCK = uint256(MAX_RATE) * LOCK_HOURS;
    uint256 internal constant RATE_LOCK = uint256(RATE) * LOCK_HOURS;
    bytes32 internal constant SALT = keccak256("salt");
    bytes32 internal constant OTHER_SALT = keccak256("other salt");

    function _order() internal returns (uint64 id) {
        id = _deployUnder(_publish(600), Selection.SealedPrice);
    }

    function _orderByScore() internal returns (uint64 id) {
        uint64 publication = _publish(600);
        while ((manager.deployments() + 1) % 5 == 0) {
            _deploy(0);
        }
        id = _deployUnder(publication, Selection.SealedScore);
    }

    function _refused(address caller, bytes memory call, bytes memory why) internal {
        vm.prank(caller);
        (bool done, bytes memory said) = address(manager).call(call);
        yes(!done, "refused");
        eq(said, why, "for this reason");
    }

    function _commitCall(uint64 id, bytes32 commitment) internal view returns (bytes memory) {
        return abi.encodeCall(manager.commitBid, (id, commitment));
    }

    function _revealCall(uint64 id, uint128 rate, bytes32 salt) internal view returns (bytes memory) {
        return abi.encodeCall(manager.revealBid, (id, rate, salt));
    }

    function _reclaimCall(uint64 id, address node, bytes32 commitment) internal view returns (bytes memory) {
        return abi.encodeCall(manager.reclaimBid, (id, node, commitment));
    }

    function _reclaim(uint64 id, address node, bytes32 commitment) internal {
        vm.prank(stranger);
        manager.reclaimBid(id, node, commitment);
    }

    function _unknown(uint64 id, address node, bytes32 commitment) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(MarketEvents.NotCommitted.selector, id, node, commitment);
    }

    function _ends(uint64 id) internal view returns (uint64) {
        return manager.deployment(id).deadline;
    }

    function _locked(address node, uint256 amount) internal view {
        eq(nodes.node(node).locked, amount, "locked");
    }

    function _leads(uint64 id, address node, uint256 rate) internal view {
        Deployment memory d = manager.deployment(id);
        eq(d.node, node, "leader");
        eq(d.rate, rate, "rate");
    }

    function _is(uint64 id, address node, bytes32 commitment, uint64 ends, uint256 rate) internal view {
        (uint64 roundEnds, uint128 limit) = manager.sealedBid(id, node, commitment);
        eq(roundEnds, ends, "round");
        eq(limit, rate, "limit");
    }

    /// Bob leads when a round's window has passed, and has the lease.
    function _leased() internal returns (uint64 id, bytes32 carols) {
        id = _order();
        _commit(id, bob, RATE, SALT);
        carols = _commit(id, carol, RATE, SALT);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _pass(300);
        manager.assign(id);
    }
}
