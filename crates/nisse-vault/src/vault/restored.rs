//! A vault's content on its way out and back.

use nisse_model::{SecretName, Timestamp};

use super::keys::signing_key;
use super::{SECRETS_MAX, Vault, check_lengths};
use crate::error::VaultError;
use crate::export::{Export, ExportedKey, ExportedSecret};
use crate::signing::KeyEntry;
use crate::stored::StoredKey;

/// How much an export brought that was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Keys.
    pub keys: usize,
    /// Secrets.
    pub secrets: usize,
}

impl Vault {
    /// All that it keeps, in the clear.
    pub fn exported(&self) -> Result<Export, VaultError> {
        let body = self.body()?;
        let key = |(name, key): (&SecretName, &StoredKey)| {
            let secret = self.reveal_key(name)?;
            Ok(ExportedKey { name: name.clone(), kind: key.kind, secret, created: Timestamp(key.created) })
        };
        let keys = body.keys.iter().map(key).collect::<Result<_, VaultError>>()?;
        let mut secrets = Vec::new();
        for ((tenant, name), secret) in &body.secrets {
            let value = self.get(tenant, name)?;
            let (version, changed) = (secret.version, Timestamp(secret.changed));
            secrets.push(ExportedSecret { tenant: tenant.clone(), name: name.clone(), version, changed, value });
        }
        Ok(Export { keys, secrets })
    }

    /// Puts in what is not there, in one change of the file. Another key or value under a name that is taken is refused, and
    /// then nothing is put in.
    pub fn restore(&mut self, export: Export) -> Result<Restored, VaultError> {
        let mut body = self.body()?.clone();
        let root = self.root()?;
        let mut restored = Restored { keys: 0, secrets: 0 };
        for ExportedKey { name, kind, secret, created } in export.keys {
            let (secret, key) = signing_key(kind, &secret)?;
            let new = KeyEntry { name, kind, public: key.public(), created };
            restored.keys += usize::from(self.add_key(&mut body, root, new, &secret)?.is_none());
        }
        for ExportedSecret { tenant, name, version, changed, value } in export.secrets {
            check_lengths(&tenant, &value)?;
            let place = (tenant, name);
            let (tenant, name) = (place.0.as_str(), &place.1);
            if body.secrets.contains_key(&place) {
                if *Self::opened(&body, root, tenant, name)? != *value {
                    return Err(VaultError::SecretDiffers { tenant: tenant.to_owned(), name: name.to_string() });
                }
                continue;
            }
            if body.secrets.len() >= Self::SECRETS_MAX {
                return Err(VaultError::Limit(SECRETS_MAX));
            }
            self.seal_into(&mut body, root, (tenant, name), (version, changed.0), &value)?;
            restored.secrets += 1;
        }
        if restored.keys + restored.secrets > 0 {
            self.change(body)?;
        }
        Ok(restored)
    }
}
