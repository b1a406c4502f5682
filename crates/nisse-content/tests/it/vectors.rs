//! CIDs byte-equal to those that Kubo and js-ipfs record in their own tests (kubo `test/cli/cid_profiles_test.go`).

use nisse_content::unixfs::{FileBuilder, cid_of};
use nisse_content::{Profile, VerifiedBlock};

use crate::support::Seeded;

fn check(profile: Profile, seed: &str, bytes: u64, expected: &str) {
    use std::io::Read;
    let mut builder = FileBuilder::new(profile);
    let mut sink = |_: VerifiedBlock<&[u8]>| Ok::<(), std::convert::Infallible>(());
    let mut stream = Seeded::new(seed, bytes);
    // Pieces that fit no chunk, so that cutting does not lean on how the bytes arrive.
    let mut piece = vec![0; 700_001];
    loop {
        let count = stream.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        builder.write(&piece[..count], &mut sink).unwrap();
    }
    assert_eq!(builder.finish(&mut sink).unwrap().to_string(), expected, "{} of {bytes} bytes", profile.name());
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

#[test]
fn hello_world_has_the_id_that_kubo_gives_it() {
    let id = |profile| cid_of(b"hello world", profile).to_string();
    assert_eq!(id(Profile::UnixFs2015), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
    assert_eq!(id(Profile::UnixFs2025), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
    assert_eq!(id(Profile::RawLeaves256KiB), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
}

#[test]
fn an_empty_file_has_the_id_that_kubo_gives_it() {
    assert_eq!(cid_of(b"", Profile::UnixFs2015).to_string(), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
    let raw = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    assert_eq!(cid_of(b"", Profile::UnixFs2025).to_string(), raw);
}

#[test]
fn a_file_at_and_over_one_chunk_has_the_id_that_kubo_gives_it() {
    let (at, over) =
        ("QmWmRj3dFDZdb6ABvbmKhEL6TmPbAfBZ1t5BxsEyJrcZhE", "QmYyLxtzZyW22zpoVAtKANLRHpDjZtNeDjQdJrcQNWoRkJ");
    check(Profile::UnixFs2015, "chunk-v0-seed", 256 * KIB, at);
    check(Profile::UnixFs2015, "chunk-v0-seed", 256 * KIB + 1, over);
    let at = "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta";
    let over = "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64";
    check(Profile::UnixFs2025, "chunk-v1-seed", MIB, at);
    check(Profile::UnixFs2025, "chunk-v1-seed", MIB + 1, over);
}

#[test]
fn a_file_at_and_over_174_links_has_the_id_that_kubo_gives_it() {
    check(Profile::UnixFs2015, "v0-seed", 174 * 256 * KIB, "QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2");
    check(Profile::UnixFs2015, "v0-seed", 174 * 256 * KIB + 1, "QmV81WL765sC8DXsRhE5fJv2rwhS4icHRaf3J9Zk5FdRnW");
    check(Profile::UnixFs2015, "v0-seed", 175 * 256 * KIB, "QmepeWtdmS1hHXx1oZXsPUv6bMrfRRKfZcoPPU4eEfjnbf");
}

#[test]
fn a_file_at_and_over_1024_links_has_the_id_that_kubo_gives_it() {
    let seed = "v1-2025-seed";
    check(Profile::UnixFs2025, seed, 1024 * MIB, "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm");
    check(Profile::UnixFs2025, seed, 1024 * MIB + 1, "bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe");
    check(Profile::UnixFs2025, seed, 1025 * MIB, "bafybeihmzokxxjqwxjcryerhp5ezpcog2wcawfryb2xm64xiakgm4a5jue");
}

/// No profile of Kubo's recorded vectors: these are what `ipfs-unixfs-importer` 17.1.1 gives without options.
#[test]
fn a_file_of_raw_leaves_has_the_id_that_the_importer_of_helia_gives_it() {
    let at = "bafkreie2bltrjfvzlalk3xanasjcminf2val3dxlc7kmwfzp7gtqf22rru";
    let over = "bafybeifdkojthyn5rtgoex4bxunnnuwjzkuj7ygenliwtmktghkli2vama";
    check(Profile::RawLeaves256KiB, "chunk-256-seed", 256 * KIB, at);
    check(Profile::RawLeaves256KiB, "chunk-256-seed", 256 * KIB + 1, over);
    let at = "bafybeidzjoi77ujdjbbkruq5pkcapvb34tkwzvn2a6ovezklbnmn2qrvoi";
    let over = "bafybeiddjdw5c247bw2k3d5a4flprmcvjdmrwcdpcem4q5t7wyedzy4mxy";
    check(Profile::RawLeaves256KiB, "links-256-seed", 174 * 256 * KIB, at);
    check(Profile::RawLeaves256KiB, "links-256-seed", 174 * 256 * KIB + 1, over);
}
