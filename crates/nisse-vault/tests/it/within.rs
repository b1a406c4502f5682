//! The client, and a vault within this process.

use nisse_testkit::SimClock;
use nisse_vault::{KeyKind, RefusalKind, Restored, VaultCallError, VaultClient, VaultPaths, VaultState, vault_within};
use tokio::sync::oneshot;

use super::*;

/// Runs a vault on this disk while a story is told to its client.
async fn with_vault<T>(disk: &SimDisk, story: impl AsyncFnOnce(VaultClient) -> T) -> T {
    let paths = VaultPaths { folder: "/h/vault".into(), key_file: "/h/keys/vault".into(), credential: None };
    let (clock, entropy) = (Arc::new(SimClock::new(NOW)), Arc::new(SimEntropy::new(disk.operations())));
    let (client, vault) = vault_within(Arc::new(disk.clone()), clock, entropy, paths, CHEAP);
    assert_eq!(client.glance(), VaultState::Starting);
    let (end, ended) = oneshot::channel::<()>();
    let told = async {
        let told = story(client).await;
        drop(end);
        told
    };
    let (told, ()) = tokio::join!(told, vault.run(async { drop(ended.await) }));
    told
}

fn refused<T>(answer: Result<T, VaultCallError>) -> (RefusalKind, String) {
    match answer.err().unwrap() {
        VaultCallError::Refused { kind, text } => (kind, format!("failed to {text}")),
        VaultCallError::Unreachable(why) => panic!("unreachable: {why}"),
    }
}

fn is_sealed(client: &VaultClient) -> bool {
    matches!(client.glance(), VaultState::Known(status) if status.sealed)
}

#[tokio::test]
async fn a_client_draws_imports_derives_signs_and_reveals() {
    let disk = disk();
    let (wallet, signed) = with_vault(&disk, async |client: VaultClient| {
        let wallet = client.draw_key(&name("wallet"), KeyKind::Secp256k1).await.unwrap();
        assert!(!is_sealed(&client));
        let secret = Zeroizing::new(vec![3; 32]);
        let device = client.import_key(&name("device"), KeyKind::Ed25519, secret.clone()).await.unwrap();
        let derived = client.derive_key(&name("wallet"), "renting", &name("renting")).await.unwrap();
        assert_eq!(client.keys().await.unwrap(), [device, derived, wallet.clone()]);
        assert_eq!(client.reveal_key(&name("device")).await.unwrap(), secret);
        assert_eq!(client.sign_message(&name("device"), &vec![1; 1 << 19]).await.unwrap().len(), 64);
        let kinds = [
            refused(client.sign_message(&name("device"), &vec![1; (1 << 19) + 1]).await).0,
            refused(client.import_key(&name("device"), KeyKind::Ed25519, Zeroizing::new(vec![4; 32])).await).0,
            refused(client.import_key(&name("x"), KeyKind::Secp256k1, Zeroizing::new(vec![0; 32])).await).0,
            refused(client.reveal_key(&name("none")).await).0,
            refused(client.sign_digest(&name("device"), [1; 32]).await).0,
        ];
        use RefusalKind as Kind;
        assert_eq!(kinds, [Kind::Limit, Kind::KeyExists, Kind::Limit, Kind::NoSuchKey, Kind::NoSuchKey]);
        (wallet, client.sign_digest(&name("wallet"), [1; 32]).await.unwrap())
    })
    .await;
    with_vault(&disk, async |client: VaultClient| {
        assert_eq!(client.draw_key(&name("wallet"), KeyKind::Secp256k1).await.unwrap(), wallet);
        assert_eq!(client.sign_digest(&name("wallet"), [1; 32]).await.unwrap(), signed);
    })
    .await;
}

