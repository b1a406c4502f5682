//! Listeners that nobody may reach. They count, and prove at the end that they would have heard.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::eventually;

/// A TCP and a UDP listener on one port of this machine.
pub(super) struct Canary {
    address: SocketAddr,
    heard: Arc<AtomicUsize>,
}

impl Canary {
    pub(super) fn new() -> Self {
        let (tcp, udp) = eventually("a port that is free for both", || {
            let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
            let udp = UdpSocket::bind(tcp.local_addr().ok()?).ok()?;
            Some((tcp, udp))
        });
        let address = tcp.local_addr().unwrap();
        let heard = Arc::new(AtomicUsize::new(0));
        // Both end with the process: they own nothing but their listener.
        let count = Arc::clone(&heard);
        std::thread::spawn(move || tcp.incoming().for_each(|_| _ = count.fetch_add(1, Ordering::SeqCst)));
        let count = Arc::clone(&heard);
        std::thread::spawn(move || {
            while udp.recv(&mut [0; 64]).is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, heard }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asserts that nobody came, and that whoever comes is heard.
    pub(super) fn heard_nothing(&self) {
        assert_eq!(self.heard.load(Ordering::SeqCst), 0, "the canary was reached");
        TcpStream::connect(self.address).unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", self.address).unwrap();
        eventually("the canary's own proof", || (self.heard.load(Ordering::SeqCst) == 2).then_some(()));
    }
}

/// A server that an agent may reach. It answers by the request's path and keeps every head that it was sent.
pub(super) struct Upstream {
    pub(super) port: u16,
    heads: std::sync::mpsc::Receiver<String>,
}

impl Upstream {
    /// `redirect` is where `/redirect` leads.
    pub(super) fn new(redirect: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (send, heads) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let send = send.clone();
                std::thread::spawn(move || serve(stream, redirect, &send));
            }
        });
        Self { port, heads }
    }

    /// The heads of all requests since the last time.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.try_iter().collect()
    }
}

fn serve(mut stream: TcpStream, redirect: SocketAddr, heads: &std::sync::mpsc::Sender<String>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let _ = heads.send(head);
    let answer = match path.as_str() {
        "/redirect" => format!("HTTP/1.1 302 Found\r\nlocation: http://{redirect}/\r\ncontent-length: 0\r\n\r\n"),
        "/two-lengths" => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\nok".to_owned(),
        "/upgrade" => "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n".to_owned(),
        "/endless" => {
            let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
            let begun = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            while begun.is_ok() && stream.write_all(chunk.as_bytes()).is_ok() {}
            return;
        }
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned(),
    };
    let _ = stream.write_all(answer.as_bytes());
}
