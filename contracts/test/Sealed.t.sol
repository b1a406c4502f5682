// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Selection, State, StopReason} from "../src/Types.sol";
import {Manager} from "../src/Manager.sol";
import {NodesEvents} from "../src/NodesEvents.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {Seals} from "./Seals.sol";

/// Bids that nobody sees before all are made: who may commit, what a reveal comes to, and what it is refused for.
contract SealedTest is Seals {
    // ---- a whole life ----------------------------------------------------------------------------

    function test_nodes_commit_then_reveal_and_the_lowest_price_has_the_lease() external {
        uint64 publication = _publish(600);
        vm.expectEmit(address(manager));
        emit MarketEvents.OrderTerms(1, Selection.SealedPrice, "");
        uint64 id = _deployUnder(publication, Selection.SealedPrice);
        uint64 ends = uint64(_now() + 600);
        eq(_ends(id), ends, "the round's end");
        bytes32 bobs = _commitment(id, ends, bob, RATE, SALT);
        vm.expectEmit(address(manager));
        emit MarketEvents.BidCommitted(id, bob, bobs, ends);
        _commit(id, bob, RATE, SALT);
        _is(id, bob, bobs, ends, MAX_RATE);
        _locked(bob, LIMIT_LOCK);
        _commit(id, carol, RATE - 1, SALT);
        _leads(id, address(0), 0);
        _pass(300);
        vm.expectEmit(address(manager));
        emit MarketEvents.BidRevealed(id, bob, RATE);
        vm.expectEmit(address(manager));
        emit MarketEvents.BidPlaced(id, bob, RATE);
        _reveal(id, bob, RATE, SALT);
        _is(id, bob, bobs, 0, 0);
        _leads(id, bob, RATE);
        _locked(bob, RATE_LOCK);
        _reveal(id, carol, RATE - 1, SALT);
        _leads(id, carol, RATE - 1);
        _locked(bob, 0);
        _locked(carol, RATE_LOCK - LOCK_HOURS);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.BiddingOpen.selector, id, ends));
        manager.assign(id);
        _pass(300);
        vm.expectEmit(address(manager));
        emit MarketEvents.Assigned(id, carol, RATE - 1, ends + ACK_TIMEOUT);
        manager.assign(id);
        _start(id, carol);
        _pass(3600);
        vm.expectEmit(address(manager));
        emit MarketEvents.Stopped(id, carol, StopReason.Owner, PAYMENT - RATE + 1);
        vm.prank(client);
        manager.stop(id);
        _locked(carol, 0);
    }

    function test_of_two_equal_bids_the_one_that_was_revealed_earlier_wins() external {
        uint64 id = _order();
        _commit(id, bob, RATE, SALT);
        _commit(id, carol, RATE, SALT);
        _pass(300);
        _reveal(id, carol, RATE, SALT);
        _reveal(id, bob, RATE, SALT);
        _leads(id, carol, RATE);
        _locked(bob, 0);
        _locked(carol, RATE_LOCK);
    }

    function test_a_loser_has_its_stake_back_when_it_reveals() external {
        uint64 id = _order();
        _commit(id, bob, RATE, SALT);
        _commit(id, carol, RATE + 1, SALT);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _locked(carol, LIMIT_LOCK);
        _reveal(id, carol, RATE + 1, SALT);
        _locked(carol, 0);
        _leads(id, bob, RATE);
    }

    function test_a_bid_at_the_limit_leads_and_one_above_or_of_nothing_does_not() external {
        uint64 id = _order();
        _commit(id, bob, MAX_RATE + 1, SALT);
        _commit(id, bob, 0, SALT);
        _commit(id, carol, MAX_RATE, SALT);
        _commit(id, dave, type(uint128).max, SALT);
        _locked(bob, 2 * LIMIT_LOCK);
        _pass(300);
        _reveal(id, bob, MAX_RATE + 1, SALT);
        _reveal(id, bob, 0, SALT);
        _leads(id, address(0), 0);
        _locked(bob, 0);
        _reveal(id, carol, MAX_RATE, SALT);
        _reveal(id, dave, type(uint128).max, SALT);
        _leads(id, carol, MAX_RATE);
        _locked(dave, 0);
    }

    function test_a_node_may_commit_to_several_rates_and_each_locks() external {
        uint64 id = _order();
        _commit(id, bob, RATE, SALT);
        _commit(id, bob, RATE, OTHER_SALT);
        _commit(id, bob, RATE - 1, SALT);
        _locked(bob, 3 * LIMIT_LOCK);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _locked(bob, 2 * LIMIT_LOCK + RATE_LOCK);
        _reveal(id, bob, RATE - 1, SALT);
        _leads(id, bob, RATE - 1);
        _locked(bob, LIMIT_LOCK + RATE_LOCK - LOCK_HOURS);
        _reveal(id, bob, RATE, OTHER_SALT);
        _leads(id, bob, RATE - 1);
        _locked(bob, RATE_LOCK - LOCK_HOURS);
    }

    function test_a_limit_of_the_orders_own_is_what_is_locked() external {
        DeployParams memory params = _params(_publish(600));
        params.maxRate = RATE;
        vm.prank(client);
        uint64 id = manager.deployUnder(params, _terms(Selection.SealedPrice));
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        _is(id, bob, bobs, _ends(id), RATE);
        _locked(bob, RATE_LOCK);
        _commit(id, carol, RATE + 1, SALT);
        _pass(300);
        _reveal(id, carol, RATE + 1, SALT);
        _leads(id, address(0), 0);
        _reveal(id, bob, RATE, SALT);
        _leads(id, bob, RATE);
    }

    function test_the_lowest_of_what_is_revealed_wins(uint80[3] memory rates, uint8 silent, uint8 order) external {
        uint64 id = _order();
        address[3] memory all = [bob, carol, dave];
        for (uint256 k = 0; k < 3; ++k) {
            _commit(id, all[k], rates[k] % (2 * MAX_RATE), SALT);
        }
        _pass(300);
        (address best, uint256 lowest) = (address(0), MAX_RATE + 1);
        for (uint256 i = 0; i < 3; ++i) {
            uint256 k = (order + i * (1 + order % 2)) % 3;
            if (silent >> k & 1 != 0) continue;
            uint128 rate = rates[k] % (2 * MAX_RATE);
            _reveal(id, all[k], rate, SALT);
            if (rate != 0 && rate < lowest) (best, lowest) = (all[k], rate);
        }
        _leads(id, best, best == address(0) ? 0 : lowest);
        for (uint256 k = 0; k < 3; ++k) {
            uint256 held = silent >> k & 1 != 0 ? LIMIT_LOCK : all[k] == best ? lowest * LOCK_HOURS : 0;
            _locked(all[k], held);
        }
    }

    // ---- deploying -------------------------------------------------------------------------------

    function test_a_sealed_order_needs_a_window_to_commit_and_to_reveal_in() external {
        for (uint32 window = 0; window < 2; ++window) {
            uint64 publication = _publish(window);
            bytes memory why = abi.encodeWithSelector(MarketEvents.WindowTooShort.selector, window, 2);
            for (uint256 i = 3; i < 5; ++i) {
                bytes memory call =
                    abi.encodeCall(manager.deployUnder, (_params(publication), _terms(Selection(i))));
                _refused(client, call, why);
            }
            _deployUnder(publication, Selection.Score);
        }
        uint64 id = _deployUnder(_publish(2), Selection.SealedPrice);
        _commit(id, bob, RATE, SALT);
        _pass(1);
        _reveal(id, bob, RATE, SALT);
        _leads(id, bob, RATE);
    }

    function test_an_unknown_publication_is_no_matter_of_windows() external {
        bytes memory call = abi.encodeCall(manager.deployUnder, (_params(9), _terms(Selection.SealedPrice)));
        _refused(client, call, abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, 9));
    }

    function test_only_the_score_needs_a_reputation() external {
        nodes.setReputation(address(0));
        uint64 publication = _publish(600);
        bytes memory call =
            abi.encodeCall(manager.deployUnder, (_params(publication), _terms(Selection.SealedScore)));
        _refused(client, call, abi.encodeWithSelector(MarketEvents.NoReputation.selector));
        uint64 id = _deployUnder(publication, Selection.SealedPrice);
        eq(uint256(manager.selectionOf(id)), uint256(Selection.SealedPrice), "selection");
    }

    // ---- plain bids ------------------------------------------------------------------------------

    function test_a_plain_bid_is_refused_until_the_window_has_passed() external {
        uint64 id = _order();
        bytes memory why = abi.encodeWithSelector(MarketEvents.BidsSealed.selector, id, _now() + 600);
        bytes memory plain = abi.encodeWithSignature("bid(uint64,uint128)", id, RATE);
        bytes memory literal = abi.encodeWithSignature("bid(string,uint256)", AGENT, RATE);
        bytes memory nothing = abi.encodeWithSignature("bid(uint64,uint128)", id, 0);
        _refused(bob, plain, why);
        _refused(bob, literal, why);
        _refused(bob, nothing, why);
        _pass(300);
        _refused(bob, plain, why);
        _pass(299);
        _refused(bob, plain, why);
        _refused(bob, literal, why);
    }

    function test_what_nobody_revealed_goes_to_the_first_valid_bid_at_once() external {
        uint64 id = _order();
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        _pass(600);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoBids.selector, id));
        manager.assign(id);
        bytes memory why = abi.encodeWithSelector(MarketEvents.NotBetter.selector, id, MAX_RATE + 1, MAX_RATE);
        _refused(carol, abi.encodeWithSignature("bid(uint64,uint128)", id, MAX_RATE + 1), why);
        _bid(id, carol, MAX_RATE);
        _is(id, State.Assigned);
        _leads(id, carol, MAX_RATE);
        _locked(carol, LIMIT_LOCK);
        _locked(bob, LIMIT_LOCK);
        _is(id, bob, bobs, uint64(_now()), MAX_RATE);
    }

    function test_the_literal_bid_takes_what_nobody_revealed() external {
        uint64 id = _order();
        _pass(600);
        vm.prank(bob);
        manager.bid(AGENT, RATE);
        _is(id, State.Assigned);
    }

    function test_once_a_revealed_bid_leads_no_plain_one_counts() external {
        uint64 id = _order();
        _commit(id, bob, RATE, SALT);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _pass(300);
        bytes memory why = abi.encodeWithSelector(MarketEvents.BiddingClosed.selector, id, _now());
        _refused(carol, abi.encodeWithSignature("bid(uint64,uint128)", id, RATE - 1), why);
        _refused(carol, abi.encodeWithSignature("bid(uint64,uint128)", id, RATE), why);
    }

    // ---- committing ------------------------------------------------------------------------------

    function test_only_what_is_open_and_sealed_takes_commitments() external {
        _refused(bob, _commitCall(9, SALT), abi.encodeWithSelector(MarketEvents.UnknownDeployment.selector, 9));
        uint64 publication = _publish(600);
        for (uint256 i = 0; i < 3; ++i) {
            uint64 plain = _deployUnder(publication, Selection(i));
            bytes memory why = abi.encodeWithSelector(MarketEvents.NotSealed.selector, plain);
            _refused(bob, _commitCall(plain, SALT), why);
            _refused(bob, _revealCall(plain, RATE, SALT), why);
            _refused(bob, _reclaimCall(plain, bob, SALT), _unknown(plain, bob, SALT));
        }
        (uint64 id,) = _leased();
        bytes memory assigned = abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Assigned);
        _refused(bob, _commitCall(id, SALT), assigned);
        _refused(bob, _revealCall(id, RATE, SALT), assigned);
        vm.prank(client);
        manager.stop(id);
        bytes memory stopped = abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Stopped);
        _refused(bob, _commitCall(id, SALT), stopped);
        _refused(bob, _revealCall(id, RATE, SALT), stopped);
    }

    function test_commitments_are_taken_until_the_second_half_begins() external {
        uint64 id = _deployUnder(_publish(601), Selection.SealedPrice);
        uint64 from = uint64(_now() + 301);
        _pass(300);
        _commit(id, bob, RATE, SALT);
        bytes memory early = abi.encodeWithSelector(MarketEvents.RevealNotOpen.selector, id, from, from + 300);
        _refused(bob, _revealCall(id, RATE, SALT), early);
        _pass(1);
        bytes memory late = abi.encodeWithSelector(MarketEvents.CommitClosed.selector, id, from);
        _refused(carol, _commitCall(id, SALT), late);
        _reveal(id, bob, RATE, SALT);
        _pass(600);
        _refused(carol, _commitCall(id, SALT), late);
    }

    function test_the_same_commitment_is_made_once() external {
        uint64 id = _order();
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        bytes memory why = abi.encodeWithSelector(MarketEvents.AlreadyCommitted.selector, id, bobs);
        _refused(bob, _commitCall(id, bobs), why);
        vm.prank(carol);
        manager.commitBid(id, bobs);
        _locked(bob, LIMIT_LOCK);
        _locked(carol, LIMIT_LOCK);
    }

    function test_who_may_not_bid_may_not_commit() external {
        uint64 id = _order();
        bytes memory call = _commitCall(id, SALT);
        _refused(stranger, call, abi.encodeWithSelector(NodesEvents.NotRegistered.selector, stranger));
        vm.prank(bob);
        nodes.pauseNode();
        _refused(bob, call, abi.encodeWithSelector(NodesEvents.NodeIsPaused.selector, bob));
        vm.prank(carol);
        nodes.requestUnbond(1);
        _refused(carol, call, abi.encodeWithSelector(NodesEvents.StakeTooLow.selector, STAKE - 1, STAKE));
        vm.prank(dave);
        manager.reject(id, "no");
        _refused(dave, call, abi.encodeWithSelector(MarketEvents.Barred.selector, id, dave));
    }

    function test_an_order_for_one_node_takes_commitments_from_no_other() external {
        DeployParams memory params = _params(_publish(600));
        params.onlyNode = carol;
        vm.prank(client);
        uint64 id = manager.deployUnder(params, _terms(Selection.SealedPrice));
        _refused(bob, _commitCall(id, SALT), abi.encodeWithSelector(MarketEvents.OnlyNode.selector, id, carol));
        _commit(id, carol, RATE, SALT);
        _pass(300);
        _reveal(id, carol, RATE, SALT);
        _leads(id, carol, RATE);
    }

    function test_stake_that_is_locked_covers_no_further_commitment() external {
        uint64 id = _order();
        for (uint256 i = 0; i < 5; ++i) {
            _commit(id, bob, RATE, bytes32(i));
        }
        uint256 free = STAKE - 5 * LIMIT_LOCK;
        bytes memory why = abi.encodeWithSelector(NodesEvents.FreeStakeTooLow.selector, bob, free, LIMIT_LOCK);
        _refused(bob, _commitCall(id, SALT), why);
    }

    // ---- revealing -------------------------------------------------------------------------------

    function test_what_was_committed_is_revealed_in_the_second_half_alone() external {
        uint64 id = _order();
        uint64 ends = _ends(id);
        _commit(id, bob, RATE, SALT);
        _commit(id, carol, RATE, SALT);
        bytes memory why = abi.encodeWithSelector(MarketEvents.RevealNotOpen.selector, id, ends - 300, ends);
        _pass(299);
        _refused(bob, _revealCall(id, RATE, SALT), why);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _pass(1);
        _refused(carol, _revealCall(id, RATE, SALT), why);
    }

    function test_only_what_was_committed_is_revealed_and_once() external {
        uint64 id = _order();
        uint64 ends = _ends(id);
        _commit(id, bob, RATE, SALT);
        _pass(300);
        bytes32 other = _commitment(id, ends, bob, RATE - 1, SALT);
        _refused(bob, _revealCall(id, RATE - 1, SALT), _unknown(id, bob, other));
        other = _commitment(id, ends, bob, RATE, OTHER_SALT);
        _refused(bob, _revealCall(id, RATE, OTHER_SALT), _unknown(id, bob, other));
        _reveal(id, bob, RATE, SALT);
        _refused(bob, _revealCall(id, RATE, SALT), _unknown(id, bob, _commitment(id, ends, bob, RATE, SALT)));
    }

    function test_a_commitment_is_of_one_node() external {
        uint64 id = _order();
        uint64 ends = _ends(id);
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        // Who copies a commitment, not knowing what it hides, cannot open it.
        vm.prank(carol);
        manager.commitBid(id, bobs);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _refused(carol, _revealCall(id, RATE, SALT), _unknown(id, carol, _commitment(id, ends, carol, RATE, SALT)));
    }

    function test_a_commitment_is_of_one_order() external {
        uint64 publication = _publish(600);
        uint64 id = _deployUnder(publication, Selection.SealedPrice);
        uint64 other = _deployUnder(publication, Selection.SealedPrice);
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        vm.prank(bob);
        manager.commitBid(other, bobs);
        _pass(300);
        bytes32 wanted = _commitment(other, _ends(other), bob, RATE, SALT);
        _refused(bob, _revealCall(other, RATE, SALT), _unknown(other, bob, wanted));
        _reveal(id, bob, RATE, SALT);
    }

    function test_a_commitment_is_of_one_market() external {
        uint64 id = _order();
        uint64 ends = _ends(id);
        Manager next = new Manager(nodes, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 2);
        nodes.addManager(address(next));
        bytes32 there = keccak256(abi.encode(block.chainid, address(next), id, ends, bob, RATE, SALT));
        vm.prank(bob);
        manager.commitBid(id, there);
        _pass(300);
        _refused(bob, _revealCall(id, RATE, SALT), _unknown(id, bob, _commitment(id, ends, bob, RATE, SALT)));
    }

    function test_a_commitment_is_of_one_chain() external {
        uint64 id = _order();
        uint64 ends = _ends(id);
        _commit(id, bob, RATE, SALT);
        _pass(300);
        vm.chainId(1_234_567);
        bytes32 wanted = keccak256(abi.encode(1_234_567, manager, id, ends, bob, RATE, SALT));
        _refused(bob, _revealCall(id, RATE, SALT), _unknown(id, bob, wanted));
    }

    function test_a_node_that_rejects_opens_nothing_and_waits() external {
        uint64 id = _order();
        uint64 ends = _ends(id);
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        vm.prank(bob);
        manager.reject(id, "no");
        _locked(bob, LIMIT_LOCK);
        _pass(300);
        _refused(bob, _revealCall(id, RATE, SALT), abi.encodeWithSelector(MarketEvents.Barred.selector, id, bob));
        bytes memory held = abi.encodeWithSelector(MarketEvents.BidHeld.selector, id, ends + LOCK_HOURS * 1 hours);
        _refused(bob, _reclaimCall(id, bob, bobs), held);
    }

    function test_a_paused_node_cannot_lead_but_may_lose() external {
        uint64 id = _order();
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        _commit(id, carol, RATE - 1, SALT);
        _pass(300);
        vm.prank(bob);
        nodes.pauseNode();
        bytes memory paused = abi.encodeWithSelector(NodesEvents.NodeIsPaused.selector, bob);
        _refused(bob, _revealCall(id, RATE, SALT), paused);
        _is(id, bob, bobs, _ends(id), MAX_RATE);
        _locked(bob, LIMIT_LOCK);
        _reveal(id, carol, RATE - 1, SALT);
        _reveal(id, bob, RATE, SALT);
        _locked(bob, 0);
        _leads(id, carol, RATE - 1);
    }

    function test_a_node_that_goes_on_leads() external {
        uint64 id = _order();
        _commit(id, bob, RATE, SALT);
        vm.prank(bob);
        nodes.pauseNode();
        _pass(300);
        vm.prank(bob);
        nodes.resumeNode();
        _reveal(id, bob, RATE, SALT);
        _leads(id, bob, RATE);
    }

    function test_what_a_slash_has_consumed_is_not_freed_again() external {
        uint64 id = _order();
        _commit(id, bob, RATE, SALT);
        vm.prank(address(heartbeats));
        nodes.slash(bob, 1, STAKE - 1 ether, "forged", stranger, client, 0);
        _locked(bob, 1 ether);
        _pass(300);
        bytes memory low = abi.encodeWithSelector(NodesEvents.StakeTooLow.selector, 1 ether, STAKE);
        _refused(bob, _revealCall(id, RATE, SALT), low);
        _pass(LOCK_HOURS * 1 hours + 300);
        _reclaim(id, bob, _commitment(id, _ends(id), bob, RATE, SALT));
        _locked(bob, 0);
    }
}
