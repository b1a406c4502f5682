// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Resources, DeployParams, Selection} from "../src/Types.sol";
import {AddressBook} from "../src/AddressBook.sol";
import {OracleFeed} from "../src/OracleFeed.sol";
import {OracleFeeds} from "../src/OracleFeeds.sol";
import {World} from "./Base.sol";

/// One life of everything that the contracts know, each call with its cost. Between its parts there is room for a
/// crowd: see Crowd.t.sol.
abstract contract Life is World {
    string private constant TREE = "talos.oracle.price-btc@v1.0.0";
    // `deploy` and `bid` have two forms each, which leaves no name for abi.encodeCall.
    bytes4 private constant DEPLOY =
        bytes4(keccak256("deploy((uint64,uint128,uint128,bytes32,bytes,address,address,uint64))"));
    address internal constant court = address(0xC047);
    address internal constant finder = address(0xF14D);

    OracleFeeds internal _feeds;
    AddressBook internal _book;
    uint64 internal _windowed;
    uint64 internal _immediate;
    uint64 internal _tree;
    /// The order that becomes the lease.
    uint64 internal _id;
    mapping(address target => mapping(bytes4 selector => bool)) private _called;
    string[] internal _names;
    uint256[] internal _costs;

    // What there is much of, at the moments when it can come about.
    function _beforePublications() internal virtual;
    function _beforeOrders() internal virtual;
    function _beforeBids() internal virtual;
    function _whileRunning() internal virtual;

    // So short that a thousand of them pass within the lease.
    function _period() internal pure override returns (uint32) {
        return 8;
    }

    // ---- measuring -------------------------------------------------------------------------------

    /// One call by `who`, who finds nothing in the cache that earlier calls warmed; its gas is kept under `name`.
    function _do(string memory name, address who, address target, bytes memory call) private returns (uint256) {
        vm.cool(address(manager));
        vm.cool(address(nodes));
        vm.cool(address(escrow));
        vm.cool(address(token));
        vm.cool(address(heartbeats));
        vm.cool(address(reputation));
        vm.cool(address(_feeds));
        vm.cool(address(_book));
        vm.prank(who);
        (bool done, bytes memory said) = target.call(call);
        yes(done, name);
        _costs.push(vm.lastCallGas().gasTotalUsed);
        _called[target][bytes4(call)] = true;
        _names.push(name);
        return said.length < 32 ? 0 : uint256(bytes32(said));
    }

    function _market(string memory name, address who, bytes memory call) private returns (uint256) {
        return _do(name, who, address(manager), call);
    }

    // ---- one life of everything ------------------------------------------------------------------

    function _live() internal {
        setUp();
        nodes.setSlasher(court);
        _feeds = new OracleFeeds(manager);
        _book = new AddressBook(address(this));
        _book.upgrade(_set(), _places());
        vm.prank(bob);
        nodes.addStake(50_000 ether);
        _beat(bob);
        _beforePublications();
        _windowed = _publish(600);
        _immediate = _publish(client, AGENT_NEXT, _raw(ARTIFACT), 0);
        _tree = _publish(client, TREE, _dagPb(CONFIG), 0);
        _beforeOrders();
        _order();
        _beforeBids();
        _bids();
        _whileRunning();
        _lease();
        _money();
        _views();
        _ends();
        _known();
        _silence();
        _standing();
        _roles();
        _rest("Manager", address(manager));
        _rest("Nodes", address(nodes));
        _rest("Escrow", address(escrow));
        _rest("Heartbeats", address(heartbeats));
        _rest("Reputation", address(reputation));
        _rest("OracleFeeds", address(_feeds));
        _rest("OracleFeed", address(_feeds.feedOf(_id, "ETH/USD")));
        _rest("AddressBook", address(_book));
    }

    function _order() private {
        _market("publish", client, _publishCall());
        _id = uint64(_market("deploy", client, _deployCall(_windowed)));
        bytes memory literal =
            abi.encodeWithSignature("deploy(string,string,uint256)", AGENT, _text(_raw(ARTIFACT)), PAYMENT);
        uint256 other = _market("deploy literal", client, literal);
        _market("stop an order", client, abi.encodeCall(manager.stop, (uint64(other))));
        uint64 tree = uint64(_market("deploy a tree", client, _deployCall(_tree)));
        _market("attest", bob, abi.encodeCall(manager.attest, (tree)));
        _market("attest as the quorum's last", carol, abi.encodeCall(manager.attest, (tree)));
        _offers();
        _seals();
        DeployParams memory home = _params(_windowed);
        home.payment = 0;
        _market("deployHome", dave, abi.encodeCall(manager.deployHome, (home)));
    }

    function _offers() private {
        bytes memory signature = _sign(DAVE_KEY, _offer(dave, 0));
        bytes memory call = abi.encodeCall(manager.deployWith, (_params(_windowed), _offer(dave, 0), signature));
        uint64 id = uint64(_market("deployWith", client, call));
        _market("revokeOffer", dave, abi.encodeCall(manager.revokeOffer, (1)));
        _market("offerUsed", stranger, abi.encodeCall(manager.offerUsed, (dave, 1)));
        vm.prank(client);
        manager.stop(id);
    }

    function _seals() private {
        vm.prank(client);
        uint64 id = manager.deployUnder(_params(_windowed), _terms(Selection.SealedPrice));
        uint64 ends = manager.deployment(id).deadline;
        bytes32 commitment = _commitment(id, ends, carol, RATE + 1, "salt");
        _market("commitBid", carol, abi.encodeCall(manager.commitBid, (id, commitment)));
        bytes32 unrevealed = _commit(id, carol, RATE, "salt");
        _commit(id, dave, RATE, "salt");
        _commit(id, dave, RATE, "other salt");
        _pass(300);
        _market("revealBid", carol, abi.encodeCall(manager.revealBid, (id, RATE + 1, "salt")));
        _market("revealBid of a better one", dave, abi.encodeCall(manager.revealBid, (id, RATE, "salt")));
        _market("revealBid of no better one", dave, abi.encodeCall(manager.revealBid, (id, RATE, "other salt")));
        _market("sealedBid", stranger, abi.encodeCall(manager.sealedBid, (id, carol, unrevealed)));
        vm.prank(client);
        manager.stop(id);
        _market("reclaimBid", stranger, abi.encodeCall(manager.reclaimBid, (id, carol, unrevealed)));
    }

    function _bids() private {
        _market("bid", carol, _bidCall(_id, RATE + 1));
        _market("bid better", bob, _bidCall(_id, RATE));
        _market("reject", dave, abi.encodeCall(manager.reject, (_id, "no")));
        _pass(600);
        _market("assign", stranger, abi.encodeCall(manager.assign, (_id)));
        _pass(ACK_TIMEOUT + 1);
        _market("reopen", stranger, abi.encodeCall(manager.reopen, (_id)));
        _market("bid on a reopened order", carol, _bidCall(_id, RATE));
        _market("reject as the leader", carol, abi.encodeCall(manager.reject, (_id, "no")));
        _bid(_id, bob, RATE);
        _pass(600);
        manager.assign(_id);
        _market("ackStart", bob, abi.encodeCall(manager.ackStart, (_id, 1)));
    }

    function _lease() private {
        _market("pause", client, abi.encodeCall(manager.pause, (_id)));
        _market("resume", client, abi.encodeCall(manager.resume, (_id)));
        bytes memory update = abi.encodeCall(manager.update, (_id, _immediate, 0, ""));
        uint32 revision = uint32(_market("update", client, update));
        _market("rejectUpdate", bob, abi.encodeCall(manager.rejectUpdate, (_id, revision, "no")));
        revision = uint32(_market("update again", client, update));
        _market("ackUpdate", bob, abi.encodeCall(manager.ackUpdate, (_id, revision, 2)));
        _do("publish an answer", bob, address(_feeds), abi.encodeCall(_feeds.publish, (_id, "ETH/USD", 1)));
        _do("publish another's first", bob, address(_feeds), abi.encodeCall(_feeds.publish, (_id, "BTC/USD", 1)));
    }

    function _money() private {
        _pass(60);
        _market("settle", stranger, abi.encodeCall(manager.settle, (_id)));
        _market("deposit", client, abi.encodeCall(manager.deposit, (_id, 1 ether)));
        _market("requestClientWithdraw", client, abi.encodeCall(manager.requestClientWithdraw, (_id, 1 ether)));
        _pass(NOTICE);
        _market("clientWithdraw", client, abi.encodeCall(manager.clientWithdraw, (_id)));
        _do("withdraw", bob, address(escrow), abi.encodeCall(escrow.withdraw, (bob)));
    }

    function _views() private {
        _market("deployment", stranger, abi.encodeCall(manager.deployment, (_id)));
        _market("publication", stranger, abi.encodeCall(manager.publication, (client, AGENT)));
        _market("publicationById", stranger, abi.encodeCall(manager.publicationById, (_windowed)));
        _market("openOrders", stranger, abi.encodeCall(manager.openOrders, (AGENT)));
        _market("due", stranger, abi.encodeCall(manager.due, (_id)));
        _market("activeNode", stranger, abi.encodeCall(manager.activeNode, (_id)));
        _market("gasAllowance", stranger, abi.encodeCall(manager.gasAllowance, (_id)));
        _market("isBarred", stranger, abi.encodeCall(manager.isBarred, (_id, dave)));
        _market("clientWithdrawal", stranger, abi.encodeCall(manager.clientWithdrawal, (_id)));
        _do("node", stranger, address(nodes), abi.encodeCall(nodes.node, (bob)));
        _market("paidTime", stranger, abi.encodeCall(manager.paidTime, (_id)));
        _do("stakeOf", stranger, address(nodes), abi.encodeCall(nodes.stakeOf, (bob)));
        _do("isRegistered", stranger, address(nodes), abi.encodeCall(nodes.isRegistered, (bob)));
        _do("requireEligible", stranger, address(nodes), abi.encodeCall(nodes.requireEligible, (bob, 1)));
        _do("shares of slashes", stranger, address(nodes), abi.encodeCall(nodes.claimable, (finder)));
        _do("isManager", stranger, address(nodes), abi.encodeCall(nodes.isManager, (address(manager))));
        _do("claimable", stranger, address(escrow), abi.encodeCall(escrow.claimable, (bob)));
        _do("earned", stranger, address(escrow), abi.encodeCall(escrow.earned, (bob)));
        _do("lineOf", stranger, address(escrow), abi.encodeCall(escrow.lineOf, (_id)));
        OracleFeed feed = _feeds.feedOf(_id, "ETH/USD");
        _do("feedOf", stranger, address(_feeds), abi.encodeCall(_feeds.feedOf, (_id, "ETH/USD")));
        _do("latestRoundData", stranger, address(feed), abi.encodeCall(feed.latestRoundData, ()));
        _do("getRoundData", stranger, address(feed), abi.encodeCall(feed.getRoundData, (1)));
    }

    // By an order of an agent id of its own, so that a literal bid finds one whatever else is open.
    function _ends() private {
        vm.prank(client);
        uint64 other = manager.deploy(_params(_immediate));
        bytes memory literal = abi.encodeWithSignature("bid(string,uint256)", AGENT_NEXT, RATE);
        _market("bid literal, assigned at once", bob, literal);
        _start(other, bob);
        _market("stop", client, abi.encodeCall(manager.stop, (_id)));
        _pass(21 hours);
        _market("expire", stranger, abi.encodeCall(manager.expire, (other)));
    }

    // Bob has been paid by the leases that just ended.
    function _known() private {
        _do("count", stranger, address(reputation), abi.encodeCall(reputation.count, (manager, _id)));
        _do("scoreOf", stranger, address(reputation), abi.encodeCall(reputation.scoreOf, (bob)));
        _do("factsOf", stranger, address(reputation), abi.encodeCall(reputation.factsOf, (bob)));
        _do("isNewcomer", stranger, address(reputation), abi.encodeCall(reputation.isNewcomer, (bob)));
        bytes memory leads = abi.encodeCall(reputation.leads, (1, Selection.Score, carol, RATE, bob, RATE + 1));
        _do("leads", stranger, address(reputation), leads);
        // One order in five goes to the lowest price, which costs less to tell.
        while (manager.deployments() % 5 != 0) {
            vm.prank(client);
            manager.deploy(_params(_immediate));
        }
        bytes memory deploy = abi.encodeCall(manager.deployUnder, (_params(_windowed), _terms(Selection.Score)));
        uint64 id = uint64(_market("deployUnder", client, deploy));
        _market("selectionOf", stranger, abi.encodeCall(manager.selectionOf, (id)));
        _bid(id, carol, RATE);
        _market("bid by score", bob, _bidCall(id, RATE - 1));
        vm.prank(client);
        manager.stop(id);
    }

    function _silence() private {
        _beat(bob);
        _pass(_period());
        bytes memory beat = abi.encodeCall(heartbeats.heartbeat, ("root"));
        _do("heartbeat first", dave, address(heartbeats), beat);
        _do("heartbeat", bob, address(heartbeats), beat);
        uint40 last = heartbeats.lastOf(bob);
        _do("hasBeaten", stranger, address(heartbeats), abi.encodeCall(heartbeats.hasBeaten, (bob, last - 1)));
        _do("lastOf", stranger, address(heartbeats), abi.encodeCall(heartbeats.lastOf, (bob)));
        vm.prank(client);
        uint64 id = manager.deploy(_params(_immediate));
        _bid(id, bob, RATE);
        _start(id, bob);
        _pass(2 * _period());
        nodes.setSlasher(address(heartbeats));
        bytes memory proof = abi.encodeCall(heartbeats.slashMissed, (manager, id, last + 1));
        _do("slashMissed", stranger, address(heartbeats), proof);
        nodes.setSlasher(court);
        _bid(id, bob, RATE);
        vm.prank(bob);
        manager.ackStart(id, 2);
        _pass(60);
        _market("evict", court, abi.encodeCall(manager.evict, (id, uint64(_now()))));
    }

    function _stake(string memory name, address who, bytes memory call) private {
        _do(name, who, address(nodes), call);
    }

    function _standing() private {
        address node = address(0x40DE);
        Resources memory capacity = Resources(8000, 1 << 34, true);
        token.faucetTo(node, 100_000 ether);
        vm.prank(node);
        token.approve(address(nodes), type(uint256).max);
        _stake("register", node, abi.encodeCall(nodes.register, ("https://node.example", capacity, STAKE)));
        _stake("addStake", bob, abi.encodeCall(nodes.addStake, (1 ether)));
        _stake("requestUnbond", bob, abi.encodeCall(nodes.requestUnbond, (1 ether)));
        _pass(UNBONDING);
        _stake("withdraw stake", bob, abi.encodeCall(nodes.withdraw, ()));
        _stake("setCapacity", bob, abi.encodeCall(nodes.setCapacity, (capacity)));
        _stake("setEndpoint", bob, abi.encodeCall(nodes.setEndpoint, ("https://other.example")));
        _stake("pauseNode", bob, abi.encodeCall(nodes.pauseNode, ()));
        _stake("resumeNode", bob, abi.encodeCall(nodes.resumeNode, ()));
        bytes memory slash = abi.encodeCall(nodes.slash, (bob, _id, 100 ether, "down", finder, client, 20 ether));
        _stake("slash", court, slash);
        _stake("claimSlashed", finder, abi.encodeCall(nodes.claimSlashed, ()));
    }

    function _roles() private {
        _stake("addManager", address(this), abi.encodeCall(nodes.addManager, (address(0xABCD))));
        _stake("setReputation", address(this), abi.encodeCall(nodes.setReputation, (address(reputation))));
        _stake("setSlasher", address(this), abi.encodeCall(nodes.setSlasher, (stranger)));
        bytes memory upgrade = abi.encodeCall(_book.upgrade, (_set(), _places()));
        uint64 version = uint64(_do("upgrade", address(this), address(_book), upgrade));
        _do("addressOf", stranger, address(_book), abi.encodeCall(_book.addressOf, ("Manager")));
        _do("addressAt", stranger, address(_book), abi.encodeCall(_book.addressAt, ("Manager", version)));
        _do("setAt", stranger, address(_book), abi.encodeCall(_book.setAt, (version)));
    }

    // Every function of a contract that the life left out: those without arguments are asked, any other is a gap here.
    function _rest(string memory name, address target) private {
        string memory artifact = vm.readFile(string.concat("out/", name, ".sol/", name, ".json"));
        string[] memory functions = vm.parseJsonKeys(artifact, ".methodIdentifiers");
        yes(functions.length != 0, name);
        for (uint256 i = 0; i < functions.length; ++i) {
            bytes memory signature = bytes(functions[i]);
            bytes4 selector = bytes4(keccak256(signature));
            if (_called[target][selector] || _isForOthers(selector)) continue;
            yes(signature[signature.length - 2] == "(", string.concat("no cost is known of ", functions[i]));
            _do(functions[i], stranger, target, abi.encodePacked(selector));
        }
    }

    // What only the Manager or the feeds' factory calls stands in the life by what they do; owners are OpenZeppelin's.
    function _isForOthers(bytes4 selector) private view returns (bool) {
        return selector == nodes.lock.selector || selector == nodes.unlock.selector || selector == escrow.deposit.selector
            || selector == escrow.settle.selector || selector == escrow.close.selector || selector == escrow.take.selector
            || selector == escrow.rebase.selector || selector == OracleFeed.record.selector || selector == nodes.transferOwnership.selector
            || selector == reputation.missed.selector || selector == reputation.slashed.selector || selector == nodes.acceptOwnership.selector || selector == nodes.renounceOwnership.selector;
    }

    function _publishCall() private view returns (bytes memory) {
        Resources memory needs = Resources(250, 256 << 20, false);
        return abi.encodeCall(
            manager.publish,
            (AGENT, _raw(MANIFEST), MANIFEST, _raw(ARTIFACT), ARTIFACT, CONFIG, needs, MAX_RATE, 600, 500_000)
        );
    }

    function _deployCall(uint64 publication) private pure returns (bytes memory) {
        return abi.encodeWithSelector(DEPLOY, _params(publication));
    }

    function _bidCall(uint64 id, uint128 rate) private pure returns (bytes memory) {
        return abi.encodeWithSignature("bid(uint64,uint128)", id, rate);
    }

    function _set() internal pure returns (bytes32[] memory names) {
        names = new bytes32[](1);
        names[0] = "Manager";
    }

    function _places() internal view returns (address[] memory places) {
        places = new address[](1);
        places[0] = address(manager);
    }
}
