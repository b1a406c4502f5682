//! content add, get, ls, rm, gc.

use nisse_node::control::{ContentAdded, ContentCollected, ContentEntry};

use super::client;
use crate::cli::{Content, Shared};
use crate::failure::{Exit, Failure};
use crate::output;

pub(crate) async fn run(shared: &Shared, command: Content) -> Result<(), Failure> {
    let client = client(shared)?;
    match command {
        Content::Add { file } => {
            let bytes = std::fs::read(&file)
                .map_err(|error| Failure::new(Exit::Failed, format!("failed to read {}: {error}", file.display())))?;
            let added: ContentAdded = client.post_bytes("/api/v1/content", bytes.into()).await?;
            if shared.json { output::json(&added) } else { output::line(&added.cid) }
        }
        Content::Get { cid, output: to } => {
            let bytes = client.get_bytes(&path(&cid)?).await?;
            match to {
                None => output::bytes(&bytes),
                Some(file) => std::fs::write(&file, &bytes).map_err(|error| {
                    Failure::new(Exit::Failed, format!("failed to write {}: {error}", file.display()))
                })?,
            }
        }
        Content::Ls => {
            let entries: Vec<ContentEntry> = client.get("/api/v1/content").await?;
            if shared.json {
                output::json(&entries);
            } else {
                let row = |entry: &ContentEntry| {
                    let pinned = if entry.pinned { "pinned" } else { "" };
                    vec![entry.cid.clone(), entry.bytes.to_string(), pinned.to_owned(), entry.pins.join(", ")]
                };
                output::table(&["cid", "bytes", "", "pins"], &entries.iter().map(row).collect::<Vec<_>>());
            }
        }
        Content::Rm { cid } => client.delete(&path(&cid)?).await?,
        Content::Gc => {
            let collected: ContentCollected = client.post_nothing("/api/v1/content/gc").await?;
            if shared.json {
                output::json(&collected);
            } else {
                output::line(format!("{} blocks dropped, {} bytes given back", collected.blocks, collected.bytes));
            }
        }
    }
    Ok(())
}

fn path(cid: &str) -> Result<String, Failure> {
    let cid: nisse_model::ContentId = cid.parse().map_err(|error| Failure::usage(format!("failed to {error}")))?;
    Ok(format!("/api/v1/content/{cid}"))
}
