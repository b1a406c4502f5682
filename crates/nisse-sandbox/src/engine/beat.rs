//! The epoch's beat: a thread that makes running guests yield, and sleeps while none runs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::limits::EPOCH_BEAT;

/// The thread and what it watches. Dropping it ends the thread.
pub(crate) struct Beat {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    parked: AtomicBool,
    ended: AtomicBool,
}

/// One call that needs the beat.
pub(crate) struct Running<'a>(&'a Shared);

impl Beat {
    pub(crate) fn start(engine: &wasmtime::Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (watched, engine) = (shared.clone(), engine.weak());
        let thread = thread::Builder::new().name("nisse-epoch".to_owned()).spawn(move || {
            while !watched.ended.load(Ordering::SeqCst) {
                if watched.running.load(Ordering::SeqCst) == 0 {
                    watched.parked.store(true, Ordering::SeqCst);
                    // Looked at once more: a call that began in between has not seen the flag.
                    if watched.running.load(Ordering::SeqCst) == 0 && !watched.ended.load(Ordering::SeqCst) {
                        thread::park();
                    }
                    watched.parked.store(false, Ordering::SeqCst);
                    continue;
                }
                thread::sleep(EPOCH_BEAT);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { shared, thread })
    }

    pub(crate) fn running(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.thread().unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
    }
}
