//! unlock, seal, vault status, protect, export, restore, secret set, ls, rotate, rm.

use std::path::Path;

use bytes::Bytes;
use nisse_model::SecretName;
use nisse_node::control::{ExportRequest, SecretEntry, SecretSet, VaultStatus};
use nisse_node::{NodeError, restore_vault};
use nisse_store::{Disk as _, SystemDisk};
use serde_json::json;
use zeroize::Zeroizing;

use super::{chain, client};
use crate::cli::{SecretCommand, Shared, Up, VaultCommand};
use crate::failure::{Exit, Failure, unreadable};
use crate::secret_input::Input;
use crate::{config, output, progress, secret_input};

/// What the way is called that somebody has to bring.
const PASSPHRASE: &str = "passphrase";
/// The code of what is refused because nobody has brought it.
const SEALED: &str = "vault_sealed";

pub(crate) async fn unlock(shared: &Shared) -> Result<(), Failure> {
    let client = client(shared).await?;
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
    let sealed: VaultStatus = client(shared).await?.post_nothing("/api/v1/vault/seal").await?;
    let by_itself: Vec<_> = sealed.unlocked_by.iter().filter(|way| *way != PASSPHRASE).cloned().collect();
    if !by_itself.is_empty() {
        let note = format!("the node's next start unlocks it again, by its {}", by_itself.join(" or its "));
        output::note(shared.json, &note);
    }
    output::note(shared.json, "no other device reaches this home until it is unlocked on its own machine");
    tell(shared, &sealed)
}

pub(crate) async fn run(shared: &Shared, command: VaultCommand) -> Result<(), Failure> {
    match command {
        VaultCommand::Status => tell(shared, &client(shared).await?.get("/api/v1/vault").await?),
        VaultCommand::Export { to } => export(shared, to).await,
        VaultCommand::Keygen => {
            keygen(shared);
            Ok(())
        }
        VaultCommand::Restore { file, identity } => restore(shared, &file, &identity).await,
        VaultCommand::Protect { passphrase, credential, key_file } => {
            let client = client(shared).await?;
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

async fn export(shared: &Shared, recipients: Vec<String>) -> Result<(), Failure> {
    let exported = client(shared).await?.post_for_bytes("/api/v1/vault/export", &ExportRequest { recipients }).await?;
    let text = std::str::from_utf8(&exported)
        .map_err(|_| Failure::new(Exit::Failed, "failed to read the node's answer: it is no text"))?;
    match shared.json {
        true => output::json(&json!({ "age": text })),
        false => output::line(text.trim_end()),
    }
    Ok(())
}

fn keygen(shared: &Shared) {
    secret_input::keep_memory_closed();
    let (identity, recipient) = nisse_vault::draw_identity();
    if shared.json {
        return output::json(&json!({ "identity": identity.trim_end(), "recipient": recipient }));
    }
    output::note(
        shared.json,
        &format!("keep this away from the home; `nisse vault export --to {recipient}` writes what it opens"),
    );
    output::line(identity.trim_end());
}

/// Bytes of the longest export or identity that is read.
const EXPORT_BYTES_MAX: u64 = 64 << 20;

async fn restore(shared: &Shared, file: &Path, identity: &Path) -> Result<(), Failure> {
    secret_input::keep_memory_closed();
    let read = |path: &Path| {
        let bytes = SystemDisk.read(path, EXPORT_BYTES_MAX).map_err(|error| unreadable(path, &error))?;
        Ok::<_, Failure>(Zeroizing::new(bytes))
    };
    let (document, identity) = (read(file)?, read(identity)?);
    let identity = std::str::from_utf8(&identity)
        .map_err(|_| Failure::usage("failed to read the identity: it is no text of `age-keygen`"))?;
    let home = config::home(shared.home.as_deref())?;
    let (options, seams) = (config::load(&home, &Up::default())?.options, chain::seams());
    let restored = with_passphrase(async |passphrase| {
        restore_vault(&options, seams.clone(), passphrase, &document, identity).await
    });
    let restored = restored.await?;
    if shared.json {
        let wallet =
            |(name, address): &(String, nisse_model::Address)| json!({ "name": name, "address": address.to_string() });
        let wallets: Vec<_> = restored.wallets.iter().map(wallet).collect();
        output::json(&json!({ "keys": restored.keys, "secrets": restored.secrets, "wallets": wallets }));
    } else {
        output::line(format!("put in, of what was not there: keys {}, secrets {}", restored.keys, restored.secrets));
        for (name, address) in &restored.wallets {
            output::line(format!("{name:<9} {address}"));
        }
        if restored.keys > 0 {
            let note = "see that these are your own wallets: whoever knows a recipient can make an export for it";
            output::note(false, note);
        }
    }
    Ok(())
}

/// Does what needs an open vault where no node runs: a passphrase is asked for where nothing else opens it.
pub(super) async fn with_passphrase<T>(
    work: impl AsyncFn(Option<Zeroizing<Vec<u8>>>) -> Result<T, NodeError>,
) -> Result<T, Failure> {
    match work(None).await {
        Err(error) if error.code == SEALED => {
            let passphrase = secret_input::read(PASSPHRASE).await?;
            Ok(work(Some(passphrase)).await?)
        }
        done => Ok(done?),
    }
}

/// The same for the key of this device, where stdin is for something else: a passphrase is typed, or the work is refused.
pub(super) async fn with_typed_passphrase<T>(
    work: impl AsyncFn(Option<Zeroizing<Vec<u8>>>) -> Result<T, NodeError>,
) -> Result<T, Failure> {
    secret_input::keep_memory_closed();
    match work(None).await {
        Err(error) if error.code == SEALED && secret_input::is_terminal() => {
            let passphrase = secret_input::read(PASSPHRASE).await?;
            Ok(work(Some(passphrase)).await?)
        }
        Err(error) if error.code == SEALED => Err(Failure::from(error).hint(
            "the key of this device lies in it, and its passphrase is asked for at a terminal alone: run the command at one, or \
             let a key file or a systemd credential open the vault as well (`nisse vault protect`)",
        )),
        done => Ok(done?),
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
    let client = client(shared).await?;
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
