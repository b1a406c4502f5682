//! What a node's heartbeat says of one lease, as it is handed on: the leaf, and the way from it to the root that the chain
//! has. Whoever has it can check it.

use nisse_market::LeaseState;
use nisse_model::Hash256;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hashes of the longest way that is followed: more leases than any node has.
const PROOF_MAX: usize = 64;

/// `nisse receipt heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatProof {
    /// (chain, contract, number).
    pub deployment: String,
    /// The node's address.
    pub node: String,
    /// Number of the heartbeat's period.
    pub period: u64,
    /// The block in which the chain has it.
    pub block: u64,
    /// Invocation records by then.
    pub records: u64,
    /// Root hash of the agent's state.
    pub state_root: String,
    /// Hash of the last record; zero before the first.
    pub record_hash: String,
    /// The hashes beside the way from the lease's leaf to the root, from below.
    pub proof: Vec<String>,
    /// Merkle root of the heartbeat.
    pub root: String,
}

/// Why a proof does not hold. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyHeartbeatError {
    /// Something in it cannot be read.
    #[error("verify a heartbeat: its `{0}` is none")]
    Unreadable(&'static str),
    /// The root is not over this lease.
    #[error("verify a heartbeat: what it says of the lease is not under its root")]
    NotUnderRoot,
}

impl HeartbeatProof {
    /// Checks by itself that the lease is under the root; that the chain has the root is for the caller to ask.
    pub fn verify(&self) -> Result<(LeaseState, Hash256), VerifyHeartbeatError> {
        let hash = |name, text: &str| text.parse().map_err(|_| VerifyHeartbeatError::Unreadable(name));
        let deployment = self.deployment.parse().map_err(|_| VerifyHeartbeatError::Unreadable("deployment"))?;
        let lease = LeaseState {
            deployment,
            records: self.records,
            state_root: hash("state_root", &self.state_root)?,
            record_hash: hash("record_hash", &self.record_hash)?,
        };
        if self.proof.len() > PROOF_MAX {
            return Err(VerifyHeartbeatError::Unreadable("proof"));
        }
        let proof = self.proof.iter().map(|beside| hash("proof", beside)).collect::<Result<Vec<_>, _>>()?;
        let root = hash("root", &self.root)?;
        if !lease.is_under(root, &proof) {
            return Err(VerifyHeartbeatError::NotUnderRoot);
        }
        Ok((lease, root))
    }
}

#[cfg(test)]
mod tests {
    use nisse_market::{heartbeat_proof, heartbeat_root};

    use super::*;
    use crate::fixtures::deployment;

    #[test]
    fn a_proof_holds_for_what_the_heartbeat_said_and_nothing_else() {
        let lease = |number: u64| LeaseState {
            deployment: deployment(number),
            records: number,
            state_root: Hash256::of(b"state"),
            record_hash: Hash256::of(&number.to_be_bytes()),
        };
        let leases = [lease(1), lease(2), lease(3)];
        let texts = |hashes: Vec<Hash256>| hashes.iter().map(Hash256::to_string).collect();
        let right = HeartbeatProof {
            deployment: deployment(2).to_string(),
            node: String::new(),
            period: 7,
            block: 9,
            records: 2,
            state_root: leases[1].state_root.to_string(),
            record_hash: leases[1].record_hash.to_string(),
            proof: texts(heartbeat_proof(&leases, 1)),
            root: heartbeat_root(&leases).to_string(),
        };
        assert_eq!(right.verify(), Ok((leases[1], heartbeat_root(&leases))));
        let proof = || right.clone();
        for (wrong, words) in [
            (HeartbeatProof { records: 3, ..proof() }, "is not under its root"),
            (HeartbeatProof { deployment: deployment(1).to_string(), ..proof() }, "is not under its root"),
            (HeartbeatProof { proof: texts(heartbeat_proof(&leases, 0)), ..proof() }, "is not under its root"),
            (HeartbeatProof { proof: vec![right.root.clone(); 65], ..proof() }, "its `proof` is none"),
            (HeartbeatProof { root: "\u{1b}[2J".to_owned(), ..proof() }, "its `root` is none"),
            (HeartbeatProof { deployment: String::new(), ..proof() }, "its `deployment` is none"),
        ] {
            let refused = wrong.verify().expect_err(words).to_string();
            assert!(refused.ends_with(words), "{refused}");
        }
    }
}
