//! Which spaces a home holds, and what it calls them.

use std::sync::Arc;

use minicbor::{Decoder, Encoder};
use nisse_model::{CredentialId, Hash256};
use nisse_store::{Database, Rows, Table};

use super::{StoreError, items};

const REGISTER: Table = Table::new("space.register");
/// The first item of a row.
const VERSION: u64 = 2;
/// Of homes whose spaces had no names of chunks by document yet.
const VERSION_BEFORE: u64 = 1;

/// A space that a home holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The space.
    pub space: CredentialId,
    /// What this home calls it.
    pub name: String,
    /// Names this replica among all that hold the space: drawn where it was made.
    pub replica: [u8; 16],
}

impl Registered {
    /// The longest name, in bytes.
    pub const NAME_MAX: usize = 64;

    /// Notes a space, durable when this returns.
    pub fn keep(&self, database: &Database) -> Result<(), StoreError> {
        let mut row = Vec::new();
        self.write(&mut Encoder::new(&mut row)).expect("writing to memory does not fail");
        database.write(|rows| Ok(rows.put(REGISTER, &self.space.0.0, &row)?))
    }

    fn write(
        &self,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        encoder.array(3)?.u64(VERSION)?.str(&self.name)?.bytes(&self.replica)?;
        Ok(())
    }

    /// All of them, by the space's name. What an older nisse kept of them is brought into today's form.
    pub fn all(database: &Arc<Database>) -> Result<Vec<Self>, StoreError> {
        let (mut all, mut old, mut damaged, mut newer) = (Vec::new(), Vec::new(), None, None);
        database.read::<_, StoreError>(|rows| {
            rows.with_prefix(REGISTER, &[], &mut |key, row| {
                match key.try_into().ok().and_then(|space| Self::read(CredentialId(Hash256(space)), row)) {
                    Some((registered, version)) => {
                        if version == VERSION_BEFORE {
                            old.push(registered.clone());
                        }
                        all.push(registered);
                    }
                    None if version(row).is_some_and(|version| version > VERSION) => newer = version(row),
                    None => damaged = Some(Hash256::of(row)),
                }
                true
            })?;
            Ok(())
        })?;
        if let Some(version) = newer {
            let why = format!("one is of version {version}, and this nisse knows version {VERSION}: use a newer nisse");
            return Err(StoreError::Register(why));
        }
        if let Some(row) = damaged {
            return Err(StoreError::Register(format!("a row of it, {row}, is none of ours")));
        }
        for registered in old {
            items::renew(database, registered.space)?;
            registered.keep(database)?;
        }
        Ok(all)
    }

    /// Whether some are in a form of before, which [`Self::all`] makes today's: the time to keep a copy of the file.
    pub fn has_older(database: &Database) -> Result<bool, StoreError> {
        let mut found = false;
        database.read::<_, StoreError>(|rows| {
            rows.with_prefix(REGISTER, &[], &mut |_, row| {
                found |= version(row) == Some(VERSION_BEFORE);
                true
            })?;
            Ok(())
        })?;
        Ok(found)
    }

    /// With the version of the row.
    fn read(space: CredentialId, row: &[u8]) -> Option<(Self, u64)> {
        let mut decoder = Decoder::new(row);
        let items = decoder.array().ok()?;
        let version = decoder.u64().ok()?;
        if items != Some(3) || !matches!(version, VERSION | VERSION_BEFORE) {
            return None;
        }
        let name = decoder.str().ok()?.to_owned();
        let replica = decoder.bytes().ok()?.try_into().ok()?;
        Some((Self { space, name, replica }, version))
    }
}

/// The version that a row says.
fn version(row: &[u8]) -> Option<u64> {
    let mut decoder = Decoder::new(row);
    decoder.array().ok()?;
    decoder.u64().ok()
}
