//! Files built and read back, and nodes that lie.

use bytes::Bytes;
use nisse_content::unixfs::{FileBuilder, cid_of};
use nisse_content::unixfs::{FileReader, MemoryBlocks, Node, ReadError, ReadLimits, resolve};
use nisse_content::{Profile, VerifiedBlock};
use nisse_model::{ContentId, Hash256};
use proptest::prelude::*;

use crate::support::{Seeded, node};

const PROFILES: [Profile; 3] = [Profile::UnixFs2025, Profile::UnixFs2015, Profile::RawLeaves256KiB];

fn build(bytes: &[u8], profile: Profile, pieces: usize) -> (ContentId, MemoryBlocks) {
    let mut blocks = MemoryBlocks::default();
    let mut sink = |block: VerifiedBlock<&[u8]>| {
        let owned = Bytes::copy_from_slice(block.bytes());
        blocks.insert(VerifiedBlock::check(block.cid(), owned)?);
        Ok::<(), nisse_content::VerifyError>(())
    };
    let mut builder = FileBuilder::new(profile);
    for piece in bytes.chunks(pieces) {
        builder.write(piece, &mut sink).unwrap();
    }
    (builder.finish(&mut sink).unwrap(), blocks)
}

fn read(blocks: &MemoryBlocks, root: ContentId, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    FileReader::open(blocks, root, ReadLimits::bytes(bytes_max))?.read_to_vec()
}

fn leaf(bytes: &'static [u8]) -> VerifiedBlock {
    VerifiedBlock::check(ContentId::raw(Hash256::of(bytes)), Bytes::from_static(bytes)).unwrap()
}

fn memory(blocks: &[&VerifiedBlock]) -> MemoryBlocks {
    let mut memory = MemoryBlocks::default();
    blocks.iter().for_each(|block| memory.insert((*block).clone()));
    memory
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_read_back(
        chunks in 0_u64..5, around in -2_i64..3, profile in 0_usize..3, pieces in 1_usize..3_000_000,
        from in 0.0_f64..1.0, to in 0.0_f64..1.0,
    ) {
        let profile = PROFILES[profile];
        let length = (chunks as i64 * profile.chunk_bytes() as i64 + around).max(0) as u64;
        let bytes = Seeded::bytes("read back", length);
        let (root, blocks) = build(&bytes, profile, pieces);
        prop_assert_eq!(root, cid_of(&bytes, profile));
        prop_assert!(read(&blocks, root, length).unwrap() == bytes);
        let (start, end) = ((length as f64 * from) as u64, (length as f64 * to) as u64);
        let part = FileReader::open(&blocks, root, ReadLimits::bytes(length)).unwrap().range(start..end.max(start));
        prop_assert!(part.read_to_vec().unwrap() == bytes[start as usize..end.max(start) as usize]);
        if length > 0 {
            let refused = matches!(read(&blocks, root, length - 1), Err(ReadError::TooLarge { .. }));
            prop_assert!(refused);
        }
    }

    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Node::decode(&Bytes::from(bytes));
    }

    #[test]
    fn decoding_a_damaged_node_never_panics(at in 0_usize..400, value: u8, cut in 0_usize..400) {
        let child = leaf(b"abc");
        let good = node(&[(child.cid(), ""), (child.cid(), "")], 2, b"x", 7, &[3, 3]);
        let mut bytes = good.bytes().to_vec();
        let length = bytes.len();
        bytes[at % length] = value;
        bytes.truncate(cut.max(1));
        let block = Bytes::from(bytes);
        let cid = ContentId::dag_pb(Hash256::of(&block));
        let memory = memory(&[&VerifiedBlock::check(cid, block).unwrap(), &child]);
        let _ = read(&memory, cid, 1 << 20);
    }
}

#[test]
fn a_file_of_more_links_than_a_node_takes_is_read_back() {
    let bytes = Seeded::bytes("deep", 175 * 256 * 1024 + 7);
    for profile in [Profile::UnixFs2015, Profile::RawLeaves256KiB] {
        let (root, blocks) = build(&bytes, profile, 1 << 20);
        assert!(read(&blocks, root, bytes.len() as u64).unwrap() == bytes);
    }
}

