//! What a request asks for: path, format, scope, range. `format` in the query wins over `Accept`.

use std::ops::Range;

use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode};
use nisse_model::ContentId;

use super::problem::Problem;
use crate::car::DagScope;
use crate::unixfs::PATH_SEGMENTS_MAX;

/// Bytes of a path with its query.
const TARGET_BYTES_MAX: usize = 4096;

/// In which form content is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One block.
    Raw,
    /// A CAR.
    Car(DagScope),
    /// The bytes of a file.
    File,
}

/// A request, read.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) root: ContentId,
    pub(super) names: Vec<String>,
    pub(super) format: Format,
    /// As it came.
    pub(super) path: String,
}

/// Reads the path, the query and `Accept`.
pub(super) fn parse(request: &Request<()>) -> Result<Asked, Problem> {
    let uri = request.uri();
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if path.len() + query.len() > TARGET_BYTES_MAX {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long", "a path has at most 4096 bytes"));
    }
    let rest = path
        .strip_prefix("/ipfs/")
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "path-not-found", "content stands under /ipfs/{cid}"))?;
    let (root, below) = rest.split_once('/').unwrap_or((rest, ""));
    let root = root.parse().map_err(|error| Problem::bad("bad-cid", format!("failed to {error}")))?;
    let names = below.split('/').filter(|name| !name.is_empty());
    let names = names.map(percent_decode).collect::<Option<Vec<_>>>();
    let names = names.ok_or_else(|| Problem::bad("bad-path", "a name in the path is not percent-encoded UTF-8"))?;
    if names.len() > PATH_SEGMENTS_MAX {
        return Err(Problem::bad("path-too-long", format!("a path has at most {PATH_SEGMENTS_MAX} names")));
    }
    if names.iter().any(|name| name == "." || name == "..") {
        return Err(Problem::bad("bad-path", "a path goes only downwards"));
    }
    Ok(Asked { root, names, format: format(request, query)?, path: path.to_owned() })
}

fn format(request: &Request<()>, query: &str) -> Result<Format, Problem> {
    let value = |key: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key);
    let from_query = |key| value(key).map(|(_, value)| value);
    let scope = match from_query("dag-scope") {
        None => DagScope::default(),
        Some(name) => DagScope::from_name(name)
            .ok_or_else(|| Problem::bad("bad-dag-scope", "dag-scope is block, entity or all"))?,
    };
    let check = |version: Option<&str>, order: Option<&str>, dups: Option<&str>| {
        let fits = version.is_none_or(|version| version == "1")
            && order.is_none_or(|order| order == "dfs" || order == "unk")
            && dups.is_none_or(|dups| dups == "n");
        if fits {
            Ok(Format::Car(scope))
        } else {
            Err(unacceptable("a CAR is answered as version=1; order=dfs; dups=n"))
        }
    };
    match from_query("format") {
        Some("raw") => return Ok(Format::Raw),
        Some("car") => return check(from_query("car-version"), from_query("car-order"), from_query("car-dups")),
        Some(_) => return Err(Problem::bad("bad-format", "format is raw or car")),
        None => {}
    }
    let mut refused = None;
    let mut is_empty = true;
    for entry in request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for media in entry.split(',').map(str::trim).filter(|media| !media.is_empty()) {
            is_empty = false;
            let mut parts = media.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
            let parameter = |key: &str| parameters.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
            match kind.as_str() {
                "application/vnd.ipld.raw" => return Ok(Format::Raw),
                "application/vnd.ipld.car" => {
                    match check(parameter("version"), parameter("order"), parameter("dups")) {
                        Ok(format) => return Ok(format),
                        Err(problem) => refused = Some(problem),
                    }
                }
                "*/*" | "application/*" | "application/octet-stream" => return Ok(Format::File),
                _ => {}
            }
        }
    }
    match refused {
        Some(problem) => Err(problem),
        None if is_empty => Ok(Format::File),
        None => Err(unacceptable("content is answered as bytes, application/vnd.ipld.raw or application/vnd.ipld.car")),
    }
}

fn unacceptable(detail: &str) -> Problem {
    Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail)
}

/// The part of `length` bytes that one `bytes=` range names. Several ranges, or another unit, mean the whole.
pub(super) fn range(value: Option<&HeaderValue>, length: u64) -> Result<Option<Range<u64>>, Problem> {
    let Some(spec) = value.and_then(|value| value.to_str().ok()).and_then(|text| text.strip_prefix("bytes=")) else {
        return Ok(None);
    };
    let Some((first, last)) = spec.split_once('-') else { return Ok(None) };
    let part = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Ok(None),
    };
    if part.start >= part.end { Err(Problem::range(length)) } else { Ok(Some(part)) }
}

fn percent_decode(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// A name that stands in a quoted header value without escapes.
pub(super) fn safe_file_name(name: &str) -> String {
    let is_safe = |character: char| character.is_ascii_alphanumeric() || "._- ".contains(character);
    name.chars().take(100).map(|character| if is_safe(character) { character } else { '_' }).collect()
}
