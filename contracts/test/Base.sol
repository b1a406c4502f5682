// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Resources, DeployParams, Offer, Selection, State, Deployment, Terms} from "../src/Types.sol";
import {Escrow} from "../src/Escrow.sol";
import {Heartbeats} from "../src/Heartbeats.sol";
import {Manager} from "../src/Manager.sol";
import {Nodes} from "../src/Nodes.sol";
import {Reputation} from "../src/Reputation.sol";
import {TalosToken} from "../src/TalosToken.sol";
import {OldNodes} from "./OldNodes.sol";

/// The cheat codes of forge that these tests use.
interface Vm {
    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function prank(address) external;
    function startPrank(address) external;
    function stopPrank() external;
    function warp(uint256) external;
    function expectRevert(bytes calldata) external;
    function expectRevert(bytes4) external;
    function expectPartialRevert(bytes4) external;
    function expectEmit(address emitter) external;
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256);
    function lastCallGas() external view returns (Gas memory);
    function cool(address) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function addr(uint256 key) external pure returns (address);
    function chainId(uint256) external;
    function store(address target, bytes32 slot, bytes32 value) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
    function deployCode(string calldata artifact, bytes calldata arguments) external returns (address);
    function toString(uint256) external pure returns (string memory);
    function toString(address) external pure returns (string memory);
    function eip712HashTypedData(string calldata json) external pure returns (bytes32);
    function getBlockTimestamp() external view returns (uint256);
    function readFile(string calldata path) external view returns (string memory);
    function parseJsonKeys(string calldata json, string calldata key) external pure returns (string[] memory);
    function createDir(string calldata path, bool recursive) external;
    function writeFile(string calldata path, string calldata text) external;
}

/// Assertions, and what forge's invariant runner looks for.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    bool public constant IS_TEST = true;
    address[] private _targets;

    error Differs(string what, uint256 found, uint256 expected);
    error Fails(string what);

    function eq(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert Differs(what, found, expected);
    }

    function eq(address found, address expected, string memory what) internal pure {
        if (found != expected) revert Differs(what, uint160(found), uint160(expected));
    }

    function eq(bytes memory found, bytes memory expected, string memory what) internal pure {
        if (keccak256(found) != keccak256(expected)) revert Fails(what);
    }

    function yes(bool holds, string memory what) internal pure {
        if (!holds) revert Fails(what);
    }

    function targetContract(address target) internal {
        _targets.push(target);
    }

    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }
}

