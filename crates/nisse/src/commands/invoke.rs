//! invoke: what is typed, read from a file or from stdin becomes an event; the handler's answer is printed.

use std::fs::File;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nisse_model::EVENT_DATA_LENGTH_MAX;
use nisse_node::control::{InvokeRequest, Invoked};

use super::agents::show;
use super::files::up_to;
use crate::cli::Shared;
use crate::failure::{Exit, Failure};
use crate::output;

/// The event of `--event DATA`, `--event @FILE` or `--event -`.
pub(super) fn request(
    event: &str,
    kind: Option<String>,
    content_type: Option<String>,
) -> Result<InvokeRequest, Failure> {
    let (from, bytes) = read(event)?;
    if bytes.len() > EVENT_DATA_LENGTH_MAX {
        let text = format!("failed to take {from}: {} bytes, at most {EVENT_DATA_LENGTH_MAX} are allowed", bytes.len());
        return Err(Failure::usage(text));
    }
    if !content_type.as_deref().is_none_or(is_json) {
        let base64 = Some(STANDARD.encode(bytes));
        return Ok(InvokeRequest { data: None, base64, content_type, kind });
    }
    let data = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::usage(format!("failed to read {from} as JSON: {error}"))
            .hint("text goes as `--content-type text/plain`, bytes as `--content-type application/octet-stream`")
    })?;
    Ok(InvokeRequest { data: Some(data), base64: None, content_type, kind })
}

/// Prints what the handler answered: its bytes as they are, or the whole answer as JSON.
pub(super) fn answer(shared: &Shared, invoked: Invoked) -> Result<(), Failure> {
    let bytes = match (&invoked.text, &invoked.base64) {
        (None, Some(base64)) if !shared.json => STANDARD.decode(base64).ok(),
        _ => None,
    };
    match bytes {
        Some(bytes) => output::bytes(&bytes),
        None => show(shared, &invoked, |invoked| output::line(invoked.text.as_deref().unwrap_or_default())),
    }
    Ok(())
}

/// `application/json` and what is built on it, with or without parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

/// Where the data comes from, for a sentence, and the data.
fn read(event: &str) -> Result<(String, Vec<u8>), Failure> {
    let failed =
        |from: &str, error: std::io::Error| Failure::new(Exit::Failed, format!("failed to read {from}: {error}"));
    if event == "-" {
        let mut bytes = Vec::new();
        // One byte more than is allowed is enough to say so.
        let stdin = std::io::stdin().take(EVENT_DATA_LENGTH_MAX as u64 + 1).read_to_end(&mut bytes);
        return stdin.map(|_| ("stdin".to_owned(), bytes)).map_err(|error| failed("stdin", error));
    }
    match event.strip_prefix('@') {
        Some(file) => {
            // A pipe is as good as a file here, and may have no end.
            let bytes = File::open(file).and_then(|opened| up_to(opened, EVENT_DATA_LENGTH_MAX as u64 + 1));
            let bytes = bytes.map_err(|error| failed(file, error))?;
            Ok((file.to_owned(), bytes))
        }
        None => Ok(("--event".to_owned(), event.as_bytes().to_vec())),
    }
}
