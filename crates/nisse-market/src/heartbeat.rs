//! What a node's leases came to, under one root: a heartbeat says it for all of them at once.
//!
//! Leaves and pairs are hashed as OpenZeppelin's `MerkleProof` does it (a leaf twice, pairs in order of their hashes), so
//! that any contract can check a proof.

use alloy::primitives::{B256, keccak256};
use alloy::sol_types::SolValue as _;
use nisse_model::{DeploymentId, Hash256};

use crate::tx::to_alloy;

/// One lease at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseState {
    /// Which.
    pub deployment: DeploymentId,
    /// Invocation records so far.
    pub records: u64,
    /// Root hash of its state.
    pub state_root: Hash256,
    /// Hash of its last record; zero before the first.
    pub record_hash: Hash256,
}

impl LeaseState {
    /// keccak256(keccak256(abi.encode(manager, deployment, records, stateRoot, recordHash))).
    fn leaf(&self) -> B256 {
        let Self { deployment, records, state_root, record_hash } = self;
        let fields = (to_alloy(deployment.contract), deployment.number, *records, state_root.0, record_hash.0);
        keccak256(keccak256(fields.abi_encode()))
    }

    /// Whether a lease in this state is under `root`.
    pub fn is_under(&self, root: Hash256, proof: &[Hash256]) -> bool {
        let found = proof.iter().fold(self.leaf(), |below, beside| pair(&[below, B256::from(beside.0)]));
        found.0 == root.0
    }
}

/// The root over leases; zero for none.
pub fn heartbeat_root(leases: &[LeaseState]) -> Hash256 {
    let mut level: Vec<B256> = leases.iter().map(LeaseState::leaf).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(pair).collect();
    }
    Hash256(level.first().copied().unwrap_or_default().0)
}

/// What proves that the lease at `place` is under the root of these, from its neighbour upwards.
pub fn heartbeat_proof(leases: &[LeaseState], mut place: usize) -> Vec<Hash256> {
    let mut level: Vec<B256> = leases.iter().map(LeaseState::leaf).collect();
    let mut proof = Vec::new();
    while level.len() > 1 {
        // The last of an odd number goes up alone.
        proof.extend(level.get(place ^ 1).map(|neighbour| Hash256(neighbour.0)));
        level = level.chunks(2).map(pair).collect();
        place /= 2;
    }
    proof
}

fn pair(pair: &[B256]) -> B256 {
    match *pair {
        [one, other] => keccak256([one.min(other), one.max(other)].concat()),
        [alone] => alone,
        _ => B256::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;

    fn lease(number: u64) -> LeaseState {
        let deployment = DeploymentId { chain: 7, contract: Address([9; 20]), number };
        let hash = |part: &[u8]| Hash256::of_parts(&[part, &number.to_be_bytes()]);
        LeaseState { deployment, records: number * 3, state_root: hash(b"state"), record_hash: hash(b"record") }
    }

    #[test]
    fn each_lease_is_proven_under_the_root_and_no_other() {
        for count in 0..=9_u64 {
            let leases: Vec<LeaseState> = (1..=count).map(lease).collect();
            let root = heartbeat_root(&leases);
            assert_eq!(root == Hash256::ZERO, count == 0);
            for (place, held) in leases.iter().enumerate() {
                let proof = heartbeat_proof(&leases, place);
                assert!(proof.len() <= 4, "{}", proof.len());
                assert!(held.is_under(root, &proof), "{place} of {count}");
                let one_more = LeaseState { records: held.records + 1, ..*held };
                assert!(!one_more.is_under(root, &proof));
                assert!(!lease(count + 1).is_under(root, &proof));
            }
        }
    }

    #[test]
    fn a_leaf_is_what_a_contract_computes() {
        // Word by word: abi.encode of (address, uint64, uint64, bytes32, bytes32).
        let deployment = DeploymentId { chain: 7, contract: Address([9; 20]), number: 1 };
        let held =
            LeaseState { deployment, records: 3, state_root: Hash256([0x11; 32]), record_hash: Hash256([0x22; 32]) };
        let mut words = vec![0; 12];
        words.extend([9; 20]);
        for number in [1_u8, 3] {
            words.extend([0; 31]);
            words.push(number);
        }
        words.extend([[0x11; 32], [0x22; 32]].concat());
        let expected = keccak256(keccak256(words));
        assert_eq!(heartbeat_root(&[held]).0, expected.0);
    }
}
