//! The vault as it is stored, version 2: one CBOR file, `[version, body, MAC over the body]`, replaced whole by each change.
//!
//! The body is `[counter, ways, tenants, secrets, keys]`; one of version 1 has no keys, and is read. Nothing of an earlier
//! file is a part of a later one: what was removed is gone from the file with the change that removed it.

use std::collections::BTreeMap;

use minicbor::decode::{Decoder, Error as CborError};
use minicbor::encode::Encoder;
use nisse_model::SecretName;

use crate::key::Key;
use crate::signing::KeyKind;
use crate::unlock::{Cost, UnlockKind, Way};

/// The first item of a file that is written.
const VERSION: u64 = 2;
/// The first item of a file of before there were keys in it.
const VERSION_WITHOUT_KEYS: u64 = 1;

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredSecret {
    /// Counts from 1, up with each change.
    pub(crate) version: u64,
    /// Milliseconds since 1970.
    pub(crate) changed: u64,
    /// The version's own key, under the tenant's.
    pub(crate) key: Vec<u8>,
    /// The value, under that.
    pub(crate) value: Vec<u8>,
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredKey {
    pub(crate) kind: KeyKind,
    /// As many bytes as its kind has.
    pub(crate) public: Vec<u8>,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// The key's own key, under that of all keys.
    pub(crate) key: Vec<u8>,
    /// The secret part, under that.
    pub(crate) secret: Vec<u8>,
}

/// What a vault holds, all of it sealed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Body {
    /// Changes of the vault so far.
    pub(crate) counter: u64,
    /// Each kind once.
    pub(crate) ways: BTreeMap<UnlockKind, Way>,
    /// The tenants' keys, under the root key.
    pub(crate) tenants: BTreeMap<String, Vec<u8>>,
    pub(crate) secrets: BTreeMap<(String, SecretName), StoredSecret>,
    /// Keys that sign.
    pub(crate) keys: BTreeMap<SecretName, StoredKey>,
}

/// A file of which nothing is known but its form.
#[derive(Debug, Clone)]
pub(crate) struct StoredVault {
    pub(crate) body: Body,
    version: u64,
    bytes: Vec<u8>,
    mac: [u8; 32],
}

/// A file did not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoredError {
    Newer(u64),
    Malformed,
}

impl From<CborError> for StoredError {
    fn from(_: CborError) -> Self {
        Self::Malformed
    }
}

type Written = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

fn encoded(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Written) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
    bytes
}

fn items(decoder: &mut Decoder<'_>, expected: u64) -> Result<(), StoredError> {
    if decoder.array()? == Some(expected) { Ok(()) } else { Err(StoredError::Malformed) }
}

fn list(decoder: &mut Decoder<'_>) -> Result<u64, StoredError> {
    decoder.array()?.ok_or(StoredError::Malformed)
}

fn fixed<const N: usize>(decoder: &mut Decoder<'_>) -> Result<[u8; N], StoredError> {
    decoder.bytes()?.try_into().map_err(|_| StoredError::Malformed)
}

impl StoredVault {
    /// The file of a body, under this root key.
    pub(crate) fn new(body: Body, root: &Key) -> Self {
        let bytes = body.encode(VERSION);
        let mac = root.derive("index").mac(&bytes);
        Self { body, version: VERSION, bytes, mac }
    }

    /// Whether this root key made it.
    pub(crate) fn is_of(&self, root: &Key) -> bool {
        root.derive("index").has_made(&self.mac, &self.bytes)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encoded(|encoder| {
            encoder.array(3)?.u64(self.version)?.bytes(&self.bytes)?.bytes(&self.mac)?;
            Ok(())
        })
    }

    pub(crate) fn decode(file: &[u8]) -> Result<Self, StoredError> {
        let mut decoder = Decoder::new(file);
        let found = decoder.array()?;
        let version = match decoder.u64()? {
            known @ VERSION_WITHOUT_KEYS..=VERSION if found == Some(3) => known,
            ..=VERSION => return Err(StoredError::Malformed),
            newer => return Err(StoredError::Newer(newer)),
        };
        let bytes = decoder.bytes()?.to_vec();
        let stored = Self { body: Body::decode(&bytes, version)?, version, mac: fixed(&mut decoder)?, bytes };
        // One file has one form.
        if stored.encode() == file { Ok(stored) } else { Err(StoredError::Malformed) }
    }
}

