//! How a listener's connections end with the node: each answers what it was asked, and takes no more.
//!
//! hyper-util has the same for connections that stay what they are; ours may become something else.

use std::pin::pin;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1::UpgradeableConnection;
use hyper::service::HttpService;
use tokio::sync::watch;

/// Tells connections to leave.
#[derive(Default)]
pub(crate) struct Leaving(watch::Sender<()>);

/// Hears of it. Whoever has one is waited for.
pub(crate) struct Told(watch::Receiver<()>);

impl Leaving {
    /// For one connection.
    pub(crate) fn told(&self) -> Told {
        Told(self.0.subscribe())
    }

    /// Tells all of them, and waits until they have left.
    pub(crate) async fn all(self) {
        self.0.send_replace(());
        self.0.closed().await;
    }
}

impl Told {
    /// Serves a connection to its end.
    pub(crate) async fn serve<I, S, B>(mut self, connection: UpgradeableConnection<I, S>) -> Result<(), hyper::Error>
    where
        I: Read + Write + Send + Unpin + 'static,
        S: HttpService<Incoming, ResBody = B>,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            _ = self.0.changed() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    }
}
