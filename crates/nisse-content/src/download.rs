//! One file from several providers, none of which is trusted: decides whom to ask for what, and does nothing itself.
//!
//! A raw root is one block. Beneath a dag-pb root a provider is asked for a CAR; what is missing when that fails or rests
//! is asked for block by block, of several at once. Every block is hashed on arrival, so a provider can only be slow or
//! useless, and one that gives anything else than what it was asked for is asked nothing more.

mod error;
mod parts;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use nisse_model::{CidCodec, ContentId};

pub use error::{DownloadError, Tried};
use parts::Parts;

use crate::car::{CarLimits, CarReader, DagScope};
use crate::{BLOCK_BYTES_MAX, VerifiedBlock};

/// Bytes that a request must bring to count as going on: who sends less in [`DownloadLimits::stall_after`] is given up.
pub const PROGRESS_BYTES: usize = 64 * 1024;
/// Requests for one block at the same time.
const HEDGES_MAX: usize = 2;

/// How much one download may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadLimits {
    /// File bytes.
    pub bytes_max: u64,
    /// From the beginning to the last byte.
    pub deadline: Duration,
    /// Rest after which a request is given up, and its provider with it.
    pub stall_after: Duration,
    /// Rest after which the same is asked of another provider as well.
    pub hedge_after: Duration,
    /// Requests at the same time.
    pub asks_max: usize,
    /// Of these, to one provider.
    pub asks_per_provider_max: usize,
    /// Providers that are taken; more are not looked at.
    pub providers_max: usize,
}

impl DownloadLimits {
    /// For a file of at most this size, with the pace that the network between nodes is held to.
    pub fn file_bytes(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            deadline: Duration::from_secs(60),
            stall_after: Duration::from_secs(10),
            hedge_after: Duration::from_millis(500),
            asks_max: 8,
            asks_per_provider_max: 4,
            providers_max: 16,
        }
    }
}

/// What a provider is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The whole file: `/ipfs/{cid}?format=car&dag-scope=entity`.
    Car(ContentId),
    /// One block: `/ipfs/{cid}?format=raw`.
    Block(ContentId),
}

impl Wanted {
    /// Path and query at a trustless gateway.
    pub fn path_and_query(&self) -> String {
        match self {
            Self::Car(cid) => format!("/ipfs/{cid}?format=car&dag-scope=entity&car-version=1&car-dups=n"),
            Self::Block(cid) => format!("/ipfs/{cid}?format=raw"),
        }
    }

    /// The value of `Accept`.
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::Car(_) => CAR_TYPE,
            Self::Block(_) => "application/vnd.ipld.raw",
        }
    }
}

const CAR_TYPE: &str = "application/vnd.ipld.car";

/// Names a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(u64);

/// A request to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Its name in what is reported back.
    pub id: AskId,
    /// Whom to ask: the number that [`Download::offer`] gave.
    pub provider: usize,
    /// For what.
    pub wanted: Wanted,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Drop and make these requests, then come back when something was heard or at that time, whichever is first.
    Go {
        /// Nobody wants their answers any more.
        dropped: Vec<AskId>,
        /// New ones.
        asks: Vec<Ask>,
        /// On the clock that `now` was read from.
        look_again_at: Duration,
    },
    /// All blocks are here: [`Download::into_blocks`].
    Done,
    /// It cannot be had.
    Failed(DownloadError),
}

/// A download under way.
#[derive(Debug)]
pub struct Download {
    limits: DownloadLimits,
    begun: Duration,
    /// More providers may be offered.
    looking: bool,
    providers: Vec<Provider>,
    /// Of these, how many were offered by others.
    strangers: usize,
    asked: BTreeMap<AskId, Asked>,
    next_ask: u64,
    dropped: Vec<AskId>,
    parts: Parts,
}

#[derive(Debug)]
struct Provider {
    name: String,
    speaks_car: bool,
    /// Why it is asked nothing more.
    out: Option<String>,
    /// Until then it is asked nothing: this side could not ask it.
    rests_until: Duration,
}

#[derive(Debug)]
struct Asked {
    provider: usize,
    wanted: Wanted,
    answer: Answer,
    /// When it last brought [`PROGRESS_BYTES`], or was made.
    went_on_at: Duration,
    since_bytes: usize,
}

#[derive(Debug)]
enum Answer {
    /// Nothing yet, not even a head.
    None,
    Car(Box<CarReader>),
    Block(BytesMut),
}

impl Download {
    /// Begins at `now`; nobody is known who could be asked.
    pub fn new(root: ContentId, limits: DownloadLimits, now: Duration) -> Self {
        Self {
            limits,
            begun: now,
            looking: true,
            providers: Vec::new(),
            strangers: 0,
            asked: BTreeMap::new(),
            next_ask: 0,
            dropped: Vec::new(),
            parts: Parts::new(root, limits.bytes_max),
        }
    }

