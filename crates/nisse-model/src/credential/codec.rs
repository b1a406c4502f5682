//! The stored form of a credential, version 1: one CBOR array of eight items, the signature last.
//!
//! Deterministic (RFC 8949 §4.2.1): definite lengths and shortest integers only. Decoding encodes again and compares.

use minicbor::decode::{Decoder, Error as CborError};
use minicbor::encode::Encoder;

use super::{Claim, Credential, CredentialId, Did, Label, Role, Scope, Statement};
use crate::{Address, Hash256, Timestamp};

/// The first item of the stored form.
const VERSION: u64 = 1;
/// Items of the outer array; what is signed has one less.
const ITEMS: u64 = 8;

/// Why bytes or a statement are no credential. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Longer than [`Credential::LENGTH_MAX`].
    #[error("read a credential of {length} bytes: at most {max} are allowed", max = Credential::LENGTH_MAX)]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// A form of another version.
    #[error("read a credential of version {0}: this nisse knows version 1")]
    Version(u64),
    /// Not the CBOR that a credential is made of.
    #[error("read a credential: {0}")]
    Malformed(String),
    /// The same credential spelled otherwise, or with something behind it.
    #[error("read a credential: it is not in its one canonical form")]
    NotCanonical,
    /// Something that nobody may say.
    #[error("accept a credential: {0}")]
    Flaw(&'static str),
    /// Signed by nobody, or by somebody else.
    #[error("verify a credential: its signature is not one of {0}")]
    Signature(Did),
    /// A wallet's signature by another key.
    #[error("verify a credential: the wallet {0} did not sign that it is this identity's")]
    Wallet(Address),
}

impl From<CborError> for CredentialError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Refuses what no log may hold, whoever says it.
pub(super) fn check(statement: &Statement) -> Result<(), CredentialError> {
    let Statement { issuer, subject, parents, claim, .. } = statement;
    if parents.len() > Statement::PARENTS_MAX {
        return Err(CredentialError::Flaw("more than 1024 parents"));
    }
    if !parents.is_sorted_by(|one, next| one < next) {
        return Err(CredentialError::Flaw("parents stand in order, each once"));
    }
    if let Some(flaw) = claim.flaw(*issuer, *subject, parents.len()) {
        return Err(CredentialError::Flaw(flaw));
    }
    match encode(statement, &[0; 64]).len() {
        length if length > Credential::LENGTH_MAX => Err(CredentialError::TooLong { length }),
        _ => Ok(()),
    }
}

type Written = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

/// What is signed.
pub(super) fn statement_bytes(statement: &Statement) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(statement, ITEMS - 1, &mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
    bytes
}

