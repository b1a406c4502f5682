//! A space as a file: written as it comes, and looked at to its end before any of it is sent.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytes::Bytes;
use futures::stream;
use nisse_node::control::SpaceImported;
use nisse_node::{ExportError, ExportPart, ExportReader};
use serde_json::json;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::client;
use super::{path, segment};
use crate::cli::Shared;
use crate::failure::{Exit, Failure, unreadable};
use crate::{output, progress};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// What a file has.
#[derive(Default)]
struct Content {
    name: String,
    credentials: u64,
    chunks: u64,
    bytes: u64,
}

/// A file that is looked at as it is written or read.
#[derive(Default)]
struct Looked {
    reader: ExportReader,
    content: Content,
}

impl Looked {
    fn piece(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.content.bytes += bytes.len() as u64;
        self.reader.push(bytes);
        while let Some(part) = self.reader.part()? {
            match part {
                ExportPart::Header(header) => self.content.name = header.name,
                ExportPart::Credential(_) => self.content.credentials += 1,
                ExportPart::Chunk(_) => self.content.chunks += 1,
                ExportPart::End => {}
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Content, ExportError> {
        self.reader.finish().map(|()| self.content)
    }
}

pub(super) async fn export(shared: &Shared, space: &str, to: &Path) -> Result<(), Failure> {
    let client = client(shared).await?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let file = OpenOptions::from(options).open(to).await.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let text = format!("failed to write {}: something is there already", to.display());
            Failure::new(Exit::Refused, text).hint("name a file that is not there yet")
        }
        _ => unwritten(to, &error),
    })?;
    let writing = async {
        let (mut file, mut looked) = (file, Looked::default());
        let path = path(space, "/export");
        let pieces = client.get_pieces(&path, async |piece: Bytes| {
            looked.piece(&piece).map_err(|error| unsound(&error))?;
            file.write_all(&piece).await.map_err(|error| unwritten(to, &error))
        });
        pieces.await?;
        let content = looked.end().map_err(|error| unsound(&error))?;
        file.sync_all().await.map_err(|error| unwritten(to, &error))?;
        Ok::<_, Failure>(content)
    };
    let content = match progress::during("exporting", writing).await {
        Ok(content) => content,
        Err(failure) => {
            // What is not whole is no export. Where it can't be taken away, its end is missing all the same.
            let _ = tokio::fs::remove_file(to).await;
            return Err(failure);
        }
    };
    let Content { name, credentials, chunks, bytes } = content;
    if shared.json {
        let file = to.display().to_string();
        output::json(
            &json!({ "space": name, "file": file, "credentials": credentials, "chunks": chunks, "bytes": bytes }),
        );
        return Ok(());
    }
    let count = |number: u64| number.to_string();
    let pairs =
        [("space", name), ("credentials", count(credentials)), ("chunks", count(chunks)), ("bytes", count(bytes))];
    output::pairs(&pairs);
    output::note(false, "whoever has the file reads the space: it is signed and not encrypted");
    Ok(())
}

pub(super) async fn import(shared: &Shared, from: &Path, name: Option<&str>) -> Result<(), Failure> {
    if shared.token.is_some() {
        // It would have to sign all of the file before any of it is sent, and the node takes none by it.
        let text = "failed to import: a token or an agent holds nothing in this home's name";
        return Err(Failure::new(Exit::Refused, text).hint("the owner does it, or a device of the identity"));
    }
    let failed = |error: &io::Error| unreadable(from, error);
    let found = tokio::fs::metadata(from).await.map_err(|error| failed(&error))?;
    if !found.is_file() {
        return Err(Failure::usage(format!("failed to read {}: it is no regular file", from.display())));
    }
    let client = client(shared).await?;
    // Nothing is sent of a file that is not whole.
    look(from).await?;
    let file = File::open(from).await.map_err(|error| failed(&error))?;
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        Ok((length > 0).then(|| (Bytes::from(piece), file)))
    });
    let named = name.map(|name| format!("?as={}", segment(name))).unwrap_or_default();
    let path = format!("/api/v1/imports{named}");
    let imported: SpaceImported = progress::during("importing", client.post_pieces(&path, pieces)).await?;
    tell(shared, &imported);
    Ok(())
}

/// Reads a file to its end.
async fn look(from: &Path) -> Result<(), Failure> {
    let read =
        async |file: &mut File, piece: &mut [u8]| file.read(piece).await.map_err(|error| unreadable(from, &error));
    let mut file = File::open(from).await.map_err(|error| unreadable(from, &error))?;
    let (mut looked, mut piece) = (Looked::default(), vec![0; PIECE_BYTES]);
    loop {
        let length = read(&mut file, &mut piece).await?;
        if length == 0 {
            break;
        }
        looked.piece(&piece[..length]).map_err(|error| unusable(&error))?;
    }
    looked.end().map(drop).map_err(|error| unusable(&error))
}

fn tell(shared: &Shared, imported: &SpaceImported) {
    if shared.json {
        return output::json(imported);
    }
    super::show(shared, &imported.space);
    let SpaceImported { credentials, new, held, aside, left, .. } = imported;
    output::pairs(&[
        ("new chunks", new.to_string()),
        ("there already", held.to_string()),
        ("set aside", aside.to_string()),
        ("not taken", if *left > 0 { left.to_string() } else { String::new() }),
        ("new credentials", credentials.to_string()),
    ]);
    if *left > 0 {
        output::note(
            false,
            "what is not taken stands on what is neither here nor in the file, or there is no more room for what is set aside",
        );
    }
}

fn unwritten(to: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("failed to write {}: {error}", to.display()))
}

/// The node's answer is no whole export.
fn unsound(error: &ExportError) -> Failure {
    Failure::new(Exit::Failed, format!("failed to {error}")).hint("nothing was kept of it: try again")
}

/// A file that is no whole export.
fn unusable(error: &ExportError) -> Failure {
    Failure::usage(format!("failed to {error}")).hint("nothing of it was taken: import a whole copy")
}