impl Body {
    /// The number of items says which version it is, too: a body is of no other one than its file.
    fn items(version: u64) -> u64 {
        if version == VERSION_WITHOUT_KEYS { 4 } else { 5 }
    }

    fn encode(&self, version: u64) -> Vec<u8> {
        encoded(|encoder| {
            encoder.array(Self::items(version))?.u64(self.counter)?.array(self.ways.len() as u64)?;
            for way in self.ways.values() {
                encoder.array(5)?.u8(way.kind as u8)?.u32(way.cost.memory_kib)?.u32(way.cost.passes)?;
                encoder.bytes(&way.salt)?.bytes(&way.sealed_root)?;
            }
            encoder.array(self.tenants.len() as u64)?;
            for (tenant, key) in &self.tenants {
                encoder.array(2)?.str(tenant)?.bytes(key)?;
            }
            encoder.array(self.secrets.len() as u64)?;
            for ((tenant, name), secret) in &self.secrets {
                encoder.array(6)?.str(tenant)?.str(name.as_str())?.u64(secret.version)?.u64(secret.changed)?;
                encoder.bytes(&secret.key)?.bytes(&secret.value)?;
            }
            if version == VERSION_WITHOUT_KEYS {
                return Ok(());
            }
            encoder.array(self.keys.len() as u64)?;
            for (name, key) in &self.keys {
                encoder.array(6)?.str(name.as_str())?.u8(key.kind as u8)?.bytes(&key.public)?.u64(key.created)?;
                encoder.bytes(&key.key)?.bytes(&key.secret)?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8], version: u64) -> Result<Self, StoredError> {
        let mut decoder = Decoder::new(bytes);
        items(&mut decoder, Self::items(version))?;
        let mut body = Self { counter: decoder.u64()?, ..Self::default() };
        for _ in 0..list(&mut decoder)? {
            items(&mut decoder, 5)?;
            let kind = UnlockKind::ALL.get(usize::from(decoder.u8()?)).copied().ok_or(StoredError::Malformed)?;
            let cost = Cost { memory_kib: decoder.u32()?, passes: decoder.u32()? };
            let salt = fixed(&mut decoder)?;
            body.ways.insert(kind, Way { kind, cost, salt, sealed_root: decoder.bytes()?.to_vec() });
        }
        for _ in 0..list(&mut decoder)? {
            items(&mut decoder, 2)?;
            body.tenants.insert(decoder.str()?.to_owned(), decoder.bytes()?.to_vec());
        }
        for _ in 0..list(&mut decoder)? {
            items(&mut decoder, 6)?;
            let tenant = decoder.str()?.to_owned();
            let name = decoder.str()?.parse().map_err(|_| StoredError::Malformed)?;
            let (version, changed) = (decoder.u64()?, decoder.u64()?);
            let (key, value) = (decoder.bytes()?.to_vec(), decoder.bytes()?.to_vec());
            body.secrets.insert((tenant, name), StoredSecret { version, changed, key, value });
        }
        let keys = if version == VERSION_WITHOUT_KEYS { 0 } else { list(&mut decoder)? };
        for _ in 0..keys {
            items(&mut decoder, 6)?;
            let name = decoder.str()?.parse().map_err(|_| StoredError::Malformed)?;
            let kind = KeyKind::from_number(decoder.u8()?).ok_or(StoredError::Malformed)?;
            let (public, created) = (decoder.bytes()?.to_vec(), decoder.u64()?);
            let (key, secret) = (decoder.bytes()?.to_vec(), decoder.bytes()?.to_vec());
            if public.len() != kind.public_length() {
                return Err(StoredError::Malformed);
            }
            body.keys.insert(name, StoredKey { kind, public, created, key, secret });
        }
        // Out of order, twice or with something behind it: then it is another form of the same.
        if body.encode(version) == bytes { Ok(body) } else { Err(StoredError::Malformed) }
    }
}
