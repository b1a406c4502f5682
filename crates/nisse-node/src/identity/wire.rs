//! What two devices of one identity say to each other over the link: frames of CBOR, each with its length before it.
//!
//! *Joining*, after the code was proven: the guest sends `[1, its name]`; the host answers `[1, its name, identity, count]`
//! or `[1, why not]`, then the credentials. *Exchange*: whoever dialled sends `[1, digest of all names]`; the other answers
//! `[1]` where its own is the same, else `[1, names...]`; then the first sends `[1, names that it lacks]` and what the other
//! lacks, and gets what it named. A list of credentials is a frame with their count, and a frame for each.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use minicbor::{Decoder, Encoder};
use nisse_model::{Credential, CredentialId, Did, Hash256, Label, Log};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::error::NodeError;

/// Of every message.
const VERSION: u64 = 1;
/// Bytes of one frame: the names of all credentials that a log may hold of one identity.
const FRAME_BYTES_MAX: usize = 1 << 20;
/// Credentials of one list.
const LIST_MAX: u64 = 24_576;
/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why two devices do not understand each other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("hear from the other device")]
    Broken(#[source] io::Error),
    #[error("hear from the other device: it said nothing in time")]
    TimedOut,
    #[error("understand the other device: {0}")]
    Malformed(String),
    #[error("join: the other device says: {0}")]
    Refused(String),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<minicbor::decode::Error> for WireError {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Who joins whom.
pub(crate) struct Welcome {
    /// What the host is called.
    pub(crate) host: Label,
    pub(crate) identity: Did,
    pub(crate) credentials: Vec<Credential>,
}

/// A message as it is made.
struct Message(Encoder<Vec<u8>>);

impl Message {
    fn of(items: u64) -> Self {
        let mut encoder = Encoder::new(Vec::new());
        let written = encoder.array(items + 1).and_then(|encoder| encoder.u64(VERSION)).map(drop);
        written.expect("writing to memory");
        Self(encoder)
    }

    fn text(mut self, text: &str) -> Self {
        self.0.str(text).map(drop).expect("writing to memory");
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.bytes(bytes).map(drop).expect("writing to memory");
        self
    }

    fn number(mut self, number: u64) -> Self {
        self.0.u64(number).map(drop).expect("writing to memory");
        self
    }

    async fn send(self, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), WireError> {
        send(to, self.0.writer()).await
    }
}

pub(crate) async fn send(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), WireError> {
    let length = u32::try_from(bytes.len()).map_err(|_| WireError::Malformed("it holds too much".to_owned()))?;
    let sending = async {
        to.write_all(&length.to_be_bytes()).await?;
        to.write_all(bytes).await?;
        to.flush().await
    };
    tokio::time::timeout(PATIENCE, sending).await.map_err(|_| WireError::TimedOut)?.map_err(WireError::Broken)
}

pub(crate) async fn receive(from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, WireError> {
    let receiving = async {
        let mut length = [0; 4];
        from.read_exact(&mut length).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(WireError::Malformed(format!("a message of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).await?;
        Ok(bytes)
    };
    tokio::time::timeout(PATIENCE, receiving).await.map_err(|_| WireError::TimedOut)?
}

/// A message's items behind its version: how many they are, and where they stand.
pub(crate) fn opened(bytes: &[u8]) -> Result<(u64, Decoder<'_>), WireError> {
    let mut decoder = Decoder::new(bytes);
    let items = decoder.array()?.ok_or_else(|| WireError::Malformed("a list without an end".to_owned()))?;
    match decoder.u64()? {
        VERSION if items > 0 => Ok((items - 1, decoder)),
        other => {
            Err(WireError::Malformed(format!("version {other} of what it says: this nisse knows version {VERSION}")))
        }
    }
}

pub(crate) async fn send_all(to: &mut (impl AsyncWrite + Unpin), credentials: &[Credential]) -> Result<(), WireError> {
    Message::of(1).number(credentials.len() as u64).send(to).await?;
    for credential in credentials {
        send(to, &credential.encode()).await?;
    }
    Ok(())
}

/// A list of at most so many bytes.
pub(crate) async fn receive_all(
    from: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> Result<Vec<Credential>, WireError> {
    let bytes = receive(from).await?;
    let count = opened(&bytes)?.1.u64()?;
    if count > LIST_MAX {
        return Err(WireError::Malformed(format!("{count} credentials")));
    }
    let (mut credentials, mut left) = (Vec::new(), most);
    for _ in 0..count {
        let bytes = receive(from).await?;
        left = left
            .checked_sub(bytes.len())
            .ok_or_else(|| WireError::Malformed(format!("more than {most} bytes of credentials")))?;
        credentials.push(Credential::decode(&bytes).map_err(|error| WireError::Malformed(error.to_string()))?);
    }
    Ok(credentials)
}

/// The guest says what it is called, and hears whose device it is now.
pub(crate) async fn ask_to_join<S>(stream: &mut S, name: &Label) -> Result<Welcome, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Message::of(1).text(name.as_str()).send(stream).await?;
    let bytes = receive(stream).await?;
    let (items, mut decoder) = opened(&bytes)?;
    if items == 1 {
        return Err(WireError::Refused(decoder.str()?.chars().take(200).collect()));
    }
    let host = label(decoder.str()?)?;
    let identity = Did(key(decoder.bytes()?)?);
    Ok(Welcome { host, identity, credentials: receive_all(stream, Log::SHARE_BYTES_MAX).await? })
}

/// The host hears what its guest is called.
pub(crate) async fn hear_guest(stream: &mut (impl AsyncRead + Unpin)) -> Result<Label, WireError> {
    let bytes = receive(stream).await?;
    label(opened(&bytes)?.1.str()?)
}

/// The host tells its guest whose device it is now.
pub(crate) async fn welcome(
    stream: &mut (impl AsyncWrite + Unpin),
    Welcome { host, identity, credentials }: &Welcome,
) -> Result<(), WireError> {
    Message::of(2).text(host.as_str()).bytes(&identity.0).send(stream).await?;
    send_all(stream, credentials).await?;
    Ok(stream.shutdown().await?)
}

/// The host tells its guest why it is not admitted.
pub(crate) async fn turn_away(stream: &mut (impl AsyncWrite + Unpin), why: &str) -> Result<(), WireError> {
    Message::of(1).text(why).send(stream).await?;
    Ok(stream.shutdown().await?)
}

/// Exchanges credentials as the one that dialled: both have all of them afterwards. Gives what is new here.
pub(crate) async fn exchange<S>(stream: &mut S, own: &[Credential]) -> Result<Vec<Credential>, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ours: BTreeSet<_> = own.iter().map(Credential::id).collect();
    Message::of(1).bytes(&digest(&ours).0).send(stream).await?;
    let bytes = receive(stream).await?;
    let (items, decoder) = opened(&bytes)?;
    if items == 0 {
        return Ok(Vec::new());
    }
    let theirs = names(decoder)?;
    let wanted: BTreeSet<_> = theirs.difference(&ours).copied().collect();
    name(stream, &wanted).await?;
    let lacking: Vec<_> = own.iter().filter(|one| !theirs.contains(&one.id())).cloned().collect();
    send_all(stream, &lacking).await?;
    receive_all(stream, Log::SHARE_BYTES_MAX).await
}

/// Exchanges credentials as the one that was dialled, which takes them before it gives its own.
/// At most so many bytes are heard.
pub(crate) async fn answer_exchange<S, T>(
    stream: &mut S,
    own: Vec<Credential>,
    most: usize,
    take: impl FnOnce(Vec<Credential>) -> T,
) -> Result<(), WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: Future<Output = Result<usize, NodeError>>,
{
    let bytes = receive(stream).await?;
    let theirs = Hash256(key(opened(&bytes)?.1.bytes()?)?);
    let ours: BTreeSet<_> = own.iter().map(Credential::id).collect();
    if theirs == digest(&ours) {
        Message::of(0).send(stream).await?;
        return Ok(stream.shutdown().await?);
    }
    name(stream, &ours).await?;
    let bytes = receive(stream).await?;
    let wanted = names(opened(&bytes)?.1)?;
    let taken = receive_all(stream, most).await?;
    take(taken).await.map_err(|error| WireError::Malformed(error.text))?;
    let asked: Vec<_> = own.into_iter().filter(|one| wanted.contains(&one.id())).collect();
    send_all(stream, &asked).await?;
    Ok(stream.shutdown().await?)
}

async fn name(to: &mut (impl AsyncWrite + Unpin), ids: &BTreeSet<CredentialId>) -> Result<(), WireError> {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0.0).collect();
    Message::of(1).bytes(&bytes).send(to).await
}

fn names(mut decoder: Decoder<'_>) -> Result<BTreeSet<CredentialId>, WireError> {
    let (names, rest) = decoder.bytes()?.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(WireError::Malformed("names that are cut".to_owned()));
    }
    Ok(names.iter().map(|name| CredentialId(Hash256(*name))).collect())
}

/// The same for the same set, whatever order it came in.
fn digest(ids: &BTreeSet<CredentialId>) -> Hash256 {
    Hash256::of(&ids.iter().flat_map(|id| id.0.0).collect::<Vec<u8>>())
}

fn label(text: &str) -> Result<Label, WireError> {
    text.parse().map_err(|error: nisse_model::ParseLabelError| WireError::Malformed(error.to_string()))
}

pub(crate) fn key(bytes: &[u8]) -> Result<[u8; 32], WireError> {
    bytes.try_into().map_err(|_| WireError::Malformed("a name that is cut".to_owned()))
}
