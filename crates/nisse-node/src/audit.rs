//! The audit log of a home: who did what to its rights and secrets, in a journal of its own.
//!
//! One task owns it. A line is durable before whoever asked for it goes on; lines that come at once share one sync. What
//! somebody tries who has no right to it is told in few lines, so that a flood of tries costs the log nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nisse_model::{AuditHead, AuditLine, DecodeAuditError};
use nisse_store::{Clock, Disk, Entropy, Journal, JournalError, JournalOptions, Position};
use tokio::sync::{mpsc, oneshot};

use crate::error::{ErrorKind, NodeError, chain};
use crate::home::Home;
use crate::supervisor::Stop;

/// The folder of the home.
pub(crate) const FOLDER: &str = "audit";
/// Lines that are kept at least; whole files of older ones go.
pub(crate) const LINES_KEPT: u64 = 400_000;
/// Bytes of one of its files.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Lines that wait for the disk; one more is refused.
const WAITING_MAX: usize = 1_024;
/// Lines of one sync.
const AT_ONCE_MAX: usize = 256;
/// What is done or tried again and again is a line once in so long.
const OFTEN_EVERY: Duration = Duration::from_secs(60);
/// What is counted at once; when there is more, the counting begins anew.
const OFTEN_MAX: usize = 4_096;
/// What takes rights away, makes room, or stops something: it is done while the disk takes no line, too, and said aloud.
const TAKES_AWAY: [&str; 9] = [
    "vault.seal",
    "device.revoke",
    "device.pair.close",
    "token.revoke",
    "agent.pause",
    "agent.stop",
    "content.collect",
    "content.remove",
    "node.drain",
];
/// Lines that are read at once.
pub(crate) const LISTED_MAX: usize = 10_000;

/// What a line says, before it has its place.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) by: String,
    pub(crate) act: Cow<'static, str>,
    pub(crate) about: String,
    pub(crate) outcome: String,
}

impl Deed {
    /// What an agent does or tries.
    pub(crate) fn by_agent(agent: &str, act: &'static str, about: String, outcome: &str) -> Self {
        Self { by: format!("agent {agent}"), act: act.into(), about, outcome: outcome.to_owned() }
    }
}

struct Asked {
    deed: Deed,
    /// Whose deeds of its kind are counted with it; `None`: it is a line of its own.
    counted: Option<String>,
    /// Nobody waits for a try.
    written: Option<oneshot::Sender<Result<(), AuditError>>>,
}

/// Why a line was not written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("write to the audit log: {0}")]
pub(crate) struct AuditError(String);

/// The audit log as the rest of the node uses it.
pub(crate) struct Audit {
    journal: Arc<Journal>,
    waiting: mpsc::Sender<Asked>,
}

/// When something was told last, and how often it was done since; the last time it was this.
struct Counted {
    told: Duration,
    since: u64,
    last: Deed,
}

/// Owns the log while the node runs.
pub(crate) struct AuditWriter {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    waiting: mpsc::Receiver<Asked>,
    head: AuditHead,
    often: BTreeMap<(Cow<'static, str>, String), Counted>,
}

/// The log could not be opened.
enum OpenError {
    Journal(JournalError),
    Line(DecodeAuditError),
}

impl From<JournalError> for OpenError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Opens the audit log of a home.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: &dyn Entropy,
    home: &Home,
) -> Result<(Audit, AuditWriter), NodeError> {
    // One buffer for all of them: only the last one is read.
    let mut last = Vec::new();
    let layout = JournalOptions { segment_bytes: SEGMENT_BYTES };
    let journal = Journal::open_with(disk, entropy, &home.join(FOLDER), layout, |_, bytes| {
        last.clear();
        last.extend_from_slice(bytes);
        Ok::<_, OpenError>(())
    });
    let opened = journal.and_then(|journal| {
        let line = (!last.is_empty()).then(|| AuditLine::decode(&last)).transpose().map_err(OpenError::Line)?;
        let head = line.map_or(AuditHead::START, |line| AuditHead { lines: line.number + 1, hash: line.hash() });
        Ok((journal, head))
    });
    let (journal, head) = opened.map_err(|error| {
        let error: &dyn std::error::Error = match &error {
            OpenError::Journal(error) => error,
            OpenError::Line(error) => error,
        };
        let hint = format!(
            "keep {} for whoever looks into it and move it away: the node begins another one",
            home.join(FOLDER).display()
        );
        NodeError::caused(ErrorKind::Failed, "audit_failed", error).with_hint(hint)
    })?;
    let journal = Arc::new(journal);
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    let audit = Audit { journal: Arc::clone(&journal), waiting: sender };
    Ok((audit, AuditWriter { journal, clock, waiting, head, often: BTreeMap::new() }))
}

