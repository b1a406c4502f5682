//! The store on a real disk: what it keeps, what it refuses, what it notices.

use nisse_content::{
    AddError, GcError, PackageError, PinError, PinKind, PinState, Profile, StoreError, artifact_cid, ipfs_add_cid,
};
use nisse_model::{CidCodec, ContentId, Hash256};

use crate::support::{Home, Seeded, node};

#[test]
fn a_file_is_there_after_opening_again() {
    let home = Home::new();
    let bytes = Seeded::bytes("again", 3_000_000);
    let cid = home.store.add_bytes(&bytes, Profile::UnixFs2025).unwrap();
    home.store.pin("added/again", &[cid]).unwrap();
    let home = home.reopened();
    assert!(home.store.read_file(cid, 3_000_000).unwrap() == bytes);
    let pins = home.store.pins();
    assert_eq!((pins[0].name.as_str(), pins[0].blocks, &pins[0].state), ("added/again", 4, &PinState::Complete));
    assert!(home.store.is_pinned(&cid));
}

#[test]
fn bytes_that_are_not_what_was_named_are_refused() {
    let home = Home::new();
    let cid = ContentId::raw(Hash256::of(b"right"));
    let error = home.store.put_verified_block(cid, b"wrong").unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    let large = vec![0; 2 * 1024 * 1024 + 1];
    let error = home.store.put_verified_block(ContentId::raw(Hash256::of(&large)), &large).unwrap_err();
    assert!(error.to_string().ends_with("a block has at most 2097152"), "{error}");
    assert!(!home.store.has(&cid));
    home.store.put_verified_block(cid, b"right").unwrap();
    assert_eq!(home.store.get_block(&cid).unwrap().unwrap().bytes(), b"right");
}

#[test]
fn a_flipped_byte_is_noticed_never_given_out_and_healed_by_adding_again() {
    let home = Home::new();
    let bytes = Seeded::bytes("flip", 2_500_000);
    let cid = home.store.add_bytes(&bytes, Profile::UnixFs2025).unwrap();
    home.store.pin("added/flip", &[cid]).unwrap();
    // The root stands last; before it the third leaf.
    home.flip(0, 1000);
    let error = home.store.read_file(cid, 2_500_000).unwrap_err();
    assert!(error.to_string().contains("are damaged"), "{error}");
    assert_eq!(error.hint().unwrap(), "add or fetch the same content again: the block is then written anew");
    assert!(matches!(&home.store.pins()[0].state, PinState::Broken(text) if text.contains("is damaged")));
    assert!(matches!(home.store.gc(), Err(GcError::BrokenPin { .. })));
    assert!(matches!(home.store.pin("added/more", &[cid]), Err(PinError::Incomplete { .. })));
    assert_eq!(home.store.add_bytes(&bytes, Profile::UnixFs2025).unwrap(), cid);
    assert!(home.store.read_file(cid, 2_500_000).unwrap() == bytes);
    assert_eq!(home.store.pins()[0].state, PinState::Complete);
    let home = home.reopened();
    assert!(home.store.read_file(cid, 2_500_000).unwrap() == bytes);
}

#[test]
fn any_flipped_byte_costs_at_most_one_block() {
    let home = Home::new();
    let cids: Vec<ContentId> =
        (0..20_u8).map(|seed| home.store.add_bytes(&[seed; 50], Profile::UnixFs2025).unwrap()).collect();
    let path = home.packs()[0].clone();
    let good = std::fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("00000000.pack"), bad).unwrap();
        let store = nisse_content::BlockStore::open(
            std::sync::Arc::new(nisse_store::SystemDisk),
            other.path().to_owned(),
            nisse_content::StoreOptions::default(),
        )
        .unwrap();
        let lost = (0..20_u8).filter(|seed| match store.get_block(&cids[usize::from(*seed)]) {
            Ok(Some(block)) => {
                assert_eq!(block.bytes(), [*seed; 50]);
                false
            }
            Ok(None) | Err(StoreError::Damaged { .. }) => true,
            Err(error) => panic!("{error}"),
        });
        assert_eq!(lost.count(), 1, "byte {at}");
    }
}

