//! nisse up: parse everything, open the home, bind everything, serve, and end in order.

use std::io::IsTerminal as _;
use std::sync::Arc;

use nisse_api::Listeners;
use nisse_node::{AcceptList, Node, Seams};
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Shared, Up};
use crate::config;
use crate::demo::Demo;
use crate::failure::{Exit, Failure};
use crate::output;

pub(crate) async fn run(shared: &Shared, flags: &Up) -> Result<(), Failure> {
    logging(shared.json);
    let home = config::home(shared.home.as_deref())?;
    let mut options = config::load(&home, flags)?.options;
    let demo = match flags.demo {
        Some(mode) => Some(Demo::prepare(mode, &home, &mut options).await?),
        None => None,
    };
    let (api, public, rpc) = (options.api, options.public, options.rpc);
    let strangers = !matches!(options.accept, AcceptList::Own | AcceptList::HomeKeys);
    // Bound before the home is touched: a taken port costs nothing.
    let listeners = Listeners::bind(api, public, rpc).await.map_err(|error| {
        Failure::new(Exit::Failed, format!("failed to {error}"))
            .hint("name other addresses with --api and --public; port 0 takes a free one")
    })?;
    let bound = listeners.bound().map_err(|error| Failure::new(Exit::Failed, format!("failed to listen: {error}")))?;
    let seams =
        Seams { disk: Arc::new(SystemDisk), clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
    let node = Node::open(options, seams).await?;
    node.listening(bound.api, bound.public)?;
    listeners.serve(&node);
    if strangers {
        output::line("strangers' agents are accepted: they run in this process, behind WebAssembly alone");
    }
    match &demo {
        Some(demo) => demo.run(&node).await?,
        None => {
            output::line(format!("nisse serves agents on {} and its owner on {}", bound.public, bound.api));
        }
    }
    let ended = until_the_end(&node).await;
    node.shut_down().await;
    ended
}

/// A signal, or a failure that the node cannot go on after.
async fn until_the_end(node: &Node) -> Result<(), Failure> {
    let unheard = |error: std::io::Error| Failure::new(Exit::Failed, format!("failed to listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        reason = node.failed() => Err(Failure::new(Exit::Failed, format!("failed to go on: {reason}"))
            .hint("nothing that was acknowledged is lost; `nisse up` recovers")),
    }
}

/// Logs go to stderr; `RUST_LOG` chooses them.
fn logging(json: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr);
    // Set once in the life of the process.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