/// A market with a client, a publisher and three staked nodes, at a round time, which begins a period of heartbeats.
abstract contract World is Test {
    string internal constant AGENT = "talos.oracle.price-eth@v1.2.0";
    string internal constant AGENT_NEXT = "talos.oracle.price-eth@v1.3.0";
    uint128 internal constant STAKE = 10_000 ether;
    uint128 internal constant PAYMENT = 1000 ether;
    uint128 internal constant RATE = 50 ether;
    uint128 internal constant MAX_RATE = 80 ether;
    uint32 internal constant ACK_TIMEOUT = 60;
    uint32 internal constant NOTICE = 1 hours;
    uint32 internal constant UNBONDING = 14 days;
    uint32 internal constant LOCK_HOURS = 24;
    uint32 internal constant PERIOD = 600;
    bytes32 internal constant ARTIFACT = keccak256("oracle.wasm");
    bytes32 internal constant MANIFEST = keccak256("agent.yaml");
    bytes32 internal constant CONFIG = keccak256("config");

    TalosToken internal token;
    Nodes internal nodes;
    Manager internal manager;
    Escrow internal escrow;
    Heartbeats internal heartbeats;
    Reputation internal reputation;

    address internal constant client = address(0xC11E47);
    // Those of their keys.
    address internal constant bob = 0x0376AAc07Ad725E01357B1725B5ceC61aE10473c;
    address internal constant carol = 0x0F89F1868aF3b14a5eca86ed9a5404A742a11454;
    address internal constant dave = 0xC6f06BE7B01A7C8A72f9C67299E116dEA6755eD2;
    uint256 internal constant BOB_KEY = 0xB0B;
    uint256 internal constant CAROL_KEY = 0xCA401;
    uint256 internal constant DAVE_KEY = 0xDA7E;
    address internal constant stranger = address(0x57A4);
    address internal constant treasury = address(0x7EA5);

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        token = new TalosToken();
        nodes = new Nodes(token, STAKE, _unbonding(), treasury, address(this));
        if (_nodesAreOld()) nodes = Nodes(address(new OldNodes(nodes)));
        manager = new Manager(nodes, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 2);
        escrow = manager.escrow();
        nodes.addManager(address(manager));
        // In the period before, so that nodes are listened for from here on.
        vm.warp(1_800_000_000 - 1);
        heartbeats = new Heartbeats(nodes, _period());
        vm.warp(1_800_000_000);
        nodes.setSlasher(address(heartbeats));
        reputation = new Reputation(nodes);
        if (!_nodesAreOld()) nodes.setReputation(address(reputation));
        _join(bob);
        _join(carol);
        _join(dave);
        token.faucetTo(client, 1_000_000 ether);
        vm.prank(client);
        token.approve(address(escrow), type(uint256).max);
    }

    /// Whether Nodes was made before there was a reputation.
    function _nodesAreOld() internal pure virtual returns (bool) {
        return false;
    }

    function _unbonding() internal pure virtual returns (uint32) {
        return UNBONDING;
    }

    function _period() internal pure virtual returns (uint32) {
        return PERIOD;
    }

    function _join(address node) internal {
        token.faucetTo(node, 100_000 ether);
        vm.startPrank(node);
        token.approve(address(nodes), type(uint256).max);
        nodes.register("https://node.example", Resources(4000, 8 << 30, false), STAKE);
        vm.stopPrank();
    }

    function _raw(bytes32 hash) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"01551220", hash);
    }

    function _dagPb(bytes32 hash) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"01701220", hash);
    }

    /// The text form of a binary CID, written another way than the contract reads it.
    function _text(bytes memory cid) internal pure returns (string memory) {
        bytes memory alphabet = "abcdefghijklmnopqrstuvwxyz234567";
        bytes memory text = new bytes(59);
        text[0] = "b";
        uint256 bits;
        uint256 held;
        uint256 at_ = 1;
        for (uint256 i = 0; i < cid.length; ++i) {
            held = (held << 8) | uint8(cid[i]);
            bits += 8;
            while (bits >= 5) {
                bits -= 5;
                text[at_++] = alphabet[(held >> bits) & 31];
            }
        }
        text[at_] = alphabet[(held << (5 - bits)) & 31];
        return string(text);
    }

    function _publish(address publisher, string memory agentId, bytes memory artifactCid, uint32 window)
        internal
        returns (uint64)
    {
        vm.prank(publisher);
        return _publishOn(manager, agentId, artifactCid, window);
    }

    /// By whoever is the caller then.
    function _publishOn(Manager market, string memory agentId, bytes memory artifactCid, uint32 window)
        internal
        returns (uint64)
    {
        return market.publish(
            agentId,
            _raw(MANIFEST),
            MANIFEST,
            artifactCid,
            ARTIFACT,
            CONFIG,
            Resources(250, 256 << 20, false),
            MAX_RATE,
            window,
            500_000
        );
    }

    function _publish(uint32 window) internal returns (uint64) {
        return _publish(client, AGENT, _raw(ARTIFACT), window);
    }

    function _params(uint64 publication) internal pure returns (DeployParams memory params) {
        params.publication = publication;
        params.payment = PAYMENT;
    }

    function _deploy(uint32 window) internal returns (uint64 id) {
        DeployParams memory params = _params(_publish(window));
        vm.prank(client);
        id = manager.deploy(params);
    }

    function _terms(Selection selection) internal pure returns (Terms memory terms) {
        terms.selection = selection;
    }

    /// An order of the client's that chooses so.
    function _deployUnder(uint64 publication, Selection selection) internal returns (uint64 id) {
        vm.prank(client);
        id = manager.deployUnder(_params(publication), _terms(selection));
    }

    /// Good for an hour, to anybody, for just what `_publish` asks.
    function _offer(address node, uint64 nonce) internal view returns (Offer memory) {
        return Offer(node, address(0), Resources(250, 256 << 20, false), RATE, uint64(_now() + 1 hours), nonce);
    }

    function _sign(uint256 key, Offer memory offer) internal view returns (bytes memory) {
        return _sign(key, offer, address(manager));
    }

    /// For this chain and a Manager, by the letter of EIP-712.
    function _sign(uint256 key, Offer memory offer, address market) internal view returns (bytes memory) {
        string memory needs = "Resources(uint32 cpuMillis,uint64 memoryBytes,bool gpu)";
        string memory form =
            "Offer(address node,address client,Resources upTo,uint128 rate,uint64 validUntil,uint64 nonce)";
        bytes32 kind = keccak256(bytes(string.concat(form, needs)));
        bytes32 upTo = keccak256(abi.encode(keccak256(bytes(needs)), offer.upTo));
        bytes32 said = keccak256(
            abi.encode(kind, offer.node, offer.client, upTo, offer.rate, offer.validUntil, offer.nonce)
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("nisse"),
                keccak256("1"),
                block.chainid,
                market
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, said)));
        return abi.encodePacked(r, s, v);
    }

    function _bid(uint64 id, address node, uint128 rate) internal {
        vm.prank(node);
        manager.bid(id, rate);
    }

    /// What a node commits itself to in the round that ends then.
    function _commitment(uint64 id, uint64 ends, address node, uint128 rate, bytes32 salt)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, manager, id, ends, node, rate, salt));
    }

    function _commit(uint64 id, address node, uint128 rate, bytes32 salt) internal returns (bytes32 commitment) {
        commitment = _commitment(id, manager.deployment(id).deadline, node, rate, salt);
        vm.prank(node);
        manager.commitBid(id, commitment);
    }

    function _reveal(uint64 id, address node, uint128 rate, bytes32 salt) internal {
        vm.prank(node);
        manager.revealBid(id, rate, salt);
    }

    /// Time passes. (`block.timestamp` itself would be read once and remembered by the optimizer.)
    function _pass(uint256 seconds_) internal virtual {
        vm.warp(_now() + seconds_);
    }

    function _now() internal view virtual returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function _start(uint64 id, address node) internal {
        vm.prank(node);
        manager.ackStart(id, 1);
    }

    function _beat(address node) internal {
        vm.prank(node);
        heartbeats.heartbeat("root");
    }

    /// The node of a lease is paid by now, and that is counted.
    function _settleAndCount(uint64 id) internal {
        manager.settle(id);
        reputation.count(manager, id);
    }

    /// A node's figures as if they had come to this by now, in seconds. The contract's first variable holds them.
    function _knownFor(address node, uint256 worked, uint256 faults) internal {
        uint256 word = worked << 16 | faults << 80 | _now() << 128;
        vm.store(address(reputation), keccak256(abi.encode(node, 0)), bytes32(word));
    }

    /// A lease of bob's at RATE that has just started.
    function _running() internal returns (uint64 id) {
        id = _deploy(0);
        _bid(id, bob, RATE);
        _start(id, bob);
    }

    function _state(uint64 id) internal view returns (State) {
        return manager.deployment(id).state;
    }

    function _is(uint64 id, State expected) internal view {
        eq(uint256(_state(id)), uint256(expected), "state");
    }
}
