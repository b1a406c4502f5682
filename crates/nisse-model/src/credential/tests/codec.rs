//! Forms, names and signatures.

use super::*;
use crate::{Address, Hash256};

/// What the fuzz target `credential` begins with, since no mutation makes a signature: each piece with its length before.
#[test]
fn the_fuzz_corpus_holds_a_credential_of_each_kind_and_a_story() {
    let first = genesis(ALICE, LAPTOP);
    let says = |claim| LAPTOP.says(claim, &[first.id()]);
    let signable = claims().into_iter().skip(1).filter(|claim| !matches!(claim, Claim::WalletBinding { .. }));
    let each: Vec<_> = [first.clone()].into_iter().chain(signable.map(says)).collect();
    let phone = says(add(PHONE));
    let circle = [LAPTOP.says(revoke(PHONE), &[phone.id()]), PHONE.says(revoke(LAPTOP), &[phone.id()])];
    let story: Vec<_> = [first.clone(), phone].into_iter().chain(circle).collect();
    for (name, credentials) in [("each-claim", each), ("circle", story)] {
        let piece = |credential: &Credential| {
            let bytes = credential.encode();
            [&u16::try_from(bytes.len()).expect("a short one").to_be_bytes()[..], &bytes].concat()
        };
        let bytes: Vec<u8> = credentials.iter().flat_map(piece).collect();
        let path = format!("{}/../../fuzz/corpus/credential/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("NISSE_WRITE_DOCS").is_some() {
            std::fs::write(&path, &bytes).expect("it can be written");
        }
        assert!(std::fs::read(&path).is_ok_and(|held| held == bytes), "{path}: write it with NISSE_WRITE_DOCS=1");
    }
}

/// One of each claim.
fn claims() -> Vec<Claim> {
    let space = CredentialId(Hash256::of(b"space"));
    let wallet = Address([7; 20]);
    vec![
        Claim::IdentityGenesis { device: LAPTOP.did(), name: label("first") },
        add(PHONE),
        Claim::DeviceRename { device: PHONE.did(), name: label("été, no. 2") },
        revoke(PHONE),
        Claim::DeviceRevoke { device: PHONE.did(), seen: vec![space] },
        Claim::WalletBinding { wallet, signature: [9; 65] },
        delegate(AGENT, &["/", "/agent?agent=a&b=c"], LATER, Some(space)),
        delegate(AGENT, &["/agent"], LATER, None),
        Claim::SpaceGenesis,
        Claim::Member { space, member: BOB.did(), role: Role::Relay },
        Claim::MemberRevoke { space, member: BOB.did() },
        Claim::Capability { audience: BOB.did(), scope: scope("/a/b?bb=1&c=2"), expires: NOW, proof: Some(space) },
        Claim::Capability { audience: BOB.did(), scope: scope("/a"), expires: NOW, proof: None },
        Claim::Invitation { space, key: BOB.did(), role: Role::Edit, expires: NOW, uses: 3, invitee: None },
        Claim::Invitation { space, key: BOB.did(), role: Role::Edit, expires: NOW, uses: 3, invitee: Some(BOB.did()) },
        Claim::Join { invitation: space, member: BOB.did() },
        Claim::Withdraw { credential: space },
    ]
}