#[test]
fn a_node_that_holds_data_before_its_children_is_read() {
    let child = leaf(b"world");
    let root = node(&[(child.cid(), "")], 2, b"hello ", 11, &[5]);
    assert_eq!(read(&memory(&[&root, &child]), root.cid(), 11).unwrap(), b"hello world");
}

#[test]
fn nodes_that_lie_about_sizes_are_refused() {
    let child = leaf(b"world");
    for (size, sizes, expected) in [
        (6, &[6][..], "5 are there"),
        (9, &[5][..], "9 bytes were promised and 5 are there"),
        (5, &[][..], "5 bytes were promised and 0 are there"),
        (10, &[5, 5][..], "1 links and 2 sizes"),
        (0, &[0][..], "promised to be empty"),
        (u64::MAX, &[u64::MAX, 1][..], "at most"),
    ] {
        let root = node(&[(child.cid(), "")], 2, b"", size, sizes);
        let error = read(&memory(&[&root, &child]), root.cid(), 1 << 30).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_small_tree_does_not_unfold_into_a_large_file() {
    // Each level names the one below a thousand times: 1000^4 bytes in five blocks.
    let mut below = leaf(b"!");
    let mut blocks = vec![below.clone()];
    let mut size = 1_u64;
    for _ in 0..4 {
        let links = vec![(below.cid(), ""); 1000];
        below = node(&links, 2, b"", size * 1000, &vec![size; 1000]);
        size *= 1000;
        blocks.push(below.clone());
    }
    let held = memory(&blocks.iter().collect::<Vec<_>>());
    assert!(matches!(read(&held, below.cid(), 1 << 26), Err(ReadError::TooLarge { .. })));
    let limits = ReadLimits { bytes_max: u64::MAX, blocks_max: 5000, depth_max: 8 };
    let error = FileReader::open(&held, below.cid(), limits).unwrap().read_to_vec().unwrap_err();
    assert!(matches!(error, ReadError::TooManyBlocks { .. }), "{error}");
}

#[test]
fn a_tree_that_is_too_deep_is_refused() {
    let mut below = leaf(b"!");
    let mut blocks = vec![below.clone()];
    for _ in 0..9 {
        below = node(&[(below.cid(), "")], 2, b"", 1, &[1]);
        blocks.push(below.clone());
    }
    let held = memory(&blocks.iter().collect::<Vec<_>>());
    assert!(matches!(read(&held, below.cid(), 10), Err(ReadError::TooDeep { .. })));
    assert_eq!(read(&held, blocks[8].cid(), 10).unwrap(), b"!");
}

#[test]
fn folders_are_followed_and_shards_refused_with_a_sentence() {
    let file = leaf(b"world");
    let inner = node(&[(file.cid(), "hello.txt")], 1, b"", 0, &[]);
    let outer = node(&[(inner.cid(), "inner")], 1, b"", 0, &[]);
    let shard = node(&[(file.cid(), "00hello.txt")], 5, b"", 0, &[]);
    let held = memory(&[&file, &inner, &outer, &shard]);
    let follow = |root: &VerifiedBlock, names: &[&str]| {
        resolve(&held, root.cid(), &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    };
    let found = follow(&outer, &["inner", "hello.txt"]).unwrap();
    assert_eq!((found.target, found.through), (file.cid(), vec![outer.cid(), inner.cid()]));
    assert!(matches!(follow(&outer, &["other"]), Err(ReadError::NoSuchName { .. })));
    assert!(matches!(follow(&inner, &["hello.txt", "more"]), Err(ReadError::NotADirectory { .. })));
    assert!(matches!(follow(&outer, &["x"; 33]), Err(ReadError::PathTooLong(33))));
    let error = follow(&shard, &["hello.txt"]).unwrap_err();
    assert!(error.to_string().ends_with("it is a sharded (HAMT) directory, and only flat ones are read"), "{error}");
    let error = read(&held, inner.cid(), 10).unwrap_err();
    assert!(error.to_string().ends_with("it is a directory"), "{error}");
    assert_eq!(error.hint(), Some(format!("name a file inside it: /ipfs/{}/NAME", inner.cid())));
}
