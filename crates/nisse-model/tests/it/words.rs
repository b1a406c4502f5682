//! Ids, amounts and hashes read what they print, and nothing that would be a second name for the same.

use nisse_model::{
    Address, AgentId, AgentName, Amount, AmountPerHour, ByteSize, ContentId, Cpu, DeploymentId, EntryPoint, Hash256,
    Resources,
};
use proptest::prelude::*;

#[test]
fn an_agents_name_fits_with_its_owner_into_one_dns_label() {
    let longest = "a".repeat(53);
    let name: AgentName = longest.parse().unwrap();
    assert_eq!(format!("{name}--{}", Address([0xab; 20]).short()).len(), 63);
    assert!("a".repeat(54).parse::<AgentName>().is_err());
}

#[test]
fn an_agent_id_keeps_its_version_whole() {
    for text in ["a@v1.0.0", "talos.oracle.price-eth@v1.2.0", "a.b@v0.1.0-rc.1+build.5"] {
        assert_eq!(text.parse::<AgentId>().unwrap().to_string(), text);
    }
    for text in ["a@v1.0.0@v2.0.0", "a@v01.0.0", "a@v1.0.0 ", "@v1.0.0", "a@1.0.0", "a@v", "-a@v1.0.0", "a.@v1.0.0"] {
        assert!(text.parse::<AgentId>().is_err(), "{text}");
    }
}

