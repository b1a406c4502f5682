//! What was written reaches the other side although nobody waits for it.

use std::sync::Mutex;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// How long a dropped stream is given to be acknowledged.
const FAREWELL_TIME: Duration = Duration::from_secs(5);
/// Dropped streams that are waited for at once.
const FAREWELLS_MAX: usize = 1_024;

/// Dropped streams whose last bytes are under way. Each keeps its connection open: a connection that is closed delivers
/// nothing.
pub(crate) struct Farewells {
    runtime: Handle,
    tasks: Mutex<JoinSet<()>>,
}

impl Farewells {
    /// Must be made inside a runtime.
    pub(crate) fn new() -> Self {
        Self { runtime: Handle::current(), tasks: Mutex::default() }
    }

    /// Keeps `kept` until `delivered`, or until that takes too long.
    pub(crate) fn wait<T: Send + 'static>(&self, delivered: impl Future + Send + 'static, kept: T) {
        let mut tasks = self.tasks.lock().expect("nothing panics with the farewells");
        while tasks.try_join_next().is_some() {}
        if tasks.len() < FAREWELLS_MAX {
            let task = async move {
                // Late is as good as never: then the other side is gone.
                let _ = tokio::time::timeout(FAREWELL_TIME, delivered).await;
                drop(kept);
            };
            tasks.spawn_on(task, &self.runtime);
        }
    }
}
