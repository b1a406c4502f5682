//! The node's end: a client that asks, and a driver that keeps the vault's process running.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nisse_model::SecretName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::vault::{Secret, Setting, VALUE_LENGTHS, Vault};
use crate::wire::{Answer, Bytes, RefusalKind, Request, VaultStatus, message_length};

/// Requests that wait for the vault; one more is refused.
const CALLS_MAX: usize = 64;
/// How long the vault may think: a passphrase is meant to take its time.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long the process may take to end once its socket is closed.
const END_MAX: Duration = Duration::from_secs(2);
/// The pause before a process that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What starts the vault's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, such as `internal vault --home DIR`.
    pub arguments: Vec<OsString>,
}

/// Why the vault did not do something. Each text completes "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultCallError {
    /// It refused.
    #[error("{text}")]
    Refused {
        /// What kind of refusal.
        kind: RefusalKind,
        /// What it said.
        text: String,
    },
    /// Its process does not answer.
    #[error("reach the vault: {0}")]
    Unreachable(&'static str),
}

struct Call {
    request: Request,
    answer: oneshot::Sender<Result<Answer, VaultCallError>>,
}

/// What is known of the vault without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultState {
    /// Its process is being started.
    Starting,
    /// As it stood when it last changed.
    Known(VaultStatus),
    /// It does not open, or its process does not run.
    Broken(String),
}

/// Asks the vault. Cheap to clone.
#[derive(Clone)]
pub struct VaultClient {
    calls: mpsc::Sender<Call>,
    state: watch::Receiver<VaultState>,
}

/// Keeps the vault's process running.
pub struct VaultDriver {
    command: VaultCommand,
    calls: mpsc::Receiver<Call>,
    state: watch::Sender<VaultState>,
    /// Its owner sealed it: it is not unlocked by what lies there until they say so.
    sealed: bool,
}

/// A client, and the driver that has to run for it.
pub fn vault_process(command: VaultCommand) -> (VaultClient, VaultDriver) {
    let (sender, calls) = mpsc::channel(CALLS_MAX);
    let (known, state) = watch::channel(VaultState::Starting);
    (VaultClient { calls: sender, state }, VaultDriver { command, calls, state: known, sealed: false })
}

impl VaultClient {
    /// How it stood when it last changed; asks nobody.
    pub fn glance(&self) -> VaultState {
        self.state.borrow().clone()
    }

    /// How it stands.
    pub async fn status(&self) -> Result<VaultStatus, VaultCallError> {
        match self.ask(Request::Status).await? {
            Answer::Status(status) => Ok(status),
            _ => Err(unexpected()),
        }
    }

    /// Unlocks it with a passphrase; with an empty one, by the credential or the key file.
    pub async fn unlock(&self, passphrase: Zeroizing<Vec<u8>>) -> Result<(), VaultCallError> {
        within(passphrase.len(), "unlock the vault: a passphrase has at most 16 KiB")?;
        self.done(Request::Unlock { passphrase }).await
    }

    /// Makes it forget its root key.
    pub async fn seal(&self) -> Result<(), VaultCallError> {
        self.done(Request::Seal).await
    }

    /// From now on it is unlocked by these, each by itself, and by nothing else.
    pub async fn protect(
        &self,
        passphrase: Option<Zeroizing<Vec<u8>>>,
        credential: bool,
        key_file: bool,
    ) -> Result<(), VaultCallError> {
        let length = passphrase.as_ref().map_or(0, |words| words.len());
        within(length, "protect the vault: a passphrase has at most 16 KiB")?;
        self.done(Request::Protect { passphrase, credential, key_file }).await
    }

    /// Sets a tenant's secret; its version.
    pub async fn set(
        &self,
        tenant: &str,
        name: &SecretName,
        value: Zeroizing<Vec<u8>>,
        setting: Setting,
    ) -> Result<u64, VaultCallError> {
        within(value.len(), &format!("keep a secret: {VALUE_LENGTHS}"))?;
        let request = Request::Set { tenant: tenant.to_owned(), name: name.clone(), value, setting };
        match self.ask(request).await? {
            Answer::Version(version) => Ok(version),
            _ => Err(unexpected()),
        }
    }

