//! The records of an agent's invocations, read on after each power cut: one chain, one instance at a time, each state
//! where the one before left it.

use std::collections::BTreeSet;

use nisse_model::{Hash256, InstanceId, InvocationRecord};
use serde_json::Value;

use crate::harness::{Node, eventually};
use crate::web;

/// Names the record of an answer: `DEPLOYMENT/SEQ`.
pub(super) const RECEIPT: &str = "nisse-receipt";

/// One agent's chain of records, as far as it was read.
#[derive(Default)]
pub(super) struct Records {
    deployment: Option<String>,
    last: Option<InvocationRecord>,
    /// Instances that have run. None of them comes back.
    instances: BTreeSet<InstanceId>,
    /// How many of the records changed the agent's state.
    pub(super) changes: u64,
}

impl Records {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.seq)
    }

    /// Reads on to the record that an answer of this life named.
    pub(super) fn read_on(&mut self, node: &Node<'_>, receipt: &str) {
        let (deployment, seq) = receipt.rsplit_once('/').unwrap();
        let seq: u64 = seq.parse().unwrap();
        assert_eq!(self.deployment.get_or_insert_with(|| deployment.to_owned()), deployment);
        assert!(self.count() < seq, "{receipt} was given to another answer before");
        self.verify(node, receipt);
        // Newest first, as the node finds them: it reads a stretch of its journal as far as the one that is asked for.
        let known = self.count();
        let mut newer: Vec<_> = (known.max(1)..=seq).rev().map(|seq| record(node, deployment, seq)).collect();
        if let Some(last) = &self.last {
            assert_eq!(newer.pop().as_ref(), Some(last), "a record that was shown is another one now");
        }
        newer.into_iter().rev().for_each(|record| self.take(record));
    }

    /// As anybody checks it: each hash and signature from here to the record that was read last.
    fn verify(&self, node: &Node<'_>, receipt: &str) {
        let verified = node.home().json(&["receipt", "verify", receipt, "--depth", "1"]);
        assert_eq!(verified["verified"], true, "{verified}");
    }

    fn take(&mut self, record: InvocationRecord) {
        let (previous, state) =
            self.last.as_ref().map_or((Hash256::ZERO, record.state_before), |last| (last.hash(), last.state_after));
        assert_eq!(record.seq, self.count() + 1, "{record:?}");
        assert_eq!(record.previous, previous, "{record:?} does not follow {:?}", self.last);
        assert_eq!(record.state_before, state, "{record:?} does not go on where {:?} left the state", self.last);
        match self.last.as_ref().filter(|last| last.instance == record.instance) {
            Some(last) => assert_eq!(record.index, last.index + 1, "{record:?}"),
            None => {
                assert_eq!(record.index, 0, "{record:?}");
                assert!(self.instances.insert(record.instance), "an instance came back: {record:?}");
            }
        }
        self.changes += u64::from(record.state_after != record.state_before);
        self.last = Some(record);
    }
}

/// One record with the hash that its receipt names. It is there once its answer has come to its end.
fn record(node: &Node<'_>, deployment: &str, seq: u64) -> InvocationRecord {
    let bundle = eventually(&format!("record {seq} of {deployment}"), || {
        let answer = ask(node, &format!("/api/v1/receipts/{deployment}/{seq}"));
        (answer.status == 200).then(|| answer.json())
    });
    let bytes = hex::decode(bundle["record"].as_str().unwrap()).unwrap();
    let record = InvocationRecord::decode(&bytes).unwrap();
    assert_eq!(bundle["record_hash"], Hash256::of(&bytes).to_string());
    assert_eq!((record.deployment.to_string().as_str(), record.seq), (deployment, seq));
    record
}

/// What the control API tells the home's owner.
pub(super) fn told(node: &Node<'_>, path: &str) -> Value {
    let answer = ask(node, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn ask(node: &Node<'_>, path: &str) -> web::Answer {
    let token = std::fs::read_to_string(node.home().path().join("token")).unwrap();
    let authorization = format!("Bearer {}", token.trim());
    web::request(&node.api, "GET", path, &[("host", &node.api), ("authorization", &authorization)], b"").unwrap()
}
