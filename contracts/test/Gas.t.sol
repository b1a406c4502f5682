// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Resources, DeployParams, Selection, Terms} from "../src/Types.sol";
import {OracleFeeds} from "../src/OracleFeeds.sol";
import {World} from "./Base.sol";

/// What each operation costs as a transaction of its own. Run by gas.sh with `--isolate`, which counts the
/// base cost and the calldata; each scene starts from a market that has been in use, unless it says `first`.
contract GasTest is World {
    uint64 private _publication;

    function setUp() public override {
        super.setUp();
        // A life before, so that accounts and counters are in use.
        _publication = _publish(600);
        uint64 id = _leased();
        _pass(1800);
        vm.prank(client);
        manager.stop(id);
    }

    /// Deployed, won by bob when the window closes, and started.
    function _leased() private returns (uint64 id) {
        vm.prank(client);
        id = manager.deploy(_params(_publication));
        _bid(id, bob, RATE);
        _pass(600);
        manager.assign(id);
        _start(id, bob);
    }

    function _note(string memory name) private {
        vm.snapshotGasLastCall("market", name);
    }

    function testLifeWithWindow() external {
        DeployParams memory params = _params(_publication);
        vm.prank(client);
        uint64 id = manager.deploy(params);
        _note("deploy");
        vm.prank(carol);
        manager.bid(id, RATE + 1);
        _note("bid first");
        vm.prank(bob);
        manager.bid(id, RATE);
        _note("bid better");
        _pass(600);
        vm.prank(stranger);
        manager.assign(id);
        _note("assign");
        vm.prank(bob);
        manager.ackStart(id, 2);
        _note("ackStart");
        _pass(1800);
        manager.settle(id);
        _note("settle");
        _pass(1800);
        vm.prank(client);
        manager.stop(id);
        _note("stop");
        vm.prank(bob);
        escrow.withdraw(bob);
        _note("withdraw");
    }

    function testFirstOfEachParty() external {
        _publish(carol, AGENT_NEXT, _raw(ARTIFACT), 0);
        _note("publish");
        vm.prank(client);
        uint64 id = manager.deploy(_params(_publication + 1));
        _note("deploy first of an agent id");
        vm.prank(carol);
        manager.bid(id, RATE);
        _note("bid assigned at once");
        vm.prank(carol);
        manager.ackStart(id, 1);
        _pass(1800);
        manager.settle(id);
        _note("settle first of a node");
        vm.prank(client);
        manager.deposit(id, 1 ether);
        _note("deposit");
        _pass(20 hours);
        manager.expire(id);
        _note("expire");
    }

    function testLiteralCallsOfTheTip() external {
        string memory cid = _text(_raw(ARTIFACT));
        vm.prank(client);
        manager.deploy(AGENT, cid, PAYMENT);
        _note("deploy literal");
        vm.prank(bob);
        manager.bid(AGENT, RATE);
        _note("bid literal");
    }

    function testDeployWithOwnLimit() external {
        DeployParams memory params = _params(_publication);
        params.maxRate = RATE;
        vm.prank(client);
        manager.deploy(params);
        _note("deploy with its own limit");
        params = _params(_publication);
        params.configHash = ARTIFACT;
        vm.prank(client);
        manager.deploy(params);
        _note("deploy with its own config");
    }

    function testHome() external {
        uint64 id = _publish(bob, AGENT, _raw(ARTIFACT), 0);
        DeployParams memory params = _params(id);
        params.payment = 0;
        vm.prank(bob);
        manager.deployHome(params);
        _note("deployHome");
    }

    function testNode() external {
        address node = address(0x40DE);
        token.faucetTo(node, 100_000 ether);
        vm.startPrank(node);
        token.approve(address(nodes), type(uint256).max);
        nodes.register("https://node.example", Resources(4000, 8 << 30, false), STAKE);
        _note("register");
        vm.stopPrank();
    }

    function testHeartbeats() external {
        uint64 id = _leased();
        _beat(bob);
        _note("heartbeat first");
        _pass(PERIOD);
        _beat(bob);
        _note("heartbeat");
        _pass(2 * PERIOD);
        vm.prank(stranger);
        heartbeats.slashMissed(manager, id, uint40(_now() / PERIOD) - 1);
        _note("slashMissed");
    }

    function testReputation() external {
        uint64 id = _leased();
        _pass(1800);
        manager.settle(id);
        vm.prank(stranger);
        reputation.count(manager, id);
        _note("count first");
        _pass(1800);
        manager.settle(id);
        vm.prank(stranger);
        reputation.count(manager, id);
        _note("count");
    }

    function testBidByScore() external {
        _knownFor(bob, 30 days, 0);
        _knownFor(carol, 30 days, 0);
        (DeployParams memory params, Terms memory terms) = (_params(_publication), _terms(Selection.Score));
        yes(manager.deployments() % 5 != 4, "no order for the lowest price");
        vm.prank(client);
        uint64 id = manager.deployUnder(params, terms);
        _note("deployUnder");
        _bid(id, carol, RATE + 1);
        vm.prank(bob);
        manager.bid(id, RATE);
        _note("bid by score");
    }

    function testOffers() external {
        DeployParams memory params = _params(_publication);
        bytes memory signature = _sign(BOB_KEY, _offer(bob, 0));
        vm.prank(client);
        manager.deployWith(params, _offer(bob, 0), signature);
        _note("deployWith first of a node");
        signature = _sign(BOB_KEY, _offer(bob, 1));
        vm.prank(client);
        manager.deployWith(params, _offer(bob, 1), signature);
        _note("deployWith");
        vm.prank(bob);
        manager.revokeOffer(2);
        _note("revokeOffer");
    }

    function testSeals() external {
        uint64 id = _deployUnder(_publication, Selection.SealedPrice);
        uint64 ends = manager.deployment(id).deadline;
        bytes32 commitment = _commitment(id, ends, carol, RATE, "salt");
        vm.prank(carol);
        manager.commitBid(id, commitment);
        _note("commitBid");
        _commit(id, bob, RATE - 1, "salt");
        _commit(id, bob, RATE, "salt");
        commitment = _commit(id, carol, RATE - 1, "salt");
        _pass(300);
        _reveal(id, carol, RATE, "salt");
        _note("revealBid first");
        _reveal(id, bob, RATE - 1, "salt");
        _note("revealBid better");
        _reveal(id, bob, RATE, "salt");
        _note("revealBid not better");
        _pass(300 + LOCK_HOURS * 1 hours);
        vm.prank(stranger);
        manager.reclaimBid(id, carol, commitment);
        _note("reclaimBid");
    }

    function testOracle() external {
        OracleFeeds feeds = new OracleFeeds(manager);
        uint64 id = _leased();
        vm.prank(bob);
        feeds.publish(id, "ETH/USD", 3000e8);
        _note("publish answer first");
        vm.prank(bob);
        feeds.publish(id, "ETH/USD", 3001e8);
        _note("publish answer");
    }
}
