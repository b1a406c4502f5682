//! Two peers become sure of each other by six digits that a person carries from one to the other.
//!
//! The host shows a [`Code`], the guest types it. Both know each other's key from the link; what they do not know is
//! whether it is the right one. SPAKE2 (RFC 9382 describes its kin) turns the code into a key that nobody has who did not
//! know the code, and of which a wrong guess teaches nothing: one run is one guess. Both keys are its identities, so that
//! whoever sits between two links, with a key of its own on each side, fails as if the code were wrong. Who gives how
//! many guesses is the caller's to say; a host gives one per code.
//!
//! The guest proves first that it has the key. A host that has seen no proof sends none, so whoever guesses learns
//! nothing that could be tried out at home.
//!
//! Messages, each with its length before it as one byte: guest → host 33 bytes of SPAKE2, host → guest 33 bytes of
//! SPAKE2, guest → host its proof, host → guest its proof (32 bytes each) or nothing (0 bytes) for a refusal.

mod code;
mod proof;
mod random;

use std::io;
use std::time::Duration;

use nisse_model::Did;
use nisse_store::Entropy;
use spake2::{Ed25519Group, Identity, Spake2};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

pub use code::{Code, ParseCodeError};
use proof::Keys;
use random::Random;

/// How long the whole of it may take.
const PAIRING_TIME: Duration = Duration::from_secs(20);
/// Bytes of SPAKE2's message: a side and a point.
const ELEMENT_BYTES: usize = 33;
/// Bytes of a proof.
const PROOF_BYTES: usize = 32;

/// What the two of them do, so that neither code nor key is good for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The guest becomes a device of the host's identity.
    Device,
    /// The guest is given an invitation.
    Invitation,
}

impl Purpose {
    const fn context(self) -> &'static [u8] {
        match self {
            Self::Device => b"nisse pairing v1",
            Self::Invitation => b"nisse invitation by code v1",
        }
    }
}

/// Why two peers are not paired. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The other side does not know this code, or is not the one that the code was made for.
    #[error("pair: the code is not the one that the other side has")]
    WrongCode,
    /// What came is no message of this protocol.
    #[error("pair: the other side does not keep to the protocol")]
    Malformed,
    /// The stream ended, or failed.
    #[error("pair: the connection broke")]
    Broken(#[source] io::Error),
    /// It took longer than 20 seconds.
    #[error("pair: the other side took too long")]
    TimedOut,
}

/// The side that shows the code. When all is well, the other side is the guest and had the code.
pub async fn host<S>(
    stream: &mut S,
    purpose: Purpose,
    code: &Code,
    host: &Did,
    guest: &Did,
    entropy: &dyn Entropy,
) -> Result<(), PairError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let identities = Identities::new(purpose, host, guest);
    in_time(async {
        let theirs: [u8; ELEMENT_BYTES] = receive(stream).await?;
        let (spake, ours) =
            Spake2::start_a_with_rng(&code.password(), &identities.host, &identities.guest, Random(entropy));
        send(stream, &ours).await?;
        let keys = Keys::derive(purpose, &agree(spake, &theirs)?, [&host.0, &guest.0, &ours, &theirs]);
        let proof: [u8; PROOF_BYTES] = receive(stream).await?;
        if !keys.guest_has_made(&proof) {
            // An empty message: the guest need not wonder. It changes nothing where it does not arrive.
            let _ = send(stream, &[]).await;
            return Err(PairError::WrongCode);
        }
        send(stream, &keys.host_proof()).await
    })
    .await
}

/// The side on which the code is typed. When all is well, the other side is the host and had the code.
pub async fn guest<S>(
    stream: &mut S,
    purpose: Purpose,
    code: &Code,
    host: &Did,
    guest: &Did,
    entropy: &dyn Entropy,
) -> Result<(), PairError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let identities = Identities::new(purpose, host, guest);
    in_time(async {
        let (spake, ours) =
            Spake2::start_b_with_rng(&code.password(), &identities.host, &identities.guest, Random(entropy));
        send(stream, &ours).await?;
        let theirs: [u8; ELEMENT_BYTES] = receive(stream).await?;
        let keys = Keys::derive(purpose, &agree(spake, &theirs)?, [&host.0, &guest.0, &theirs, &ours]);
        send(stream, &keys.guest_proof()).await?;
        let length = stream.read_u8().await.map_err(PairError::Broken)?;
        if length == 0 {
            return Err(PairError::WrongCode);
        }
        let proof: [u8; PROOF_BYTES] = receive_rest(stream, length).await?;
        if keys.host_has_made(&proof) { Ok(()) } else { Err(PairError::WrongCode) }
    })
    .await
}

/// Who they are to SPAKE2, by role.
struct Identities {
    host: Identity,
    guest: Identity,
}

impl Identities {
    fn new(purpose: Purpose, host: &Did, guest: &Did) -> Self {
        let context = purpose.context();
        let identity = |role: &[u8], did: &Did| Identity::new(&[context, b" ", role, b" ", &did.0].concat());
        Self { host: identity(b"host", host), guest: identity(b"guest", guest) }
    }
}

/// The shared key. SPAKE2 tells by the first byte whose message it is and refuses its own side's: what we said does not
/// do as an answer.
fn agree(spake: Spake2<Ed25519Group>, theirs: &[u8]) -> Result<Zeroizing<Vec<u8>>, PairError> {
    spake.finish(theirs).map(Zeroizing::new).map_err(|_| PairError::Malformed)
}

async fn in_time(pairing: impl Future<Output = Result<(), PairError>>) -> Result<(), PairError> {
    tokio::time::timeout(PAIRING_TIME, pairing).await.unwrap_or(Err(PairError::TimedOut))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> Result<(), PairError> {
    let length = u8::try_from(message.len()).expect("a message is short");
    let framed = [&[length], message].concat();
    stream.write_all(&framed).await.map_err(PairError::Broken)?;
    stream.flush().await.map_err(PairError::Broken)
}

async fn receive<const BYTES: usize>(stream: &mut (impl AsyncRead + Unpin)) -> Result<[u8; BYTES], PairError> {
    let length = stream.read_u8().await.map_err(PairError::Broken)?;
    receive_rest(stream, length).await
}

/// A message whose length has come. A length that is not the expected one is not waited for.
async fn receive_rest<const BYTES: usize>(
    stream: &mut (impl AsyncRead + Unpin),
    length: u8,
) -> Result<[u8; BYTES], PairError> {
    if usize::from(length) != BYTES {
        return Err(PairError::Malformed);
    }
    let mut message = [0; BYTES];
    stream.read_exact(&mut message).await.map_err(PairError::Broken)?;
    Ok(message)
}
