//! A head of a document as automerge-repo writes it: a change's hash in base58 with a check sum
//! (`encodeHeads` in automerge-repo's `src/AutomergeUrl.ts`).

use automerge::ChangeHash;
use sha2::{Digest as _, Sha256};

use super::MessageError;

/// The bytes of a hash.
const HASH_BYTES: usize = 32;
/// The bytes of a hash and its check sum.
const CHECKED_BYTES: usize = HASH_BYTES + 4;
/// The most base58 digits of that many bytes.
const DIGITS_MAX: usize = 50;

/// The first four bytes of the double SHA-256.
fn check_sum(bytes: &[u8]) -> [u8; 4] {
    let digest = Sha256::digest(Sha256::digest(bytes));
    [digest[0], digest[1], digest[2], digest[3]]
}

/// A head, as it stands in a message.
#[must_use]
pub fn head_text(head: &ChangeHash) -> String {
    let mut bytes = head.0.to_vec();
    bytes.extend(check_sum(&head.0));
    bs58::encode(bytes).into_string()
}

/// Reads a head out of a message.
///
/// # Errors
/// When it is no base58 with a right check sum, or of another length.
pub fn parse_head(text: &str) -> Result<ChangeHash, MessageError> {
    let refused = || MessageError::Head(text.chars().take(60).collect());
    let mut bytes = [0; CHECKED_BYTES];
    let length = if text.len() <= DIGITS_MAX { bs58::decode(text).onto(&mut bytes[..]).ok() } else { None };
    let (hash, sum) = bytes.split_first_chunk::<HASH_BYTES>().ok_or_else(refused)?;
    if length == Some(CHECKED_BYTES) && check_sum(hash) == *sum { Ok(ChangeHash(*hash)) } else { Err(refused()) }
}
