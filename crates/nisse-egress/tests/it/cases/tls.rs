//! E32: TLS that is not what it should be. No request leaves before the server has proved its name.

use nisse_egress::fake::FakeServer;
use nisse_egress::{CaFile, ServerIdentity, TlsRoots};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::world::{HOST, LONG, PUBLIC_V4, World};

#[tokio::test]
async fn e32_a_certificate_for_another_name_authority_or_time_is_refused() {
    let world = World::new(&[HOST]);
    world.names.answer(HOST, &[PUBLIC_V4], LONG);
    let at = format!("{PUBLIC_V4}:443");
    let stranger = ServerIdentity::generate(HOST).unwrap();
    let servers = [
        ("self-made authority", FakeServer::ok("secret").with_tls(&stranger)),
        ("no TLS at all", FakeServer::greeting(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())),
        ("an alert", FakeServer::greeting(vec![21, 3, 3, 0, 2, 2, 40])),
    ];
    for (what, server) in servers {
        world.network.serve(&at, server);
        let refused = world.get("https://api.example.com/").await.expect_err("must be refused");
        assert!(refused.reason() == "tls", "{what}: {refused}");
        assert!(world.network.received().is_empty(), "{what}: no request left");
    }
}

/// A certificate for `host` within these years, and the authority that signed it.
fn identity(host: &str, years: (i32, i32), usage: ExtendedKeyUsagePurpose) -> ServerIdentity {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let mut leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
    leaf.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    leaf.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    ServerIdentity::from_pem(&certificate.pem(), &key.serialize_pem(), &authority_pem).unwrap()
}

#[tokio::test]
async fn e32_a_certificate_out_of_its_time_or_use_is_refused() {
    let server = ExtendedKeyUsagePurpose::ServerAuth;
    let cases = [
        ("expired", identity(HOST, (2001, 2002), server.clone()), false),
        ("not yet", identity(HOST, (4000, 4001), server.clone()), false),
        ("for clients", identity(HOST, (2001, 4001), ExtendedKeyUsagePurpose::ClientAuth), false),
        ("a wildcard above", identity("*.com", (2001, 4001), server.clone()), false),
        ("an ending", identity("evilapi.example.com", (2001, 4001), server.clone()), false),
        ("good", identity(HOST, (2001, 4001), server), true),
    ];
    for (what, identity, good) in cases {
        let ca = CaFile::from_pem(identity.authority_pem()).unwrap();
        let world = World::with(&[HOST], |config| config.roots = TlsRoots::Only(ca));
        world.names.answer(HOST, &[PUBLIC_V4], LONG);
        world.network.serve(&format!("{PUBLIC_V4}:443"), FakeServer::ok("hello").with_tls(&identity));
        let sent = world.get("https://api.example.com/").await;
        assert_eq!(sent.is_ok(), good, "{what}: {sent:?}");
        assert_eq!(world.network.received().len(), usize::from(good), "{what}");
    }
}

#[tokio::test]
async fn e32_tls_below_1_2_is_not_spoken() {
    // A ServerHello of TLS 1.1 (RFC 4346 §7.4.1.3): version 3.2, 32 random bytes, no session, one cipher suite.
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let world = World::new(&[HOST]);
    world.names.answer(HOST, &[PUBLIC_V4], LONG);
    world.network.serve(&format!("{PUBLIC_V4}:443"), FakeServer::greeting(hello));
    let refused = world.get("https://api.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "tls");
}

#[tokio::test]
async fn e32_the_certificate_must_be_for_the_name_of_the_rule() {
    // One authority, two names: trusted, but not for this host.
    let world = World::new(&[HOST, "other.example.com"]).with_host();
    world.names.answer("other.example.com", &[PUBLIC_V4], LONG);
    let refused = world.get("https://other.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "tls");
    assert!(world.network.received().is_empty(), "no request left");
    world.get("https://api.example.com/").await.expect("its own name");
}
