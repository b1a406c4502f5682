//! The state at one block, so that a restart need not run the blocks before it.
//!
//! A snapshot is a cache: one that is absent, torn, of another version or of an abandoned block is ignored, and the
//! chain is replayed from its log. Format v1: a version byte, an RLP list, the Keccak-256 of both.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::rlp::{self, Decodable};
use revm::bytecode::Bytecode;
use revm::database::AccountState;
use revm::state::AccountInfo;

use super::evm::Database;
use super::record::encode_list;

const VERSION: u8 = 1;
/// Largest snapshot that is read back.
pub(crate) const SNAPSHOT_BYTES_MAX: u64 = 1 << 30;

/// The state as it was behind one block.
pub(crate) struct Snapshot {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) database: Database,
}

/// Writes the state behind block `number`. Equal states give equal bytes.
pub(crate) fn encode(number: u64, hash: B256, database: &Database) -> Vec<u8> {
    let mut accounts: Vec<_> = database
        .cache
        .accounts
        .iter()
        .filter(|(_, account)| !matches!(account.account_state, AccountState::NotExisting))
        .collect();
    accounts.sort_unstable_by_key(|(address, _)| **address);
    let entries: Vec<Bytes> = accounts
        .into_iter()
        .map(|(address, account)| {
            let mut storage: Vec<_> = account.storage.iter().filter(|(_, value)| !value.is_zero()).collect();
            storage.sort_unstable_by_key(|(key, _)| **key);
            let storage: Vec<U256> = storage.into_iter().flat_map(|(key, value)| [*key, *value]).collect();
            let code = database.cache.contracts.get(&account.info.code_hash).map(Bytecode::original_bytes);
            let mut entry = Vec::new();
            let code = code.unwrap_or_default();
            encode_list(&mut entry, &[address, &account.info.balance, &account.info.nonce, &code, &storage]);
            Bytes::from(entry)
        })
        .collect();
    let mut out = vec![VERSION];
    encode_list(&mut out, &[&number, &hash, &entries]);
    let checksum = keccak256(&out);
    out.extend_from_slice(checksum.as_slice());
    out
}

/// Reads a snapshot, or `None` when these bytes are not a whole one.
pub(crate) fn decode(bytes: &[u8]) -> Option<Snapshot> {
    let (content, checksum) = bytes.split_last_chunk::<32>()?;
    if keccak256(content) != *checksum || content.first() != Some(&VERSION) {
        return None;
    }
    read(content.get(1..)?).ok()
}

fn read(mut content: &[u8]) -> Result<Snapshot, rlp::Error> {
    let fields = &mut rlp::Header::decode_bytes(&mut content, true)?;
    let (number, hash) = (u64::decode(fields)?, B256::decode(fields)?);
    let mut database = Database::default();
    for entry in Vec::<Bytes>::decode(fields)? {
        let mut entry = entry.as_ref();
        let fields = &mut rlp::Header::decode_bytes(&mut entry, true)?;
        let address = Address::decode(fields)?;
        let (balance, nonce) = (U256::decode(fields)?, u64::decode(fields)?);
        let code = Bytecode::new_raw_checked(Bytes::decode(fields)?).map_err(|_| rlp::Error::Custom("code"))?;
        let storage = Vec::<U256>::decode(fields)?;
        database.insert_account_info(address, AccountInfo::new(balance, nonce, code.hash_slow(), code));
        let account = database.cache.accounts.entry(address).or_default();
        for pair in storage.chunks_exact(2) {
            account.storage.insert(pair[0], pair[1]);
        }
    }
    Ok(Snapshot { number, hash, database })
}