/// What is stored.
pub(super) fn encode(statement: &Statement, signature: &[u8; 64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    write(statement, ITEMS, &mut encoder).expect("writing to memory does not fail");
    encoder.bytes(signature).expect("writing to memory does not fail");
    bytes
}

fn write(statement: &Statement, items: u64, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    encoder.array(items)?.u64(VERSION)?.bytes(&statement.issuer.0)?.bytes(&statement.subject.0)?;
    encoder.array(statement.parents.len() as u64)?;
    for parent in &statement.parents {
        encoder.bytes(&parent.0.0)?;
    }
    encoder.u64(statement.issued.0)?.bytes(&statement.nonce)?;
    write_claim(&statement.claim, encoder)
}

fn write_claim(claim: &Claim, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    match claim {
        Claim::IdentityGenesis { device, name } => named(encoder, 0, device, name)?,
        Claim::DeviceAdd { device, name } => named(encoder, 1, device, name)?,
        Claim::DeviceRename { device, name } => named(encoder, 2, device, name)?,
        Claim::DeviceRevoke { device, seen } => {
            encoder.array(3)?.u64(3)?.bytes(&device.0)?.array(seen.len() as u64)?;
            for head in seen {
                encoder.bytes(&head.0.0)?;
            }
            encoder
        }
        Claim::WalletBinding { wallet, signature } => encoder.array(3)?.u64(4)?.bytes(&wallet.0)?.bytes(signature)?,
        Claim::AgentDelegation { agent, name, scopes, expires, proof } => {
            encoder.array(6)?.u64(5)?.bytes(&agent.0)?.str(name.as_str())?.array(scopes.len() as u64)?;
            for scope in scopes {
                write_scope(scope, encoder)?;
            }
            optional(encoder.u64(expires.0)?, proof.map(|proof| proof.0.0))?
        }
        Claim::SpaceGenesis => encoder.array(1)?.u64(6)?,
        Claim::Member { space, member, role } => {
            encoder.array(4)?.u64(7)?.bytes(&space.0.0)?.bytes(&member.0)?.u64(*role as u64)?
        }
        Claim::MemberRevoke { space, member } => encoder.array(3)?.u64(8)?.bytes(&space.0.0)?.bytes(&member.0)?,
        Claim::Capability { audience, scope, expires, proof } => {
            encoder.array(5)?.u64(9)?.bytes(&audience.0)?;
            write_scope(scope, encoder)?;
            optional(encoder.u64(expires.0)?, proof.map(|proof| proof.0.0))?
        }
        Claim::Invitation { space, key, role, expires, uses, invitee } => {
            encoder.array(7)?.u64(10)?.bytes(&space.0.0)?.bytes(&key.0)?.u64(*role as u64)?.u64(expires.0)?;
            optional(encoder.u32(*uses)?, invitee.map(|invitee| invitee.0))?
        }
        Claim::Join { invitation, member } => encoder.array(3)?.u64(11)?.bytes(&invitation.0.0)?.bytes(&member.0)?,
        Claim::Withdraw { credential } => encoder.array(2)?.u64(12)?.bytes(&credential.0.0)?,
    };
    Ok(())
}

type Encoded<'e, 'b> = Result<&'e mut Encoder<&'b mut Vec<u8>>, minicbor::encode::Error<core::convert::Infallible>>;

fn named<'e, 'b>(encoder: &'e mut Encoder<&'b mut Vec<u8>>, kind: u64, device: &Did, name: &Label) -> Encoded<'e, 'b> {
    encoder.array(3)?.u64(kind)?.bytes(&device.0)?.str(name.as_str())
}

fn optional<'e, 'b>(encoder: &'e mut Encoder<&'b mut Vec<u8>>, bytes: Option<[u8; 32]>) -> Encoded<'e, 'b> {
    match bytes {
        Some(bytes) => encoder.bytes(&bytes),
        None => encoder.null(),
    }
}

fn write_scope(scope: &Scope, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    encoder.array(2)?.str(scope.command().as_str())?.array(2 * scope.conditions().len() as u64)?;
    for (key, value) in scope.conditions() {
        encoder.str(key)?.str(value)?;
    }
    Ok(())
}

/// Reads the stored form; its signature is not verified here.
pub(super) fn decode(bytes: &[u8]) -> Result<(Statement, [u8; 64]), CredentialError> {
    if bytes.len() > Credential::LENGTH_MAX {
        return Err(CredentialError::TooLong { length: bytes.len() });
    }
    let mut decoder = Decoder::new(bytes);
    let (statement, signature) = read(&mut decoder)?;
    if encode(&statement, &signature) != bytes {
        return Err(CredentialError::NotCanonical);
    }
    Ok((statement, signature))
}

fn read(decoder: &mut Decoder<'_>) -> Result<(Statement, [u8; 64]), CredentialError> {
    let items = array(decoder)?;
    let version = decoder.u64()?;
    if version != VERSION {
        return Err(CredentialError::Version(version));
    }
    expect_items(items, ITEMS)?;
    let (issuer, subject) = (did(decoder)?, did(decoder)?);
    let parents = read_ids(decoder, Statement::PARENTS_MAX)?;
    let issued = Timestamp(decoder.u64()?);
    let nonce = fixed(decoder, "a nonce")?;
    let claim = read_claim(decoder)?;
    let signature = fixed(decoder, "a signature")?;
    Ok((Statement { issuer, subject, parents, issued, nonce, claim }, signature))
}

/// Items of each kind's array, by its number.
const CLAIM_ITEMS: [u64; 13] = [3, 3, 3, 3, 3, 6, 1, 4, 3, 5, 7, 3, 2];

/// Fields are read in the order of the stored form; a literal evaluates them as they are written.
fn read_claim(decoder: &mut Decoder<'_>) -> Result<Claim, CredentialError> {
    let items = array(decoder)?;
    let kind = decoder.u64()?;
    let known = usize::try_from(kind).ok().and_then(|kind| CLAIM_ITEMS.get(kind));
    expect_items(items, *known.ok_or_else(|| malformed(format!("a claim of kind {kind} is unknown")))?)?;
    Ok(match kind {
        0 => Claim::IdentityGenesis { device: did(decoder)?, name: label(decoder)? },
        1 => Claim::DeviceAdd { device: did(decoder)?, name: label(decoder)? },
        2 => Claim::DeviceRename { device: did(decoder)?, name: label(decoder)? },
        3 => Claim::DeviceRevoke { device: did(decoder)?, seen: read_ids(decoder, Claim::SEEN_MAX)? },
        4 => Claim::WalletBinding {
            wallet: Address(fixed(decoder, "a wallet's address")?),
            signature: fixed(decoder, "a wallet's signature")?,
        },
        5 => Claim::AgentDelegation {
            agent: did(decoder)?,
            name: label(decoder)?,
            scopes: read_scopes(decoder)?,
            expires: Timestamp(decoder.u64()?),
            proof: maybe(decoder, credential)?,
        },
        6 => Claim::SpaceGenesis,
        7 => Claim::Member { space: credential(decoder)?, member: did(decoder)?, role: read_role(decoder)? },
        8 => Claim::MemberRevoke { space: credential(decoder)?, member: did(decoder)? },
        9 => Claim::Capability {
            audience: did(decoder)?,
            scope: read_scope(decoder)?,
            expires: Timestamp(decoder.u64()?),
            proof: maybe(decoder, credential)?,
        },
        10 => Claim::Invitation {
            space: credential(decoder)?,
            key: did(decoder)?,
            role: read_role(decoder)?,
            expires: Timestamp(decoder.u64()?),
            uses: decoder.u32()?,
            invitee: maybe(decoder, did)?,
        },
        11 => Claim::Join { invitation: credential(decoder)?, member: did(decoder)? },
        _ => Claim::Withdraw { credential: credential(decoder)? },
    })
}

fn read_ids(decoder: &mut Decoder<'_>, count_max: usize) -> Result<Vec<CredentialId>, CredentialError> {
    let count = array(decoder)?;
    if count > count_max as u64 {
        return Err(malformed(format!("{count} credentials stand where {count_max} may")));
    }
    // No capacity is reserved from a number that the bytes merely claim.
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(credential(decoder)?);
    }
    Ok(ids)
}

