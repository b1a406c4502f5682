//! A WebSocket's client of our own: as much of RFC 6455 as a story needs, and of automerge-repo's protocol.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::harness::PATIENCE;

/// What asks for a WebSocket.
pub(super) const UPGRADE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
/// What a key is answered with (RFC 6455, section 1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const HEAD_BYTES_MAX: usize = 4_096;
const BINARY: u8 = 2;

/// A connection that was let in.
pub(super) struct Socket(TcpStream);

impl Socket {
    /// Connects to the node that listens there by a ticket's URL.
    pub(super) fn open(public: &str, url: &str) -> Self {
        let rest = url.strip_prefix("ws://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let mut stream = TcpStream::connect(public).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let headers: String = UPGRADE.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n").as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
            assert!(head.len() < HEAD_BYTES_MAX, "{}", String::from_utf8_lossy(&head));
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT), "{head}");
        Self(stream)
    }

    /// One short message, masked with zeros.
    fn say(&mut self, bytes: &[u8]) {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 126, "a long message has another head");
        self.0.write_all(&[&[0x80 | BINARY, 0x80 | length, 0, 0, 0, 0], bytes].concat()).unwrap();
    }

    /// Says `join`, as automerge-repo does.
    pub(super) fn join(&mut self, name: &str) {
        let text = |text: &str| {
            let length = u8::try_from(text.len()).unwrap();
            let head = if length < 24 { vec![0x60 | length] } else { vec![0x78, length] };
            [&head, text.as_bytes()].concat()
        };
        let versions = [text("supportedProtocolVersions"), vec![0x81], text("1")].concat();
        let metadata = [text("peerMetadata"), vec![0xa0]].concat();
        self.say(&[vec![0xa4], text("type"), text("join"), text("senderId"), text(name), metadata, versions].concat());
    }

    /// The next binary message.
    pub(super) fn hear(&mut self) -> Vec<u8> {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).unwrap();
            let length = match head[1] {
                126 => {
                    let mut long = [0; 2];
                    self.0.read_exact(&mut long).unwrap();
                    usize::from(u16::from_be_bytes(long))
                }
                short => usize::from(short),
            };
            let mut bytes = vec![0; length];
            self.0.read_exact(&mut bytes).unwrap();
            if head[0] == 0x80 | BINARY {
                return bytes;
            }
        }
    }
}