#[test]
fn each_claim_is_read_as_it_was_written_and_no_other_bytes_are_it() {
    for claim in claims() {
        let statement = Statement {
            issuer: ALICE.did(),
            subject: ALICE.did(),
            parents: Vec::new(),
            issued: NOW,
            nonce: [5; 12],
            claim: claim.clone(),
        };
        let credential = match statement.sign(key(ALICE.key)) {
            Ok(credential) => credential,
            Err(CredentialError::Wallet(_)) => continue,
            Err(error) => panic!("{claim:?}: {error}"),
        };
        let bytes = credential.encode();
        assert_eq!(Credential::decode(&bytes), Ok(credential.clone()));
        assert_eq!(credential.id(), CredentialId(Hash256::of(&bytes)));
        for place in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            assert!(Credential::decode(&flipped).is_err(), "bit {place} of {claim:?}");
        }
        assert!(Credential::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Credential::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}

/// What is written here with the words of RFC 8949, as nothing else is read.
#[test]
fn the_same_in_another_spelling_is_refused_before_its_signature_is_looked_at() {
    let bytes = genesis(ALICE, LAPTOP).encode();
    let respelled = |from: &[u8], to: &[u8]| {
        let place = bytes.windows(from.len()).position(|window| window == from).expect("it is there");
        let other = [&bytes[..place], to, &bytes[place + from.len()..]].concat();
        Credential::decode(&other).expect_err("another spelling")
    };
    let not_canonical = CredentialError::NotCanonical;
    // An array of eight with its length in a byte, of no said length; the version in two bytes.
    assert_eq!(respelled(&[0x88], &[0x98, 8]), not_canonical);
    assert_eq!(respelled(&[0x88, 1], &[0x88, 0x18, 1]), not_canonical);
    assert_eq!(Credential::decode(&[&[0x9f], &bytes[1..], &[0xff]].concat()), Err(not_canonical.clone()));
    // Two bytes of a name in two pieces.
    assert!(matches!(respelled(b"\x65first", b"\x7f\x62fi\x63rst\xff"), CredentialError::Malformed(_)));
    assert_eq!(respelled(&[0x88, 1], &[0x88, 2]), CredentialError::Version(2));
    assert_eq!(
        respelled(&[0x88, 1], &[0x87, 1]),
        CredentialError::Malformed("an array of 7 stands where 8 belong".to_owned(),)
    );
    assert_eq!(Credential::decode(&[0; 65_537]), Err(CredentialError::TooLong { length: 65_537 }));
}

#[test]
fn what_nobody_may_say_is_refused_whoever_signs_it() {
    let space = CredentialId(Hash256::of(b"space"));
    let invitation =
        |uses| Claim::Invitation { space, key: BOB.did(), role: Role::Edit, expires: LATER, uses, invitee: None };
    let scopes =
        |count: usize| (0..count).map(|number| scope(&format!("/agent?agent=a{number:02}"))).collect::<Vec<_>>();
    let delegation = |scopes: Vec<Scope>| Claim::AgentDelegation {
        agent: AGENT.did(),
        name: label("agent"),
        scopes,
        expires: LATER,
        proof: None,
    };
    let many =
        |count: u64| (0..count).map(|number| CredentialId(Hash256::of(&number.to_be_bytes()))).collect::<Vec<_>>();
    let mut ordered = many(1_025);
    ordered.sort();
    let twice = vec![space, space];
    let none = Vec::new;
    let seen = |seen| Claim::DeviceRevoke { device: LAPTOP.did(), seen };
    let unordered = scopes(3).into_iter().rev().collect();
    let wide = |number: usize| {
        scope(&format!("/a?{}", (0..8).map(|key| format!("k{key}={number:0>250}")).collect::<Vec<_>>().join("&")))
    };
    for (claim, parents, why) in [
        (invitation(0), none(), "an invitation that nobody can take"),
        (delegation(Vec::new()), none(), "a delegation of nothing"),
        (delegation(scopes(33)), none(), "a delegation of more than 32 scopes"),
        (delegation(unordered), none(), "scopes stand in order, each once"),
        (delegation([scopes(1), scopes(1)].concat()), none(), "scopes stand in order, each once"),
        (Claim::SpaceGenesis, ordered.clone(), "more than 1024 parents"),
        (seen(ordered[..65].to_vec()), none(), "more than 64 heads seen elsewhere"),
        (seen(twice.clone()), none(), "heads seen elsewhere stand in order, each once"),
        (Claim::SpaceGenesis, twice, "parents stand in order, each once"),
        (Claim::SpaceGenesis, ordered[..9].iter().rev().copied().collect(), "parents stand in order, each once"),
        (add(ALICE), none(), "an identity's root key is none of its devices"),
        (revoke(ALICE), none(), "an identity's root key is none of its devices"),
        (
            Claim::IdentityGenesis { device: LAPTOP.did(), name: label("x") },
            vec![space],
            "begins with nothing before it",
        ),
        (delegation((0..32).map(wide).collect()), ordered[..1_000].to_vec(), "at most 65536 are allowed"),
    ] {
        let (issuer, subject) = (ALICE.did(), ALICE.did());
        let statement = Statement { issuer, subject, parents, issued: NOW, nonce: [0; 12], claim };
        let told = format!("failed to {}", statement.sign(key(ALICE.key)).expect_err(why));
        assert!(told.contains(why), "{why}: {told}");
    }
}

#[test]
fn the_stored_form_does_not_change() {
    let credential = genesis(ALICE, LAPTOP);
    insta::assert_snapshot!(hex::encode(credential.encode()));
    insta::assert_snapshot!(credential.id());
}

#[test]
fn a_key_is_named_as_the_did_key_method_names_it() {
    // The method's own first Ed25519 vector, whose seed is 32 zero bytes.
    let did = SigningKey::from_seed(&[0; 32]).did();
    assert_eq!(did.to_string(), "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp");
    assert_eq!(did.to_string().parse(), Ok(did));
    let weak = Did([0; 32]);
    for text in [
        "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooW",
        "did:key:6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
        "did:web:example.org",
        "",
        &weak.to_string(),
        &"z".repeat(10_000),
    ] {
        let told = format!("failed to {}", text.parse::<Did>().expect_err(text));
        assert!(told.len() < 200 && told.contains("expected did:key:z6Mk"), "{told}");
    }
}

#[test]
fn keys_of_small_order_and_second_spellings_of_a_signature_verify_nothing() {
    // Points of small order (RFC 8032 allows them; they sign everything).
    let identity = Did([&[1][..], &[0; 31]].concat().try_into().expect("32 bytes"));
    assert!(!identity.verifies("c", b"anything", &[&identity.0[..], &[0; 32]].concat().try_into().expect("64 bytes")));
    let signature = key(1).sign("c", b"this");
    assert!(key(1).did().verifies("c", b"this", &signature));
    assert!(!key(1).did().verifies("d", b"this", &signature) && !key(1).did().verifies("c", b"that", &signature));
    // s + L, the same number to who does not look.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").expect("hex");
    let (mut other, mut carry) = (signature, 0);
    for (byte, more) in other[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        (*byte, carry) = (u8::try_from(sum & 0xff).expect("a byte"), sum >> 8);
    }
    assert!(!key(1).did().verifies("c", b"this", &other));
}

#[test]
fn a_wallet_is_bound_by_its_own_key_alone() {
    let first = genesis(ALICE, LAPTOP);
    // The first account of every development chain.
    let secret = hex::decode("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80").expect("hex");
    let wallet: Address = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266".parse().expect("an address");
    let wallet_key = k256::ecdsa::SigningKey::from_slice(&secret).expect("a key");
    let sign = |digest: [u8; 32]| {
        let (signature, parity) = wallet_key.sign_prehash_recoverable(&digest).expect("a signature");
        let bytes: [u8; 65] =
            [&signature.to_bytes()[..], &[27 + parity.to_byte()]].concat().try_into().expect("65 bytes");
        bytes
    };
    let signature = sign(wallet_digest(&ALICE.did()));
    let bound = LAPTOP.says(Claim::WalletBinding { wallet, signature }, &[first.id()]);
    assert_eq!(Credential::decode(&bound.encode()), Ok(bound.clone()));
    let back = LAPTOP.says(Claim::Withdraw { credential: bound.id() }, &[bound.id()]);
    let wallets = |log: &Log| log.state().wallets(ALICE.did()).into_iter().collect::<Vec<_>>();
    assert_eq!((wallets(&log(&[&first, &bound])), wallets(&log(&[&first, &bound, &back]))), (vec![wallet], vec![]));
    for (wallet, signature) in [
        (Address([1; 20]), signature),
        (wallet, sign(wallet_digest(&BOB.did()))),
        (wallet, [&signature[..64], &[0]].concat().try_into().expect("65 bytes")),
    ] {
        let statement = Statement {
            issuer: LAPTOP.did(),
            subject: ALICE.did(),
            parents: vec![first.id()],
            issued: NOW,
            nonce: [0; 12],
            claim: Claim::WalletBinding { wallet, signature },
        };
        assert_eq!(statement.sign(key(LAPTOP.key)), Err(CredentialError::Wallet(wallet)));
    }
}

#[test]
fn a_command_covers_what_stands_below_it() {
    let covers = |wide: &str, narrow: &str| scope(wide).covers(&scope(narrow));
    assert!(
        covers("/", "/agent/logs") && covers("/", "/") && covers("/agent", "/agent") && covers("/agent", "/agent/a")
    );
    assert!(!covers("/agent", "/agents") && !covers("/agent/logs", "/agent") && !covers("/agent", "/"));
    assert!(covers("/a?x=1", "/a?x=1&y=2") && !covers("/a?x=1", "/a") && !covers("/a?x=1", "/a?x=2"));
    for text in ["", "agent", "/agent/", "//", "/Agent", "/a?x", "/a?x=1&x=2", "/a?x=", "/a?=1", "/a?x=a b", "/a?x=ä"]
    {
        assert!(text.parse::<Scope>().is_err(), "{text}");
    }
    assert_eq!(scope("/a?y=2&x=1").to_string(), "/a?x=1&y=2");
}

#[test]
fn a_name_is_one_line_that_hides_nothing() {
    for text in ["laptop", "Anna's phone", "書斎", "x"] {
        assert_eq!(label(text).as_str(), text);
    }
    let long = "x".repeat(65);
    for text in ["", " x", "x ", "a  b", "a\nb", "a\u{202e}b", "a\u{200b}b", "a\tb", "\u{1b}[31m", &long] {
        assert!(text.parse::<Label>().is_err(), "{text:?}");
    }
}
