//! Other nodes: content from them, whom to ask for it in which order, as a [`Download`] decides; and what is asked of the
//! node that runs an agent of this home.
//!
//! What the operator configured is asked by the operator's client. Whoever a stranger named, on chain or in a router's
//! answer, is asked through the egress: at public addresses only, each try in the audit trail.

mod answers;
mod asking;
mod call;
mod nearby;
mod recent;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderValue, Method, header};
use nisse_content::download::{Download, DownloadError, DownloadLimits, Step, Wanted};
use nisse_content::unixfs::{FileReader, MemoryBlocks, ReadLimits};
use nisse_content::{BLOCK_BYTES_MAX, FetchError, FetchLimits, Fetched, GatewayUrl, VerifiedBlock, routing};
use nisse_egress::{Egress, OperatorClient, OperatorError, OperatorRequest};
use nisse_model::{Address, ContentId};
use nisse_store::Clock;

use answers::Answers;
use asking::Heard;
pub(crate) use call::{Call, Called, Trouble};
use nearby::Nearby;
use recent::Recent;
use turns::Turns;

/// How long those who are asked first have for themselves.
const HEAD_START: Duration = Duration::from_millis(500);
/// How long a router may take.
const ROUTER_TIME_MAX: Duration = Duration::from_secs(3);

/// The way to other nodes' content.
pub(crate) struct Network {
    operator: OperatorClient,
    egress: Egress,
    gateways: Vec<GatewayUrl>,
    routers: Vec<GatewayUrl>,
    clock: Arc<dyn Clock>,
    recent: Recent,
    nearby: Nearby,
    pub(crate) turns: Turns,
}

/// Who said that it holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// The node's configuration.
    Operator,
    /// The chain, or a router's answer.
    Stranger,
}

/// Somebody who may hold what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) url: GatewayUrl,
    pub(crate) named_by: NamedBy,
}

impl Network {
    /// Over the operator's gateways and routers.
    pub(crate) fn new(
        egress: Egress,
        gateways: Vec<GatewayUrl>,
        routers: Vec<GatewayUrl>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (operator, recent, nearby) = (OperatorClient::default(), Recent::default(), Nearby::default());
        Self { operator, egress, gateways, routers, clock, recent, nearby, turns: Turns::default() }
    }

    /// What an agent of anybody's read a moment ago.
    pub(crate) fn recent(&self, cid: ContentId, limits: FetchLimits) -> Option<Fetched> {
        self.recent.get(&cid, limits.bytes_max).map(|bytes| Fetched { cid, bytes })
    }

    /// Fetches a file to be read once. `None` where there is nobody to ask. The caller counts its time.
    pub(crate) async fn read(
        &self,
        owner: Address,
        cid: ContentId,
        limits: FetchLimits,
        near: Vec<GatewayUrl>,
    ) -> Option<Result<Fetched, FetchError>> {
        let pace = DownloadLimits { deadline: limits.deadline, ..DownloadLimits::file_bytes(limits.bytes_max) };
        let _turn = self.turns.of_read(owner).await;
        let blocks = match self.download(owner, cid, pace, near).await {
            Err(DownloadError::NobodyLeft { tried, .. }) if tried.is_empty() => return None,
            Err(error) => return Some(Err(error.into())),
            Ok(blocks) => blocks,
        };
        let mut memory = MemoryBlocks::default();
        blocks.into_iter().for_each(|block| memory.insert(block));
        let read = FileReader::open(memory, cid, ReadLimits::bytes(limits.bytes_max)).and_then(FileReader::read_to_vec);
        Some(read.map_err(|source| FetchError::Read { cid, source }).map(|bytes| {
            let bytes = Bytes::from(bytes);
            self.recent.keep(cid, bytes.clone());
            Fetched { cid, bytes }
        }))
    }

    /// Where this owner's node is, where that was asked a moment ago.
    pub(crate) fn near(&self, owner: Address, now: Duration) -> Option<Vec<GatewayUrl>> {
        self.nearby.get(owner, now)
    }

    pub(crate) fn set_near(&self, owner: Address, near: Vec<GatewayUrl>, now: Duration) {
        self.nearby.set(owner, near, now);
    }

