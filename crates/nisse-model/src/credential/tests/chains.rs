//! What travels with a request.

use minicbor::encode::Encoder;

use super::*;

fn capability(audience: Voice, text: &str) -> Claim {
    Claim::Capability { audience: audience.did(), scope: scope(text), expires: LATER, proof: None }
}

fn one(text: &str) -> Vec<Credential> {
    vec![LAPTOP.says(capability(BOBS, text), &[])]
}

fn told(read: Result<Chains, ChainsError>) -> String {
    read.expect_err("it is refused").to_string()
}

/// The form without any check.
fn raw(chains: &[Vec<Credential>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    encoder.array(chains.len() as u64).expect("memory");
    for chain in chains {
        encoder.array(chain.len() as u64).expect("memory");
        for credential in chain {
            encoder.bytes(&credential.encode()).expect("memory");
        }
    }
    bytes
}

#[test]
fn chains_are_read_as_they_were_written_and_no_other_bytes_are_them() {
    let wide = LAPTOP.says(capability(CAROLS, "/agent"), &[]);
    let by_carol = Voice::of(ALICE.identity, CAROLS.key);
    let narrow =
        Claim::Capability { audience: BOBS.did(), scope: scope("/agent/logs"), expires: LATER, proof: Some(wide.id()) };
    let narrow = by_carol.says(narrow, &[]);
    let chains = Chains::new(vec![one("/audit"), vec![wide, narrow.clone()]]).expect("they hold together");
    let bytes = chains.encode();
    assert_eq!(Chains::decode(&bytes), Ok(chains.clone()));
    assert_eq!(chains.holder(), BOBS.did());
    let given: Vec<_> = chains.given().map(|(id, scope, _)| (id, scope.to_string())).collect();
    assert_eq!(given[1], (narrow.id(), "/agent/logs".to_owned()));
    for place in 0..bytes.len() {
        let mut other = bytes.clone();
        other[place] ^= 1;
        assert!(Chains::decode(&other).is_err(), "{place}");
        assert!(Chains::decode(&bytes[..place]).is_err(), "{place}");
    }
    assert!(Chains::decode(&[&bytes[..], &[0]].concat()).is_err());
    let longer_count = [&[0x98, 2][..], &bytes[1..]].concat();
    assert!(told(Chains::decode(&longer_count)).ends_with("it is not in its one canonical form"));
    let endless = [&[0x9f][..], &bytes[1..], &[0xff]].concat();
    assert!(told(Chains::decode(&endless)).ends_with("an array has no length"));
}

#[test]
fn what_does_not_hold_together_is_no_token() {
    let genesis = genesis(ALICE, LAPTOP);
    let to_carol = vec![LAPTOP.says(capability(CAROLS, "/agent"), &[])];
    let of_bob = vec![BOBS.says(capability(BOBS, "/agent"), &[])];
    let nine = vec![one("/agent")[0].clone(); 9];
    for (chains, why) in [
        (vec![], "0 chains stand where 1 to 16 may"),
        (vec![one("/agent"); 17], "17 chains stand where 1 to 16 may"),
        (vec![vec![]], "a chain of 0 stands where 1 to 8 may"),
        (vec![nine], "a chain of 9 stands where 1 to 8 may"),
        (vec![vec![genesis]], "is none"),
        (vec![one("/agent"), to_carol], "is for another holder or identity than the others"),
        (vec![one("/agent"), of_bob], "is for another holder or identity than the others"),
    ] {
        let bytes = raw(&chains);
        assert!(told(Chains::new(chains)).contains(why), "{why}");
        assert!(told(Chains::decode(&bytes)).contains(why), "{why}");
    }
}

#[test]
fn chains_have_a_size_that_fits_into_the_head_of_a_request() {
    let seen: Vec<_> = (0..=u8::MAX).map(|number| CredentialId(crate::Hash256::of(&[number]))).collect();
    let large = || vec![LAPTOP.says(capability(BOBS, "/agent"), &seen)];
    assert!(Chains::new(vec![large()]).is_ok());
    let told = told(Chains::new(vec![large(); 2]));
    assert!(told.contains("at most 16384 are allowed"), "{told}");
    assert_eq!(Chains::decode(&vec![0; Chains::LENGTH_MAX + 1]), Err(ChainsError::TooLong(Chains::LENGTH_MAX + 1)));
}