#[tokio::test]
async fn a_vault_that_was_sealed_stays_so_until_it_is_unlocked() {
    let disk = disk();
    with_vault(&disk, async |client: VaultClient| {
        client.draw_key(&name("wallet"), KeyKind::Secp256k1).await.unwrap();
        client.seal().await.unwrap();
        assert!(is_sealed(&client), "it is known before it is answered");
        let sealed = (RefusalKind::Sealed, "failed to use the vault: it is sealed".to_owned());
        assert_eq!(refused(client.sign_digest(&name("wallet"), [1; 32]).await), sealed);
        assert_eq!(client.keys().await.unwrap().len(), 1);
        assert_eq!(refused(client.export(&["age1".to_owned()]).await), sealed);
        client.unlock(Zeroizing::default()).await.unwrap();
        assert!(!is_sealed(&client));
        client.sign_digest(&name("wallet"), [1; 32]).await.unwrap();
    })
    .await;
    // Another start is not told of it.
    with_vault(&disk, async |client: VaultClient| {
        client.sign_digest(&name("wallet"), [1; 32]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_vault_that_does_not_open_says_why_to_each_request_and_is_tried_again() {
    let disk = disk();
    with_vault(&disk, async |client: VaultClient| client.status().await.unwrap()).await;
    let whole = disk.read(Path::new(PATH), 1 << 20).unwrap();
    disk.flip_bit(Path::new(PATH), 0, 0);
    let broken = "failed to open the vault's file: it is not what was put there".to_owned();
    with_vault(&disk, async |client: VaultClient| {
        assert_eq!(refused(client.status().await), (RefusalKind::Tampered, broken.clone()));
        assert_eq!(client.glance(), VaultState::Broken(broken.clone()));
        let drawn = client.draw_key(&name("wallet"), KeyKind::Secp256k1).await;
        assert_eq!(refused(drawn), (RefusalKind::Tampered, broken));
        assert_eq!(refused(client.seal().await).0, RefusalKind::Tampered);
        disk.flip_bit(Path::new(PATH), 0, 0);
        assert_eq!(disk.read(Path::new(PATH), 1 << 20).unwrap(), whole);
        client.draw_key(&name("wallet"), KeyKind::Secp256k1).await.unwrap();
        assert!(!is_sealed(&client) && matches!(client.glance(), VaultState::Known(_)));
    })
    .await;
}

#[tokio::test]
async fn an_export_goes_to_another_vault() {
    let (one, other) = (disk(), disk());
    let identity = age::x25519::Identity::generate();
    let (document, entry) = with_vault(&one, async |client: VaultClient| {
        let entry = client.draw_key(&name("wallet"), KeyKind::Secp256k1).await.unwrap();
        client.set("home", &name("a"), Zeroizing::new(b"12345678".to_vec()), Setting::New).await.unwrap();
        let bad = refused(client.export(&["age1nobody".to_owned()]).await);
        let text = "failed to export the vault: recipient 1 is no age recipient, `age1…`";
        assert_eq!(bad, (RefusalKind::Limit, text.to_owned()));
        (client.export(&[identity.to_public().to_string()]).await.unwrap(), entry)
    })
    .await;
    let line = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    with_vault(&other, async |client: VaultClient| {
        let wrong =
            age::secrecy::ExposeSecret::expose_secret(&age::x25519::Identity::generate().to_string()).to_owned();
        assert_eq!(refused(client.restore(&document, &wrong).await).0, RefusalKind::WrongKey);
        let long = vec![b'x'; (32 << 20) + 1];
        assert_eq!(refused(client.restore(&long, &line).await).0, RefusalKind::Limit);
        assert_eq!(client.restore(&document, &line).await.unwrap(), Restored { keys: 1, secrets: 1 });
        assert_eq!(client.keys().await.unwrap(), [entry]);
        client.seal().await.unwrap();
        assert_eq!(refused(client.restore(&document, &line).await).0, RefusalKind::Sealed);
    })
    .await;
}

#[tokio::test]
async fn whoever_asks_after_the_end_is_told() {
    let disk = disk();
    let client = with_vault(&disk, async |client: VaultClient| client).await;
    let answer = client.keys().await;
    assert!(matches!(answer, Err(VaultCallError::Unreachable("the node is ending"))));
}
