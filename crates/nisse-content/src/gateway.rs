//! The trustless gateway as a pure function: a request in, a response with a body of pieces out.
//!
//! It answers only what a pin of a public kind reaches, at once, and never fetches: all else is 404, held or not. Bytes may
//! come from strangers, so every answer forbids a browser to interpret them. What is answered without a body is answered
//! without reading it.

mod body;
mod problem;
mod request;

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, RANGE, VARY,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use nisse_model::{CidCodec, ContentId};

use body::FilePieces;
pub use body::{Body, PIECE_BYTES_MAX};
use problem::Problem;
use request::{Asked, Format};

use crate::VerifiedBlock;
use crate::block_store::{BlockStore, PublicBlocks};
use crate::car::CarStream;
use crate::unixfs::{Blocks as _, FileReader, ReadError, ReadLimits, Resolved, resolve};

/// Largest file that is answered as plain bytes; a larger one is answered as CAR.
pub const FILE_BYTES_MAX: u64 = 4 << 30;

/// Answers one request for `/ipfs/…`. The body may read from disk while it is iterated.
pub fn handle(store: &Arc<BlockStore>, request: &Request<()>) -> Response<Body> {
    match answer(&PublicBlocks::of(store), request) {
        Ok(response) => response,
        Err(problem) => problem.into_response(request.method() == Method::HEAD),
    }
}

/// A refusal of another path of the public listener, in the same form.
pub(crate) fn problem(status: StatusCode, code: &'static str, detail: &str, is_head: bool) -> Response<Body> {
    Problem::new(status, code, detail).into_response(is_head)
}

fn answer(public: &PublicBlocks, request: &Request<()>) -> Result<Response<Body>, Problem> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(Problem::method(request.method()));
    }
    let asked = request::parse(request)?;
    if !public.has(&asked.root) {
        return Err(Problem::not_held(asked.root));
    }
    let path = resolve(public, asked.root, &asked.names)?;
    if !public.has(&path.target) {
        return Err(Problem::not_held(path.target));
    }
    let tag = entity_tag(&asked, &path);
    let is_same = request.headers().get_all(IF_NONE_MATCH).iter().any(|value| matches(value, &tag));
    if is_same {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        common(&mut response, &asked, &path, &tag);
        return Ok(response);
    }
    let mut response = match asked.format {
        Format::Raw => part_of(public, ContentId::raw(path.target.digest()), request)?,
        Format::Car(scope) => {
            if request.method() == Method::GET {
                read_first(public, path.target)?;
            }
            let car = CarStream::new(public.clone(), path.clone(), scope).in_pieces(PIECE_BYTES_MAX);
            Response::new(Body::stream(car, None))
        }
        Format::File => part_of(public, path.target, request)?,
    };
    common(&mut response, &asked, &path, &tag);
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    Ok(response)
}

/// Reads the root before the head is sent, so that a damaged one is an error and not a short answer.
fn read_first(public: &PublicBlocks, cid: ContentId) -> Result<VerifiedBlock, ReadError> {
    public.block(&cid)?.ok_or(ReadError::NotHeld { cid })
}

/// The whole of a block or a file, or the range of it that was asked for.
fn part_of(public: &PublicBlocks, cid: ContentId, request: &Request<()>) -> Result<Response<Body>, Problem> {
    let length = match (cid.codec(), public.block_bytes(&cid)) {
        (CidCodec::Raw, Some(length)) => length,
        (CidCodec::Raw, None) => read_first(public, cid)?.bytes().len() as u64,
        (CidCodec::DagPb, _) => FileReader::open(public, cid, ReadLimits::bytes(FILE_BYTES_MAX))?.file_bytes(),
    };
    let part = request::range(request.headers().get(RANGE), length)?;
    if request.method() == Method::GET && cid.codec() == CidCodec::Raw {
        read_first(public, cid)?;
    }
    Ok(ranged(length, part, |left| {
        let bytes = left.end - left.start;
        Body::stream(FilePieces { blocks: public.clone(), cid, left }, Some(bytes))
    }))
}

fn ranged(
    length: u64,
    part: Option<std::ops::Range<u64>>,
    body: impl FnOnce(std::ops::Range<u64>) -> Body,
) -> Response<Body> {
    let whole = 0..length;
    let taken = part.clone().unwrap_or(whole);
    let mut response = Response::new(body(taken.clone()));
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(taken.end - taken.start));
    if let Some(part) = part {
        put(headers, CONTENT_RANGE, &format!("bytes {}-{}/{length}", part.start, part.end - 1));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn entity_tag(asked: &Asked, path: &Resolved) -> String {
    let cid = path.target;
    match asked.format {
        Format::Raw => format!("\"{cid}.raw\""),
        // The order of blocks is part of the bytes, and so is the path that leads there.
        Format::Car(scope) => format!("W/\"{}.{cid}.car.{}.dfs.n\"", asked.root, scope.name()),
        Format::File => format!("\"{cid}\""),
    }
}

/// `If-None-Match` compares weakly: a list of tags, or `*`.
fn matches(value: &HeaderValue, tag: &str) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    value.to_str().is_ok_and(|list| list.split(',').any(|one| one.trim() == "*" || strong(one) == strong(tag)))
}

fn common(response: &mut Response<Body>, asked: &Asked, path: &Resolved, tag: &str) {
    let (content_type, ending) = match asked.format {
        Format::Raw => ("application/vnd.ipld.raw", "bin"),
        Format::Car(_) => ("application/vnd.ipld.car; version=1; order=dfs; dups=n", "car"),
        Format::File => ("application/octet-stream", ""),
    };
    let file_name = match (asked.format, asked.names.last()) {
        (Format::File, Some(name)) => request::safe_file_name(name),
        (Format::File, None) => path.target.to_string(),
        _ => format!("{}.{ending}", path.target),
    };
    let roots: Vec<String> = path.through.iter().chain([&path.target]).map(ContentId::to_string).collect();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=29030400, immutable"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    put(headers, ETAG, tag);
    put(headers, CONTENT_DISPOSITION, &format!("attachment; filename=\"{file_name}\""));
    put(headers, HeaderName::from_static("x-ipfs-path"), &asked.path);
    put(headers, HeaderName::from_static("x-ipfs-roots"), &roots.join(","));
    body::forbid_interpretation(headers);
}

fn put(headers: &mut http::HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
