//! Whole bodies over the streams of `wasi:http`.
use crate::bindings::wasi::http::types::{IncomingBody, OutgoingBody};
use crate::bindings::wasi::io::streams::StreamError;
use std::fmt;

/// How much is asked of a stream at once.
const READ_BYTES: u64 = 64 * 1024;

/// How much `wasi:io` takes in one call that waits for room and writes.
const WRITE_AT_ONCE_BYTES: usize = 4096;

/// Why a body did not arrive or leave in whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than the reader allows.
    TooLarge {
        /// What it allows.
        limit_bytes: usize,
    },
    /// The other side went away or broke a rule.
    Broken(String),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit_bytes } => write!(f, "read a body: more than {limit_bytes} bytes"),
            Self::Broken(why) => write!(f, "move a body: {why}"),
        }
    }
}

impl std::error::Error for BodyError {}

impl From<StreamError> for BodyError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Closed => Self::Broken("the stream was closed".into()),
            StreamError::LastOperationFailed(error) => Self::Broken(error.to_debug_string()),
        }
    }
}

/// Reads a body to its end, or refuses it once it is longer than `limit_bytes`.
pub fn read_body(body: IncomingBody, limit_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let stream = body.stream().map_err(|()| BodyError::Broken("the body was taken before".into()))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(chunk) if chunk.len() > limit_bytes - bytes.len() => return Err(BodyError::TooLarge { limit_bytes }),
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes all of `bytes`, waiting where the reader is slow.
pub fn write_body(body: &OutgoingBody, bytes: &[u8]) -> Result<(), BodyError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let stream = body.write().map_err(|()| BodyError::Broken("the body was taken before".into()))?;
    let mut rest = bytes;
    while rest.len() > WRITE_AT_ONCE_BYTES {
        let ready = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        let (now, later) = rest.split_at(ready.min(rest.len()));
        stream.write(now)?;
        // Until there is room for more.
        stream.blocking_flush()?;
        rest = later;
    }
    if !rest.is_empty() {
        stream.blocking_write_and_flush(rest)?;
    }
    Ok(())
}
