//! content add, get, ls, find, provide, rm, gc.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nisse_node::control::{
    ContentAdded, ContentCollected, ContentEntry, ContentProvided, ContentProvider, ContentProviders,
};

use serde_json::json;

use super::{client, files};
use crate::cli::{Content, Shared};
use crate::failure::{Exit, Failure};
use crate::{output, progress};

/// Largest file that is added: as much as one request to the node takes.
const FILE_BYTES_MAX: u64 = 96 << 20;

pub(crate) async fn run(shared: &Shared, command: Content) -> Result<(), Failure> {
    let client = client(shared).await?;
    match command {
        Content::Add { file } => {
            let bytes = files::read(&file, FILE_BYTES_MAX)?;
            let adding = client.post_bytes("/api/v1/content", bytes.into());
            let added: ContentAdded = progress::during("adding", adding).await?;
            if shared.json { output::json(&added) } else { output::line(&added.cid) }
        }
        Content::Get { cid, output: to } => {
            let bytes = client.get_bytes(&path(&cid)?).await?;
            if let Some(file) = &to {
                std::fs::write(file, &bytes).map_err(|error| {
                    Failure::new(Exit::Failed, format!("failed to write {}: {error}", file.display()))
                })?;
            }
            match (shared.json, to) {
                (true, None) => output::json(&json!({ "cid": cid, "base64": STANDARD.encode(&bytes) })),
                (true, Some(file)) => output::json(&json!({ "cid": cid, "bytes": bytes.len(), "file": file })),
                (false, None) => output::bytes(&bytes),
                (false, Some(_)) => {}
            }
        }
        Content::Ls => {
            let entries: Vec<ContentEntry> = client.get("/api/v1/content").await?;
            if shared.json {
                output::json(&entries);
            } else if entries.is_empty() {
                output::line("nothing is held yet: `nisse content add FILE` adds a file");
            } else {
                let row = |entry: &ContentEntry| {
                    let pinned = if entry.pinned { "pinned" } else { "" };
                    vec![entry.cid.clone(), entry.bytes.to_string(), pinned.to_owned(), entry.pins.join(", ")]
                };
                output::table(&["cid", "bytes", "", "pins"], &entries.iter().map(row).collect::<Vec<_>>());
            }
        }
        Content::Find { cid } => {
            let path = format!("{}/providers", path(&cid)?);
            let found: ContentProviders = progress::during("asking", client.get(&path)).await?;
            if shared.json { output::json(&found) } else { tell_providers(&found) }
        }
        Content::Provide { cid } => {
            let provided: ContentProvided = client.post_nothing(&format!("{}/provide", path(&cid)?)).await?;
            if shared.json {
                output::json(&provided);
            } else {
                output::pairs(&[("url", provided.url), ("multiaddr", provided.multiaddr), ("peer", provided.peer)]);
            }
        }
        Content::Rm { named } => {
            let path = if named.contains('/') { path_of_pin(&named) } else { path(&named)? };
            client.delete(&path).await?;
            if shared.json {
                output::json(&json!({ "unpinned": named }));
            } else {
                output::line(format!("unpinned {named}; `nisse content gc` drops what no other pin holds"));
            }
        }
        Content::Gc => {
            let collected: ContentCollected = client.post_nothing("/api/v1/content/gc").await?;
            if shared.json {
                output::json(&collected);
            } else {
                output::line(format!("{} blocks dropped, {} bytes given back", collected.blocks, collected.bytes));
                if let Some(left) = &collected.left {
                    output::note(false, left);
                }
            }
        }
    }
    Ok(())
}

fn tell_providers(found: &ContentProviders) {
    if found.held {
        output::line("all of it is held here");
    }
    if !found.providers.is_empty() {
        let row = |provider: &ContentProvider| {
            let state = provider.trouble.clone().unwrap_or_else(|| "has it".to_owned());
            vec![provider.url.clone(), provider.named_by.clone(), state]
        };
        output::table(&["provider", "named by", ""], &found.providers.iter().map(row).collect::<Vec<_>>());
    } else if found.asked.is_empty() {
        output::line("nobody is asked: name a router or a gateway under [content] in nisse.toml");
    } else {
        output::line(format!("nobody else is known who has it; asked: {}", found.asked.join(", ")));
    }
}

/// A pin's name has slashes, and stands as one part of the path.
fn path_of_pin(name: &str) -> String {
    let encoded = name.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    format!("/api/v1/content/{}", encoded.collect::<String>())
}

fn path(cid: &str) -> Result<String, Failure> {
    let cid: nisse_model::ContentId = cid.parse().map_err(|error| Failure::usage(format!("failed to {error}")))?;
    Ok(format!("/api/v1/content/{cid}"))
}
