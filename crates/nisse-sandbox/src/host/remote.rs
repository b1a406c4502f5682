//! The seam over a Unix socket: [`RemoteHost`] asks on one side, [`serve_host`] answers on the other.
//!
//! Frames are a length (four bytes, big-endian) and CBOR. Calls of one agent may overlap, so each carries a number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use minicbor::{Decode, Encode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::JoinHandle;

use super::{CallKey, Host, HostCall, HostFailureKind, HostReply};

/// Longest frame: a whole body and its head.
const FRAME_BYTES_MAX: u32 = 16 << 20;
/// Calls that one connection answers at once; more wait unread.
const CALLS_AT_ONCE_MAX: usize = 128;

/// Why the seam broke. Nothing is answered after it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The socket failed or the other side left.
    #[error("read or write the host socket")]
    Socket(#[from] std::io::Error),
    /// A frame longer than any message.
    #[error("take a frame of {0} bytes from the host socket: at most {FRAME_BYTES_MAX} are taken")]
    FrameLength(u32),
    /// Bytes that are no message.
    #[error("decode a message of the host socket: {0}")]
    Malformed(String),
}

#[derive(Encode, Decode)]
struct CallFrame {
    #[n(0)]
    number: u64,
    #[n(1)]
    key: CallKey,
    #[n(2)]
    call: HostCall,
}

#[derive(Encode, Decode)]
struct ReplyFrame {
    #[n(0)]
    number: u64,
    #[n(1)]
    reply: HostReply,
}

/// A host on the other side of a socket.
pub struct RemoteHost {
    writer: AsyncMutex<OwnedWriteHalf>,
    waiting: Arc<Mutex<Waiting>>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    replies: HashMap<u64, oneshot::Sender<HostReply>>,
    closed: bool,
}

impl RemoteHost {
    /// Speaks to `serve_host` over this socket. Needs a tokio runtime.
    pub fn new(socket: UnixStream) -> Self {
        let (reader, writer) = socket.into_split();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let reader = tokio::spawn(read_replies(reader, waiting.clone()));
        Self { writer: AsyncMutex::new(writer), waiting, reader }
    }
}

impl Drop for RemoteHost {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[async_trait]
impl Host for RemoteHost {
    async fn call(&self, key: CallKey, call: HostCall) -> HostReply {
        let gone = || HostReply::failed(HostFailureKind::Unavailable, "the node does not answer");
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.closed {
                return gone();
            }
            waiting.next += 1;
            let number = waiting.next;
            waiting.replies.insert(number, sender);
            number
        };
        let _forget = Forget { waiting: &self.waiting, number };
        let written = {
            let mut writer = self.writer.lock().await;
            write_frame(&mut *writer, &CallFrame { number, key, call }).await
        };
        match written {
            Ok(()) => receiver.await.unwrap_or_else(|_| gone()),
            Err(RemoteError::FrameLength(_)) => {
                HostReply::failed(HostFailureKind::TooLarge, "the call is larger than a message may be")
            }
            Err(_) => gone(),
        }
    }
}

/// Forgets a call that nobody waits for any more.
struct Forget<'a> {
    waiting: &'a Mutex<Waiting>,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).replies.remove(&self.number);
    }
}

async fn read_replies(mut reader: OwnedReadHalf, waiting: Arc<Mutex<Waiting>>) {
    while let Ok(ReplyFrame { number, reply }) = read_frame(&mut reader).await {
        let sender = waiting.lock().unwrap_or_else(PoisonError::into_inner).replies.remove(&number);
        if let Some(sender) = sender {
            // The caller may have left meanwhile.
            let _ = sender.send(reply);
        }
    }
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.closed = true;
    waiting.replies.clear();
}

/// Answers the calls that come over a socket until the other side leaves (`Ok`) or breaks the protocol.
pub async fn serve_host(socket: UnixStream, host: Arc<dyn Host>) -> Result<(), RemoteError> {
    let (mut reader, mut writer) = socket.into_split();
    let mut answering = FuturesUnordered::new();
    // A read that has begun must not be dropped: it would lose a part of a frame.
    let mut reading = Box::pin(next_frame(&mut reader));
    loop {
        tokio::select! {
            frame = &mut reading, if answering.len() < CALLS_AT_ONCE_MAX => {
                let (frame, reader) = frame?;
                let Some(CallFrame { number, key, call }) = frame else { break };
                let host = host.clone();
                answering.push(async move { ReplyFrame { number, reply: host.call(key, call).await } });
                reading = Box::pin(next_frame(reader));
            }
            Some(reply) = answering.next() => write_reply(&mut writer, reply).await?,
        }
    }
    while let Some(reply) = answering.next().await {
        write_reply(&mut writer, reply).await?;
    }
    Ok(())
}

async fn write_reply(writer: &mut OwnedWriteHalf, reply: ReplyFrame) -> Result<(), RemoteError> {
    let number = reply.number;
    match write_frame(writer, &reply).await {
        Err(RemoteError::FrameLength(_)) => {
            let text = "the answer is larger than a message may be";
            write_frame(writer, &ReplyFrame { number, reply: HostReply::failed(HostFailureKind::TooLarge, text) }).await
        }
        written => written,
    }
}

async fn next_frame(reader: &mut OwnedReadHalf) -> Result<(Option<CallFrame>, &mut OwnedReadHalf), RemoteError> {
    match read_frame(reader).await {
        Ok(frame) => Ok((Some(frame), reader)),
        Err(RemoteError::Socket(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok((None, reader)),
        Err(error) => Err(error),
    }
}

async fn read_frame<T>(reader: &mut (impl AsyncRead + Unpin)) -> Result<T, RemoteError>
where
    T: for<'b> Decode<'b, ()>,
{
    let length = reader.read_u32().await?;
    if length > FRAME_BYTES_MAX {
        return Err(RemoteError::FrameLength(length));
    }
    let mut frame = vec![0; length as usize];
    reader.read_exact(&mut frame).await?;
    minicbor::decode(&frame).map_err(|error| RemoteError::Malformed(error.to_string()))
}

async fn write_frame(writer: &mut (impl AsyncWrite + Unpin), message: &impl Encode<()>) -> Result<(), RemoteError> {
    let mut frame = vec![0; 4];
    minicbor::encode(message, &mut frame).expect("a message encodes into memory");
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(RemoteError::FrameLength(length));
    }
    frame[..4].copy_from_slice(&length.to_be_bytes());
    writer.write_all(&frame).await?;
    Ok(())
}