#[test]
fn a_content_id_has_one_spelling() {
    let id = ContentId::raw(Hash256::of(b"hello"));
    let text = id.to_string();
    assert_eq!(text.parse::<ContentId>().unwrap(), id);
    for other in
        [text.to_uppercase(), format!("/ipfs/{text}"), format!("https://example.org/ipfs/{text}"), format!("{text} ")]
    {
        assert!(other.parse::<ContentId>().is_err(), "{other}");
    }
    let bytes = id.to_bytes();
    assert_eq!(ContentId::from_bytes(&bytes).unwrap(), id);
    assert!(ContentId::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    // The version and the codec as two-byte numbers.
    assert!(ContentId::from_bytes(&[&[0x81, 0x00], &bytes[1..]].concat()).is_err());
    assert!(ContentId::from_bytes(&[&[0x01, 0xd5, 0x00], &bytes[2..]].concat()).is_err());
}

#[test]
fn content_ids_of_other_hashes_and_codecs_are_refused() {
    // The identity hash, dag-cbor, and SHA-512.
    for text in [
        "bafkqaaa",
        "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
        "bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs",
    ] {
        assert!(text.parse::<ContentId>().is_err(), "{text}");
    }
}

#[test]
fn a_deployment_has_one_spelling() {
    let text = "4242:0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:7";
    assert_eq!(text.parse::<DeploymentId>().unwrap().to_string(), text);
    for other in
        [text.replace(":7", ":+7"), text.replace("4242", "04242"), text.replace("aa:", "AA:"), format!("{text}:")]
    {
        assert!(other.parse::<DeploymentId>().is_err(), "{other}");
    }
}

#[test]
fn quantities_need_their_form() {
    for text in ["", "-1", "+1", ".5", "5.", "1e3", "1_000", "1.0000000000000000001", "１"] {
        assert!(text.parse::<Amount>().is_err(), "{text}");
    }
    for text in ["", "256", "256MB", "MiB", "1.5GiB", " 1KiB", "99999999999GiB", "-1B"] {
        assert!(text.parse::<ByteSize>().is_err(), "{text}");
    }
    for text in ["", "0.0001", "250m", "1,5", "99999999999"] {
        assert!(text.parse::<Cpu>().is_err(), "{text}");
    }
    for text in ["", "0x", "0x00", &"0".repeat(42), &format!("0x{}g", "0".repeat(39))] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
    for text in ["", &"A".repeat(64), &"a".repeat(63), &format!("0x{}", "a".repeat(62))] {
        assert!(text.parse::<Hash256>().is_err(), "{text}");
    }
}

#[test]
fn amounts_print_as_people_write_them() {
    let printed = |text: &str| text.parse::<AmountPerHour>().unwrap().to_string();
    assert_eq!(
        (printed("1000"), printed("49.50"), printed("0.000000000000000001")),
        ("1000".to_owned(), "49.5".to_owned(), "0.000000000000000001".to_owned())
    );
    assert_eq!((ByteSize(0).to_string(), ByteSize(1 << 30).to_string()), ("0B".to_owned(), "1GiB".to_owned()));
    assert_eq!("0.25".parse::<Cpu>().unwrap().fuel_per_second().0, 250_000_000);
}

#[test]
fn parts_of_a_digest_are_kept_apart() {
    let hashes = [
        Hash256::of_parts(&[b"ab", b"c"]),
        Hash256::of_parts(&[b"a", b"bc"]),
        Hash256::of_parts(&[b"abc"]),
        Hash256::of_parts(&[b"abc", b""]),
        Hash256::of(b"abc"),
    ];
    for (position, hash) in hashes.iter().enumerate() {
        assert!(!hashes[position + 1..].contains(hash), "{position}");
    }
    // FIPS 180-2, appendix B.1.
    assert_eq!(hashes[4].to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn resources_fit_where_each_of_them_does() {
    let free = Resources { cpu: Cpu { millis: 1000 }, memory: ByteSize(1 << 30), gpu: false };
    assert!(free.fits_into(&free));
    assert!(!Resources { cpu: Cpu { millis: 1001 }, ..free }.fits_into(&free));
    assert!(!Resources { memory: ByteSize((1 << 30) + 1), ..free }.fits_into(&free));
    assert!(!Resources { gpu: true, ..free }.fits_into(&free));
}

proptest! {
    #[test]
    fn amounts_read_what_they_print(amount: u128) {
        prop_assert_eq!(Amount(amount).to_string().parse::<Amount>().unwrap(), Amount(amount));
    }

    #[test]
    fn sizes_shares_and_hashes_read_what_they_print(size: u64, millis: u32, hash: [u8; 32], address: [u8; 20]) {
        prop_assert_eq!(ByteSize(size).to_string().parse::<ByteSize>().unwrap(), ByteSize(size));
        prop_assert_eq!(Cpu { millis }.to_string().parse::<Cpu>().unwrap(), Cpu { millis });
        prop_assert_eq!(Hash256(hash).to_string().parse::<Hash256>().unwrap(), Hash256(hash));
        prop_assert_eq!(Address(address).to_string().parse::<Address>().unwrap(), Address(address));
    }

    #[test]
    fn ids_read_what_they_print(chain: u64, number: u64, contract: [u8; 20], digest: [u8; 32]) {
        let deployment = DeploymentId { chain, contract: Address(contract), number };
        prop_assert_eq!(deployment.to_string().parse::<DeploymentId>().unwrap(), deployment);
        for id in [ContentId::raw(Hash256(digest)), ContentId::dag_pb(Hash256(digest)), ContentId::v0(Hash256(digest))] {
            prop_assert_eq!(id.to_string().parse::<ContentId>().unwrap(), id);
            prop_assert_eq!(ContentId::from_bytes(&id.to_bytes()).unwrap(), id);
            prop_assert_eq!(id.digest(), Hash256(digest));
        }
    }

    #[test]
    fn an_agent_id_that_is_read_prints_itself(
        name in "[a-z0-9]{1,6}([.-][a-z0-9]{1,6}){0,3}",
        version in "[1-9]?[0-9]\\.[1-9]?[0-9]\\.[1-9]?[0-9](-[a-z]{1,4}(\\.[1-9])?)?(\\+[0-9a-z]{1,4})?",
        place: prop::sample::Index,
        put in "[a-z0-9@v.+-]",
    ) {
        let text = format!("{name}@v{version}");
        prop_assert_eq!(text.parse::<AgentId>().unwrap().to_string(), text.clone());
        // With one letter more it may be an id or not, but never one of another spelling.
        let mut near = text;
        near.insert_str(place.index(near.len() + 1), &put);
        if let Ok(id) = near.parse::<AgentId>() {
            prop_assert_eq!(id.to_string(), near);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_of_content_ids_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in ".{0,70}") {
        let _ = ContentId::from_bytes(&bytes);
        let _ = text.parse::<ContentId>();
    }

    #[test]
    fn an_entry_point_never_leaves_its_folder(
        pieces in prop::collection::vec(
            prop::sample::select(vec!["a", "b.wasm", ".", "..", "/", "//", "\\", "C:", "~", " ", "a/b", "../"]),
            0..7,
        )
    ) {
        let text = pieces.concat();
        if let Ok(path) = text.parse::<EntryPoint>() {
            let normal = |part| matches!(part, std::path::Component::Normal(_));
            prop_assert!(std::path::Path::new(path.as_str()).components().all(normal), "{}", path);
            prop_assert_eq!(path.as_str(), text);
        }
    }
}
