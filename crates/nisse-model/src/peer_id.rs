//! A libp2p peer id, as content routing names providers.

use std::fmt;

use cid::multibase::Base;

/// `KeyType::Secp256k1` with its tag and the key's tag and length, as libp2p writes a public key (peer-ids, §Keys).
const SECP256K1: [u8; 4] = [0x08, 0x02, 0x12, 33];

/// The id of a peer with a secp256k1 key: the key itself, by the identity hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerId([u8; 39]);

impl PeerId {
    /// Of the key with this compressed point.
    pub fn of_secp256k1(point: &[u8; 33]) -> Self {
        let mut bytes = [0; 39];
        // Identity (0x00), 37 bytes.
        bytes[..2].copy_from_slice(&[0x00, 37]);
        bytes[2..6].copy_from_slice(&SECP256K1);
        bytes[6..].copy_from_slice(point);
        Self(bytes)
    }
}

impl fmt::Display for PeerId {
    /// `16Uiu2HA…`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&Base::Base58Btc.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_libp2p_does() {
        // The key of the specification's own vector for secp256k1 (peer-ids, §Test vectors).
        let key = hex::decode("037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99").expect("hex");
        let point: [u8; 33] = key.try_into().expect("33 bytes");
        let text = PeerId::of_secp256k1(&point).to_string();
        assert!(text.starts_with("16Uiu2H") && text.len() == 53, "{text}");
        assert_eq!(Base::Base58Btc.decode(&text).expect("base58"), [&[0, 37, 8, 2, 0x12, 33][..], &point].concat());
    }
}