    /// Fetches a whole file on behalf of an owner: of `near` first, then of whom the routers name, then of the gateways.
    pub(crate) async fn download(
        &self,
        owner: Address,
        cid: ContentId,
        limits: DownloadLimits,
        near: Vec<GatewayUrl>,
    ) -> Result<Vec<VerifiedBlock>, DownloadError> {
        let mut download = Download::new(cid, limits, self.clock.elapsed());
        let mut sources = std::pin::pin!(self.sources(cid, near).fuse());
        let mut providers: HashMap<usize, Provider> = HashMap::new();
        let mut answers = Answers::default();
        'steps: loop {
            let now = self.clock.elapsed();
            let look_again_at = match download.step(now) {
                Step::Done => return Ok(download.into_blocks().collect()),
                Step::Failed(error) => return Err(error),
                Step::Go { dropped, asks, look_again_at } => {
                    answers.drop_those(&dropped);
                    for ask in asks {
                        if let Some(provider) = providers.get(&ask.provider) {
                            answers.begin(&ask, self.ask(owner, provider.clone(), ask.wanted, limits));
                        }
                    }
                    look_again_at
                }
            };
            let mut rest = std::pin::pin!(tokio::time::sleep(look_again_at.saturating_sub(now)));
            // Most pieces change nothing about whom to ask.
            loop {
                let is_news = tokio::select! {
                    Some((ask, heard)) = answers.next() => {
                        answers.hear(&mut download, ask, heard, self.clock.elapsed())
                    }
                    found = sources.next(), if !sources.is_done() => {
                        match found {
                            Some(provider) => self.offer(&mut download, &mut providers, provider),
                            None => download.nobody_else(),
                        }
                        true
                    }
                    () = &mut rest => true,
                };
                if is_news {
                    continue 'steps;
                }
            }
        }
    }

    fn offer(&self, download: &mut Download, providers: &mut HashMap<usize, Provider>, provider: Provider) {
        let name = provider.url.to_string();
        let number = match provider.named_by {
            NamedBy::Operator => download.offer_own(&name),
            NamedBy::Stranger => download.offer(&name),
        };
        providers.extend(number.map(|number| (number, provider)));
    }

    /// What is configured is the operator's choice, whoever else names it.
    pub(crate) fn named(&self, url: GatewayUrl) -> Provider {
        let named_by = if self.gateways.contains(&url) { NamedBy::Operator } else { NamedBy::Stranger };
        Provider { url, named_by }
    }

    /// All who may hold it, as they become known.
    pub(crate) fn sources(&self, cid: ContentId, near: Vec<GatewayUrl>) -> impl Stream<Item = Provider> + Send + '_ {
        let head_start = if near.is_empty() { Duration::ZERO } else { HEAD_START };
        let near = near.into_iter().map(|url| self.named(url));
        let later = async move {
            tokio::time::sleep(head_start).await;
            let gateways = self.gateways.iter().map(|url| self.named(url.clone()));
            let pause = if self.routers.is_empty() { Duration::ZERO } else { HEAD_START };
            let gateways = stream::once(tokio::time::sleep(pause)).flat_map(move |()| stream::iter(gateways.clone()));
            stream::select(self.routed(cid), gateways)
        };
        stream::iter(near).chain(stream::once(later).flatten())
    }

    /// Whom the routers name.
    fn routed(&self, cid: ContentId) -> impl Stream<Item = Provider> + Send + '_ {
        let asked = self.routers.iter().map(move |router| async move {
            let found = self.ask_router(router, cid).await.unwrap_or_else(|error| {
                tracing::debug!(%router, %cid, error, "a router does not say who provides this");
                Vec::new()
            });
            stream::iter(found.into_iter().map(|url| self.named(url)))
        });
        asked.collect::<stream::FuturesUnordered<_>>().flatten_unordered(None)
    }

    /// Whom one router names.
    async fn ask_router(&self, router: &GatewayUrl, cid: ContentId) -> Result<Vec<GatewayUrl>, String> {
        let request = OperatorRequest {
            method: Method::GET,
            url: format!("{router}{}{cid}{}", routing::PROVIDERS_PATH, routing::PROVIDERS_QUERY),
            headers: vec![(header::ACCEPT, HeaderValue::from_static(routing::ACCEPTED))],
            body: Bytes::new(),
            deadline: ROUTER_TIME_MAX,
            response_bytes_max: routing::ANSWER_BYTES_MAX,
        };
        let failed = |error: OperatorError| format!("failed to {}", crate::error::chain(&error));
        let mut answer = self.operator.stream(request).await.map_err(failed)?;
        match answer.status().as_u16() {
            200 => {}
            // What was right before 2024: nobody provides it.
            404 => return Ok(Vec::new()),
            status => return Err(format!("it answered {status}")),
        }
        let mut body = BytesMut::new();
        loop {
            match answer.piece().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break,
                // The lines that came are of use.
                Err(OperatorError::TooLarge { .. } | OperatorError::Deadline { .. }) if !body.is_empty() => break,
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(routing::gateways(&body))
    }

    /// Who of the operator's is asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.routers.iter().chain(&self.gateways).map(GatewayUrl::to_string).collect()
    }

    /// Asks one provider for one block, and says why it cannot be had there.
    pub(crate) async fn try_block(
        &self,
        owner: Address,
        provider: &Provider,
        cid: ContentId,
        limits: DownloadLimits,
    ) -> Result<(), String> {
        let mut heard = self.ask(owner, provider.clone(), Wanted::Block(cid), limits);
        let mut bytes = BytesMut::new();
        while let Some(heard) = heard.next().await {
            match heard {
                Heard::Head { status: 200, .. } => {}
                Heard::Head { status: 404 | 410, .. } => return Err("does not hold it".to_owned()),
                Heard::Head { status, .. } => return Err(format!("answered {status}")),
                Heard::Piece(piece) if bytes.len() + piece.len() <= BLOCK_BYTES_MAX => bytes.extend_from_slice(&piece),
                Heard::Piece(_) => return Err(format!("sent more than the {BLOCK_BYTES_MAX} bytes of a block")),
                Heard::End(ended) => ended?,
                Heard::NotNow(why) => return Err(why),
            }
        }
        VerifiedBlock::check(cid, bytes.freeze()).map(drop).map_err(|error| format!("failed to {error}"))
    }
}
