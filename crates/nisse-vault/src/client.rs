//! The node's end: a client that asks the vault, wherever that is.

use nisse_model::SecretName;
use tokio::sync::{mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::export::EXPORT_BYTES_MAX;
use crate::signing::{KeyEntry, KeyKind};
use crate::vault::{Restored, Secret, Setting, VALUE_LENGTHS, Vault};
use crate::wire::{Answer, RefusalKind, Request, VaultStatus};

/// Requests that wait for the vault; one more is refused.
const CALLS_MAX: usize = 64;
/// Bytes of the longest message that is signed, and of what is asked with it.
const ASKED_BYTES_MAX: usize = 1 << 19;

/// Why the vault did not do something. Each text completes "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultCallError {
    /// It refused.
    #[error("{text}")]
    Refused {
        /// What kind of refusal.
        kind: RefusalKind,
        /// What it said.
        text: String,
    },
    /// Its process does not answer.
    #[error("reach the vault: {0}")]
    Unreachable(&'static str),
}

/// One request, and who waits for its answer.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Result<Answer, VaultCallError>>,
}

/// What is known of the vault without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultState {
    /// Its process is being started.
    Starting,
    /// As it stood when it last changed.
    Known(VaultStatus),
    /// It does not open, or its process does not run.
    Broken(String),
}

/// Asks the vault. Cheap to clone.
#[derive(Clone)]
pub struct VaultClient {
    calls: mpsc::Sender<Call>,
    state: watch::Receiver<VaultState>,
}

/// A client, and what it speaks to.
pub(crate) fn client() -> (VaultClient, mpsc::Receiver<Call>, watch::Sender<VaultState>) {
    let (sender, calls) = mpsc::channel(CALLS_MAX);
    let (known, state) = watch::channel(VaultState::Starting);
    (VaultClient { calls: sender, state }, calls, known)
}

impl VaultClient {
    /// Tells whenever that changes.
    pub fn changes(&self) -> watch::Receiver<VaultState> {
        self.state.clone()
    }

    /// How it stood when it last changed; asks nobody.
    pub fn glance(&self) -> VaultState {
        self.state.borrow().clone()
    }

    /// How it stands.
    pub async fn status(&self) -> Result<VaultStatus, VaultCallError> {
        match self.ask(Request::Status).await? {
            Answer::Status(status) => Ok(status),
            _ => Err(unexpected()),
        }
    }

    /// Unlocks it with a passphrase; with an empty one, by the credential or the key file.
    pub async fn unlock(&self, passphrase: Zeroizing<Vec<u8>>) -> Result<(), VaultCallError> {
        within(passphrase.len(), "unlock the vault: a passphrase has at most 16 KiB")?;
        self.done(Request::Unlock { passphrase }).await
    }

    /// Makes it forget its root key.
    pub async fn seal(&self) -> Result<(), VaultCallError> {
        self.done(Request::Seal).await
    }

    /// From now on it is unlocked by these, each by itself, and by nothing else.
    pub async fn protect(
        &self,
        passphrase: Option<Zeroizing<Vec<u8>>>,
        credential: bool,
        key_file: bool,
    ) -> Result<(), VaultCallError> {
        let length = passphrase.as_ref().map_or(0, |words| words.len());
        within(length, "protect the vault: a passphrase has at most 16 KiB")?;
        self.done(Request::Protect { passphrase, credential, key_file }).await
    }

    /// Sets a tenant's secret; its version.
    pub async fn set(
        &self,
        tenant: &str,
        name: &SecretName,
        value: Zeroizing<Vec<u8>>,
        setting: Setting,
    ) -> Result<u64, VaultCallError> {
        within(value.len(), &format!("keep a secret: {VALUE_LENGTHS}"))?;
        let request = Request::Set { tenant: tenant.to_owned(), name: name.clone(), value, setting };
        match self.ask(request).await? {
            Answer::Version(version) => Ok(version),
            _ => Err(unexpected()),
        }
    }

