//! From an artifact to native code: in a child process with limits, once, and from then on out of our own cache.
//!
//! Compilation has no bound in time or memory, so it never runs in the node. What comes back is native code, so it is
//! trusted only from our own child and our own cache.

mod cache;
mod child;
mod load;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nisse_model::Hash256;
use nisse_store::{Disk, Entropy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

pub use self::cache::CacheError;
use self::cache::CodeCache;
use self::child::{ANSWER_CODE, ANSWER_REFUSED, CODE_BYTES_MAX, encode_request};
pub use self::child::{CompileChildError, compile_child_main};
pub use self::load::CompiledArtifact;
use crate::engine::Engine;

/// Compilations that run at once.
const CHILDREN_AT_ONCE_MAX: usize = 1;
/// Longest refusal that is read from a child.
const REFUSAL_BYTES_MAX: u64 = 16 << 10;

/// The command that runs [`compile_child_main`].
#[derive(Debug, Clone)]
pub struct CompileCommand {
    /// The binary, usually the node's own.
    pub program: PathBuf,
    /// Its arguments, such as `internal compile`.
    pub arguments: Vec<OsString>,
}

/// Limits of one compilation. The child sets those of memory and processor time upon itself before it reads anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space of the child, in bytes.
    pub memory_bytes: u64,
    /// Processor time of the child.
    pub cpu: Duration,
    /// Wall time until the child is killed.
    pub time: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { memory_bytes: 4 << 30, cpu: Duration::from_secs(60), time: Duration::from_secs(120) }
    }
}

/// Why an artifact has no native code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler looked at it and said no.
    #[error("compile the component: {0}")]
    Refused(String),
    /// The child used up its time or memory, or crashed.
    #[error("compile the component within its limits: the compiler {0}")]
    Limit(String),
    /// The child could not be run at all.
    #[error("run the compiler")]
    Child(#[source] std::io::Error),
    /// What came back is not code of this engine.
    #[error("load compiled code: {0}")]
    Load(String),
    /// The cache's folder is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Compiles artifacts and keeps their code.
pub struct Compiler {
    engine: Engine,
    cache: CodeCache,
    command: CompileCommand,
    limits: CompileLimits,
    children: Semaphore,
}

impl Compiler {
    /// A compiler with its cache in `folder`, which belongs to this node alone.
    pub fn new(
        engine: Engine,
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        entropy: &dyn Entropy,
        command: CompileCommand,
        limits: CompileLimits,
    ) -> Result<Self, CompileError> {
        let cache = CodeCache::open(disk, folder, entropy)?;
        Ok(Self { engine, cache, command, limits, children: Semaphore::new(CHILDREN_AT_ONCE_MAX) })
    }

    /// Gives the native code of an artifact, whose hash and imports the caller has checked.
    pub async fn compile(&self, artifact: &[u8]) -> Result<CompiledArtifact, CompileError> {
        let hash = Hash256::of(artifact);
        if let Some(compiled) = self.cached(hash) {
            return Ok(compiled);
        }
        let _turn = self.children.acquire().await.expect("the semaphore is never closed");
        // Another caller may have compiled the same artifact meanwhile.
        if let Some(compiled) = self.cached(hash) {
            return Ok(compiled);
        }
        let code = self.run_child(artifact).await?;
        let compiled = CompiledArtifact::from_own_code(&self.engine, hash, &code).map_err(CompileError::Load)?;
        if let Err(error) = self.cache.put(hash, self.engine.compatibility_hash(), &code) {
            // The code is good; only the next start is slower.
            tracing::warn!(artifact = %hash, %error, "compiled code was not cached");
        }
        Ok(compiled)
    }

    /// The code of an artifact if it is in the cache, intact and of this engine.
    pub fn cached(&self, artifact: Hash256) -> Option<CompiledArtifact> {
        let code = self.cache.get(artifact, self.engine.compatibility_hash())?;
        match CompiledArtifact::from_own_code(&self.engine, artifact, &code) {
            Ok(compiled) => Some(compiled),
            Err(error) => {
                tracing::warn!(%artifact, error, "cached code does not load and is compiled again");
                None
            }
        }
    }

    async fn run_child(&self, artifact: &[u8]) -> Result<Vec<u8>, CompileError> {
        let mut command = Command::new(&self.command.program);
        command.args(&self.command.arguments).env_clear().kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(CompileError::Child)?;
        let stdin = child.stdin.take().expect("the child's input is piped");
        let stdout = child.stdout.take().expect("the child's output is piped");
        let request = encode_request(self.engine.compatibility_hash(), self.limits, artifact);
        let talk = async {
            // Both at once: a child that refuses early stops reading.
            let (_, answer) = tokio::join!(send(stdin, &request), receive(stdout));
            (answer, child.wait().await)
        };
        match tokio::time::timeout(self.limits.time, talk).await {
            Err(_) => Err(CompileError::Limit(format!("needed more than {:?}", self.limits.time))),
            Ok((Ok(Answer::Code(code)), Ok(status))) if status.success() => Ok(code),
            Ok((Ok(Answer::Refused(text)), _)) => Err(CompileError::Refused(text)),
            Ok((_, Ok(status))) => Err(CompileError::Limit(format!("ended with {status} and no code"))),
            Ok((_, Err(error))) => Err(CompileError::Child(error)),
        }
    }
}

enum Answer {
    Code(Vec<u8>),
    Refused(String),
}

async fn send(mut stdin: tokio::process::ChildStdin, request: &[u8]) {
    // A child that has ended says why by its answer or its status.
    let _ = stdin.write_all(request).await;
    let _ = stdin.shutdown().await;
}

async fn receive(mut stdout: tokio::process::ChildStdout) -> std::io::Result<Answer> {
    let kind = stdout.read_u8().await?;
    let length = stdout.read_u64().await?;
    let max = if kind == ANSWER_CODE { CODE_BYTES_MAX } else { REFUSAL_BYTES_MAX };
    if length > max || kind != ANSWER_CODE && kind != ANSWER_REFUSED {
        return Err(std::io::Error::other("an answer that no compiler gives"));
    }
    let mut payload = Vec::new();
    stdout.take(length).read_to_end(&mut payload).await?;
    if payload.len() as u64 != length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    match kind {
        ANSWER_CODE => Ok(Answer::Code(payload)),
        _ => Ok(Answer::Refused(String::from_utf8_lossy(&payload).into_owned())),
    }
}