#[test]
fn a_pin_needs_all_of_its_content() {
    let home = Home::new();
    let absent = ContentId::raw(Hash256::of(b"absent"));
    let error = home.store.pin("added/gone", &[absent]).unwrap_err();
    assert_eq!(error.to_string(), "pin `added/gone`: not all of it is held");
    for name in ["", "added", "other/a", "added/two words", "added/line\nbreak", &format!("added/{}", "x".repeat(195))]
    {
        assert!(matches!(home.store.pin(name, &[absent]), Err(PinError::Name(_))));
    }
    assert!(matches!(home.store.pin("added/none", &[]), Err(PinError::Roots(0))));
    assert!(matches!(home.store.unpin("none"), Err(PinError::NoSuchPin(_))));
}

#[test]
fn a_block_is_public_while_a_pin_of_a_public_kind_reaches_it() {
    let home = Home::new();
    let root = home.store.add_bytes(&Seeded::bytes("shared", 1_500_000), Profile::UnixFs2025).unwrap();
    let private = [PinKind::Config, PinKind::State, PinKind::Destroyed].map(|kind| kind.name("1"));
    for name in &private {
        home.store.pin(name.as_str(), &[root]).unwrap();
        assert!(home.store.is_pinned(&root) && !home.store.is_public(&root), "{name}");
    }
    for kind in [PinKind::Added, PinKind::Package] {
        home.store.pin(kind.name("1").as_str(), &[root]).unwrap();
    }
    let home = home.reopened();
    assert!(home.store.is_public(&root));
    home.store.unpin("package/1").unwrap();
    home.store.pin("added/1", &[root]).unwrap();
    assert!(home.store.is_public(&root));
    home.store.unpin("added/1").unwrap();
    assert!(home.store.is_pinned(&root) && !home.store.is_public(&root));
    private.iter().for_each(|name| home.store.unpin(name.as_str()).unwrap());
    assert!(!home.store.is_pinned(&root));
}

#[test]
fn a_pin_of_the_same_name_replaces_the_one_before() {
    let home = Home::new();
    let [first, second] = [b"first", b"secnd"].map(|bytes| home.store.add_bytes(bytes, Profile::UnixFs2025).unwrap());
    home.store.pin("added/agent", &[first]).unwrap();
    home.store.pin("added/both", &[first, second]).unwrap();
    home.store.pin("added/agent", &[second]).unwrap();
    assert!(home.store.is_pinned(&first));
    home.store.unpin("added/both").unwrap();
    let home = home.reopened();
    assert!(!home.store.is_pinned(&first) && home.store.is_pinned(&second));
    assert_eq!(home.store.pins().len(), 1);
}

#[test]
fn a_collection_keeps_what_is_pinned_and_frees_the_rest() {
    let home = Home::new();
    let kept = Seeded::bytes("kept", 1_500_000);
    let loose = Seeded::bytes("loose", 1_500_000);
    let kept_cid = home.store.add_bytes(&kept, Profile::RawLeaves256KiB).unwrap();
    let loose_cid = home.store.add_bytes(&loose, Profile::RawLeaves256KiB).unwrap();
    home.store.pin("added/kept", &[kept_cid]).unwrap();
    let batch = home.store.batch();
    let open = batch.add(&mut &b"in an open batch"[..], Profile::UnixFs2025).unwrap();
    let collected = home.store.gc().unwrap();
    assert_eq!((collected.blocks, collected.copied), (7, 8));
    assert!(collected.freed.0 >= 1_500_000);
    assert!(!home.store.has(&loose_cid) && home.store.has(&open));
    batch.commit().unwrap();
    assert_eq!(home.store.gc().unwrap().blocks, 1);
    assert_eq!(home.store.gc().unwrap(), nisse_content::Collected::default());
    let home = home.reopened();
    assert!(home.store.read_file(kept_cid, 1_500_000).unwrap() == kept);
    assert_eq!(home.store.usage().blocks, 7);
    assert_eq!(home.store.ls().iter().filter(|block| block.pinned).count(), 7);
}

#[test]
fn the_quota_is_held_and_a_collection_makes_room() {
    let home = Home::with_quota(1_000_000);
    let first = home.store.add_bytes(&Seeded::bytes("first", 700_000), Profile::UnixFs2025).unwrap();
    let second = Seeded::bytes("second", 700_000);
    let error = home.store.add_bytes(&second, Profile::UnixFs2025).unwrap_err();
    assert!(matches!(error, AddError::Store(StoreError::Quota { .. })), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        "unpin what is not needed and run `nisse content gc`, or raise the content quota"
    );
    assert!(home.store.has(&first));
    home.store.gc().unwrap();
    assert!(!home.store.has(&first));
    home.store.add_bytes(&second, Profile::UnixFs2025).unwrap();
}