    /// Adds a provider behind those that are known: earlier ones are asked first. `None` for one that is known, or too many.
    pub fn offer(&mut self, name: &str) -> Option<usize> {
        if self.strangers >= self.limits.providers_max {
            return None;
        }
        let number = self.offer_own(name)?;
        self.strangers += 1;
        Some(number)
    }

    /// The same for one of this side's own choice: however many there are, none of the others keeps it out.
    pub fn offer_own(&mut self, name: &str) -> Option<usize> {
        if self.providers.iter().any(|provider| provider.name == name) {
            return None;
        }
        let rests_until = Duration::ZERO;
        self.providers.push(Provider { name: name.to_owned(), speaks_car: true, out: None, rests_until });
        Some(self.providers.len() - 1)
    }

    /// No further provider will be offered: without one that can be asked, the download has failed.
    pub fn nobody_else(&mut self) {
        self.looking = false;
    }

    /// The head of an answer came.
    pub fn head(&mut self, ask: AskId, status: u16, content_type: &str) {
        let Some(asked) = self.asked.get_mut(&ask) else { return };
        let provider = asked.provider;
        let without_car = match (asked.wanted, status) {
            (Wanted::Car(root), 200) if content_type.starts_with(CAR_TYPE) => {
                let limits = CarLimits::file_bytes(self.limits.bytes_max);
                asked.answer = Answer::Car(Box::new(CarReader::new(root, DagScope::Entity, limits)));
                return;
            }
            (Wanted::Block(_), 200) => {
                asked.answer = Answer::Block(BytesMut::new());
                return;
            }
            (Wanted::Car(_), 200 | 400 | 406 | 415 | 501) => true,
            _ => false,
        };
        if without_car {
            self.providers[provider].speaks_car = false;
            return self.drop_asks(|id, _| *id == ask);
        }
        self.give_up(
            provider,
            match status {
                404 | 410 => "does not hold it".to_owned(),
                300..=399 => format!("answered {status}, and redirects are not followed"),
                _ => format!("answered {status}"),
            },
        );
    }

    /// A piece of an answer came. Whether something else is to be done now, so that [`Download::step`] says what.
    pub fn piece(&mut self, ask: AskId, bytes: &[u8], now: Duration) -> bool {
        let Some(asked) = self.asked.get_mut(&ask) else { return false };
        asked.since_bytes += bytes.len();
        if asked.since_bytes >= PROGRESS_BYTES {
            (asked.since_bytes, asked.went_on_at) = (0, now);
        }
        let provider = asked.provider;
        let taken = match &mut asked.answer {
            Answer::None => Err("sent a body without a head".to_owned()),
            Answer::Block(buffer) if buffer.len() + bytes.len() > BLOCK_BYTES_MAX => {
                Err(format!("sent more than the {BLOCK_BYTES_MAX} bytes of a block"))
            }
            Answer::Block(buffer) => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Answer::Car(reader) => {
                reader.push(bytes);
                take_blocks(reader, &mut self.parts)
            }
        };
        if let Err(why) = taken {
            self.give_up(provider, why);
            return true;
        }
        self.parts.is_whole() || self.parts.is_broken()
    }

    /// This side could not make a request, for a limit of its own: the same is asked again a little later.
    pub fn not_now(&mut self, ask: AskId, now: Duration) {
        let Some(asked) = self.asked.remove(&ask) else { return };
        self.providers[asked.provider].rests_until = now + self.limits.hedge_after;
    }

    /// An answer ended, or broke off.
    pub fn end(&mut self, ask: AskId, ended: Result<(), String>) {
        let Some(asked) = self.asked.remove(&ask) else { return };
        let whole = ended.and_then(|()| match (asked.answer, asked.wanted) {
            (Answer::None, _) => Err("ended without an answer".to_owned()),
            (Answer::Car(reader), _) => reader.finish().map_err(|error| format!("failed to {error}")),
            (Answer::Block(buffer), Wanted::Car(cid) | Wanted::Block(cid)) => {
                let block = VerifiedBlock::check(cid, buffer.freeze()).map_err(|error| format!("failed to {error}"))?;
                self.parts.put(block);
                Ok(())
            }
        });
        if let Err(why) = whole {
            self.give_up(asked.provider, why);
        }
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Duration) -> Step {
        if let Some(error) = self.parts.broken() {
            return Step::Failed(error);
        }
        if self.parts.is_whole() {
            return Step::Done;
        }
        let ends_at = self.begun + self.limits.deadline;
        if now >= ends_at {
            return Step::Failed(DownloadError::Deadline {
                cid: self.parts.root(),
                deadline: self.limits.deadline,
                tried: self.tried(),
            });
        }
        self.give_up_stalled(now);
        let asks: Vec<Ask> = std::iter::from_fn(|| self.next_ask(now)).collect();
        let rests = self.providers.iter().filter(|provider| provider.out.is_none() && provider.rests_until > now);
        let wakes_at = rests.map(|provider| provider.rests_until).min();
        if self.asked.is_empty() && !self.looking && wakes_at.is_none() {
            return Step::Failed(DownloadError::NobodyLeft { cid: self.parts.root(), tried: self.tried() });
        }
        let next_look = |asked: &Asked| {
            let hedge_at = asked.went_on_at + self.limits.hedge_after;
            if hedge_at > now { hedge_at } else { asked.went_on_at + self.limits.stall_after }
        };
        let look_again_at = self.asked.values().map(next_look).chain(wakes_at).fold(ends_at, Duration::min);
        Step::Go { dropped: std::mem::take(&mut self.dropped), asks, look_again_at }
    }

