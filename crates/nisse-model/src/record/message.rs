//! What a record keeps of an HTTP message: one digest over its head and then its body, as it comes.

use sha2::{Digest, Sha256};

use crate::Hash256;

/// Bytes that are gathered before the first of them are digested: most messages are digested in one go.
const GATHERED_BYTES_MAX: usize = 8 << 10;

/// The digest of a request or a response in the making.
///
/// It is SHA-256 over the parts of the head, each preceded by its length as eight big-endian bytes, and then the body,
/// which nothing follows.
#[derive(Debug, Clone)]
pub struct MessageHasher {
    gathered: Vec<u8>,
    digested: Sha256,
}

impl MessageHasher {
    /// A request: its method, its path with the query, its header fields in order.
    pub fn request<'a>(method: &str, path: &str, fields: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut hasher = Self::begin(b"nisse request v1");
        hasher.part(method.as_bytes());
        hasher.part(path.as_bytes());
        hasher.fields(fields);
        hasher
    }

    /// A response: its status and its header fields in order.
    pub fn response<'a>(status: u16, fields: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut hasher = Self::begin(b"nisse response v1");
        hasher.part(&status.to_be_bytes());
        hasher.fields(fields);
        hasher
    }

    /// The next bytes of the body; where it was cut into pieces is not seen in the digest.
    pub fn body(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() <= GATHERED_BYTES_MAX {
            self.gathered.extend_from_slice(bytes);
            return;
        }
        self.digested.update(&self.gathered);
        self.gathered.clear();
        self.digested.update(bytes);
    }

    /// The digest of all that came.
    pub fn finish(mut self) -> Hash256 {
        self.digested.update(&self.gathered);
        Hash256(self.digested.finalize().into())
    }

    fn begin(tag: &[u8]) -> Self {
        let mut hasher = Self { gathered: Vec::with_capacity(512), digested: Sha256::new() };
        hasher.part(tag);
        hasher
    }

    fn part(&mut self, part: &[u8]) {
        self.gathered.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.gathered.extend_from_slice(part);
    }

    fn fields<'a>(&mut self, fields: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) {
        self.gathered.extend_from_slice(&(fields.len() as u64).to_be_bytes());
        for (name, value) in fields {
            self.part(name.as_bytes());
            self.part(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> impl ExactSizeIterator<Item = (&'static str, &'static [u8])> {
        [("accept", b"*/*".as_slice()), ("x", b"")].into_iter()
    }

    fn of(pieces: &[&[u8]]) -> Hash256 {
        let mut hasher = MessageHasher::response(200, fields());
        pieces.iter().for_each(|piece| hasher.body(piece));
        hasher.finish()
    }

    #[test]
    fn where_a_body_is_cut_changes_nothing() {
        let body = vec![7; 3 * GATHERED_BYTES_MAX];
        let whole = of(&[&body]);
        for cut in [1, 100, GATHERED_BYTES_MAX, body.len() - 1] {
            assert_eq!(of(&[&body[..cut], &body[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(of(&[&body[..10], b"", &body[10..]]), whole);
    }

    #[test]
    fn the_digest_is_of_the_parts_with_their_lengths_and_then_of_the_body() {
        let head: [&[u8]; 6] = [b"nisse response v1", &[0, 200], b"accept", b"*/*", b"x", b""];
        let mut bytes = Vec::new();
        for (index, part) in head.into_iter().enumerate() {
            if index == 2 {
                bytes.extend(2_u64.to_be_bytes());
            }
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        bytes.extend(b"hello");
        assert_eq!(of(&[b"hello"]), Hash256::of(&bytes));
    }

    #[test]
    fn no_two_messages_share_a_digest_by_moving_bytes_between_their_parts() {
        let request = |method, path, fields: &[(&'static str, &'static [u8])], body: &[u8]| {
            let mut hasher = MessageHasher::request(method, path, fields.iter().copied());
            hasher.body(body);
            hasher.finish()
        };
        let digests = [
            request("GET", "/a", &[], b""),
            request("GET/", "a", &[], b""),
            request("GET", "/", &[], b"a"),
            request("GET", "/", &[("a", b"")], b""),
            request("GET", "/", &[("", b"a")], b""),
            MessageHasher::response(200, [].into_iter()).finish(),
        ];
        let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
    }
}