fn read_scopes(decoder: &mut Decoder<'_>) -> Result<Vec<Scope>, CredentialError> {
    let count = array(decoder)?;
    if count > Claim::SCOPES_MAX as u64 {
        return Err(malformed(format!("{count} scopes are more than {}", Claim::SCOPES_MAX)));
    }
    (0..count).map(|_| read_scope(decoder)).collect()
}

fn read_scope(decoder: &mut Decoder<'_>) -> Result<Scope, CredentialError> {
    expect_items(array(decoder)?, 2)?;
    let refused = |error: super::ParseScopeError| malformed(format!("failed to {error}"));
    let command = decoder.str()?.parse().map_err(refused)?;
    let texts = array(decoder)?;
    if texts > 2 * Scope::CONDITIONS_MAX as u64 {
        return Err(malformed(format!("{} conditions are more than {}", texts / 2, Scope::CONDITIONS_MAX)));
    }
    let mut conditions = std::collections::BTreeMap::new();
    for _ in 0..texts / 2 {
        conditions.insert(decoder.str()?.to_owned(), decoder.str()?.to_owned());
    }
    Scope::new(command, conditions).map_err(refused)
}

fn read_role(decoder: &mut Decoder<'_>) -> Result<Role, CredentialError> {
    let number = decoder.u64()?;
    let role = usize::try_from(number).ok().and_then(|number| Role::ALL.get(number)).copied();
    role.ok_or_else(|| malformed(format!("a role of number {number} is unknown")))
}

fn label(decoder: &mut Decoder<'_>) -> Result<Label, CredentialError> {
    decoder.str()?.parse().map_err(|error| malformed(format!("failed to {error}")))
}

fn maybe<T>(
    decoder: &mut Decoder<'_>,
    read: impl FnOnce(&mut Decoder<'_>) -> Result<T, CredentialError>,
) -> Result<Option<T>, CredentialError> {
    if decoder.datatype()? == minicbor::data::Type::Null {
        decoder.null()?;
        return Ok(None);
    }
    read(decoder).map(Some)
}

fn did(decoder: &mut Decoder<'_>) -> Result<Did, CredentialError> {
    fixed(decoder, "a key").map(Did)
}

fn credential(decoder: &mut Decoder<'_>) -> Result<CredentialId, CredentialError> {
    fixed(decoder, "a credential's id").map(|bytes| CredentialId(Hash256(bytes)))
}

fn array(decoder: &mut Decoder<'_>) -> Result<u64, CredentialError> {
    decoder.array()?.ok_or(CredentialError::NotCanonical)
}

fn expect_items(found: u64, expected: u64) -> Result<(), CredentialError> {
    if found == expected {
        Ok(())
    } else {
        Err(malformed(format!("an array of {found} stands where {expected} belong")))
    }
}

fn fixed<const N: usize>(decoder: &mut Decoder<'_>, what: &str) -> Result<[u8; N], CredentialError> {
    let bytes = decoder.bytes()?;
    bytes.try_into().map_err(|_| malformed(format!("{what} has {} bytes instead of {N}", bytes.len())))
}

fn malformed(text: String) -> CredentialError {
    CredentialError::Malformed(text)
}