    /// A secret's value.
    pub async fn reveal(&self, tenant: &str, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultCallError> {
        match self.ask(Request::Reveal { tenant: tenant.to_owned(), name: name.clone() }).await? {
            Answer::Value(value) => Ok(value),
            _ => Err(unexpected()),
        }
    }

    /// What a tenant has, by name.
    pub async fn list(&self, tenant: &str) -> Result<Vec<Secret>, VaultCallError> {
        match self.ask(Request::List { tenant: tenant.to_owned() }).await? {
            Answer::Secrets(secrets) => Ok(secrets),
            _ => Err(unexpected()),
        }
    }

    /// Makes it forget a secret.
    pub async fn remove(&self, tenant: &str, name: &SecretName) -> Result<(), VaultCallError> {
        self.done(Request::Remove { tenant: tenant.to_owned(), name: name.clone() }).await
    }

    async fn done(&self, request: Request) -> Result<(), VaultCallError> {
        match self.ask(request).await? {
            Answer::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    async fn ask(&self, request: Request) -> Result<Answer, VaultCallError> {
        let (answer, answered) = oneshot::channel();
        self.calls.try_send(Call { request, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => VaultCallError::Unreachable("64 requests wait for it already"),
            mpsc::error::TrySendError::Closed(_) => VaultCallError::Unreachable("the node is ending"),
        })?;
        let answer = answered.await.map_err(|_| VaultCallError::Unreachable("the node is ending"))??;
        match answer {
            Answer::Refused { kind, text } => Err(VaultCallError::Refused { kind, text }),
            other => Ok(other),
        }
    }
}

/// Refuses what is longer than any secret before it is sent.
fn within(length: usize, text: &str) -> Result<(), VaultCallError> {
    if length <= Vault::VALUE_LENGTH_MAX {
        return Ok(());
    }
    Err(VaultCallError::Refused { kind: RefusalKind::Limit, text: text.to_owned() })
}

fn unexpected() -> VaultCallError {
    VaultCallError::Unreachable("its answer is to something else")
}

/// A running vault.
struct Running {
    child: Child,
    socket: UnixStream,
}

/// Why a process is followed by another one.
enum Ended {
    /// It was sealed, and has forgotten everything with its end.
    Sealed,
    Broken(io::Error),
}

impl VaultDriver {
    /// Keeps the process running and asks it, one request after the other, until `ending` is done; then the process ends.
    pub async fn run(mut self, ending: impl Future<Output = ()>) {
        tokio::pin!(ending);
        loop {
            let ended = match self.start() {
                Err(error) => Ended::Broken(error),
                Ok(mut running) => {
                    let ended = tokio::select! {
                        ended = self.serve(&mut running) => ended,
                        () = &mut ending => return running.end().await,
                    };
                    running.end().await;
                    ended
                }
            };
            let Ended::Broken(error) = ended else {
                self.sealed = true;
                self.state.send_replace(VaultState::Starting);
                continue;
            };
            tracing::error!(%error, "the vault's process ended; it is started again");
            self.state.send_replace(VaultState::Broken(format!("its process ended: {error}")));
            tokio::select! {
                () = self.refuse() => {}
                () = &mut ending => return,
            }
        }
    }

    fn start(&self) -> io::Result<Running> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&self.command.program);
        // Of its own group: what a terminal sends to the node's group is for the node to handle.
        command.args(&self.command.arguments).env_clear().kill_on_drop(true).process_group(0);
        if self.sealed {
            command.arg("--sealed");
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        Ok(Running { child, socket: UnixStream::from_std(ours)? })
    }

    /// Answers calls until the process is gone, and says how it went.
    async fn serve(&mut self, running: &mut Running) -> Ended {
        if let Err(error) = self.look(running).await {
            return Ended::Broken(running.end_or(error).await);
        }
        loop {
            let call = tokio::select! {
                call = self.calls.recv() => call,
                status = running.child.wait() => return Ended::Broken(ended_with(status)),
            };
            // Every client is gone: nobody asks any more, and the process waits for the node's end.
            let Some(Call { request, answer }) = call else { return std::future::pending().await };
            // Nor does whoever went away while others were served.
            if answer.is_closed() {
                continue;
            }
            let asked = running.ask_in_time(&request).await;
            let done = matches!(asked, Ok(Answer::Done));
            if done && matches!(request, Request::Seal) {
                let _ = answer.send(asked.map_err(|_| unexpected()));
                return Ended::Sealed;
            }
            if done && matches!(request, Request::Unlock { .. }) {
                self.sealed = false;
            }
            // What was done is known before it is answered; a vault that did not open may have done so now.
            let was_broken = matches!(*self.state.borrow(), VaultState::Broken(_));
            let changes = !matches!(request, Request::Status | Request::Reveal { .. } | Request::List { .. });
            let looks = was_broken || changes;
            let looked = if looks && asked.is_ok() { self.look(running).await } else { Ok(()) };
            let broken = match asked {
                Ok(answered) => {
                    // Whoever asked may have gone.
                    let _ = answer.send(Ok(answered));
                    looked.err()
                }
                Err(error) => {
                    let _ = answer.send(Err(VaultCallError::Unreachable("its process broke off")));
                    Some(error)
                }
            };
            if let Some(error) = broken {
                return Ended::Broken(running.end_or(error).await);
            }
        }
    }

    /// Tells how the vault stands now.
    async fn look(&self, running: &mut Running) -> io::Result<()> {
        let state = match running.ask_in_time(&Request::Status).await? {
            Answer::Status(status) => VaultState::Known(status),
            Answer::Refused { text, .. } => VaultState::Broken(format!("failed to {text}")),
            _ => return Err(io::Error::other("an answer to something else")),
        };
        self.state.send_replace(state);
        Ok(())
    }

    /// Refuses what is asked while there is no process.
    async fn refuse(&mut self) {
        let pause = tokio::time::sleep(RESTART_PAUSE);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                Some(call) = self.calls.recv() => {
                    let _ = call.answer.send(Err(VaultCallError::Unreachable("its process is being started")));
                }
                () = &mut pause => return,
            }
        }
    }
}

