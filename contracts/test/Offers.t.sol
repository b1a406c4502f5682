// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Deployment, Offer, Order, Resources, Selection, State} from "../src/Types.sol";
import {Manager} from "../src/Manager.sol";
import {NodesEvents} from "../src/NodesEvents.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {Deals} from "../src/market/Deals.sol";
import {Vm, World} from "./Base.sol";

/// An order that finds its node at once, by what the node has signed; and all that is no such signature.
contract OffersTest is World {
    // The order of the curve that signatures are made on.
    uint256 private constant CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    DeployParams private _order;

    function setUp() public override {
        super.setUp();
        _order = _params(_publish(600));
    }

    function _take(Offer memory offer, bytes memory signature) private returns (uint64) {
        DeployParams memory params = _order;
        vm.prank(client);
        return manager.deployWith(params, offer, signature);
    }

    function _take(Offer memory offer) private returns (uint64) {
        return _take(offer, _sign(BOB_KEY, offer));
    }

    function _refused(Offer memory offer, bytes memory signature, bytes memory why) private {
        (DeployParams memory params, uint64 before) = (_order, manager.deployments());
        bool used = manager.offerUsed(offer.node, offer.nonce);
        vm.prank(client);
        vm.expectRevert(why);
        manager.deployWith(params, offer, signature);
        eq(manager.deployments(), before, "no deployment");
        yes(manager.offerUsed(offer.node, offer.nonce) == used, "the nonce is as it was");
    }

    function _refused(Offer memory offer, bytes memory why) private {
        _refused(offer, _sign(BOB_KEY, offer), why);
    }

    function _notSigned(Offer memory offer, bytes memory signature, address signer) private {
        _refused(offer, signature, abi.encodeWithSelector(MarketEvents.OfferNotSigned.selector, offer.node, signer));
    }

    // By whom else it is then is nobody's business.
    function _notBobs(Offer memory offer, bytes memory signature) private {
        DeployParams memory params = _order;
        vm.prank(client);
        vm.expectPartialRevert(MarketEvents.OfferNotSigned.selector);
        manager.deployWith(params, offer, signature);
    }

    // ---- a match ---------------------------------------------------------------------------------

    function test_an_offer_that_is_taken_has_its_node_at_once() external {
        uint256 before = token.balanceOf(client);
        uint64 id = _take(_offer(bob, 7));
        Deployment memory d = manager.deployment(id);
        eq(uint256(d.state), uint256(State.Assigned), "state");
        eq(d.owner, client, "owner");
        eq(d.node, bob, "node");
        eq(d.rate, RATE, "rate");
        eq(d.maxRate, MAX_RATE, "the order's own limit");
        eq(d.deadline, _now() + ACK_TIMEOUT, "ack by");
        eq(d.deposited, PAYMENT, "deposit");
        eq(before - token.balanceOf(client), PAYMENT, "paid by the client");
        eq(nodes.node(bob).locked, uint256(RATE) * LOCK_HOURS, "locked");
        eq(manager.openOrders(AGENT), 0, "it was never open");
        eq(uint256(manager.selectionOf(id)), uint256(Selection.LowestPrice), "how it chooses if it opens again");
        yes(manager.offerUsed(bob, 7), "used");
        yes(!manager.offerUsed(bob, 8) && !manager.offerUsed(carol, 7), "and no other");
        _start(id, bob);
        _pass(1 hours);
        eq(manager.settle(id), RATE, "paid like any other");
    }

    function test_a_match_says_what_an_order_a_bid_and_an_assignment_say() external {
        vm.recordLogs();
        uint64 id = _take(_offer(bob, 0));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes32[3] memory topics =
            [MarketEvents.Deployed.selector, MarketEvents.BidPlaced.selector, MarketEvents.Assigned.selector];
        uint256 found;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != address(manager)) continue;
            yes(logs[i].topics[0] == topics[found], "in this order");
            eq(uint256(logs[i].topics[1]), id, "of this deployment");
            if (found == 0) {
                Order memory order = abi.decode(logs[i].data, (Order));
                eq(order.biddingEnds, _now(), "no bids are taken");
                eq(order.bidWindow, 600, "its window, if it opens again");
            } else {
                eq(uint256(logs[i].topics[2]), uint160(bob), "node");
            }
            if (found == 2) eq(logs[i].data, abi.encode(RATE, _now() + ACK_TIMEOUT), "rate, ack by");
            ++found;
        }
        eq(found, 3, "and nothing else");
    }

    function test_a_matched_order_opens_again_like_any_other() external {
        uint64 id = _take(_offer(bob, 0));
        _pass(ACK_TIMEOUT + 1);
        manager.reopen(id);
        _is(id, State.Open);
        eq(nodes.node(bob).locked, 0, "free again");
        eq(manager.openOrders(AGENT), 1, "listed");
        eq(manager.deployment(id).deadline, _now() + 600, "with its window");
        _bid(id, carol, MAX_RATE);
        _pass(600);
        manager.assign(id);
        eq(manager.openOrders(AGENT), 0, "and unlisted");
        vm.prank(carol);
        manager.reject(id, "no");
        _bid(id, dave, RATE);
    }

    function test_a_node_may_reject_what_it_was_matched_with() external {
        uint64 id = _take(_offer(bob, 0));
        vm.prank(bob);
        manager.reject(id, "gas budget");
        _is(id, State.Open);
        yes(manager.isBarred(id, bob), "barred from this one");
        _take(_offer(bob, 1));
    }

    function test_a_match_may_continue_an_ended_deployment() external {
        uint64 old = _take(_offer(bob, 0));
        (_order.supersedesMarket, _order.supersedesId) = (address(manager), old);
        _refused(_offer(bob, 1), abi.encodeWithSelector(MarketEvents.NotSuperseded.selector, old, State.Assigned));
        vm.prank(client);
        manager.stop(old);
        eq(manager.deployment(_take(_offer(bob, 1))).supersedesId, old, "link");
    }

    function test_a_limit_and_a_config_of_the_orders_own_hold() external {
        (_order.maxRate, _order.configHash, _order.onlyNode) = (RATE, MANIFEST, bob);
        _order.artifactCid = _raw(ARTIFACT);
        Deployment memory d = manager.deployment(_take(_offer(bob, 0)));
        eq(d.maxRate, RATE, "limit");
        yes(d.configHash == MANIFEST, "config");
        eq(d.onlyNode, bob, "only node");
    }

    // ---- who, when, how much ---------------------------------------------------------------------

    function test_an_offer_is_good_through_its_last_second() external {
        Offer memory offer = _offer(bob, 0);
        _pass(1 hours);
        _take(offer);
        offer.nonce = 1;
        _pass(1);
        _refused(offer, abi.encodeWithSelector(MarketEvents.OfferExpired.selector, _now() - 1, _now()));
    }

    function test_an_offer_to_one_client_is_for_no_other() external {
        Offer memory offer = _offer(bob, 0);
        offer.client = stranger;
        _refused(offer, abi.encodeWithSelector(MarketEvents.OfferForAnother.selector, stranger, client));
        offer.client = client;
        _take(offer);
    }

    function test_an_offer_holds_for_what_is_within_it() external {
        Offer memory offer = _offer(bob, 0);
        Resources memory needs = offer.upTo;
        offer.upTo = Resources(249, 1 << 40, true);
        _refused(offer, abi.encodeWithSelector(MarketEvents.OfferTooSmall.selector, needs, offer.upTo));
        offer.upTo = Resources(8000, (256 << 20) - 1, true);
        _refused(offer, abi.encodeWithSelector(MarketEvents.OfferTooSmall.selector, needs, offer.upTo));
        offer.upTo = Resources(250, 256 << 20, true);
        _take(offer);
    }

    function test_a_gpu_must_be_offered() external {
        Resources memory needs = Resources(250, 256 << 20, true);
        vm.prank(client);
        _order.publication = manager.publish(
            AGENT, _raw(MANIFEST), MANIFEST, _raw(ARTIFACT), ARTIFACT, 0, needs, MAX_RATE, 0, 0
        );
        Offer memory offer = _offer(bob, 0);
        _refused(offer, abi.encodeWithSelector(MarketEvents.OfferTooSmall.selector, needs, offer.upTo));
        offer.upTo.gpu = true;
        _take(offer);
    }

    function test_an_offer_is_within_the_orders_limit() external {
        Offer memory offer = _offer(bob, 0);
        offer.rate = MAX_RATE + 1;
        _refused(offer, abi.encodeWithSelector(MarketEvents.RateTooHigh.selector, MAX_RATE + 1, MAX_RATE));
        offer.rate = type(uint128).max;
        _refused(offer, abi.encodeWithSelector(MarketEvents.RateTooHigh.selector, type(uint128).max, MAX_RATE));
        offer.rate = 0;
        _refused(offer, abi.encodeWithSelector(MarketEvents.RateZero.selector));
        offer.rate = MAX_RATE;
        _take(offer);
    }

    function test_a_match_is_for_the_one_node_that_was_asked() external {
        _order.onlyNode = carol;
        _refused(_offer(bob, 0), abi.encodeWithSelector(MarketEvents.OnlyNode.selector, 1, carol));
        _take(_offer(carol, 0), _sign(CAROL_KEY, _offer(carol, 0)));
    }

    function test_an_artifact_that_awaits_a_quorum_is_not_matched() external {
        bytes memory why = abi.encodeWithSelector(MarketEvents.ArtifactCidNotRaw.selector);
        _order.artifactCid = _dagPb(CONFIG);
        _refused(_offer(bob, 0), why);
        _order = _params(_publish(client, AGENT_NEXT, _dagPb(CONFIG), 0));
        _refused(_offer(bob, 0), why);
        _order.artifactCid = _raw(ARTIFACT);
        _take(_offer(bob, 0));
    }

    function test_what_no_deploy_takes_no_match_takes() external {
        Offer memory offer = _offer(bob, 0);
        _order.payment = 0;
        _refused(offer, abi.encodeWithSelector(MarketEvents.PaymentZero.selector));
        _order = _params(99);
        _refused(offer, abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, 99));
    }

    // ---- the node's standing ---------------------------------------------------------------------

    function test_a_node_that_may_not_bid_is_not_matched() external {
        vm.prank(bob);
        nodes.pauseNode();
        _refused(_offer(bob, 0), abi.encodeWithSelector(NodesEvents.NodeIsPaused.selector, bob));
        vm.startPrank(bob);
        nodes.resumeNode();
        nodes.requestUnbond(1);
        vm.stopPrank();
        _refused(_offer(bob, 0), abi.encodeWithSelector(NodesEvents.StakeTooLow.selector, STAKE - 1, STAKE));
        address nobody = vm.addr(5);
        Offer memory offer = _offer(nobody, 0);
        _refused(offer, _sign(5, offer), abi.encodeWithSelector(NodesEvents.NotRegistered.selector, nobody));
    }

    function test_stake_that_is_locked_covers_no_match() external {
        // 10,000 of stake cover eight leases of 24 hours at 50.
        for (uint64 i = 0; i < 8; ++i) {
            _take(_offer(bob, i));
        }
        uint256 lock = uint256(RATE) * LOCK_HOURS;
        bytes4 why = NodesEvents.FreeStakeTooLow.selector;
        _refused(_offer(bob, 8), abi.encodeWithSelector(why, bob, STAKE - 8 * lock, lock));
    }

    // ---- once ------------------------------------------------------------------------------------

    function test_a_nonce_is_good_once() external {
        bytes memory why = abi.encodeWithSelector(MarketEvents.OfferUsed.selector, bob, 300);
        _take(_offer(bob, 300));
        _refused(_offer(bob, 300), why);
        Offer memory offer = _offer(bob, 300);
        offer.rate = 1;
        _refused(offer, why);
        _take(_offer(bob, 44));
        _take(_offer(bob, type(uint64).max));
        _take(_offer(carol, 300), _sign(CAROL_KEY, _offer(carol, 300)));
    }

    function test_a_revoked_offer_is_good_for_nothing() external {
        vm.expectEmit(address(manager));
        emit MarketEvents.OfferRevoked(bob, 3);
        vm.prank(bob);
        manager.revokeOffer(3);
        yes(manager.offerUsed(bob, 3), "used");
        _refused(_offer(bob, 3), abi.encodeWithSelector(MarketEvents.OfferUsed.selector, bob, 3));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.OfferUsed.selector, bob, 3));
        manager.revokeOffer(3);
        vm.prank(carol);
        manager.revokeOffer(4);
        _take(_offer(bob, 4));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.OfferUsed.selector, bob, 4));
        manager.revokeOffer(4);
    }

    // ---- whose hand ------------------------------------------------------------------------------

    function test_another_hand_signs_for_nobody_else() external {
        _notSigned(_offer(bob, 0), _sign(CAROL_KEY, _offer(bob, 0)), carol);
        _notSigned(_offer(address(0), 0), _sign(BOB_KEY, _offer(address(0), 0)), bob);
        _notSigned(_offer(address(0), 0), new bytes(65), address(0));
    }

    function test_every_word_of_an_offer_is_signed() external {
        bytes memory signature = _sign(BOB_KEY, _offer(bob, 0));
        for (uint256 i = 0; i < 7; ++i) {
            Offer memory offer = _offer(bob, 0);
            if (i == 0) offer.client = client;
            if (i == 1) offer.upTo.cpuMillis += 1;
            if (i == 2) offer.upTo.memoryBytes += 1;
            if (i == 3) offer.upTo.gpu = true;
            if (i == 4) offer.rate += 1;
            if (i == 5) offer.validUntil += 1;
            if (i == 6) offer.nonce += 1;
            _notBobs(offer, signature);
        }
        _take(_offer(bob, 0), signature);
    }

    function test_a_signature_is_for_one_market_on_one_chain() external {
        Manager other = new Manager(nodes, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 2);
        Offer memory offer = _offer(bob, 0);
        _notBobs(offer, _sign(BOB_KEY, offer, address(other)));
        bytes memory signature = _sign(BOB_KEY, offer);
        vm.chainId(block.chainid + 1);
        _notBobs(offer, signature);
        _take(offer);
    }

    function test_a_signature_has_one_form() external {
        Offer memory offer = _offer(bob, 0);
        bytes memory good = _sign(BOB_KEY, offer);
        _notSigned(offer, "", address(0));
        _notSigned(offer, bytes.concat(good, hex"00"), address(0));
        bytes memory short = new bytes(64);
        for (uint256 i = 0; i < 64; ++i) {
            short[i] = good[i];
        }
        _notSigned(offer, short, address(0));
        (bytes32 r, bytes32 s, uint8 v) = _parts(good);
        _notSigned(offer, abi.encodePacked(r, s, v - 27), address(0));
        // The other signature of the same key, which the curve allows.
        _notSigned(offer, abi.encodePacked(r, CURVE - uint256(s), v == 27 ? uint8(28) : uint8(27)), address(0));
        _take(offer, good);
    }

    function test_an_offer_is_signed_as_any_wallet_would_sign_it() external {
        Offer memory offer = _offer(bob, 9);
        (offer.client, offer.upTo.gpu) = (client, true);
        string memory types = string.concat(
            '{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},',
            '{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],',
            '"Resources":[{"name":"cpuMillis","type":"uint32"},{"name":"memoryBytes","type":"uint64"},',
            '{"name":"gpu","type":"bool"}],"Offer":[{"name":"node","type":"address"},',
            '{"name":"client","type":"address"},{"name":"upTo","type":"Resources"},{"name":"rate","type":"uint128"},',
            '{"name":"validUntil","type":"uint64"},{"name":"nonce","type":"uint64"}]},"primaryType":"Offer",'
        );
        string memory domain = string.concat(
            '"domain":{"name":"nisse","version":"1","chainId":',
            vm.toString(block.chainid),
            ',"verifyingContract":"',
            vm.toString(address(manager)),
            '"},'
        );
        string memory who = string.concat(
            '"message":{"node":"', vm.toString(bob), '","client":"', vm.toString(client), '","upTo":{"cpuMillis":250,'
        );
        string memory what = string.concat(
            '"memoryBytes":268435456,"gpu":true},"rate":"',
            vm.toString(RATE),
            '","validUntil":',
            vm.toString(offer.validUntil),
            ',"nonce":9}}'
        );
        bytes32 digest = vm.eip712HashTypedData(string.concat(types, domain, who, what));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(BOB_KEY, digest);
        _take(offer, abi.encodePacked(r, s, v));
    }

    function _parts(bytes memory signature) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
    }

    // ---- any offer -------------------------------------------------------------------------------

    function test_an_offer_is_taken_just_when_it_fits(
        uint16 cpuMillis,
        uint32 memoryBytes,
        uint128 rate,
        uint128 limit,
        uint16 late,
        uint64 nonce
    ) external {
        Offer memory offer = _offer(bob, nonce);
        offer.upTo.cpuMillis = cpuMillis % 500;
        offer.upTo.memoryBytes = memoryBytes % (512 << 20);
        (offer.rate, _order.maxRate) = (rate % (100 ether), 1 + limit % (100 ether));
        _pass(late % 2 hours);
        bool fits = offer.upTo.cpuMillis >= 250 && offer.upTo.memoryBytes >= 256 << 20;
        bool good = fits && offer.rate != 0 && offer.rate <= _order.maxRate && _now() <= offer.validUntil;
        (DeployParams memory params, bytes memory signature) = (_order, _sign(BOB_KEY, offer));
        vm.prank(client);
        try manager.deployWith(params, offer, signature) returns (uint64 id) {
            yes(good, "it fits");
            eq(manager.deployment(id).rate, offer.rate, "at its rate");
            eq(nodes.node(bob).locked, uint256(offer.rate) * LOCK_HOURS, "locked");
        } catch {
            yes(!good, "it does not");
        }
        yes(manager.offerUsed(bob, nonce) == good, "used if it was taken");
    }

    // ---- the code by itself ----------------------------------------------------------------------

    function test_the_code_of_deals_does_nothing_by_itself() external {
        Deals deals = new Deals(nodes, escrow, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 2);
        Offer memory offer = _offer(bob, 0);
        (DeployParams memory params, bytes memory signature) = (_order, _sign(BOB_KEY, offer, address(deals)));
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, params.publication));
        deals.deployWith(params, offer, signature);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, params.publication));
        deals.deployUnder(params, _terms(Selection.LowestPrice));
        vm.stopPrank();
        vm.prank(bob);
        deals.revokeOffer(0);
        yes(!manager.offerUsed(bob, 0), "the market knows nothing of it");
    }
}
