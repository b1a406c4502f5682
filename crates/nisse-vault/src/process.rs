//! The node's end of the vault's process: a driver that keeps it running, and carries what clients ask.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use crate::client::{Call, VaultCallError, VaultClient, VaultState, client, unexpected};
use crate::wire::{Answer, Bytes, HEAD_BYTES, Request, message_room};

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

impl VaultCommand {
    /// The same for a process that reads the vault beside another one, and changes nothing.
    pub fn read_only(mut self) -> Self {
        self.arguments.push("--read-only".into());
        self
    }
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
    let (client, calls, state) = client();
    (client, VaultDriver { command, calls, state, sealed: false })
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
            let looks = was_broken || request.changes();
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
        let (mut length, mut head) = ([0; 4], [0; HEAD_BYTES]);
        self.socket.read_exact(&mut length).await?;
        self.socket.read_exact(&mut head).await?;
        let mut answer = message_room(length, head, Answer::DOCUMENT)?;
        self.socket.read_exact(&mut answer[HEAD_BYTES..]).await?;
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