fn ended_with(status: io::Result<ExitStatus>) -> io::Error {
    status.map_or_else(|error| error, |status| io::Error::other(format!("it ended with {status}")))
}

impl Running {
    async fn ask_in_time(&mut self, request: &Request) -> io::Result<Answer> {
        let request = request.encode();
        let asking = tokio::time::timeout(ANSWER_MAX, self.ask(&request));
        asking.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// How the process ended, if it did; else what it did to its socket.
    async fn end_or(&mut self, error: io::Error) -> io::Error {
        match tokio::time::timeout(END_MAX, self.child.wait()).await {
            Ok(status) => ended_with(status),
            Err(_) => error,
        }
    }

    async fn ask(&mut self, request: &Bytes) -> io::Result<Answer> {
        let length = u32::try_from(request.len()).map_err(io::Error::other)?;
        self.socket.write_all(&length.to_be_bytes()).await?;
        self.socket.write_all(request).await?;
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).await?;
        let mut answer: Bytes = Zeroizing::new(vec![0; message_length(length)?]);
        self.socket.read_exact(&mut answer).await?;
        Answer::decode(&answer)
    }

    /// Closes the socket, which is the process's sign to end, and waits for that a little.
    async fn end(self) {
        let Self { mut child, socket } = self;
        drop(socket);
        if tokio::time::timeout(END_MAX, child.wait()).await.is_err() {
            tracing::warn!("the vault's process did not end by itself and is killed");
            // It is killed when it is dropped, too; what fails here has ended meanwhile.
            let _ = child.kill().await;
        }
    }
}
