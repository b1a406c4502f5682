//! unlock, seal, vault status, vault protect, secret set, ls, rotate, rm.

use bytes::Bytes;
use nisse_model::SecretName;
use nisse_node::control::{SecretEntry, SecretSet, VaultStatus};
use serde_json::json;

use super::client;
use crate::cli::{SecretCommand, Shared, VaultCommand};
use crate::failure::Failure;
use crate::secret_input::Input;
use crate::{output, progress, secret_input};

/// What the way is called that somebody has to bring.
const PASSPHRASE: &str = "passphrase";

pub(crate) async fn unlock(shared: &Shared) -> Result<(), Failure> {
    let client = client(shared)?;
    let before: VaultStatus = client.get("/api/v1/vault").await?;
    if !before.sealed {
        output::note(shared.json, "it is open already: no passphrase was tried");
        return tell(shared, &before);
    }
    // Without a passphrase, what lies there opens it.
    let has_words = before.unlocked_by.iter().any(|way| way == PASSPHRASE);
    let passphrase = if has_words { secret_input::read(PASSPHRASE).await? } else { Input::default() };
    let unlocking = client.post_bytes("/api/v1/vault/unlock", sent(passphrase));
    tell(shared, &progress::during("unlocking", unlocking).await?)
}

pub(crate) async fn seal(shared: &Shared) -> Result<(), Failure> {
    let sealed: VaultStatus = client(shared)?.post_nothing("/api/v1/vault/seal").await?;
    let by_itself: Vec<_> = sealed.unlocked_by.iter().filter(|way| *way != PASSPHRASE).cloned().collect();
    if !by_itself.is_empty() {
        let note = format!("the node's next start unlocks it again, by its {}", by_itself.join(" or its "));
        output::note(shared.json, &note);
    }
    tell(shared, &sealed)
}

pub(crate) async fn run(shared: &Shared, command: VaultCommand) -> Result<(), Failure> {
    let client = client(shared)?;
    match command {
        VaultCommand::Status => tell(shared, &client.get("/api/v1/vault").await?),
        VaultCommand::Protect { passphrase, credential, key_file } => {
            let words = if passphrase { secret_input::read_new("new passphrase").await? } else { Input::default() };
            let path = format!("/api/v1/vault/protect?credential={credential}&key_file={key_file}");
            let protecting = client.post_bytes(&path, sent(words));
            let status: VaultStatus = progress::during("protecting", protecting).await?;
            if passphrase && !credential && !key_file {
                output::note(
                    shared.json,
                    "the node starts sealed from now on: `nisse unlock` opens the vault, and nothing else does. A lost passphrase cannot be brought back",
                );
            }
            tell(shared, &status)
        }
    }
}

fn tell(shared: &Shared, status: &VaultStatus) -> Result<(), Failure> {
    if shared.json {
        output::json(status);
    } else {
        output::pairs(&pairs(status));
    }
    Ok(())
}

/// A vault as `vault status` and `node status` show it.
fn pairs(status: &VaultStatus) -> Vec<(&'static str, String)> {
    vec![
        ("vault", if status.sealed { "sealed" } else { "open" }.to_owned()),
        ("unlocked by", status.unlocked_by.join(", ")),
        ("weak", status.weak.clone().unwrap_or_default()),
        ("trouble", status.trouble.clone().unwrap_or_default()),
    ]
}

/// A secret as a body, which is wiped with its last holder.
fn sent(secret: Input) -> Bytes {
    Bytes::from_owner(Wiped(secret))
}

struct Wiped(Input);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A vault in one line.
pub(super) fn in_words(status: &VaultStatus) -> String {
    match (&status.trouble, status.sealed) {
        (Some(trouble), true) => format!("sealed: {trouble}"),
        (None, true) => "sealed: `nisse unlock` opens it".to_owned(),
        (_, false) => {
            let weak = if status.weak.is_some() { " (weak)" } else { "" };
            format!("open, unlocked by {}{weak}", status.unlocked_by.join(" or "))
        }
    }
}

pub(crate) async fn secret(shared: &Shared, command: SecretCommand) -> Result<(), Failure> {
    let client = client(shared)?;
    match command {
        SecretCommand::Set { name } => {
            let path = path(&name)?;
            let value = secret_input::read(&format!("value of {name}")).await?;
            let set: SecretSet = client.post_bytes(&path, sent(value)).await?;
            let hint = format!("set; \"secret:{name}@HOST\" in `permissions` of agent.yaml lets an agent use it");
            tell_set(shared, &set, &hint);
        }
        SecretCommand::Rotate { name } => {
            let path = format!("{}/rotate", path(&name)?);
            let value = secret_input::read(&format!("new value of {name}")).await?;
            let set: SecretSet = client.post_bytes(&path, sent(value)).await?;
            tell_set(shared, &set, &format!("rotated: its version is {}", set.version));
        }
        SecretCommand::Ls => {
            let secrets: Vec<SecretEntry> = client.get("/api/v1/secrets").await?;
            if shared.json {
                output::json(&secrets);
            } else if secrets.is_empty() {
                output::line("no secrets yet: `nisse secret set NAME` keeps one");
            } else {
                let row = |secret: &SecretEntry| {
                    let changed = output::time(secret.changed);
                    vec![secret.name.clone(), secret.version.to_string(), changed, secret.agents.join(", ")]
                };
                let rows = secrets.iter().map(row).collect::<Vec<_>>();
                output::table(&["secret", "version", "changed", "used by"], &rows);
            }
        }
        SecretCommand::Rm { name } => {
            client.delete(&path(&name)?).await?;
            if shared.json {
                output::json(&json!({ "removed": name }));
            } else {
                output::line(format!("removed {name}"));
            }
        }
    }
    Ok(())
}

fn tell_set(shared: &Shared, set: &SecretSet, text: &str) {
    if shared.json { output::json(set) } else { output::line(text) }
}

fn path(name: &str) -> Result<String, Failure> {
    let name: SecretName = name.parse().map_err(|error| Failure::usage(format!("failed to {error}")))?;
    Ok(format!("/api/v1/secrets/{name}"))
}
