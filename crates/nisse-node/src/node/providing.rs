//! Who provides content: this node to others, and others to this node.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use http::{Request, Response};
use nisse_content::download::DownloadLimits;
use nisse_content::routing::{self, Provider};
use nisse_content::{BLOCK_BYTES_MAX, GatewayUrl, PinKind};
use nisse_model::PeerId;

use super::Node;
use super::gateway::ContentPieces;
use crate::control::{ContentProvided, ContentProvider, ContentProviders};
use crate::error::{ErrorKind, NodeError};
use crate::network::NamedBy;
use crate::packages::{on_disk, parse_cid};

/// How long providers are looked for, those that are tried included.
const LOOKING_TIME_MAX: Duration = Duration::from_secs(8);
/// How long one of them may take to give a block.
const TRY_TIME_MAX: Duration = Duration::from_secs(3);

impl Node {
    /// Answers for `/routing/v1/providers/…`: whether this node provides a block, and nothing of others.
    pub fn routing(&self, request: &Request<()>) -> Response<ContentPieces> {
        let content = &self.core.content;
        let answer = routing::handle(&self.as_provider(), |cid| content.is_public(cid), request);
        answer.map(|body| stream::iter(body.map(|piece| piece.map_err(Into::into))).boxed())
    }

    /// Who provides a file besides this node, as its routers and gateways are asked now. Each is tried for the first block.
    pub async fn content_find(&self, text: &str) -> Result<ContentProviders, NodeError> {
        let cid = parse_cid(text)?;
        let (network, operator) = (&self.core.network, self.core.operator);
        let limits = DownloadLimits::file_bytes(BLOCK_BYTES_MAX as u64);
        let tried = network.sources(cid, Vec::new()).take(limits.providers_max).map(|provider| async move {
            let tried = tokio::time::timeout(TRY_TIME_MAX, network.try_block(operator, &provider, cid, limits)).await;
            let late = || Err(format!("did not give it within {} s", TRY_TIME_MAX.as_secs()));
            let trouble = tried.unwrap_or_else(|_| late()).err();
            let named_by = match provider.named_by {
                NamedBy::Operator => "gateway",
                NamedBy::Stranger => "router",
            };
            ContentProvider { url: provider.url.to_string(), named_by: named_by.to_owned(), trouble }
        });
        let tried = tried.buffered(limits.providers_max).take_until(tokio::time::sleep(LOOKING_TIME_MAX));
        let providers = tried.collect().await;
        let held = on_disk(&self.core, "look for content", move |core| Ok(core.content.is_whole(&cid))).await?;
        Ok(ContentProviders { cid: cid.to_string(), held, asked: network.asked(), providers })
    }

    /// Makes a file that is held here readable for everybody, and says where it is then.
    pub async fn content_provide(&self, text: &str) -> Result<ContentProvided, NodeError> {
        let cid = parse_cid(text)?;
        on_disk(&self.core, "provide content", move |core| {
            // A pin of its own: others end with what they are for.
            let pinned = core.content.pin(PinKind::Added.name(cid).as_str(), &[cid]);
            pinned.map_err(|error| {
                NodeError::caused(ErrorKind::NotFound, "content_unknown", &error)
                    .with_hint(format!("`nisse content add FILE` adds it; `nisse content find {cid}` asks who has it"))
            })
        })
        .await?;
        let Provider { peer, url } = self.as_provider();
        Ok(ContentProvided {
            cid: cid.to_string(),
            url: format!("{url}/ipfs/{cid}"),
            multiaddr: url.to_multiaddr(),
            peer: peer.to_string(),
        })
    }

    fn as_provider(&self) -> Provider {
        let peer = PeerId::of_secp256k1(&self.core.signer.public_key());
        Provider { peer, url: self.public_url() }
    }

    /// Where others reach the public listener.
    pub(super) fn public_url(&self) -> GatewayUrl {
        let port = self.listeners.get().map(|listening| listening.public.port());
        self.core.options.public_url(port)
    }
}
