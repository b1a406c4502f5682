//! A way to a chain on which a block comes every two seconds, as on a public one: what is sent waits for the next block.
//!
//! The embedded chain makes a block of its own for each transaction, at once. Here a transaction is held until the next
//! block is due, and a block of none is made where none was sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::load;

/// Between two blocks.
pub(crate) const BLOCK_TIME: Duration = Duration::from_secs(2);
/// The one call that asks for a block.
const SENDS: &[u8] = b"\"eth_sendRawTransaction\"";
const MINE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"nisse_mine","params":[]}"#;

/// Blocks of a development chain, until this is dropped.
pub(crate) struct Blocks {
    /// Where the chain is reached.
    pub(crate) address: SocketAddr,
    due: Arc<Due>,
    ended: Arc<AtomicBool>,
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.due.come();
    }
}

/// Which block is due, and how many transactions wait for it.
#[derive(Default)]
struct Due {
    state: Mutex<(u64, u32)>,
    next: Condvar,
}

impl Due {
    /// Waits for the next block.
    fn wait(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        let now = state.0;
        drop(self.next.wait_while(state, |state| state.0 == now));
    }

    /// The next block is here; how many transactions waited for it.
    fn come(&self) -> u32 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = std::mem::take(&mut state.1);
        state.0 += 1;
        self.next.notify_all();
        waited
    }
}

impl Blocks {
    /// Begins to make blocks on the chain whose JSON-RPC is served at `chain`.
    pub(crate) fn begin(chain: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (due, ended) = (Arc::new(Due::default()), Arc::new(AtomicBool::new(false)));
        let blocks = Self { address: listener.local_addr()?, due: due.clone(), ended: ended.clone() };
        let carried = due.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let due = carried.clone();
                // It ends when whoever asks hangs up.
                std::thread::spawn(move || carry(stream, chain, &due));
            }
        });
        std::thread::spawn(move || {
            let mut at = Instant::now();
            while !ended.load(Ordering::Relaxed) {
                at += BLOCK_TIME;
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                if due.come() == 0
                    && let Err(error) = load::post(chain, &chain.to_string(), MINE)
                    && !ended.load(Ordering::Relaxed)
                {
                    eprintln!("no block was made: {error:#}");
                }
            }
        });
        Ok(blocks)
    }
}

fn carry(stream: TcpStream, chain: SocketAddr, due: &Due) -> anyhow::Result<()> {
    let mut asks = BufReader::new(stream);
    asks.get_ref().set_nodelay(true)?;
    loop {
        let asked = message(&mut asks)?;
        if asked.windows(SENDS.len()).any(|window| window == SENDS) {
            due.wait();
        }
        // One that is kept may be closed by the chain's node at any moment.
        let mut answers = BufReader::new(TcpStream::connect(chain)?);
        answers.get_ref().set_nodelay(true)?;
        answers.get_mut().write_all(&asked)?;
        let answered = message(&mut answers)?;
        asks.get_mut().write_all(&answered)?;
    }
}

/// A request or an answer, head and body.
fn message(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<u8>> {
    let (mut message, mut length) = (Vec::new(), 0);
    loop {
        let begins = message.len();
        stream.read_until(b'\n', &mut message)?;
        let line = std::str::from_utf8(&message[begins..])?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
            _ if line == "\r\n" => break,
            _ => drop(line.strip_suffix("\r\n").context("it hung up")?),
        }
    }
    let begins = message.len();
    message.resize(begins + length, 0);
    stream.read_exact(&mut message[begins..])?;
    Ok(message)
}
