//! audit ls, verify, export.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nisse_api::client::Client;
use nisse_model::{AuditHead, Hash256};
use nisse_node::control::AuditEntry;
use serde_json::json;

use super::client;
use crate::cli::{AuditCommand, Shared};
use crate::failure::{Exit, Failure, unreadable};
use crate::output;

/// Lines that are asked for at once.
const PAGE: usize = 10_000;
/// Longest line of an exported file.
const LINE_BYTES_MAX: usize = 64 << 10;

pub(crate) async fn run(shared: &Shared, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Ls { lines } => {
            let entries: Vec<AuditEntry> = client(shared).await?.get(&format!("/api/v1/audit?lines={lines}")).await?;
            if shared.json {
                output::json(&entries);
            } else {
                let row = |entry: &AuditEntry| {
                    let AuditEntry { number, at, by, act, about, outcome, .. } = entry.clone();
                    vec![number.to_string(), output::time(at), by, act, about, outcome]
                };
                let rows = entries.iter().map(row).collect::<Vec<_>>();
                output::table(&["line", "when", "by", "act", "about", "outcome"], &rows);
            }
            Ok(())
        }
        AuditCommand::Export { file } => export(shared, &file).await,
        AuditCommand::Verify { file, since } => {
            let since = since.as_deref().map(noted).transpose()?;
            let mut chain = Chain { since, ..Chain::default() };
            match file {
                Some(file) => read(&file, |entry| chain.take(&entry))?,
                None => each(&client(shared).await?, |entry| chain.take(&entry)).await?,
            }
            chain.tell(shared)
        }
    }
}

/// What somebody noted of an earlier log: `LINES:HASH`, as `verify` prints it.
fn noted(text: &str) -> Result<AuditHead, Failure> {
    let refused = || {
        Failure::usage(format!("failed to read {text:?} as a head of the audit log: expected LINES:HASH"))
            .hint("`nisse audit verify` prints it")
    };
    let (lines, hash) = text.split_once(':').ok_or_else(refused)?;
    Ok(AuditHead {
        lines: lines.parse().map_err(|_| refused())?,
        hash: hash.parse::<Hash256>().map_err(|_| refused())?,
    })
}

/// Every line that the node holds, oldest first.
async fn each(client: &Client, mut take: impl FnMut(AuditEntry) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut from = 0;
    loop {
        let page: Vec<AuditEntry> = client.get(&format!("/api/v1/audit?from={from}&lines={PAGE}")).await?;
        let Some(last) = page.last() else { return Ok(()) };
        if from > 0 && page[0].number != from {
            let text = "failed to read the audit log: its oldest lines went while it was read";
            return Err(Failure::new(Exit::Failed, text).hint("run it again"));
        }
        from = last.number + 1;
        page.into_iter().try_for_each(&mut take)?;
    }
}

fn read(file: &Path, mut take: impl FnMut(AuditEntry) -> Result<(), Failure>) -> Result<(), Failure> {
    let opened = std::fs::File::open(file).map_err(|error| unreadable(file, &error))?;
    let mut reader = BufReader::new(opened);
    for number in 1.. {
        let mut line = Vec::new();
        let mut limited = std::io::Read::take(&mut reader, LINE_BYTES_MAX as u64);
        let read = limited.read_until(b'\n', &mut line).map_err(|error| unreadable(file, &error))?;
        if read == 0 {
            break;
        }
        let entry = serde_json::from_slice(&line).map_err(|error| {
            Failure::usage(format!("failed to read line {number} of {}: {error}", file.display()))
                .hint("`nisse audit export` writes such a file")
        })?;
        take(entry)?;
    }
    Ok(())
}

async fn export(shared: &Shared, file: &Path) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Exit::Failed, format!("failed to write {}: {error}", file.display()));
    let client = client(shared).await?;
    let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let created = created.map_err(|error| failed(error).hint("name a file that is not there yet"))?;
    let mut out = std::io::BufWriter::new(created);
    let mut chain = Chain::default();
    let write = |entry: AuditEntry| {
        chain.take(&entry)?;
        serde_json::to_writer(&mut out, &entry).map_err(|error| failed(error.into()))?;
        out.write_all(b"\n").map_err(failed)
    };
    each(&client, write).await?;
    out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
    chain.tell(shared)
}

/// The lines seen so far, each of which followed from the one before.
#[derive(Default)]
struct Chain {
    first: Option<u64>,
    head: Option<AuditHead>,
    /// What the log must have been when it had so many lines.
    since: Option<AuditHead>,
}

impl Chain {
    fn take(&mut self, entry: &AuditEntry) -> Result<(), Failure> {
        let broken = |what: String| {
            Failure::new(Exit::Refused, format!("failed to verify the audit log: {what}"))
                .hint("it is not the log that was written: keep it as it is, and look at who could write to it")
        };
        let line = entry.line().map_err(|error| broken(format!("line {}: failed to {error}", entry.number)))?;
        let first = self.head.is_none();
        let mut head = self.head.unwrap_or_else(|| AuditHead::before(&line));
        if first {
            self.first = Some(line.number);
            self.hold(&head).map_err(&broken)?;
        }
        head.follow(&line).map_err(|error| broken(error.to_string().replacen("follow the audit log: ", "", 1)))?;
        if head.hash.to_string() != entry.hash {
            return Err(broken(format!("line {} is not what its hash says", line.number)));
        }
        self.head = Some(head);
        self.hold(&head).map_err(broken)
    }

    fn hold(&self, head: &AuditHead) -> Result<(), String> {
        match self.since {
            Some(since) if since.lines == head.lines && since.hash != head.hash => {
                Err(format!("with {} lines it was another one when that was noted", since.lines))
            }
            _ => Ok(()),
        }
    }

    fn tell(&self, shared: &Shared) -> Result<(), Failure> {
        let head = self.head.unwrap_or(AuditHead::START);
        let first = self.first.unwrap_or(0);
        if let Some(since) = self.since.filter(|since| since.lines > head.lines || since.lines < first) {
            let text = match since.lines > head.lines {
                true => format!("it has {} lines, and had {} when that was noted", head.lines, since.lines),
                false => format!("its lines before {first} are gone, and with them what was noted"),
            };
            return Err(Failure::new(Exit::Refused, format!("failed to verify the audit log: {text}")));
        }
        let text = format!("{}:{}", head.lines, head.hash);
        if shared.json {
            output::json(&json!({ "lines": head.lines, "first": first, "head": text }));
            return Ok(());
        }
        let older =
            if first > 0 { format!("; those before line {first} are not held any more") } else { String::new() };
        output::line(format!("{} lines, each follows from the one before{older}", head.lines - first));
        output::line(format!("head  {text}"));
        Ok(())
    }
}
