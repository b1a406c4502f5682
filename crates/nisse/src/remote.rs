//! The way to another home of the same identity: `--remote NAME`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use nisse_api::client::{ByteStream, Client, Dial, DialError};
use nisse_link::{Connection, Link, LinkError, Protocol};
use nisse_node::{NodeOptions, PeerOptions, RemoteAccess};
use tokio::sync::OnceCell;

use crate::cli::Up;
use crate::config;
use crate::failure::{Failure, chain};

/// The link of this process: a command speaks to one home.
static LINK: OnceLock<Link> = OnceLock::new();

/// A client of another home.
pub(crate) fn client(access: RemoteAccess, options: PeerOptions) -> Client {
    Client::of_peer(Arc::new(Way { access, options, connection: OnceCell::new() }))
}

/// This home, and how it is reached, on a port of its own: its node may run beside.
pub(crate) fn options(home: &Path) -> Result<(NodeOptions, PeerOptions), Failure> {
    let node = config::load(home, &Up::default())?.options;
    let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let none = || PeerOptions { listen, relays: Vec::new(), nearby: false };
    let peers = PeerOptions { listen, ..node.peers.clone().unwrap_or_else(none) };
    Ok((node, peers))
}

/// Ends what this process opened, so that the other side need not wait for it.
pub(crate) async fn hang_up() {
    if let Some(link) = LINK.get() {
        link.close().await;
    }
}

struct Way {
    access: RemoteAccess,
    options: PeerOptions,
    connection: OnceCell<Connection>,
}

impl Way {
    async fn connect(&self) -> Result<Connection, DialError> {
        let RemoteAccess { seed, remote } = &self.access;
        let failed = |error: LinkError| DialError {
            is_refused: matches!(error, LinkError::Refused { .. }),
            text: format!("failed to reach `{}`: failed to {}", remote.name, chain(&error)),
        };
        let link = Link::bind(self.options.with_key(seed.clone())).await.map_err(failed)?;
        let link = LINK.get_or_init(|| link);
        link.dial(remote.did, &remote.addresses, Protocol::Control).await.map_err(failed)
    }
}

impl Dial for Way {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>, DialError>> {
        Box::pin(async {
            let connection = self.connection.get_or_try_init(|| self.connect()).await?;
            let stream = connection
                .open()
                .await
                .map_err(|error| DialError { is_refused: false, text: format!("failed to {}", chain(&error)) })?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}
