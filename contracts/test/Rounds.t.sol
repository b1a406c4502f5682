// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Selection, State} from "../src/Types.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {Seals} from "./Seals.sol";

/// Knows of no seals, and finds every bid better.
contract AskedByScore {
    function leads(uint64, Selection selection, address, uint256, address, uint256) external pure returns (bool) {
        require(selection == Selection.Score, "by score");
        return true;
    }
}

/// Rounds of sealed bids: what is not revealed, what comes after, and those that choose by score.
contract RoundsTest is Seals {
    // ---- what is not revealed --------------------------------------------------------------------

    function test_what_is_not_revealed_stays_locked_to_the_second() external {
        uint64 id = _order();
        uint64 until = _ends(id) + LOCK_HOURS * 1 hours;
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        bytes memory held = abi.encodeWithSelector(MarketEvents.BidHeld.selector, id, until);
        _refused(stranger, _reclaimCall(id, bob, bobs), held);
        _pass(300);
        _refused(bob, _reclaimCall(id, bob, bobs), held);
        _pass(300);
        _bid(id, carol, RATE);
        _refused(bob, _reclaimCall(id, bob, bobs), held);
        _start(id, carol);
        vm.warp(until - 1);
        _refused(bob, _reclaimCall(id, bob, bobs), held);
        _locked(bob, LIMIT_LOCK);
        vm.warp(until);
        vm.expectEmit(address(manager));
        emit MarketEvents.BidReclaimed(id, bob, bobs);
        _reclaim(id, bob, bobs);
        _locked(bob, 0);
        _is(id, bob, bobs, 0, 0);
        _refused(stranger, _reclaimCall(id, bob, bobs), _unknown(id, bob, bobs));
    }

    function test_it_is_free_in_time_where_nobody_has_bid_either() external {
        uint64 id = _order();
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        _pass(600 + LOCK_HOURS * 1 hours);
        _reclaim(id, bob, bobs);
        _locked(bob, 0);
        _bid(id, bob, RATE);
        _is(id, State.Assigned);
    }

    function test_it_is_free_at_once_when_the_order_is_stopped() external {
        uint64 id = _order();
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        vm.prank(client);
        manager.stop(id);
        _locked(bob, LIMIT_LOCK);
        _reclaim(id, bob, bobs);
        _locked(bob, 0);
    }

    function test_it_is_free_at_once_when_the_lease_has_expired() external {
        (uint64 id, bytes32 carols) = _leased();
        _start(id, bob);
        _pass(20 hours - 1);
        bytes memory held = abi.encodeWithSelector(MarketEvents.BidHeld.selector, id, _now() + 1 + 4 hours);
        _refused(carol, _reclaimCall(id, carol, carols), held);
        _pass(1);
        manager.expire(id);
        _reclaim(id, carol, carols);
        _locked(carol, 0);
    }

    function test_what_was_revealed_or_never_made_is_not_reclaimed() external {
        uint64 id = _order();
        bytes32 bobs = _commit(id, bob, RATE, SALT);
        _refused(bob, _reclaimCall(id, carol, bobs), _unknown(id, carol, bobs));
        _refused(bob, _reclaimCall(9, bob, bobs), _unknown(9, bob, bobs));
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _refused(bob, _reclaimCall(id, bob, bobs), _unknown(id, bob, bobs));
    }

    // ---- other rounds ----------------------------------------------------------------------------

    function test_an_order_that_opens_again_has_a_round_of_its_own() external {
        (uint64 id, bytes32 carols) = _leased();
        _pass(ACK_TIMEOUT + 1);
        manager.reopen(id);
        uint64 ends = uint64(_now() + 600);
        eq(_ends(id), ends, "the round's end");
        _leads(id, address(0), 0);
        bytes memory why = abi.encodeWithSelector(MarketEvents.BidsSealed.selector, id, ends);
        _refused(bob, abi.encodeWithSignature("bid(uint64,uint128)", id, RATE), why);
        _reclaim(id, carol, carols);
        _locked(carol, 0);
        _commit(id, carol, RATE, SALT);
        _commit(id, bob, RATE - 1, SALT);
        _pass(300);
        _reveal(id, carol, RATE, SALT);
        _reveal(id, bob, RATE - 1, SALT);
        _pass(300);
        manager.assign(id);
        _leads(id, bob, RATE - 1);
        _is(id, State.Assigned);
    }

    function test_a_commitment_is_of_one_round() external {
        (uint64 id, bytes32 carols) = _leased();
        _pass(ACK_TIMEOUT + 1);
        manager.reopen(id);
        _pass(300);
        bytes32 wanted = _commitment(id, _ends(id), carol, RATE, SALT);
        _refused(carol, _revealCall(id, RATE, SALT), _unknown(id, carol, wanted));
        _is(id, carol, carols, _ends(id) - 600 - ACK_TIMEOUT - 1, MAX_RATE);
    }

    function test_a_commitment_that_was_made_ahead_of_its_round_is_none() external {
        uint64 id = _order();
        _commit(id, bob, RATE, SALT);
        // When the node that leads rejects, the next round ends 900 seconds from now.
        bytes32 ahead = _commitment(id, uint64(_now() + 900), carol, RATE, SALT);
        vm.prank(carol);
        manager.commitBid(id, ahead);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        vm.prank(bob);
        manager.reject(id, "no");
        _locked(bob, 0);
        eq(_ends(id), _now() + 600, "a new round");
        bytes memory twice = abi.encodeWithSelector(MarketEvents.AlreadyCommitted.selector, id, ahead);
        _refused(carol, _commitCall(id, ahead), twice);
        _pass(300);
        _refused(carol, _revealCall(id, RATE, SALT), _unknown(id, carol, ahead));
        _reclaim(id, carol, ahead);
        _locked(carol, 0);
    }

    function test_a_lease_that_is_lost_by_silence_opens_a_round() external {
        (uint64 id, bytes32 carols) = _leased();
        _start(id, bob);
        _pass(60);
        vm.prank(address(heartbeats));
        manager.evict(id, uint64(_now()));
        _reclaim(id, carol, carols);
        _commit(id, bob, RATE, SALT);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _leads(id, bob, RATE);
    }

    function test_an_order_that_awaits_its_quorum_has_its_round_after_it() external {
        DeployParams memory params = _params(_publish(600));
        params.artifactCid = _dagPb(CONFIG);
        vm.prank(client);
        uint64 id = manager.deployUnder(params, _terms(Selection.SealedPrice));
        bytes memory waits = abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Unverified);
        _refused(bob, _commitCall(id, SALT), waits);
        _refused(bob, _revealCall(id, RATE, SALT), waits);
        _pass(1000);
        vm.prank(bob);
        manager.attest(id);
        vm.prank(carol);
        manager.attest(id);
        eq(_ends(id), _now() + 600, "the round's end");
        _commit(id, bob, RATE, SALT);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _pass(300);
        manager.assign(id);
        _is(id, State.Assigned);
    }

    // An update may bring a window that has no room for a round.
    function test_by_a_window_that_became_too_short_nothing_is_committed_to() external {
        for (uint32 window = 0; window < 2; ++window) {
            (uint64 id,) = _leased();
            _start(id, bob);
            uint64 next = _publish(client, AGENT_NEXT, _raw(ARTIFACT), window);
            vm.prank(client);
            uint32 revision = manager.update(id, next, 0, "");
            vm.prank(bob);
            manager.ackUpdate(id, revision, 2);
            vm.prank(address(heartbeats));
            manager.evict(id, uint64(_now()));
            bytes memory why = abi.encodeWithSelector(MarketEvents.CommitClosed.selector, id, _now());
            _refused(carol, _commitCall(id, SALT), why);
            _pass(window);
            _bid(id, carol, RATE);
            _is(id, State.Assigned);
        }
    }

    // ---- by score --------------------------------------------------------------------------------

    function test_by_score_a_better_known_node_may_win_at_a_higher_price() external {
        _knownFor(bob, 30 days, 0);
        _knownFor(carol, 90 days, 0);
        uint64 id = _orderByScore();
        _commit(id, dave, 1, SALT);
        _commit(id, bob, 50 ether, SALT);
        _commit(id, carol, 60 ether - 1, SALT);
        _commit(id, carol, MAX_RATE + 1, SALT);
        _pass(300);
        _knownFor(bob, 30 days, 0);
        _knownFor(carol, 90 days, 0);
        _reveal(id, dave, 1, SALT);
        _reveal(id, bob, 50 ether, SALT);
        _leads(id, bob, 50 ether);
        _reveal(id, carol, MAX_RATE + 1, SALT);
        _leads(id, bob, 50 ether);
        _reveal(id, carol, 60 ether - 1, SALT);
        _leads(id, carol, 60 ether - 1);
        _locked(dave, 0);
        _locked(bob, 0);
        _locked(carol, uint256(60 ether - 1) * LOCK_HOURS);
    }

    function test_a_reputation_is_asked_for_the_score() external {
        nodes.setReputation(address(new AskedByScore()));
        uint64 id = _orderByScore();
        _commit(id, bob, RATE, SALT);
        _commit(id, carol, RATE + 1, SALT);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _reveal(id, carol, RATE + 1, SALT);
        _leads(id, carol, RATE + 1);
    }

    function test_the_sealed_price_asks_for_no_reputation() external {
        nodes.setReputation(stranger);
        uint64 id = _order();
        _commit(id, bob, RATE, SALT);
        _commit(id, carol, RATE - 1, SALT);
        _pass(300);
        _reveal(id, bob, RATE, SALT);
        _reveal(id, carol, RATE - 1, SALT);
        _leads(id, carol, RATE - 1);
    }

    function test_once_there_is_no_reputation_the_lowest_price_wins() external {
        uint64 id = _orderByScore();
        _knownFor(carol, 90 days, 0);
        _commit(id, bob, RATE, SALT);
        _commit(id, carol, RATE, SALT);
        _commit(id, dave, RATE - 1, SALT);
        _pass(300);
        nodes.setReputation(address(0));
        _reveal(id, bob, RATE, SALT);
        _reveal(id, carol, RATE, SALT);
        _leads(id, bob, RATE);
        _reveal(id, dave, RATE - 1, SALT);
        _leads(id, dave, RATE - 1);
    }

    // Were it passed over, one could bring it about by too little gas, and so take back what would lead.
    function test_while_a_reputation_fails_the_first_bid_leads_and_others_wait() external {
        uint64 id = _orderByScore();
        _commit(id, bob, RATE, SALT);
        bytes32 carols = _commit(id, carol, RATE - 1, SALT);
        _pass(300);
        nodes.setReputation(address(token));
        _reveal(id, bob, RATE, SALT);
        _refused(carol, _revealCall(id, RATE - 1, SALT), "");
        _is(id, carol, carols, _ends(id), MAX_RATE);
        nodes.setReputation(address(reputation));
        _reveal(id, carol, RATE - 1, SALT);
        _leads(id, carol, RATE - 1);
    }
}
