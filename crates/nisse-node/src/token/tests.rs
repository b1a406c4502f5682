//! Forms of tokens and proofs.

use nisse_model::{Claim, Hash256, Statement, Timestamp};

use super::*;

const SEED: [u8; 32] = [3; 32];

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn chain(scope: &str) -> Vec<Credential> {
    let claim = Claim::Capability {
        audience: key(3).did(),
        scope: scope.parse().expect("a scope"),
        expires: Timestamp(1_790_003_600_000),
        proof: None,
    };
    let (issuer, subject) = (key(2).did(), key(1).did());
    let issued = Timestamp(1_790_000_000_000);
    let statement = Statement { issuer, subject, parents: Vec::new(), issued, nonce: [0; 12], claim };
    vec![statement.sign(&key(2)).expect("a capability")]
}

fn token(seed: Option<[u8; 32]>) -> Token {
    let chains = vec![chain("/agent/logs?agent=nisse.test.counter"), chain("/audit/lines")];
    Token::new(key(2).did(), seed.map(Zeroizing::new), chains).expect("a token")
}

#[test]
fn a_token_is_read_as_it_was_written_and_no_other_text_is_it() {
    for seed in [Some(SEED), None] {
        let text = token(seed).to_text();
        let read: Token = text.parse().expect("it is one");
        assert_eq!((read.node(), read.has_key(), read.chains()), (key(2).did(), seed.is_some(), token(seed).chains()));
        assert_eq!(read.to_text(), text);
        let mut letters = text.as_bytes().to_vec();
        for place in 0..letters.len() {
            let was = letters[place];
            letters[place] = if was == b'A' { b'B' } else { b'A' };
            let other = std::str::from_utf8(&letters).expect("letters").parse::<Token>();
            // A node that is named by another key is another token; nothing binds it but whoever made it.
            assert!(other.is_err() || other.is_ok_and(|other| other.node() != key(2).did()), "{place}");
            letters[place] = was;
            assert!(text[..place].parse::<Token>().is_err(), "{place}");
        }
        for wrong in [format!("{}=", *text), format!("{}A", *text), format!(" {}", *text), text.replace("-1.", "-2.")] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
    }
    let long = format!("{PREFIX}{}", "A".repeat(TEXT_LENGTH_MAX));
    assert!(matches!(long.parse::<Token>(), Err(ParseTokenError::Text)));
}

#[test]
fn a_token_with_another_key_than_its_holders_is_none() {
    let chains = vec![chain("/audit/lines")];
    let refused = Token::new(key(2).did(), Some(Zeroizing::new([4; 32])), chains).expect_err("another key");
    assert!(refused.to_string().contains("its key is not that of did:key:"), "{refused}");
}

#[test]
fn a_token_prints_nothing_of_its_key() {
    let shown = format!("{:?}", token(Some(SEED)));
    assert_eq!(shown, format!("a token of {} for {}", key(3).did(), key(2).did()));
}

/// The worked example of `docs/tokens.md`.
#[test]
fn the_example_of_the_docs_is_right() {
    let request = SignedRequest {
        method: "GET",
        path: "/api/v1/agents/nisse.test.counter/logs?lines=5",
        to: Audience::Node(key(2).did()),
        body: Hash256::of(b""),
    };
    let proof = request.prove(&key(3), [7; NONCE_BYTES], 1_790_000_045);
    let chains = Chains::new(vec![chain("/agent/logs?agent=nisse.test.counter")]).expect("one");
    let shown = format!("authorization: {SCHEME} {}", URL_SAFE_NO_PAD.encode(chains.encode()));
    let digest = format!("content-digest: {}", crate::remote::content_digest(Hash256::of(b"")));
    let sent = format!("{shown}\nnisse-proof: {proof}\n{digest}");
    let signed = hex::encode(request.signed_bytes(&[7; NONCE_BYTES], 1_790_000_045));
    let docs =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tokens.md")).expect("it is there");
    let texts = [key(2).did().to_string(), signed, sent];
    let missing: Vec<_> = texts.into_iter().filter(|text| !docs.contains(text)).collect();
    assert!(missing.is_empty(), "docs/tokens.md does not have\n{}", missing.join("\n\n"));
}

/// The worked example of `docs/access.md`: the same proof for a host.
#[test]
fn the_example_of_a_call_is_right() {
    let to = Audience::Host("nisse.test.counter.localhost:7480");
    let body = Hash256::of(b"open\n");
    let request = SignedRequest { method: "POST", path: "/hook?from=door", to, body };
    let proof = request.prove(&key(3), [7; NONCE_BYTES], 1_790_000_045);
    let signed = hex::encode(request.signed_bytes(&[7; NONCE_BYTES], 1_790_000_045));
    let sent = format!("nisse-proof: {proof}\ncontent-digest: {}", crate::remote::content_digest(body));
    let docs =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access.md")).expect("it is there");
    let missing: Vec<_> = [signed, sent].into_iter().filter(|text| !docs.contains(text)).collect();
    assert!(missing.is_empty(), "docs/access.md does not have\n{}", missing.join("\n\n"));
    // No two kinds of audience share a signature.
    for other in [Audience::Host("nisse.test.counter.localhost"), Audience::Node(key(2).did())] {
        assert!(!SignedRequest { to: other, ..request }.is_proven(&proof), "{other:?}");
    }
}

#[test]
fn a_proof_is_read_as_it_is_written_and_is_of_one_request_alone() {
    let request =
        SignedRequest { method: "GET", path: "/a?b", to: Audience::Node(key(2).did()), body: Hash256::of(b"") };
    let proof = request.prove(&key(3), [7; NONCE_BYTES], 1_790_000_045);
    assert!(request.is_proven(&proof));
    let written = proof.to_string();
    assert_eq!(written.parse(), Ok(proof.clone()));
    for wrong in [
        String::new(),
        written.replace("nonce=07", "nonce="),
        written.replace("expires=", "expires=+"),
        written.replace("key=did:key:z6Mk", "key=did:key:z6Mj"),
        written.replace(", expires=1790000045", ""),
        format!("{written}="),
        format!("{written}, more=1"),
        format!("{written}, nonce={}", "07".repeat(16)),
        format!("{}{written}", " ".repeat(LENGTH)),
    ] {
        assert!(wrong.parse::<Proof>().is_err(), "{wrong}");
    }
    let other = key(4);
    for other in [
        SignedRequest { method: "POST", ..request },
        SignedRequest { path: "/a?c", ..request },
        SignedRequest { to: Audience::Node(other.did()), ..request },
        SignedRequest { to: Audience::Host("a.localhost"), ..request },
        SignedRequest { body: Hash256::of(b"x"), ..request },
    ] {
        assert!(!other.is_proven(&proof), "{other:?}");
    }
    for other in [
        Proof { key: other.did(), ..proof.clone() },
        Proof { nonce: [8; NONCE_BYTES], ..proof.clone() },
        Proof { expires: proof.expires + 1, ..proof.clone() },
        Proof { signature: [0; 64], ..proof.clone() },
    ] {
        assert!(!request.is_proven(&other), "{other}");
    }
}

/// More than a proof has.
const LENGTH: usize = 500;
