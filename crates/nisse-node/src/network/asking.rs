//! One request for content, and its answer piece by piece.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use nisse_content::BLOCK_BYTES_MAX;
use nisse_content::car::CarLimits;
use nisse_content::download::{DownloadLimits, Wanted};
use nisse_model::Address;

use super::call::{Call, Called, Trouble};
use super::{Network, Provider};

/// Names the node's own requests in caps and audit lines. No agent can be called so.
const CONTENT: &str = "nisse:content";
/// What a CAR says of each block before its bytes: a length and an id.
const CAR_FRAME_BYTES_MAX: usize = 64;

/// What is heard of a request.
pub(super) enum Heard {
    /// It is answered.
    Head { status: u16, content_type: String },
    /// A part of the body.
    Piece(Bytes),
    /// Nothing follows, or why.
    End(Result<(), String>),
    /// A limit of this node's own stood in the way.
    NotNow(String),
}

impl From<Trouble> for Heard {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Theirs(why) => Self::End(Err(why)),
            Trouble::Ours(why) => Self::NotNow(why),
        }
    }
}

impl Network {
    /// Asks one provider for one thing, on behalf of an owner.
    pub(super) fn ask(
        &self,
        owner: Address,
        provider: Provider,
        wanted: Wanted,
        limits: DownloadLimits,
    ) -> BoxStream<'_, Heard> {
        let opened = async move {
            let call = Call {
                method: Method::GET,
                path_and_query: wanted.path_and_query(),
                headers: vec![(header::ACCEPT, HeaderValue::from_static(wanted.media_type()))],
                body: Bytes::new(),
                deadline: limits.deadline,
                stall_after: limits.stall_after,
                bytes_max: bytes_max(wanted, limits),
            };
            // What one owner's packages and agents cost leaves the others' budget alone.
            self.call(format!("{CONTENT}:{owner}"), &provider, call).await
        };
        let told = |opened: Result<Called, Trouble>| match opened {
            Err(trouble) => stream::iter([trouble.into()]).boxed(),
            Ok(Called { status, headers, pieces }) => {
                let head = Heard::Head { status, content_type: content_type(&headers) };
                let pieces = pieces.map(|piece| piece.map_or_else(Heard::from, Heard::Piece));
                stream::iter([head]).chain(pieces).chain(stream::iter([Heard::End(Ok(()))])).boxed()
            }
        };
        stream::once(opened).flat_map(told).boxed()
    }
}

/// The largest answer that can be of use.
fn bytes_max(wanted: Wanted, limits: DownloadLimits) -> usize {
    match wanted {
        Wanted::Block(_) => BLOCK_BYTES_MAX,
        Wanted::Car(_) => {
            let car = CarLimits::file_bytes(limits.bytes_max);
            let blocks = usize::try_from(car.bytes_max).unwrap_or(usize::MAX);
            blocks.saturating_add(car.blocks_max.saturating_mul(CAR_FRAME_BYTES_MAX))
        }
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