    /// The blocks of a whole file, in the order in which they were named; none of them twice.
    pub fn into_blocks(self) -> impl Iterator<Item = VerifiedBlock> {
        self.parts.into_blocks()
    }

    fn give_up_stalled(&mut self, now: Duration) {
        let is_stalled = |asked: &&Asked| now >= asked.went_on_at + self.limits.stall_after;
        let stalled: Vec<usize> = self.asked.values().filter(is_stalled).map(|asked| asked.provider).collect();
        let why = format!("sent less than {PROGRESS_BYTES} bytes in {} s", self.limits.stall_after.as_secs());
        for provider in stalled {
            self.give_up(provider, why.clone());
        }
    }

    /// The next request that is worth making: for a block that nobody is asked for, or that all who are asked rest on.
    fn next_ask(&mut self, now: Duration) -> Option<Ask> {
        if self.asked.len() >= self.limits.asks_max {
            return None;
        }
        let rests = |asked: &Asked| now >= asked.went_on_at + self.limits.hedge_after;
        // A CAR covers every block.
        let is_car = |asked: &&Asked| matches!(asked.wanted, Wanted::Car(_));
        let cars: Vec<&Asked> = self.asked.values().filter(is_car).collect();
        if cars.len() >= HEDGES_MAX || cars.iter().any(|car| !rests(car)) {
            return None;
        }
        let sends_car = |provider: usize| cars.iter().any(|car| car.provider == provider);
        let is_free = |provider: &usize| !sends_car(*provider) && self.is_free(*provider, now);
        let free: Vec<usize> = (0..self.providers.len()).filter(is_free).collect();
        if free.is_empty() {
            return None;
        }
        // Whoever is free can be asked for any block that nobody is asked for, so few are looked at.
        let (provider, cid) = self.parts.missing().take(self.limits.asks_max + 1).find_map(|cid| {
            let covering: Vec<&Asked> =
                self.asked.values().filter(|asked| asked.wanted == Wanted::Block(cid)).collect();
            if cars.len() + covering.len() >= HEDGES_MAX || !covering.iter().all(|asked| rests(asked)) {
                return None;
            }
            let another = |provider: &&usize| covering.iter().all(|asked| asked.provider != **provider);
            free.iter().find(another).map(|provider| (*provider, cid))
        })?;
        let by_car = cid == self.parts.root() && cid.codec() == CidCodec::DagPb && self.providers[provider].speaks_car;
        let wanted = if by_car { Wanted::Car(cid) } else { Wanted::Block(cid) };
        let id = AskId(self.next_ask);
        self.next_ask += 1;
        self.asked.insert(id, Asked { provider, wanted, answer: Answer::None, went_on_at: now, since_bytes: 0 });
        Some(Ask { id, provider, wanted })
    }

    fn is_free(&self, provider: usize, now: Duration) -> bool {
        let busy = self.asked.values().filter(|asked| asked.provider == provider).count();
        let Provider { out, rests_until, .. } = &self.providers[provider];
        out.is_none() && *rests_until <= now && busy < self.limits.asks_per_provider_max
    }

    fn give_up(&mut self, provider: usize, why: String) {
        self.providers[provider].out.get_or_insert(why);
        self.drop_asks(|_, asked| asked.provider == provider);
    }

    fn drop_asks(&mut self, which: impl Fn(&AskId, &Asked) -> bool) {
        let dropped: Vec<AskId> = self.asked.iter().filter(|(id, asked)| which(id, asked)).map(|(id, _)| *id).collect();
        for id in &dropped {
            self.asked.remove(id);
        }
        self.dropped.extend(dropped);
    }

    fn tried(&self) -> Vec<Tried> {
        let tried = |provider: &Provider| {
            let why = provider.out.clone().unwrap_or_else(|| "was too slow".to_owned());
            Tried { provider: provider.name.clone(), why }
        };
        self.providers.iter().map(tried).collect()
    }
}

fn take_blocks(reader: &mut CarReader, parts: &mut Parts) -> Result<(), String> {
    while let Some(block) = reader.next_block().map_err(|error| format!("failed to {error}"))? {
        parts.put(block);
    }
    Ok(())
}
