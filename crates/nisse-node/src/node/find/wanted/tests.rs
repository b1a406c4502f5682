//! Names and what they mean, among the agents of this home's two keys and of strangers.

use super::*;

const OPERATOR: Address = Address([0x11; 20]);
const DEPLOYER: Address = Address([0x22; 20]);
const STRANGER: Address = Address([0x33; 20]);

fn candidate(number: u64, agent_id: &str, owner: Address) -> Candidate {
    let deployment = DeploymentId { chain: 1, contract: Address([9; 20]), number };
    Candidate { deployment, agent_id: agent_id.parse().expect("an id"), owner }
}

/// The number of the deployment that is meant.
fn meant(text: &str, candidates: &[Candidate]) -> Result<u64, Miss> {
    let wanted = Wanted::read(text).expect("a version").expect("a name");
    let own = BTreeSet::from([OPERATOR, DEPLOYER]);
    wanted.choose(candidates, &own).map(|deployment| deployment.number)
}

#[test]
fn a_bare_name_never_leads_to_a_strangers_agent() {
    let newer_and_first = [candidate(7, "a.echo@v1.0.0", STRANGER), candidate(2, "a.echo@v1.0.0", OPERATOR)];
    assert_eq!(meant("a.echo", &newer_and_first), Ok(2));
    assert_eq!(meant("a.echo--33333333", &newer_and_first), Ok(7));
    let alone = [candidate(7, "a.echo@v1.0.0", STRANGER)];
    assert_eq!(meant("a.echo", &alone), Err(Miss::Strangers(vec!["a.echo--33333333".to_owned()])));
    assert_eq!(meant("a.echo--3333333", &alone), Err(Miss::Unknown), "seven digits name nobody");
    assert_eq!(meant("a.echo--", &alone), Err(Miss::Unknown));
    assert_eq!(meant("b.echo", &alone), Err(Miss::Unknown));
}

#[test]
fn a_stranger_with_the_same_eight_digits_takes_nothing_over() {
    let mut twin = DEPLOYER;
    twin.0[19] = 0;
    let both = [candidate(7, "a.echo@v1.0.0", twin), candidate(2, "a.echo@v1.0.0", DEPLOYER)];
    assert_eq!(meant("a.echo--22222222", &both), Ok(2));
    assert_eq!(meant(&format!("a.echo--{}", hex::encode(twin.0)), &both), Ok(7));
    let mut other = STRANGER;
    other.0[19] = 0;
    let strangers = [candidate(7, "a.echo@v1.0.0", other), candidate(2, "a.echo@v1.0.0", STRANGER)];
    let names = [other, STRANGER].map(|owner| format!("a.echo--{}", hex::encode(owner.0)));
    assert_eq!(meant("a.echo--33333333", &strangers), Err(Miss::Several(names.to_vec())));
    for (name, number) in names.iter().zip([7, 2]) {
        assert_eq!(meant(name, &strangers), Ok(number), "each name that is offered is understood");
    }
}

#[test]
fn two_own_keys_under_one_name_are_told_apart_or_refused() {
    let both = [candidate(7, "a.echo@v2.0.0", OPERATOR), candidate(2, "a.echo@v1.0.0", DEPLOYER)];
    let names = vec!["a.echo--11111111".to_owned(), "a.echo--22222222".to_owned()];
    assert_eq!(meant("a.echo", &both), Err(Miss::Several(names)));
    assert_eq!(meant("a.echo--11111111", &both), Ok(7));
    assert_eq!(meant("a.echo--22222222", &both), Ok(2));
    assert_eq!(meant("a.echo@v1.0.0", &both), Ok(2), "only one of them has that version");
    let twice = [candidate(7, "a.echo@v1.0.0", OPERATOR), candidate(9, "a.echo@v1.0.0", OPERATOR)];
    assert_eq!(meant("a.echo", &twice), Ok(7), "one owner's best comes first");
}

#[test]
fn a_version_that_is_not_there_is_refused_with_those_that_are() {
    let there = [candidate(7, "a.echo@v1.10.0", OPERATOR), candidate(2, "a.echo@v1.9.0", OPERATOR)];
    assert_eq!(meant("a.echo@v1.9.0", &there), Ok(2));
    let versions = ["a.echo@v1.9.0", "a.echo@v1.10.0"].map(|id| id.parse().expect("an id")).to_vec();
    assert_eq!(meant("a.echo@v9.9.9", &there), Err(Miss::Versions(versions)));
    assert_eq!(meant("a.echo--11111111@v1.10.0", &there), Ok(7));
    for (text, said) in [
        ("a.echo@", "failed to find a version in `a.echo@`: expected NAME@vMAJOR.MINOR.PATCH"),
        ("a.echo@1.0.0", "failed to find a version in `a.echo@1.0.0`: expected NAME@vMAJOR.MINOR.PATCH"),
        ("a.echo@v1", "failed to read `1` as a semantic version: expected MAJOR.MINOR.PATCH, such as 1.2.0"),
    ] {
        assert_eq!(Wanted::read(text).map(|_| ()).map_err(|error| error.text), Err(said.to_owned()));
    }
}
