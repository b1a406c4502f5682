//! A vault from memory, which can be sealed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use nisse_model::SecretRule;
use zeroize::Zeroizing;

use crate::secrets::{SecretRefused, SecretValue, Secrets};

/// Secrets by agent and name. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct FakeSecrets {
    vault: Arc<Mutex<Vault>>,
}

#[derive(Default)]
struct Vault {
    values: HashMap<(String, String), Vec<u8>>,
    refusal: Option<SecretRefused>,
    asked: Vec<(String, String)>,
}

impl FakeSecrets {
    /// From now on the agent's secret has this value.
    pub fn set(&self, agent: &str, name: &str, value: impl AsRef<[u8]>) {
        self.lock().values.insert((agent.to_owned(), name.to_owned()), value.as_ref().to_vec());
    }

    /// From now on there is no such secret.
    pub fn remove(&self, agent: &str, name: &str) {
        self.lock().values.remove(&(agent.to_owned(), name.to_owned()));
    }

    /// From now on every question is refused like this; answered again with `None`.
    pub fn refuse(&self, refusal: Option<SecretRefused>) {
        self.lock().refusal = refusal;
    }

    /// Every question: the agent and the name.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.lock().asked.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Secrets for FakeSecrets {
    async fn reveal(&self, agent: &str, rule: &SecretRule) -> Result<SecretValue, SecretRefused> {
        let key = (agent.to_owned(), rule.name.to_string());
        let mut vault = self.lock();
        vault.asked.push(key.clone());
        if let Some(refusal) = &vault.refusal {
            return Err(refusal.clone());
        }
        let value = vault.values.get(&key).cloned().ok_or(SecretRefused::Missing)?;
        Ok(SecretValue::new(Zeroizing::new(value)))
    }
}
