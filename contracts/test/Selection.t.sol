// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Deployment, Selection, State, Terms} from "../src/Types.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {Vm, World} from "./Base.sol";

/// How an order chooses among bids, and what it says of itself besides.
contract SelectionTest is World {
    // Of the same worth by score: 50 * (2 - 0.5) = 60 * (2 - 0.75).
    uint128 private constant FIFTY = 50 ether;
    uint128 private constant SIXTY = 60 ether;

    /// An order that chooses so and whose number is the one in five, or is not.
    function _order(Selection selection, bool openToAll) private returns (uint64 id) {
        uint64 publication = _publish(600);
        while (openToAll != ((manager.deployments() + 1) % 5 == 0)) {
            _deploy(0);
        }
        id = _deployUnder(publication, selection);
    }

    function _order(Selection selection) private returns (uint64 id) {
        id = _order(selection, false);
    }

    /// Scores of 5,000 and 7,500; dave is a newcomer.
    function _bobIsKnownAndCarolBetter() private {
        _knownFor(bob, 30 days, 0);
        _knownFor(carol, 90 days, 0);
    }

    function _refused(address node, uint64 id, uint256 rate, uint256 standing) private {
        vm.prank(node);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotBetter.selector, id, rate, standing));
        manager.bid(id, uint128(rate));
    }

    function _leads(uint64 id, address node, uint256 rate) private view {
        Deployment memory d = manager.deployment(id);
        eq(d.node, node, "leader");
        eq(d.rate, rate, "rate");
    }

    // What the market has said since the logs are recorded: of which kinds, in their order.
    function _said() private returns (bytes32[] memory topics) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        topics = new bytes32[](logs.length);
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == address(manager)) topics[i] = logs[i].topics[0];
        }
    }

    // ---- where it stands -------------------------------------------------------------------------

    function test_an_order_says_how_it_chooses() external {
        uint64 publication = _publish(600);
        uint64 plain = _deploy(600);
        for (uint256 i = 0; i < 5; ++i) {
            Selection selection = Selection(i);
            uint64 next = manager.deployments() + 1;
            vm.expectEmit(address(manager));
            emit MarketEvents.OrderTerms(next, selection, "");
            eq(_deployUnder(publication, selection), next, "number");
            eq(uint256(manager.selectionOf(next)), i, "selection");
            Deployment memory d = manager.deployment(next);
            Deployment memory like = manager.deployment(plain);
            (like.id, like.publication) = (next, publication);
            eq(abi.encode(d), abi.encode(like), "the rest as by deploy");
        }
        eq(manager.openOrders(AGENT), 6, "open");
        eq(token.balanceOf(address(escrow)), 6 * uint256(PAYMENT), "paid");
    }

    function test_the_terms_follow_the_order_that_they_are_of() external {
        uint64 old = _deploy(0);
        DeployParams memory params = _params(_publish(0));
        (params.supersedesMarket, params.supersedesId) = (address(manager), old);
        vm.startPrank(client);
        manager.stop(old);
        vm.recordLogs();
        manager.deployUnder(params, _terms(Selection.Score));
        vm.stopPrank();
        bytes32[] memory said = _said();
        yes(said[0] == MarketEvents.Deployed.selector, "deployed");
        yes(said[1] == MarketEvents.OrderTerms.selector, "under these terms");
        yes(said[2] == MarketEvents.Superseded.selector, "in place of another");
    }

    function test_what_is_deployed_without_terms_goes_to_the_lowest_price() external {
        DeployParams memory home = _params(_publish(600));
        home.payment = 0;
        string memory cid = _text(_raw(ARTIFACT));
        vm.recordLogs();
        uint64 plain = _deploy(600);
        vm.prank(client);
        uint64 literal = manager.deploy(AGENT, cid, PAYMENT);
        vm.prank(bob);
        uint64 own = manager.deployHome(home);
        bytes32[] memory said = _said();
        for (uint256 i = 0; i < said.length; ++i) {
            yes(said[i] != MarketEvents.OrderTerms.selector, "without a word of terms");
        }
        uint256 sum = uint256(manager.selectionOf(plain)) + uint256(manager.selectionOf(literal));
        eq(sum + uint256(manager.selectionOf(own)), uint256(Selection.LowestPrice), "all of them");
    }

    function test_what_was_never_deployed_chooses_nothing() external {
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownDeployment.selector, 9));
        manager.selectionOf(9);
    }

    function test_there_is_no_sixth_selection() external {
        bytes memory call = abi.encodeCall(manager.deployUnder, (_params(_publish(600)), _terms(Selection.Score)));
        // The selection is the first word of the terms, which come after the eight words of the parameters and a text.
        uint256 first = 4 + 32 * (2 + 8 + 1);
        eq(uint8(call[first + 31]), 2, "the place");
        call[first + 31] = 0x05;
        vm.prank(client);
        (bool done,) = address(manager).call(call);
        yes(!done, "refused");
    }

    function test_an_order_needs_the_reputation_that_it_chooses_by() external {
        nodes.setReputation(address(0));
        uint64 publication = _publish(600);
        for (uint256 i = 1; i < 3; ++i) {
            DeployParams memory params = _params(publication);
            vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoReputation.selector));
            vm.prank(client);
            manager.deployUnder(params, _terms(Selection(i)));
        }
        _deployUnder(publication, Selection.LowestPrice);
        _deploy(600);
    }

    function test_terms_change_nothing_of_what_is_refused() external {
        DeployParams memory params = _params(_publish(600));
        Terms memory terms = _terms(Selection.Score);
        vm.startPrank(client);
        params.payment = 0;
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.PaymentZero.selector));
        manager.deployUnder(params, terms);
        params = _params(9);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, 9));
        manager.deployUnder(params, terms);
        params = _params(1);
        params.artifactCid = _raw(CONFIG);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.ArtifactCidMismatch.selector, CONFIG, ARTIFACT));
        manager.deployUnder(params, terms);
        vm.stopPrank();
    }

    // ---- the provider ----------------------------------------------------------------------------

    function test_an_order_tells_where_its_content_can_be_had() external {
        DeployParams memory params = _params(_publish(0));
        Terms memory terms = Terms(Selection.LowestPrice, "https://pins.example");
        vm.expectEmit(address(manager));
        emit MarketEvents.OrderTerms(1, Selection.LowestPrice, "https://pins.example");
        vm.prank(client);
        manager.deployUnder(params, terms);
    }

    function test_a_provider_has_a_longest_url() external {
        DeployParams memory params = _params(_publish(0));
        Terms memory terms = Terms(Selection.LowestPrice, string(new bytes(256)));
        vm.startPrank(client);
        manager.deployUnder(params, terms);
        terms.provider = string(new bytes(257));
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.ProviderTooLong.selector, 257, 256));
        manager.deployUnder(params, terms);
        vm.stopPrank();
    }

    // ---- the rules -------------------------------------------------------------------------------

    function test_the_lowest_price_asks_for_no_reputation() external {
        _bobIsKnownAndCarolBetter();
        nodes.setReputation(stranger);
        uint64 id = _order(Selection.LowestPrice);
        _bid(id, carol, FIFTY);
        _bid(id, dave, FIFTY - 1);
        _refused(bob, id, FIFTY - 1, FIFTY - 1);
        _leads(id, dave, FIFTY - 1);
    }

    function test_the_first_bid_within_the_limit_leads_whoever_makes_it() external {
        for (uint256 i = 1; i < 3; ++i) {
            uint64 id = _order(Selection(i));
            _refused(dave, id, MAX_RATE + 1, MAX_RATE);
            _bid(id, dave, MAX_RATE);
            _leads(id, dave, MAX_RATE);
        }
    }

    function test_the_best_known_node_wins_at_any_price_within_the_limit() external {
        _bobIsKnownAndCarolBetter();
        uint64 id = _order(Selection.HighestReputation);
        _bid(id, bob, 1);
        _refused(carol, id, MAX_RATE + 1, MAX_RATE);
        _bid(id, carol, MAX_RATE);
        _refused(bob, id, 1, MAX_RATE);
        _refused(carol, id, MAX_RATE, MAX_RATE);
        _bid(id, carol, MAX_RATE - 1);
        _leads(id, carol, MAX_RATE - 1);
        _pass(600);
        manager.assign(id);
        eq(manager.deployment(id).node, carol, "and is assigned");
    }

    function test_of_equally_known_nodes_the_lower_price_wins_and_then_the_earlier() external {
        _knownFor(bob, 30 days, 0);
        _knownFor(carol, 30 days, 0);
        uint64 id = _order(Selection.HighestReputation);
        _bid(id, bob, FIFTY);
        _refused(carol, id, FIFTY, FIFTY);
        _bid(id, carol, FIFTY - 1);
        _leads(id, carol, FIFTY - 1);
    }

    function test_a_score_is_worth_a_part_of_the_price() external {
        _bobIsKnownAndCarolBetter();
        uint64 id = _order(Selection.Score);
        _bid(id, bob, FIFTY);
        _refused(carol, id, SIXTY, FIFTY);
        _bid(id, carol, SIXTY - 1);
        _refused(bob, id, FIFTY, SIXTY - 1);
        _bid(id, bob, FIFTY - 1);
        _leads(id, bob, FIFTY - 1);
    }

    function test_a_newcomer_stands_behind_every_established_node() external {
        _bobIsKnownAndCarolBetter();
        for (uint256 i = 1; i < 3; ++i) {
            uint64 id = _order(Selection(i));
            _bid(id, dave, 1);
            _bid(id, bob, MAX_RATE);
            _refused(dave, id, 1, MAX_RATE);
            _leads(id, bob, MAX_RATE);
        }
    }

    function test_among_newcomers_the_same_rules_hold() external {
        _knownFor(bob, 5 days, 0);
        uint64 id = _order(Selection.HighestReputation);
        _bid(id, dave, 1);
        _bid(id, bob, FIFTY);
        _leads(id, bob, FIFTY);
        id = _order(Selection.Score);
        _bid(id, bob, FIFTY);
        _refused(dave, id, FIFTY, FIFTY);
        _bid(id, dave, FIFTY / 2);
        _leads(id, dave, FIFTY / 2);
    }

    function test_one_order_in_five_goes_to_the_lowest_price() external {
        _bobIsKnownAndCarolBetter();
        for (uint256 i = 1; i < 3; ++i) {
            uint64 id = _order(Selection(i), true);
            _bid(id, carol, FIFTY);
            _bid(id, dave, FIFTY - 1);
            _refused(carol, id, FIFTY - 1, FIFTY - 1);
            _leads(id, dave, FIFTY - 1);
        }
    }

    function test_a_limit_of_the_orders_own_holds_against_every_node() external {
        _bobIsKnownAndCarolBetter();
        DeployParams memory params = _params(_publish(600));
        params.maxRate = FIFTY;
        vm.prank(client);
        uint64 id = manager.deployUnder(params, _terms(Selection.HighestReputation));
        _bid(id, bob, FIFTY - 1);
        _refused(carol, id, SIXTY, FIFTY);
        _bid(id, carol, FIFTY);
        _leads(id, carol, FIFTY);
    }

    function test_a_lead_that_is_lost_frees_the_stake_at_its_own_rate() external {
        _bobIsKnownAndCarolBetter();
        uint64 id = _order(Selection.HighestReputation);
        _bid(id, bob, FIFTY);
        _bid(id, carol, SIXTY);
        eq(nodes.node(bob).locked, 0, "free again");
        eq(nodes.node(carol).locked, uint256(SIXTY) * LOCK_HOURS, "locked");
    }

    // ---- changes while an order is open ----------------------------------------------------------

    function test_an_open_order_goes_to_the_lowest_price_once_there_is_no_reputation() external {
        _bobIsKnownAndCarolBetter();
        uint64 id = _order(Selection.HighestReputation);
        _bid(id, carol, FIFTY);
        nodes.setReputation(address(0));
        _refused(bob, id, FIFTY, FIFTY);
        _bid(id, dave, FIFTY - 1);
        _leads(id, dave, FIFTY - 1);
    }

    function test_an_order_that_opens_again_chooses_as_before() external {
        _bobIsKnownAndCarolBetter();
        uint64 id = _order(Selection.Score);
        _bid(id, carol, FIFTY);
        _pass(600);
        manager.assign(id);
        _pass(ACK_TIMEOUT + 1);
        manager.reopen(id);
        _bid(id, dave, 1);
        _bid(id, bob, FIFTY);
        _leads(id, bob, FIFTY);
    }

    function test_an_order_that_loses_its_node_after_an_update_chooses_as_before() external {
        _bobIsKnownAndCarolBetter();
        uint64 id = _order(Selection.Score);
        _bid(id, bob, FIFTY);
        _pass(600);
        manager.assign(id);
        _start(id, bob);
        uint64 next = _publish(client, AGENT_NEXT, _raw(ARTIFACT), 300);
        vm.prank(client);
        uint32 revision = manager.update(id, next, 0, "");
        vm.prank(bob);
        manager.ackUpdate(id, revision, 2);
        vm.prank(address(heartbeats));
        manager.evict(id, uint64(_now()));
        _is(id, State.Open);
        eq(uint256(manager.selectionOf(id)), uint256(Selection.Score), "selection");
        _bid(id, dave, 1);
        _bid(id, carol, MAX_RATE);
        _leads(id, carol, MAX_RATE);
    }

    function test_an_order_that_awaits_its_quorum_chooses_as_it_said() external {
        _bobIsKnownAndCarolBetter();
        DeployParams memory params = _params(_publish(600));
        params.artifactCid = _dagPb(CONFIG);
        vm.prank(client);
        uint64 id = manager.deployUnder(params, _terms(Selection.HighestReputation));
        _is(id, State.Unverified);
        vm.prank(bob);
        manager.attest(id);
        vm.prank(carol);
        manager.attest(id);
        _bid(id, dave, 1);
        _bid(id, bob, MAX_RATE);
        _leads(id, bob, MAX_RATE);
    }

    function test_an_order_that_ended_still_says_how_it_chose() external {
        uint64 id = _order(Selection.Score);
        vm.prank(client);
        manager.stop(id);
        eq(uint256(manager.selectionOf(id)), uint256(Selection.Score), "selection");
    }

    // ---- the rule by itself ----------------------------------------------------------------------

    function test_no_two_bids_stand_before_each_other(
        uint64 id,
        uint8 kind,
        uint32[4] memory known,
        uint80 first,
        uint80 second
    ) external {
        Selection selection = Selection(kind % 3);
        _knownFor(bob, known[0] / 16, known[1] / 64);
        _knownFor(carol, known[2] / 16, known[3] / 64);
        bool bobLeads = reputation.leads(id, selection, carol, first, bob, second);
        bool carolLeads = reputation.leads(id, selection, bob, second, carol, first);
        yes(!(bobLeads && carolLeads), "one of them");
        bool same = reputation.scoreOf(bob) == reputation.scoreOf(carol);
        if (first != second && same) yes(bobLeads == second < first, "the price decides among equals");
        bool newcomers = reputation.isNewcomer(bob) || reputation.isNewcomer(carol);
        bool both = reputation.isNewcomer(bob) && reputation.isNewcomer(carol);
        if (newcomers && !both && id % 5 != 0 && selection != Selection.LowestPrice) {
            yes(bobLeads != reputation.isNewcomer(bob), "whoever is established");
        }
        yes(reputation.leads(id, selection, address(0), first, bob, second), "the first bid");
    }
}