    /// A secret's value.
    pub async fn reveal(&self, tenant: &str, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultCallError> {
        match self.ask(Request::Reveal { tenant: tenant.to_owned(), name: name.clone() }).await? {
            Answer::Value(value) => Ok(value),
            _ => Err(unexpected()),
        }
    }

    /// What a tenant has, by name.
    pub async fn list(&self, tenant: &str) -> Result<Vec<Secret>, VaultCallError> {
        match self.ask(Request::List { tenant: tenant.to_owned() }).await? {
            Answer::Secrets(secrets) => Ok(secrets),
            _ => Err(unexpected()),
        }
    }

    /// Makes it forget a secret.
    pub async fn remove(&self, tenant: &str, name: &SecretName) -> Result<(), VaultCallError> {
        self.done(Request::Remove { tenant: tenant.to_owned(), name: name.clone() }).await
    }

    /// What keys it has, by name; of a sealed one, too.
    pub async fn keys(&self) -> Result<Vec<KeyEntry>, VaultCallError> {
        match self.ask(Request::Keys).await? {
            Answer::Keys(keys) => Ok(keys),
            _ => Err(unexpected()),
        }
    }

    /// The key of this name and kind; where there is none, one is drawn, durable before this returns.
    pub async fn draw_key(&self, name: &SecretName, kind: KeyKind) -> Result<KeyEntry, VaultCallError> {
        self.key(Request::DrawKey { name: name.clone(), kind }).await
    }

    /// Keeps a key of 32 secret bytes. The one that is there already is left as it is; another one under its name is
    /// refused.
    pub async fn import_key(
        &self,
        name: &SecretName,
        kind: KeyKind,
        secret: Zeroizing<Vec<u8>>,
    ) -> Result<KeyEntry, VaultCallError> {
        asked(secret.len(), "keep a key: its secret part has 32 bytes")?;
        self.key(Request::ImportKey { name: name.clone(), kind, secret }).await
    }

    /// Keeps, under `name`, the secp256k1 key that is derived from another one for a purpose of at most 1,024 bytes. The
    /// same parts give the same key, whenever they are asked for.
    pub async fn derive_key(
        &self,
        from: &SecretName,
        purpose: &str,
        name: &SecretName,
    ) -> Result<KeyEntry, VaultCallError> {
        asked(purpose.len(), "keep a key: what it is derived for has at most 1,024 bytes")?;
        self.key(Request::DeriveKey { from: from.clone(), purpose: purpose.to_owned(), name: name.clone() }).await
    }

    /// What that key would be, under the name of the one that it is derived from: it is not kept.
    pub async fn derived_key(&self, from: &SecretName, purpose: &str) -> Result<KeyEntry, VaultCallError> {
        asked(purpose.len(), "derive a key: what it is derived for has at most 1,024 bytes")?;
        self.key(Request::DerivedKey { from: from.clone(), purpose: purpose.to_owned() }).await
    }

    /// Signs a digest as it is with a secp256k1 key: `r`, `s` in the lower half of the curve's order, and 27 or 28. The
    /// caller decides what the digest means.
    pub async fn sign_digest(&self, name: &SecretName, digest: [u8; 32]) -> Result<[u8; 65], VaultCallError> {
        self.array(Request::SignDigest { name: name.clone(), digest }).await
    }

    /// Signs a message of at most 512 KiB with an Ed25519 key (RFC 8032).
    pub async fn sign_message(&self, name: &SecretName, message: &[u8]) -> Result<[u8; 64], VaultCallError> {
        asked(message.len(), "sign with a key: a message has at most 512 KiB")?;
        self.array(Request::SignMessage { name: name.clone(), message: Zeroizing::new(message.to_vec()) }).await
    }

    /// A key's secret part: 32 bytes.
    pub async fn reveal_key(&self, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultCallError> {
        match self.ask(Request::RevealKey { name: name.clone() }).await? {
            Answer::Value(secret) => Ok(secret),
            _ => Err(unexpected()),
        }
    }

    /// Every key and secret, encrypted to each of these age recipients (`age1…`; 1 to 16), as text.
    pub async fn export(&self, recipients: &[String]) -> Result<Vec<u8>, VaultCallError> {
        let length = recipients.iter().map(|recipient| recipient.len() + 4).sum();
        asked(length, "export the vault: its recipients are 1 to 16 age keys")?;
        match self.ask(Request::Export { recipients: recipients.to_vec() }).await? {
            Answer::Document(document) => Ok(document.to_vec()),
            _ => Err(unexpected()),
        }
    }

    /// Puts in what an export has and the vault has not; what it has otherwise is refused, and then nothing is put in.
    /// The identity is the text of an age identity file (`AGE-SECRET-KEY-1…`).
    pub async fn restore(&self, document: &[u8], identity: &str) -> Result<Restored, VaultCallError> {
        asked(identity.len(), "restore an export: an age identity file has at most 64 KiB")?;
        refuse_over(EXPORT_BYTES_MAX, document.len(), "restore an export: one has at most 32 MiB")?;
        let identity = Zeroizing::new(identity.as_bytes().to_vec());
        let document = Zeroizing::new(document.to_vec());
        match self.ask(Request::Restore { document, identity }).await? {
            Answer::Restored(restored) => Ok(restored),
            _ => Err(unexpected()),
        }
    }

    async fn key(&self, request: Request) -> Result<KeyEntry, VaultCallError> {
        match self.ask(request).await? {
            Answer::Keys(keys) => <[KeyEntry; 1]>::try_from(keys).map(|[key]| key).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    async fn array<const N: usize>(&self, request: Request) -> Result<[u8; N], VaultCallError> {
        match self.ask(request).await? {
            Answer::Value(bytes) => bytes.as_slice().try_into().map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    async fn done(&self, request: Request) -> Result<(), VaultCallError> {
        match self.ask(request).await? {
            Answer::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    async fn ask(&self, request: Request) -> Result<Answer, VaultCallError> {
        let (answer, answered) = oneshot::channel();
        self.calls.try_send(Call { request, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => VaultCallError::Unreachable("64 requests wait for it already"),
            mpsc::error::TrySendError::Closed(_) => VaultCallError::Unreachable("the node is ending"),
        })?;
        let answer = answered.await.map_err(|_| VaultCallError::Unreachable("the node is ending"))??;
        match answer {
            Answer::Refused { kind, text } => Err(VaultCallError::Refused { kind, text }),
            other => Ok(other),
        }
    }
}

/// Refuses what is longer than any secret before it is sent.
fn within(length: usize, text: &str) -> Result<(), VaultCallError> {
    refuse_over(Vault::VALUE_LENGTH_MAX, length, text)
}

/// Refuses what does not fit into one message.
fn asked(length: usize, text: &str) -> Result<(), VaultCallError> {
    refuse_over(ASKED_BYTES_MAX, length, text)
}

fn refuse_over(max: usize, length: usize, text: &str) -> Result<(), VaultCallError> {
    if length <= max {
        return Ok(());
    }
    Err(VaultCallError::Refused { kind: RefusalKind::Limit, text: text.to_owned() })
}

pub(crate) fn unexpected() -> VaultCallError {
    VaultCallError::Unreachable("its answer is to something else")
}
