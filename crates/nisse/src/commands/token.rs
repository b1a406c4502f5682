//! token create, show, revoke; and the way to a node by one: `--token FILE`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_api::client::Client;
use nisse_model::{CredentialId, Did};
use nisse_node::control::{TokenCreated, TokenRequest, TokenRevoke};
use nisse_node::{NodeError, Token, TokenSigner, device_seed};
use nisse_store::{Home, HomeError, SystemClock, SystemDisk, SystemEntropy};
use serde_json::json;
use zeroize::Zeroizing;

use super::chain::seams;
use super::vault::with_typed_passphrase;
use super::{client, files};
use crate::cli::{Shared, TokenCommand, Up};
use crate::failure::{Exit, Failure, unreadable};
use crate::{config, duration, output, secret_input};

/// Bytes of the longest file with a token.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Where a node listens that says nothing else (`listen.api`).
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7474);

pub(crate) async fn run(shared: &Shared, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { agent, can, expires, audience } => {
            let request = TokenRequest { agent, can, expires_ms: duration::milliseconds(&expires)?, audience };
            create(shared, &request).await
        }
        TokenCommand::Show { file } => show(shared, &file),
        TokenCommand::Revoke { named } => revoke(shared, &named).await,
    }
}

async fn create(shared: &Shared, request: &TokenRequest) -> Result<(), Failure> {
    secret_input::keep_memory_closed();
    let created: TokenCreated = client(shared).await?.post("/api/v1/tokens", request).await?;
    if shared.json {
        output::json(&created);
        return Ok(());
    }
    let TokenCreated { token, scopes, expires, .. } = &created;
    output::line(token);
    output::note(false, &format!("good until {} for {}", output::time(*expires), scopes.join(", ")));
    let key = if request.audience.is_some() { "; whoever has the key that it is for" } else { "; whoever reads it" };
    output::note(
        false,
        &format!("keep it in a file that only its user can read{key} may use it: `nisse --token FILE …`"),
    );
    Ok(())
}

fn show(shared: &Shared, file: &Path) -> Result<(), Failure> {
    let token = read(file)?;
    let chains = token.chains();
    let (holder, node) = (chains.holder().to_string(), token.node().to_string());
    let identity = chains.iter().flatten().next().map(|first| first.statement().subject);
    let identity = identity.as_ref().map(Did::to_string).unwrap_or_default();
    if shared.json {
        let given = chains.given().map(
            |(id, scope, expires)| json!({ "id": id.to_string(), "scope": scope.to_string(), "expires": expires.0 }),
        );
        let given: Vec<_> = given.collect();
        let has_key = token.has_key();
        output::json(
            &json!({ "identity": identity, "node": node, "holder": holder, "has_key": has_key, "can": given }),
        );
        return Ok(());
    }
    let key = if token.has_key() { "in the token" } else { "elsewhere: the holder's own" };
    output::pairs(&[("identity", identity), ("node", node), ("holder", holder), ("key", key.to_owned())]);
    let row = |(id, scope, expires): (CredentialId, &nisse_model::Scope, nisse_model::Timestamp)| {
        vec![scope.to_string(), output::time(expires.0), id.to_string()]
    };
    output::table(&["can", "until", "id"], &chains.given().map(row).collect::<Vec<_>>());
    Ok(())
}

async fn revoke(shared: &Shared, named: &str) -> Result<(), Failure> {
    let ids = match named.parse::<CredentialId>() {
        Ok(id) => vec![id],
        Err(_) => read(Path::new(named))?.chains().given().map(|(id, ..)| id).collect(),
    };
    let ids: Vec<_> = ids.iter().map(CredentialId::to_string).collect();
    client(shared).await?.post::<()>("/api/v1/tokens/revoke", &TokenRevoke { ids: ids.clone() }).await?;
    if shared.json {
        output::json(&json!({ "revoked": ids }));
    } else {
        output::line(format!("revoked {}", ids.join(", ")));
    }
    Ok(())
}

/// A token from a file that is its user's alone.
fn read(path: &Path) -> Result<Token, Failure> {
    secret_input::keep_memory_closed();
    Home::check_secret(&SystemDisk, path).map_err(|error| match error {
        HomeError::Disk { source, .. } => {
            unreadable(path, &source).hint("name a file with a token: `nisse token create` prints one")
        }
        HomeError::Open { .. } => Failure::from(NodeError::from(error))
            .hint(format!("`chmod 600 {}`, and take it back if somebody else may have read it", path.display())),
        _ => NodeError::from(error).into(),
    })?;
    let bytes = Zeroizing::new(files::read(path, FILE_BYTES_MAX)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    text.trim().parse().map_err(|error: nisse_node::ParseTokenError| {
        let text = format!("failed to read {}: failed to {error}", path.display());
        Failure::usage(text).hint("`nisse token create` prints one")
    })
}

/// A client by the token in a file: of the node at `--at`, or the one on this home, or where a node listens by itself.
pub(super) async fn client_by_token(shared: &Shared, file: &Path) -> Result<Client, Failure> {
    let token = read(file)?;
    let home = config::home(shared.home.as_deref())?;
    let own = if token.has_key() { None } else { own_seed(&home).await? };
    let signer = TokenSigner::new(&token, own.as_ref(), Arc::new(SystemClock::default()), Arc::new(SystemEntropy));
    let signer = signer.map_err(|error| {
        Failure::new(Exit::Refused, format!("failed to {error}"))
            .hint("name the home of the device that has it with --home DIR")
    })?;
    let address = shared.at.or_else(|| runs_at(home.join("run.json"))).unwrap_or(API);
    Ok(Client::by_token(address, Arc::new(signer)))
}

/// The seed of the key of the device that a home is.
async fn own_seed(home: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, Failure> {
    let options = config::load(home, &Up::default())?.options;
    with_typed_passphrase(async |passphrase| device_seed(&options, &seams(), passphrase).await).await
}

/// Where the node of a home says that it listens. Nothing secret goes there: a token's key stays here.
fn runs_at(run_file: PathBuf) -> Option<SocketAddr> {
    let run: serde_json::Value = serde_json::from_str(&files::read_text(&run_file).ok()?).ok()?;
    run["api"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_others_may_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("token");
        std::fs::write(&path, "nisse-token-1.AAAA").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("opened");
        let told = read(&path).expect_err("it is open").told().replace(&dir.path().display().to_string(), "DIR");
        insta::assert_snapshot!(told, @r"
        exit 3
        error: failed to use DIR/token: it is open to other users (mode 644)
        hint: `chmod 600 DIR/token`, and take it back if somebody else may have read it
        ");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("closed");
        let told = read(&path).expect_err("it is none").told();
        assert!(told.contains("failed to read a token"), "{told}");
    }
}
