//! An EVM address: the name of an owner, a node's operator or a contract on chain.

use std::fmt;
use std::str::FromStr;

/// Twenty bytes, printed as `0x` and 40 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// The first eight hex digits without `0x`: what tells owners apart in a host name.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Why a text is not an EVM address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as an address: expected 0x and 40 hex digits")]
pub struct ParseAddressError(pub String);

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Accepts any letter case; the EIP-55 checksum is not demanded.
    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let refused = || ParseAddressError(text.chars().take(60).collect());
        let digits = text.strip_prefix("0x").ok_or_else(refused)?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| refused())?;
        Ok(Self(bytes))
    }
}
