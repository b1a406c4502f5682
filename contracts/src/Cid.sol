// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Content identifiers on chain
/// @notice Knows exactly two forms, both CIDv1 with a SHA-256 digest: raw (the digest is the content's hash)
/// and dag-pb (the digest is of a tree's root). Binary: `01 codec 12 20 digest`, 36 bytes. Text: `b` and 58
/// characters of lower-case base32 without padding.
library Cid {
    /// @notice Length of the binary form.
    uint256 internal constant BYTES = 36;
    /// @notice Length of the text form.
    uint256 internal constant TEXT_BYTES = 59;

    uint256 private constant RAW = 0x01551220;
    uint256 private constant DAG_PB = 0x01701220;

    /// @notice Bytes found, and bytes expected.
    error CidLength(uint256 found, uint256 expected);
    /// @notice The character at this place is none of lower-case base32, or leaves bits over.
    error CidNotBase32(uint256 position);
    /// @notice Not CIDv1, raw or dag-pb, with SHA-256; the first four bytes found.
    error CidUnsupported(uint32 prefix);

    /// @notice Digest and codec of a binary CID.
    function parse(bytes calldata cid) internal pure returns (bytes32 digest, bool dagPb) {
        if (cid.length != BYTES) revert CidLength(cid.length, BYTES);
        dagPb = _codec(uint32(bytes4(cid[:4])));
        digest = bytes32(cid[4:]);
    }

    /// @notice Digest and codec of a CID's text form.
    function parseText(string calldata cid) internal pure returns (bytes32 digest, bool dagPb) {
        bytes calldata text = bytes(cid);
        if (text.length != TEXT_BYTES) revert CidLength(text.length, TEXT_BYTES);
        if (text[0] != "b") revert CidNotBase32(0);
        uint256 head;
        uint256 tail;
        uint256 bad;
        // 58 characters are 290 bits. The first 7 hold the prefix and 3 bits of the digest, the other
        // 51 hold its 253 bits and two zeros at the end, which a canonical text must have.
        // A character's value is byte `c - 0x32` of two table words; 0xff stands where none is.
        assembly ("memory-safe") {
            function value(c) -> v {
                // '2'..'7' are 26..31, 'a'..'z' are 0..25.
                switch lt(sub(c, 0x61), 26)
                case 1 { v := sub(c, 0x61) }
                default {
                    switch lt(sub(c, 0x32), 6)
                    case 1 { v := sub(c, 24) }
                    default { v := 0xff }
                }
            }
            let start := text.offset
            let i := 1
            for {} lt(i, 8) { i := add(i, 1) } {
                let v := value(byte(0, calldataload(add(start, i))))
                if gt(v, 31) {
                    bad := i
                    break
                }
                head := or(shl(5, head), v)
            }
            if iszero(bad) {
                // 50 characters by shifting; the 51st holds the last 3 bits and the two zeros.
                for {} lt(i, 58) { i := add(i, 1) } {
                    let v := value(byte(0, calldataload(add(start, i))))
                    if gt(v, 31) {
                        bad := i
                        break
                    }
                    tail := or(shl(5, tail), v)
                }
                if iszero(bad) {
                    let v := value(byte(0, calldataload(add(start, 58))))
                    switch or(gt(v, 31), and(v, 3))
                    case 0 { tail := or(shl(3, tail), shr(2, v)) }
                    default { bad := 58 }
                }
            }
        }
        if (bad != 0) revert CidNotBase32(bad);
        dagPb = _codec(uint32(head >> 3));
        digest = bytes32((head << 253) | tail);
    }

    /// @notice The binary form.
    function encode(bytes32 digest, bool dagPb) internal pure returns (bytes memory) {
        return abi.encodePacked(uint32(dagPb ? DAG_PB : RAW), digest);
    }

    function _codec(uint32 prefix) private pure returns (bool dagPb) {
        if (prefix == RAW) return false;
        if (prefix == DAG_PB) return true;
        revert CidUnsupported(prefix);
    }
}
