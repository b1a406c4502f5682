// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Selection} from "../src/Types.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";
import {LeaseTest} from "./Lease.t.sol";
import {SilenceTest} from "./Silence.t.sol";

/// Today's Manager and Heartbeats beside a registry that was made before there was a reputation.
contract OldNodesTest is World {
    function _nodesAreOld() internal pure override returns (bool) {
        return true;
    }

    function test_an_old_registry_knows_of_no_reputation() external {
        (bool done, bytes memory said) = address(nodes).call(abi.encodeCall(nodes.reputation, ()));
        yes(!done && said.length == 0, "nor of the word");
    }

    function test_an_order_that_wants_a_reputation_is_refused_in_a_word() external {
        DeployParams memory params = _params(_publish(600));
        Selection[3] memory wanting = [Selection.HighestReputation, Selection.Score, Selection.SealedScore];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoReputation.selector));
            vm.prank(client);
            manager.deployUnder(params, _terms(wanting[i]));
        }
    }

    function test_an_order_under_terms_goes_to_the_lowest_price() external {
        uint64 id = _deployUnder(_publish(600), Selection.LowestPrice);
        _bid(id, bob, RATE);
        _bid(id, carol, RATE - 1);
        _pass(600);
        manager.assign(id);
        eq(manager.deployment(id).node, carol, "node");
    }

    function test_a_sealed_order_that_wants_none_goes_to_the_lowest_price() external {
        uint64 id = _deployUnder(_publish(600), Selection.SealedPrice);
        _commit(id, bob, RATE, "salt");
        _commit(id, carol, RATE - 1, "salt");
        _pass(300);
        _reveal(id, bob, RATE, "salt");
        _reveal(id, carol, RATE - 1, "salt");
        eq(manager.deployment(id).node, carol, "node");
    }

    function test_an_offer_is_taken() external {
        DeployParams memory params = _params(_publish(600));
        bytes memory signature = _sign(BOB_KEY, _offer(bob, 0));
        vm.prank(client);
        uint64 id = manager.deployWith(params, _offer(bob, 0), signature);
        eq(manager.deployment(id).node, bob, "node");
    }

    function test_a_slash_goes_on() external {
        vm.prank(address(heartbeats));
        nodes.slash(bob, 1, 1 ether, "forged", stranger, client, 0);
        eq(nodes.node(bob).stake, STAKE - 1 ether, "stake");
    }
}

contract LeaseBesideOldNodesTest is LeaseTest {
    function _nodesAreOld() internal pure override returns (bool) {
        return true;
    }
}

contract SilenceBesideOldNodesTest is SilenceTest {
    function _nodesAreOld() internal pure override returns (bool) {
        return true;
    }
}
