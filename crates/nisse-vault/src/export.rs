//! A vault as a document that is carried away: JSON, encrypted with age to keys that its owner names, and the way back.
//!
//! `{"nisse_vault": 1, "keys": [{name, kind, secret, created}], "secrets": [{tenant, name, version, changed, value}]}`: a key's
//! secret part in hex, a value in base64, times in milliseconds since 1970. Age draws what it needs for itself.

use std::io::{Read as _, Write as _};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::ExposeSecret as _;
use age::x25519;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nisse_model::{SecretName, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::signing::KeyKind;

/// The version that is written.
const VERSION: u64 = 1;
/// Bytes of an encrypted document: a full vault of the longest secrets has less.
pub(crate) const EXPORT_BYTES_MAX: usize = 32 << 20;
/// Keys that a document is encrypted to, and identities that are tried.
const RECIPIENTS_MAX: usize = 16;
/// No secret was set as often.
const VERSIONS_END: u64 = 1 << 53;

/// Why a vault was not exported, or an export not read. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// None, or too many.
    #[error("export the vault: it is encrypted to 1 to 16 age recipients, not to {0}")]
    Recipients(usize),
    /// One of them is none. What it is is not told: it may be a secret that was mistaken for one.
    #[error("export the vault: recipient {0} is no age recipient, `age1…`")]
    Recipient(usize),
    /// One of them is a secret.
    #[error("export the vault: one of its recipients is an age identity, which is secret; its recipient is `age1…`")]
    SecretRecipient,
    /// Age did not do it.
    #[error("export the vault: age refused to encrypt it")]
    Encrypt,
    /// No export is as long.
    #[error("restore an export: one has at most 32 MiB")]
    TooLong,
    /// The identity is none, or has too many lines.
    #[error("restore an export: what is to open it is no age identity, 1 to 16 lines of `AGE-SECRET-KEY-1…`")]
    Identity,
    /// It is encrypted to others.
    #[error("restore an export: it is not encrypted to this identity")]
    OtherIdentity,
    /// It does not decrypt to its end.
    #[error("restore an export: it was changed, or a part of it is missing")]
    Damaged,
    /// It is something else.
    #[error("restore an export: it is no export of a vault")]
    Malformed,
    /// Written by a newer nisse.
    #[error("restore an export: it is of version {0}, and this nisse knows version 1")]
    Newer(u64),
}

/// What a vault holds, in the clear: wiped when it is dropped, and printed nowhere.
pub struct Export {
    pub(crate) keys: Vec<ExportedKey>,
    pub(crate) secrets: Vec<ExportedSecret>,
}

pub(crate) struct ExportedKey {
    pub(crate) name: SecretName,
    pub(crate) kind: KeyKind,
    pub(crate) secret: Zeroizing<Vec<u8>>,
    pub(crate) created: Timestamp,
}

pub(crate) struct ExportedSecret {
    pub(crate) tenant: String,
    pub(crate) name: SecretName,
    pub(crate) version: u64,
    pub(crate) changed: Timestamp,
    pub(crate) value: Zeroizing<Vec<u8>>,
}

/// The plain document. What is secret in it is borrowed from bytes that are wiped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'d> {
    nisse_vault: u64,
    #[serde(borrow)]
    keys: Vec<KeyRow<'d>>,
    #[serde(borrow)]
    secrets: Vec<SecretRow<'d>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRow<'d> {
    name: String,
    kind: String,
    secret: &'d str,
    created: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRow<'d> {
    tenant: String,
    name: String,
    version: u64,
    changed: u64,
    value: &'d str,
}

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    nisse_vault: u64,
}

/// Decrypts and reads an export. The identity is the text of an age identity file: a line `AGE-SECRET-KEY-1…`, empty lines,
/// and comments that begin with `#`.
pub fn read_export(bytes: &[u8], identity: &str) -> Result<Export, ExportError> {
    if bytes.len() > EXPORT_BYTES_MAX {
        return Err(ExportError::TooLong);
    }
    Export::decode(&decrypted(bytes, &identities(identity)?)?)
}

fn identities(text: &str) -> Result<Vec<x25519::Identity>, ExportError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identities = lines.take(RECIPIENTS_MAX + 1).map(|line| line.parse().map_err(|_| ExportError::Identity));
    let identities: Vec<_> = identities.collect::<Result<_, _>>()?;
    if (1..=RECIPIENTS_MAX).contains(&identities.len()) { Ok(identities) } else { Err(ExportError::Identity) }
}

fn decrypted(bytes: &[u8], identities: &[x25519::Identity]) -> Result<Zeroizing<Vec<u8>>, ExportError> {
    use age::DecryptError as Error;
    let refused = |error| match error {
        Error::NoMatchingKeys | Error::ExcessiveWork { .. } => ExportError::OtherIdentity,
        Error::InvalidMac | Error::KeyDecryptionFailed | Error::DecryptionFailed => ExportError::Damaged,
        _ => ExportError::Malformed,
    };
    let decryptor = age::Decryptor::new(ArmoredReader::new(bytes)).map_err(refused)?;
    let mut reader = decryptor.decrypt(identities.iter().map(|one| one as _)).map_err(refused)?;
    // What is decrypted is shorter than what it was encrypted to: a buffer that moves leaves what it held behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.read_to_end(&mut plain).map_err(|_| ExportError::Damaged)?;
    Ok(plain)
}

