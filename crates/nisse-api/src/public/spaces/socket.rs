//! One client's WebSocket: what it says goes to the space, what the space says goes to it, until one of them ends it.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use nisse_node::{SPACE_MESSAGE_BYTES_MAX, SpaceConnection, SpaceEar, SpaceMouth, SpaceSaid, Stop};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_websockets::{CloseCode, Error, Limits, Message, ServerBuilder, WebSocketStream};

use super::signs::{LOOK_EVERY, Lacking, Signs, Watched};

/// How long the last words may take, both ways.
const PART_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a space may take to say why it hears no more.
const END_TIME_MAX: Duration = Duration::from_secs(1);
/// Bytes of the reason in a close frame (RFC 6455, section 5.5).
const REASON_BYTES_MAX: usize = 123;

type Outward<T> = SplitSink<WebSocketStream<Watched<T>>, Message>;
type Inward<T> = SplitStream<WebSocketStream<Watched<T>>>;

/// How a connection ends.
enum End {
    /// By our word.
    Ours(CloseCode, String),
    /// By the client's, which is answered already.
    Theirs,
    /// By no word at all, or one that the protocol has for what broke it.
    Broken,
}

/// Speaks to a client until it leaves, the space ends it, or the node stops.
pub(super) async fn talk<T>(io: T, connection: SpaceConnection, large: Arc<Semaphore>, mut stop: Stop)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let signs = Arc::new(Signs::new(large));
    let limits = Limits::default().max_payload_len(Some(SPACE_MESSAGE_BYTES_MAX));
    let socket = ServerBuilder::new().limits(limits).serve(Watched::new(io, Arc::clone(&signs)));
    let (mut to, mut from) = socket.split();
    let (ear, mut mouth) = connection.split();
    let mut end = tokio::select! {
        end = hear(&mut from, &ear, &signs) => end,
        end = say(&mut to, &mut mouth, &signs) => end,
        () = stop.requested() => End::Broken,
    };
    // The space ends with the node, and may be faster.
    if stop.is_requested() && !matches!(end, End::Theirs) {
        end = End::Ours(CloseCode::GOING_AWAY, "this node is stopping".to_owned());
    }
    // Nobody is spoken to for longer than they are there.
    drop((ear, mouth));
    let _ = timeout(PART_TIME_MAX, part(to, from, end)).await;
}

/// Gives on what the client says.
async fn hear<T: AsyncRead + AsyncWrite + Unpin>(from: &mut Inward<T>, ear: &SpaceEar, signs: &Signs) -> End {
    loop {
        let message = match from.next().await {
            Some(Ok(message)) => message,
            Some(Err(Error::PayloadTooLong { max_len, .. })) => {
                return End::Ours(CloseCode::MESSAGE_TOO_BIG, format!("a message has at most {max_len} bytes"));
            }
            // What breaks the protocol is answered by whoever speaks it.
            Some(Err(_)) | None => return End::Broken,
        };
        if message.is_binary() {
            let bytes = bytes::Bytes::from(message.into_payload()).into();
            if !signs.given(ear.hear(bytes)).await {
                // The space says why, if it can.
                sleep(END_TIME_MAX).await;
                return End::Ours(CloseCode::NORMAL_CLOSURE, "the space was closed".to_owned());
            }
            continue;
        }
        if message.is_text() {
            let why = "a message is binary: CBOR of automerge-repo";
            return End::Ours(CloseCode::UNSUPPORTED_DATA, why.to_owned());
        }
        signs.passed(message.as_payload().len());
        if message.is_close() {
            return End::Theirs;
        }
        if message.is_ping()
            && let Err(lacking) = signs.pinged()
        {
            return lacking.into();
        }
    }
}

/// Sends what the space says, and looks after the client meanwhile.
async fn say<T: AsyncRead + AsyncWrite + Unpin>(to: &mut Outward<T>, mouth: &mut SpaceMouth, signs: &Signs) -> End {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is at once.
    looks.tick().await;
    loop {
        let said = tokio::select! {
            said = mouth.say() => said,
            _ = looks.tick() => {
                if let Err(lacking) = signs.look() {
                    return lacking.into();
                }
                if to.send(Message::ping("")).await.is_err() {
                    return End::Broken;
                }
                continue;
            }
        };
        let mut next = Some(said);
        // What waits leaves together.
        while let Some(said) = next {
            match said {
                SpaceSaid::Message(bytes) => {
                    if to.feed(Message::binary(bytes)).await.is_err() {
                        return End::Broken;
                    }
                }
                SpaceSaid::End(why) => return End::Ours(CloseCode::POLICY_VIOLATION, why),
            }
            next = mouth.say().now_or_never();
        }
        if to.flush().await.is_err() {
            return End::Broken;
        }
    }
}

/// Says the last word, waits for the client's, and closes.
async fn part<T: AsyncRead + AsyncWrite + Unpin>(mut to: Outward<T>, from: Inward<T>, end: End) {
    if let End::Ours(code, why) = &end {
        // A client that is gone hears nothing.
        let _ = to.send(Message::close(Some(*code), cut(why))).await;
    }
    let Ok(mut socket) = to.reunite(from) else { return };
    let mut all_said = matches!(end, End::Theirs);
    while let Some(Ok(message)) = socket.next().await {
        all_said |= message.is_close();
    }
    let mut io = socket.into_inner();
    if io.shutdown().await.is_ok() && !all_said {
        // To close with something unread would take our last word back.
        let _ = tokio::io::copy(&mut io, &mut tokio::io::sink()).await;
    }
}

/// As much of a reason as fits.
fn cut(why: &str) -> &str {
    &why[..why.floor_char_boundary(REASON_BYTES_MAX)]
}

impl From<Lacking> for End {
    fn from(lacking: Lacking) -> Self {
        Self::Ours(CloseCode::POLICY_VIOLATION, lacking.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_two_characters() {
        assert_eq!(cut("it left"), "it left");
        let long = "ü".repeat(100);
        assert_eq!(cut(&long), "ü".repeat(61));
    }
}
