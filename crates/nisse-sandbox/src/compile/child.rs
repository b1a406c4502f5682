//! The other end of the compiler's pipe: reads one request, limits itself, compiles, answers, exits.
//!
//! Request: magic, the engine's compatibility hash, three limits (u64, big-endian), the artifact's length and bytes.
//! Answer: one byte (code or refusal), a length (u64, big-endian), the bytes.

use std::io::{self, Read, Write};

use nisse_model::Hash256;
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};

use super::CompileLimits;
use crate::engine::{Engine, EngineError, EngineOptions};
use crate::inspection::ARTIFACT_BYTES_MAX;

const MAGIC: &[u8; 16] = b"nisse-compile-1\n";
/// An answer that carries code.
pub(super) const ANSWER_CODE: u8 = 1;
/// An answer that carries the compiler's words.
pub(super) const ANSWER_REFUSED: u8 = 2;
/// The compiler runs where nobody else wants to: agents answer while it works.
const PRIORITY_LOWEST: i32 = 19;
/// Most native code of one artifact.
pub(super) const CODE_BYTES_MAX: u64 = 256 << 20;

/// Why the compile child gave up before it could answer.
#[derive(Debug, thiserror::Error)]
pub enum CompileChildError {
    /// The pipe to the node broke.
    #[error("read the request or write the answer")]
    Pipe(#[from] io::Error),
    /// Not a request of this version.
    #[error("read the request: it is not one of this nisse")]
    Request,
    /// The limits could not be set; nothing is compiled without them.
    #[error("limit the compiler")]
    Limit(#[source] rustix::io::Errno),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The node runs another engine than this binary has.
    #[error("compile for the node's engine: this binary has another one")]
    OtherEngine,
}

pub(super) fn encode_request(engine: Hash256, limits: CompileLimits, artifact: &[u8]) -> Vec<u8> {
    let mut request = Vec::with_capacity(MAGIC.len() + 64 + artifact.len());
    request.extend_from_slice(MAGIC);
    request.extend_from_slice(&engine.0);
    for number in [limits.memory_bytes, limits.cpu.as_secs().max(1), artifact.len() as u64] {
        request.extend_from_slice(&number.to_be_bytes());
    }
    request.extend_from_slice(artifact);
    request
}

/// The whole life of the compile child: what `nisse internal compile` calls with its standard input and output.
pub fn compile_child_main(input: &mut impl Read, output: &mut impl Write) -> Result<(), CompileChildError> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(CompileChildError::Request);
    }
    let mut wanted = Hash256::ZERO;
    input.read_exact(&mut wanted.0)?;
    let (memory_bytes, cpu_seconds, length) = (number(input)?, number(input)?, number(input)?);
    if length > ARTIFACT_BYTES_MAX as u64 {
        return Err(CompileChildError::Request);
    }
    for (resource, limit) in [(Resource::As, memory_bytes), (Resource::Cpu, cpu_seconds), (Resource::Core, 0)] {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        setrlimit(resource, limit).map_err(CompileChildError::Limit)?;
    }
    setpriority_process(None, PRIORITY_LOWEST).map_err(CompileChildError::Limit)?;
    let mut artifact = Vec::new();
    input.take(length).read_to_end(&mut artifact)?;
    if artifact.len() as u64 != length {
        return Err(CompileChildError::Request);
    }
    // It runs nothing, so it needs no pool.
    let engine = Engine::new(EngineOptions { pooled_instances: 0 })?;
    if engine.compatibility_hash() != wanted {
        return Err(CompileChildError::OtherEngine);
    }
    let (kind, payload) = match engine.compile(&artifact) {
        Ok(code) => (ANSWER_CODE, code),
        Err(text) => {
            let end = text.floor_char_boundary(super::REFUSAL_BYTES_MAX as usize);
            (ANSWER_REFUSED, text.as_bytes()[..end].to_vec())
        }
    };
    output.write_all(&[kind])?;
    output.write_all(&(payload.len() as u64).to_be_bytes())?;
    output.write_all(&payload)?;
    output.flush()?;
    Ok(())
}

fn number(input: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}