impl Audit {
    /// Writes a line, and returns once it is durable.
    pub(crate) async fn note(&self, deed: Deed) -> Result<(), AuditError> {
        let (written, told) = oneshot::channel();
        let ended = || AuditError("the node is ending".to_owned());
        self.waiting.send(Asked { deed, counted: None, written: Some(written) }).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }

    /// Does something that the log tells of: that it was asked for before it is done, and what came of it before that is
    /// told to anybody.
    pub(crate) async fn around<T>(
        &self,
        by: &str,
        act: &'static str,
        about: &str,
        doing: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        let deed = |outcome: String| Deed { by: by.to_owned(), act: act.into(), about: about.to_owned(), outcome };
        unless_it_takes_away(act, self.note(deed("asked".to_owned())).await).map_err(|error| unwritten(&error))?;
        let done = doing.await;
        let outcome = match &done {
            Ok(_) => "done".to_owned(),
            Err(error) if error.kind == ErrorKind::Unreachable => format!("unknown: {}", error.text),
            Err(error) => format!("refused: {}", error.text),
        };
        let written = unless_it_takes_away(act, self.note(deed(outcome)).await);
        match written {
            Err(error) if done.is_ok() => Err(done_and_unwritten(&error)),
            _ => done,
        }
    }

    /// Tells that somebody tried what they have no right to. Never waits. Whatever else they try within a minute is counted
    /// with it: nobody fills the log by trying.
    pub(crate) fn tried(&self, deed: Deed) {
        let counted = Some(deed.by.clone());
        if self.waiting.try_send(Asked { deed, counted, written: None }).is_err() {
            tracing::warn!("a try was not written to the audit log: too much waits for the disk");
        }
    }

    /// Tells of something that is done as often as somebody likes, and returns once there is a durable line of it, of now or
    /// of less than a minute ago.
    pub(crate) async fn often(&self, deed: Deed) -> Result<(), AuditError> {
        let counted = format!("{} {} {}", deed.by, deed.about, deed.outcome);
        self.counted(deed, counted).await
    }

    /// The same, counted with whatever has this key as well.
    pub(crate) async fn counted(&self, deed: Deed, key: String) -> Result<(), AuditError> {
        let (written, told) = oneshot::channel();
        let ended = || AuditError("the node is ending".to_owned());
        let counted = Some(key);
        self.waiting.send(Asked { deed, counted, written: Some(written) }).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }

    /// Why nothing can be written any more, if so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.journal.failure().map(|error| chain(&error))
    }

    /// How many durable lines there ever were.
    pub(crate) fn length(&self) -> u64 {
        self.journal.durable().0
    }

    /// The durable lines from `from` on, or the last ones: at most `most`.
    pub(crate) fn lines(&self, from: Option<u64>, most: usize) -> Result<Vec<AuditLine>, NodeError> {
        let end = self.journal.durable().0;
        let from = from.unwrap_or_else(|| end.saturating_sub(most as u64));
        let (mut lines, mut broken) = (Vec::new(), None);
        let read = self.journal.read(Position(from), |_, bytes| {
            match AuditLine::decode(bytes) {
                Ok(line) => lines.push(line),
                Err(error) => broken = Some(error),
            }
            Ok::<_, JournalError>(lines.len() < most && broken.is_none())
        });
        read.map_err(|error| NodeError::caused(ErrorKind::Failed, "audit_failed", &error))?;
        match broken {
            Some(error) => Err(NodeError::caused(ErrorKind::Failed, "audit_damaged", &error)),
            None => Ok(lines),
        }
    }
}

/// What is said where a line could not be written, and so nothing was done.
pub(crate) fn unwritten(error: &AuditError) -> NodeError {
    NodeError::caused(ErrorKind::Failed, "audit_failed", error)
        .with_hint("nothing was done; make room on that disk, or see what is wrong with it".to_owned())
}

/// What is said where it was done by then.
pub(crate) fn done_and_unwritten(error: &AuditError) -> NodeError {
    let text = format!("failed to {error}: what was asked for is done, and the log does not say so");
    NodeError::new(ErrorKind::Failed, "audit_failed", text)
}

/// A full disk refuses nobody what protects from it.
pub(crate) fn unless_it_takes_away(act: &str, written: Result<(), AuditError>) -> Result<(), AuditError> {
    match written {
        Err(error) if TAKES_AWAY.contains(&act) => {
            tracing::error!(act, %error, "it is done without its line in the audit log");
            Ok(())
        }
        written => written,
    }
}

