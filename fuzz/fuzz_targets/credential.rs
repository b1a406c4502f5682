//! Any bytes: reading a credential never panics, and what reads as one has exactly this form. Any bytes as a story: a log
//! takes what reads as credentials in two orders and comes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nisse_model::{Credential, Log};

/// What stands before each credential of a story: its length.
const LENGTH: usize = 2;

/// The pieces that a story is cut into.
fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = bytes.split_at_checked(LENGTH) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]])).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

fn log<'c>(credentials: impl Iterator<Item = &'c Credential> + Clone) -> Log {
    let mut log = Log::new();
    for credential in credentials.clone() {
        log.follow(credential.statement().subject);
    }
    for credential in credentials {
        let _ = log.insert(credential.clone());
    }
    log
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(credential) = Credential::decode(bytes) {
        assert_eq!(credential.encode(), bytes);
    }
    let credentials: Vec<_> = pieces(bytes).into_iter().filter_map(|piece| Credential::decode(piece).ok()).collect();
    let (there, back) = (log(credentials.iter()), log(credentials.iter().rev()));
    assert_eq!(there.heads(), back.heads());
    let (there, back) = (there.state(), back.state());
    for credential in &credentials {
        assert_eq!(there.is_valid(&credential.id()), back.is_valid(&credential.id()));
    }
});
