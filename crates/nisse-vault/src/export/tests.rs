use super::*;

fn export(tenant: &str) -> Export {
    let key = ExportedKey {
        name: "wallet".parse().expect("a name"),
        kind: KeyKind::Secp256k1,
        secret: Zeroizing::new(vec![7; 32]),
        created: Timestamp(5),
    };
    let secret = ExportedSecret {
        tenant: tenant.to_owned(),
        name: "a".parse().expect("a name"),
        version: 3,
        changed: Timestamp(6),
        value: Zeroizing::new(b"12345678".to_vec()),
    };
    Export { keys: vec![key], secrets: vec![secret] }
}

fn text(export: &Export) -> String {
    String::from_utf8(export.encode().to_vec()).expect("text")
}

#[test]
fn the_document_has_the_form_that_is_written_down() {
    let expected = format!(
        r#"{{"nisse_vault":1,"keys":[{{"name":"wallet","kind":"secp256k1","secret":"{}","created":5}}],"secrets":[{{"tenant":"0xab","name":"a","version":3,"changed":6,"value":"MTIzNDU2Nzg="}}]}}"#,
        "07".repeat(32)
    );
    assert_eq!(text(&export("0xab")), expected);
    let read = Export::decode(expected.as_bytes()).expect("an export");
    assert_eq!((read.keys(), read.secrets()), (1, 1));
    assert_eq!(text(&read), expected);
}

#[test]
fn the_plain_document_never_moves_in_memory() {
    for tenant in ["0xab", &"\u{1}".repeat(64), &"\"".repeat(64)] {
        let export = export(tenant);
        let plain = export.encode();
        // The room that it was given at first.
        assert_eq!(plain.capacity(), 64 + 320 + 256 + 12 + 6 * tenant.len());
        assert_eq!(Export::decode(&plain).expect("an export").secrets[0].tenant, tenant);
    }
}

#[test]
fn another_document_is_refused_and_what_it_says_is_not_repeated() {
    let sound = text(&export("0xab"));
    let refused = |from: &str, to: &str| {
        assert!(sound.contains(from), "{from}");
        Export::decode(sound.replacen(from, to, 1).as_bytes()).err().expect("refused")
    };
    assert_eq!(refused("\"nisse_vault\":1", "\"nisse_vault\":2,\"other\":0"), ExportError::Newer(2));
    for (from, to) in [
        ("\"nisse_vault\":1", "\"nisse_vault\":0"),
        ("\"nisse_vault\":1,", ""),
        ("\"keys\":", "\"more\":1,\"keys\":"),
        ("\"created\":5", "\"created\":5,\"more\":1"),
        ("\"created\":5", "\"created\":-5"),
        ("secp256k1", "ed448"),
        ("0707", "07zz"),
        ("MTIzNDU2Nzg=", "MTIz!"),
        ("\"version\":3", "\"version\":0"),
        ("\"version\":3", "\"version\":18446744073709551615"),
        ("\"name\":\"a\"", "\"name\":\"a b\""),
        ("]}", "]}x"),
    ] {
        let error = refused(from, to);
        assert_eq!(error, ExportError::Malformed, "{from} as {to}");
        assert_eq!(error.to_string(), "restore an export: it is no export of a vault");
    }
}

#[test]
fn a_recipient_that_is_none_is_counted_and_never_told() {
    let identity = x25519::Identity::generate();
    let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    let good = identity.to_public().to_string();
    let refused =
        |recipients: &[String]| format!("failed to {}", export("h").encrypt(recipients).expect_err("refused"));
    assert_eq!(refused(&[]), "failed to export the vault: it is encrypted to 1 to 16 age recipients, not to 0");
    assert_eq!(
        refused(&vec![good.clone(); 17]),
        "failed to export the vault: it is encrypted to 1 to 16 age recipients, not to 17"
    );
    assert!(export("h").encrypt(&vec![good.clone(); 16]).is_ok());
    let bad = [good.as_str(), "x"].concat();
    let told = refused(&[good.clone(), bad]);
    // It may be a secret that was mistaken for one.
    assert_eq!(told, "failed to export the vault: recipient 2 is no age recipient, `age1…`");
    for secret in [secret.clone(), secret.to_lowercase(), format!(" {secret}"), format!("x {secret}")] {
        let told = refused(&[good.clone(), secret.clone()]);
        assert!(told.contains("is secret") && !told.contains(&secret[20..]), "{told}");
    }
    assert!(!refused(&["\u{1b}[2J".to_owned()]).contains('\u{1b}'));
}

#[test]
fn an_identity_file_has_comments_and_more_than_one_identity_and_nothing_else() {
    let [one, other] = [(); 2].map(|()| x25519::Identity::generate());
    let line =
        |identity: &x25519::Identity| age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    let document = export("h").encrypt(&[one.to_public().to_string()]).expect("encrypted");
    assert!(document.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    let file = format!("# created: 2026-01-01\n\n# public key: x\n{}\r\n{}\n", line(&other), line(&one));
    assert_eq!(read_export(&document, &file).expect("read").keys(), 1);
    assert_eq!(read_export(&document, &line(&other)).err(), Some(ExportError::OtherIdentity));
    for refused in ["", "# only a comment", "AGE-SECRET-KEY-1", &format!("{}\nwords", line(&one)), "age1"] {
        assert_eq!(read_export(&document, refused).err(), Some(ExportError::Identity), "{refused}");
    }
    let many = vec![line(&one); 17].join("\n");
    assert_eq!(read_export(&document, &many).err(), Some(ExportError::Identity));
    let long = vec![b' '; EXPORT_BYTES_MAX + 1];
    assert_eq!(read_export(&long, &line(&one)).err(), Some(ExportError::TooLong));
    for other in [&b""[..], b"words", b"{\"nisse_vault\":1}", b"age-encryption.org/v1\n"] {
        assert_eq!(read_export(other, &line(&one)).err(), Some(ExportError::Malformed));
    }
}

#[test]
fn an_export_that_was_changed_or_cut_is_refused() {
    let identity = x25519::Identity::generate();
    let line = identity.to_string();
    let line = age::secrecy::ExposeSecret::expose_secret(&line);
    let document = export("0xab").encrypt(&[identity.to_public().to_string()]).expect("encrypted");
    assert!(read_export(&document, line).is_ok());
    for at in 0..document.len() {
        let mut changed = document.clone();
        // Of ASCII, and never what armor ignores.
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(read_export(&changed, line).is_err(), "byte {at}");
    }
    // Without the line's end at its end it is whole.
    for length in 0..document.len() - 1 {
        assert!(read_export(&document[..length], line).is_err(), "{length} bytes");
    }
}