/// Refuses what no export can be encrypted to.
pub fn check_recipients(recipients: &[String]) -> Result<(), ExportError> {
    read_recipients(recipients).map(drop)
}

fn read_recipients(recipients: &[String]) -> Result<Vec<x25519::Recipient>, ExportError> {
    if recipients.iter().any(|text| text.to_ascii_uppercase().contains("AGE-SECRET-KEY")) {
        return Err(ExportError::SecretRecipient);
    }
    let read = recipients.iter().enumerate();
    read.map(|(at, text)| text.parse().map_err(|_| ExportError::Recipient(at + 1))).collect()
}

/// A new identity of age, as `age-keygen` writes it, and its recipient.
pub fn draw_identity() -> (Zeroizing<String>, String) {
    let identity = x25519::Identity::generate();
    let (secret, recipient) = (identity.to_string(), identity.to_public().to_string());
    (Zeroizing::new(format!("# public key: {recipient}\n{}\n", secret.expose_secret())), recipient)
}

impl Export {
    /// Keys that it has.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Secrets that it has.
    pub fn secrets(&self) -> usize {
        self.secrets.len()
    }

    /// An armored age document that each of these opens by itself.
    pub(crate) fn encrypt(&self, recipients: &[String]) -> Result<Vec<u8>, ExportError> {
        if !(1..=RECIPIENTS_MAX).contains(&recipients.len()) {
            return Err(ExportError::Recipients(recipients.len()));
        }
        let recipients = read_recipients(recipients)?;
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one as _));
        let encryptor = encryptor.map_err(|_| ExportError::Encrypt)?;
        let plain = self.encode();
        let written = || {
            let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
            let mut writer = encryptor.wrap_output(armored)?;
            writer.write_all(&plain)?;
            writer.finish()?.finish()
        };
        written().map_err(|_: std::io::Error| ExportError::Encrypt)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let secrets: Vec<_> = self.keys.iter().map(|key| Zeroizing::new(hex::encode(&*key.secret))).collect();
        let values: Vec<_> =
            self.secrets.iter().map(|secret| Zeroizing::new(STANDARD.encode(&*secret.value))).collect();
        let key = |(key, text): (&ExportedKey, _)| {
            let (name, kind) = (key.name.to_string(), key.kind.name().to_owned());
            KeyRow { name, kind, secret: text, created: key.created.0 }
        };
        let secret = |(secret, value): (&ExportedSecret, _)| {
            let (tenant, name) = (secret.tenant.clone(), secret.name.to_string());
            SecretRow { tenant, name, version: secret.version, changed: secret.changed.0, value }
        };
        let document = Document {
            nisse_vault: VERSION,
            keys: self.keys.iter().zip(secrets.iter().map(|text| text.as_str())).map(key).collect(),
            secrets: self.secrets.iter().zip(values.iter().map(|text| text.as_str())).map(secret).collect(),
        };
        // As long as it can become, with each byte of a tenant's name written as `\u0000`: a buffer that grows leaves what it
        // held behind.
        let of_secrets = self.secrets.iter().zip(&values).map(|(secret, value)| value.len() + 6 * secret.tenant.len());
        let room = 64 + 320 * self.keys.len() + of_secrets.map(|length| length + 256).sum::<usize>();
        let mut plain = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *plain, &document).expect("writing to memory does not fail");
        debug_assert!(plain.len() <= room, "the plain document did not move");
        plain
    }

    fn decode(plain: &[u8]) -> Result<Self, ExportError> {
        // A reader's own text of what it found may tell a secret.
        let Versioned { nisse_vault } = serde_json::from_slice(plain).map_err(|_| ExportError::Malformed)?;
        if nisse_vault != VERSION {
            return Err(if nisse_vault > VERSION { ExportError::Newer(nisse_vault) } else { ExportError::Malformed });
        }
        let Document { keys, secrets, .. } = serde_json::from_slice(plain).map_err(|_| ExportError::Malformed)?;
        let keys = keys.into_iter().map(KeyRow::read).collect::<Option<_>>().ok_or(ExportError::Malformed)?;
        let secrets = secrets.into_iter().map(SecretRow::read).collect::<Option<_>>().ok_or(ExportError::Malformed)?;
        Ok(Self { keys, secrets })
    }
}

impl KeyRow<'_> {
    fn read(self) -> Option<ExportedKey> {
        let secret = Zeroizing::new(hex::decode(self.secret).ok()?);
        let (name, kind) = (self.name.parse().ok()?, KeyKind::from_name(&self.kind)?);
        Some(ExportedKey { name, kind, secret, created: Timestamp(self.created) })
    }
}

impl SecretRow<'_> {
    fn read(self) -> Option<ExportedSecret> {
        let value = Zeroizing::new(STANDARD.decode(self.value).ok()?);
        let Self { tenant, version, .. } = self;
        // It counts from 1, and goes on counting.
        if !(1..VERSIONS_END).contains(&version) {
            return None;
        }
        Some(ExportedSecret { tenant, name: self.name.parse().ok()?, version, changed: Timestamp(self.changed), value })
    }
}

#[cfg(test)]
mod tests;