impl AuditWriter {
    /// Writes until the node ends, and what waits then, too.
    pub(crate) async fn run(mut self, mut stop: Stop) {
        let mut batch = Vec::new();
        // Whatever comes in between: what was counted is told.
        let mut due = tokio::time::interval(OFTEN_EVERY);
        loop {
            tokio::select! {
                count = self.waiting.recv_many(&mut batch, AT_ONCE_MAX) => if count == 0 { break },
                _ = due.tick() => batch.extend(self.due(OFTEN_EVERY)),
                () = stop.requested() => break,
            }
            self.write(&mut batch).await;
        }
        self.waiting.close();
        while self.waiting.recv_many(&mut batch, AT_ONCE_MAX).await > 0 {
            self.write(&mut batch).await;
        }
        batch.extend(self.due(Duration::ZERO));
        self.write(&mut batch).await;
    }

    /// What was done since it was told, where that is so long ago. It is not counted any more.
    fn due(&mut self, ago: Duration) -> Vec<Asked> {
        let now = self.clock.elapsed();
        let over = self.often.extract_if(.., |_, counted| now.saturating_sub(counted.told) >= ago);
        let done = over.filter(|(_, counted)| counted.since > 0);
        done.map(|(_, counted)| Asked { deed: counted.again(), counted: None, written: None }).collect()
    }

    async fn write(&mut self, batch: &mut Vec<Asked>) {
        let (at, now) = (self.clock.now(), self.clock.elapsed());
        let mut head = self.head;
        let (mut records, mut told) = (Vec::with_capacity(batch.len()), Vec::new());
        for Asked { deed, counted, .. } in batch.iter() {
            let key = counted.as_ref().map(|whose| (deed.act.clone(), whose.clone()));
            let known = key.as_ref().and_then(|key| self.often.get_mut(key));
            let deed = match known {
                Some(counted) if now.saturating_sub(counted.told) < OFTEN_EVERY => {
                    counted.since += 1;
                    counted.last = deed.clone();
                    continue;
                }
                Some(counted) if counted.since > 0 => counted.with(deed),
                _ => deed.clone(),
            };
            if let Some(key) = key {
                // The rest of this batch is counted with it, and all of it is told again if the disk refuses.
                self.often.insert(key.clone(), Counted { told: now, since: 0, last: deed.clone() });
                told.push(key);
            }
            let [by, about, outcome] = [&deed.by, &deed.about, &deed.outcome].map(|text| shortened(text));
            let (number, previous) = (head.lines, head.hash);
            let line = AuditLine { number, at, by, act: deed.act.to_string(), about, outcome, previous };
            head.follow(&line).expect("a line that was made to follow");
            records.push(line.encode());
        }
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let appended = match self.journal.append_batch(&records) {
            _ if records.is_empty() => Ok(()),
            Ok(commit) => commit.durable().await.map(drop),
            Err(error) => Err(error),
        };
        let written = appended.map_err(|error| AuditError(chain(&error)));
        match &written {
            Ok(()) => self.head = head,
            Err(error) => {
                tracing::error!(%error, lines = records.len(), "lines of the audit log were not written");
                told.iter().for_each(|key| _ = self.often.remove(key));
            }
        }
        for Asked { written: asked, .. } in batch.drain(..) {
            // Whoever asked may have gone.
            let _ = asked.map(|asked| asked.send(written.clone()));
        }
        if self.often.len() > OFTEN_MAX {
            batch.extend(self.due(Duration::ZERO));
            self.often.clear();
        }
        let oldest = Position(self.head.lines.saturating_sub(LINES_KEPT));
        if self.journal.can_truncate_before(oldest) {
            // What is not dropped now is dropped with a later line.
            let _ = self.journal.truncate_before(oldest);
        }
    }
}

impl Counted {
    /// Another deed of its kind, with how many there were in between.
    fn with(&self, deed: &Deed) -> Deed {
        let outcome = format!("{}; {} more since the last line", deed.outcome, self.since);
        Deed { outcome, ..deed.clone() }
    }

    /// The last one, which stands for all since it was told.
    fn again(&self) -> Deed {
        let outcome = format!("{}; {} times since the last line", self.last.outcome, self.since);
        Deed { outcome, ..self.last.clone() }
    }
}

/// A text that shows what it is: without control characters and those that turn or hide what stands beside them, and with a
/// sign where it was cut.
fn shortened(text: &str) -> String {
    let hides = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let text: String = crate::logs::plain(text).chars().map(|c| if hides(c) { '\u{fffd}' } else { c }).collect();
    match text.floor_char_boundary(AuditLine::TEXT_LENGTH_MAX) {
        end if end < text.len() => format!("{}\u{2026}", &text[..end]),
        _ => text,
    }
}

#[cfg(test)]
mod tests;
