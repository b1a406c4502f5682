//! The answers of one download that are under way, heard in the order in which they come.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{AbortHandle, BoxStream, SelectAll, abortable};
use futures::{StreamExt as _, future};
use nisse_content::download::{Ask, AskId, Download};

use super::asking::Heard;

/// The answers under way.
#[derive(Default)]
pub(super) struct Answers<'a> {
    streams: SelectAll<BoxStream<'a, (AskId, Heard)>>,
    handles: HashMap<AskId, AbortHandle>,
}

impl<'a> Answers<'a> {
    pub(super) fn begin(&mut self, ask: &Ask, heard: BoxStream<'a, Heard>) {
        let id = ask.id;
        let (heard, handle) = abortable(heard.map(move |heard| (id, heard)));
        self.handles.insert(id, handle);
        self.streams.push(heard.boxed());
    }

    pub(super) fn drop_those(&mut self, dropped: &[AskId]) {
        for handle in dropped.iter().filter_map(|id| self.handles.remove(id)) {
            handle.abort();
        }
    }

    /// Waits for ever where nothing is under way.
    pub(super) async fn next(&mut self) -> Option<(AskId, Heard)> {
        match self.streams.next().await {
            Some(heard) => Some(heard),
            None => future::pending().await,
        }
    }

    pub(super) fn hear(&mut self, download: &mut Download, ask: AskId, heard: Heard, now: Duration) -> bool {
        match heard {
            Heard::Head { status, content_type } => download.head(ask, status, &content_type),
            Heard::Piece(bytes) => return download.piece(ask, &bytes, now),
            Heard::End(ended) => {
                self.handles.remove(&ask);
                download.end(ask, ended);
            }
            Heard::NotNow(why) => {
                tracing::debug!(why, "a provider is asked a little later");
                self.handles.remove(&ask);
                download.not_now(ask, now);
            }
        }
        true
    }
}