#[test]
fn packs_are_sealed_when_full_and_read_back() {
    let home = Home::new();
    let bytes = Seeded::bytes("packs", 140 << 20);
    let cid = home.store.add_bytes(&bytes, Profile::UnixFs2025).unwrap();
    assert_eq!(home.packs().len(), 3);
    let home = home.reopened();
    assert!(home.store.read_file(cid, 140 << 20).unwrap() == bytes);
}

#[test]
fn a_package_is_one_raw_block_up_to_two_mebibytes() {
    let home = Home::new();
    let manifest = b"agent_id: a.b@v1.0.0\n";
    for (length, codec) in [
        (1 << 20, CidCodec::Raw),
        ((1 << 20) + 1, CidCodec::Raw),
        (2 << 20, CidCodec::Raw),
        ((2 << 20) + 1, CidCodec::DagPb),
    ] {
        let artifact = Seeded::bytes("artifact", length);
        let cids = home.store.add_package(manifest, &artifact).unwrap();
        assert_eq!((cids.artifact, cids.artifact.codec()), (artifact_cid(&artifact), codec));
        assert_eq!(
            cids.artifact == ipfs_add_cid(&artifact, Profile::UnixFs2025),
            length == 1 << 20 || codec == CidCodec::DagPb
        );
        if codec == CidCodec::Raw {
            assert_eq!(cids.artifact.digest(), Hash256::of(&artifact));
        }
        assert_eq!(home.store.read_file(cids.manifest, 64 << 10).unwrap(), manifest);
        assert!(home.store.read_file(cids.artifact, length).unwrap() == artifact);
        assert!(home.store.is_pinned(&cids.manifest) && home.store.is_pinned(&cids.artifact));
    }
    assert!(matches!(
        home.store.add_package(&[b'x'; 65_537], b"x"),
        Err(PackageError::TooLarge { part: "manifest", .. })
    ));
    assert!(matches!(home.store.add_package(b"x", b""), Err(PackageError::Empty("artifact"))));
}

#[test]
fn a_batch_takes_what_is_whole_and_for_others_only_what_is_public() {
    let home = Home::new();
    let add = |text: &str, pin: Option<&str>| {
        let cid = home.store.add_bytes(text.as_bytes(), Profile::UnixFs2025).unwrap();
        pin.inspect(|pin| home.store.pin(pin, &[cid]).unwrap());
        cid
    };
    let (public, private) = (add("public", Some("added/a")), add("private", Some("config/b")));
    let (both, loose) = (add("both", Some("config/c")), add("loose", None));
    home.store.pin("ordered/c", &[both]).unwrap();
    let large = home.store.add_bytes(&Seeded::bytes("large", 600_000), Profile::RawLeaves256KiB).unwrap();
    let batch = home.store.batch();
    let taken = |public_only: bool| [public, private, both, loose, large].map(|cid| batch.take(cid, public_only));
    assert_eq!(taken(true), [true, false, true, false, false]);
    assert_eq!(taken(false), [true; 5]);
    // What another node gave is nobody's secret, whatever else holds it here.
    let elsewhere = home.store.batch();
    for cid in [private, loose] {
        elsewhere.put_found(&home.store.get_block(&cid).unwrap().unwrap()).unwrap();
    }
    assert_eq!(taken(true), [true, true, true, true, false]);
    drop(elsewhere);
    let elsewhere = ContentId::raw(Hash256::of(b"elsewhere"));
    assert!(!batch.take(elsewhere, false) && !batch.take(elsewhere, true));

    // What it took is held, all of it, as long as it lives.
    home.store.unpin("added/a").unwrap();
    assert_eq!(home.store.gc().unwrap().blocks, 0);
    drop(batch);
    assert_eq!(home.store.gc().unwrap().blocks, 6, "public, loose, and the large one's node with its three leaves");

    // A leaf that is private is not made public by a node that names it.
    let secret = add("secret", Some("config/d"));
    let root = node(&[(secret, "")], 2, &[], 6, &[6]);
    home.store.put_verified_block(root.cid(), root.bytes()).unwrap();
    assert!(!home.store.batch().take(root.cid(), true) && home.store.batch().take(root.cid(), false));
}
