// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Resources, Publication} from "../src/Types.sol";
import {Cid} from "../src/Cid.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

contract CidCaller {
    function parse(bytes calldata cid) external pure returns (bytes32, bool) {
        return Cid.parse(cid);
    }

    function parseText(string calldata cid) external pure returns (bytes32, bool) {
        return Cid.parseText(cid);
    }
}

contract PublishTest is World {
    CidCaller private _cids;

    function setUp() public override {
        super.setUp();
        _cids = new CidCaller();
    }

    // ---- content identifiers ---------------------------------------------------------------------

    function test_a_known_text_parses_to_its_digest() external view {
        // The raw CID of "hello world\n" as public tools print it.
        (bytes32 digest, bool dagPb) = _cids.parseText("bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4");
        eq(uint256(digest), uint256(sha256("hello world\n")), "digest");
        yes(!dagPb, "raw");
    }

    function test_text_and_binary_agree(bytes32 hash, bool dagPb) external view {
        bytes memory cid = dagPb ? _dagPb(hash) : _raw(hash);
        (bytes32 a, bool b) = _cids.parse(cid);
        (bytes32 c, bool d) = _cids.parseText(_text(cid));
        yes(a == hash && c == hash && b == dagPb && d == dagPb, "same CID");
    }

    function test_a_changed_letter_never_parses_to_the_same(bytes32 hash, uint8 place, uint8 letter) external view {
        bytes memory text = bytes(_text(_raw(hash)));
        uint256 i = 1 + uint256(place) % 58;
        if (uint8(text[i]) == letter) return;
        text[i] = bytes1(letter);
        try _cids.parseText(string(text)) returns (bytes32 digest, bool dagPb) {
            yes(digest != hash || dagPb, "another CID");
        } catch {}
    }

    function test_other_texts_are_refused() external {
        bytes memory good = bytes(_text(_raw(ARTIFACT)));
        vm.expectRevert(abi.encodeWithSelector(Cid.CidLength.selector, 46, 59));
        _cids.parseText("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG");
        bytes memory text = bytes.concat(good);
        text[0] = "B";
        vm.expectRevert(abi.encodeWithSelector(Cid.CidNotBase32.selector, 0));
        _cids.parseText(string(text));
        for (uint256 i = 1; i < 59; i += 19) {
            text = bytes.concat(good);
            text[i] = "A";
            vm.expectRevert(abi.encodeWithSelector(Cid.CidNotBase32.selector, i));
            _cids.parseText(string(text));
        }
        // The two bits past the end must be zero: "b" is 1, "a" would be 0.
        text = bytes.concat(good);
        text[58] = "b";
        vm.expectRevert(abi.encodeWithSelector(Cid.CidNotBase32.selector, 58));
        _cids.parseText(string(text));
        // A CID of another codec (dag-cbor).
        vm.expectRevert(abi.encodeWithSelector(Cid.CidUnsupported.selector, uint32(0x01711220)));
        _cids.parseText(_text(abi.encodePacked(hex"01711220", ARTIFACT)));
    }

    function test_other_bytes_are_refused() external {
        vm.expectRevert(abi.encodeWithSelector(Cid.CidLength.selector, 35, 36));
        _cids.parse(new bytes(35));
        vm.expectRevert(abi.encodeWithSelector(Cid.CidUnsupported.selector, uint32(0x01551b20)));
        _cids.parse(abi.encodePacked(hex"01551b20", ARTIFACT));
    }

    // ---- publish ---------------------------------------------------------------------------------

    function test_a_publication_reads_back() external {
        uint64 id = _publish(600);
        Publication memory p = manager.publication(client, AGENT);
        eq(p.id, id, "id");
        eq(p.publisher, client, "publisher");
        eq(bytes(p.agentId), bytes(AGENT), "agent id");
        eq(p.manifestCid, _raw(MANIFEST), "manifest");
        eq(p.artifactCid, _raw(ARTIFACT), "artifact");
        yes(p.manifestHash == MANIFEST && p.artifactHash == ARTIFACT && p.configHash == CONFIG, "hashes");
        eq(p.resources.cpuMillis, 250, "cpu");
        eq(p.resources.memoryBytes, 256 << 20, "memory");
        eq(p.maxRate, MAX_RATE, "rate");
        eq(p.bidWindow, 600, "window");
        eq(p.gasBudget, 500_000, "gas");
        eq(p.publishedAt, _now(), "time");
    }

    function test_a_later_publication_leaves_the_earlier_as_it_was() external {
        uint64 first = _publish(600);
        uint64 second = _publish(client, AGENT, _dagPb(CONFIG), 0);
        eq(manager.publication(client, AGENT).id, second, "newest");
        Publication memory p = manager.publicationById(first);
        eq(p.bidWindow, 600, "window");
        eq(p.artifactCid, _raw(ARTIFACT), "artifact");
        eq(manager.publicationById(second).artifactCid, _dagPb(CONFIG), "tree root");
    }

    function test_publications_of_others_stay_apart() external {
        _publish(600);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotPublished.selector, bob, AGENT));
        manager.publication(bob, AGENT);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, 9));
        manager.publicationById(9);
    }

    function _refused(bytes memory why, Publication memory p) private {
        vm.expectRevert(why);
        manager.publish(
            p.agentId,
            p.manifestCid,
            p.manifestHash,
            p.artifactCid,
            p.artifactHash,
            p.configHash,
            p.resources,
            p.maxRate,
            p.bidWindow,
            p.gasBudget
        );
    }

    function _good() private pure returns (Publication memory p) {
        p.agentId = AGENT;
        p.manifestCid = _raw(MANIFEST);
        p.manifestHash = MANIFEST;
        p.artifactCid = _raw(ARTIFACT);
        p.artifactHash = ARTIFACT;
        p.resources = Resources(250, 256 << 20, false);
        p.maxRate = MAX_RATE;
    }

    function test_a_raw_artifact_cid_of_other_bytes_is_refused() external {
        Publication memory p = _good();
        p.artifactCid = _raw(CONFIG);
        _refused(abi.encodeWithSelector(MarketEvents.ArtifactCidMismatch.selector, CONFIG, ARTIFACT), p);
    }

    function test_a_manifest_cid_must_be_raw_and_of_the_manifest() external {
        Publication memory p = _good();
        p.manifestCid = _dagPb(MANIFEST);
        _refused(abi.encodeWithSelector(MarketEvents.ManifestCidNotRaw.selector), p);
        p.manifestCid = _raw(CONFIG);
        _refused(abi.encodeWithSelector(MarketEvents.ManifestCidMismatch.selector, CONFIG, MANIFEST), p);
    }

    function test_agent_ids_need_a_name_and_a_version() external {
        Publication memory p = _good();
        p.agentId = "";
        _refused(abi.encodeWithSelector(MarketEvents.AgentIdLength.selector, 0, 128), p);
        p.agentId = string(new bytes(129));
        _refused(abi.encodeWithSelector(MarketEvents.AgentIdLength.selector, 129, 128), p);
        string[3] memory bad = ["talos.oracle", "@v1.0.0", "talos.oracle@"];
        for (uint256 i = 0; i < bad.length; ++i) {
            p.agentId = bad[i];
            _refused(abi.encodeWithSelector(MarketEvents.AgentIdWithoutVersion.selector), p);
        }
    }

    function test_figures_out_of_range_are_refused() external {
        Publication memory p = _good();
        p.artifactHash = 0;
        p.artifactCid = _raw(0);
        _refused(abi.encodeWithSelector(MarketEvents.ArtifactHashZero.selector), p);
        p = _good();
        p.resources.cpuMillis = 0;
        _refused(abi.encodeWithSelector(MarketEvents.ResourcesZero.selector), p);
        p = _good();
        p.resources.memoryBytes = 0;
        _refused(abi.encodeWithSelector(MarketEvents.ResourcesZero.selector), p);
        p.resources.memoryBytes = 1 << 56;
        _refused(abi.encodeWithSelector(MarketEvents.AmountTooLarge.selector, 1 << 56, (1 << 56) - 1), p);
        p = _good();
        p.gasBudget = 1 << 48;
        _refused(abi.encodeWithSelector(MarketEvents.AmountTooLarge.selector, 1 << 48, (1 << 48) - 1), p);
        p = _good();
        p.maxRate = 1 << 80;
        _refused(abi.encodeWithSelector(MarketEvents.RateTooHigh.selector, 1 << 80, (1 << 80) - 1), p);
        p = _good();
        p.bidWindow = 7 days + 1;
        _refused(abi.encodeWithSelector(MarketEvents.BidWindowTooLong.selector, 7 days + 1, 7 days), p);
    }
}
