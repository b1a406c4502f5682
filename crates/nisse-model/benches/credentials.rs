//! What it costs to come up with a log of credentials: 10,000 of them from their stored bytes to who may do what.
//!
//! `cargo bench -p nisse-model --bench credentials [-- --json]`. Beside it, in turns, stands what nobody can go below: the
//! same number of signatures, verified and nothing else.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and stops at the first surprise")]

use std::hint::black_box;
use std::time::Instant;

use nisse_model::{Claim, Credential, CredentialId, Did, Log, Role, SigningKey, Statement, Timestamp};
use serde_json::json;

/// Credentials of the log.
const COUNT: usize = 10_000;
/// Rounds, of which the middle counts.
const ROUNDS: usize = 9;
const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn key(number: u32) -> SigningKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(&seed)
}

struct Story {
    said: Vec<Credential>,
}

impl Story {
    fn says(&mut self, key: &SigningKey, subject: Did, seen: &[CredentialId], claim: Claim) -> CredentialId {
        let mut parents = seen.to_vec();
        parents.sort();
        let nonce = u32::try_from(self.said.len()).unwrap().to_be_bytes().repeat(3).try_into().unwrap();
        let statement = Statement { issuer: key.did(), subject, parents, issued: NOW, nonce, claim };
        self.said.push(statement.sign(key).unwrap());
        self.said.last().unwrap().id()
    }
}

/// A space that ten devices of one identity keep at once: each admits members and removes some; now and then they hear of
/// each other.
fn story() -> Story {
    let (root, first) = (key(0), key(1));
    let alice = root.did();
    let mut story = Story { said: Vec::new() };
    let name = "device".parse::<nisse_model::Label>().unwrap();
    let mut head = story.says(&root, alice, &[], Claim::IdentityGenesis { device: first.did(), name: name.clone() });
    let devices: Vec<_> = (2..12).map(key).collect();
    for device in &devices {
        head = story.says(&first, alice, &[head], Claim::DeviceAdd { device: device.did(), name: name.clone() });
    }
    let space = story.says(&first, alice, &[head], Claim::SpaceGenesis);
    let mut heads = vec![space; devices.len()];
    for number in 0.. {
        if story.said.len() == COUNT {
            break;
        }
        let at = number % devices.len();
        // Half of those who are admitted are expelled again, some time later.
        let member = |number: usize| key(100 + u32::try_from(number).unwrap()).did();
        let claim = match number % 4 {
            3 => Claim::MemberRevoke { space, member: member(number / 2) },
            turn => Claim::Member { space, member: member(number), role: Role::ALL[turn] },
        };
        let mut seen = vec![heads[at]];
        if number % 64 < devices.len() {
            seen = heads.clone();
            seen.sort();
            seen.dedup();
        }
        heads[at] = story.says(&devices[at], alice, &seen, claim);
    }
    story
}

fn main() {
    // `cargo test` compiles and starts every target: without `--bench` there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let story = story();
    let stored: Vec<_> = story.said.iter().map(Credential::encode).collect();
    let (mut whole, mut settled, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
    let (key, bytes) = (key(0), [5; 300]);
    let signature = key.sign("bench", &bytes);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut log = Log::new();
        log.follow(story.said[0].statement().subject);
        for bytes in &stored {
            log.insert(Credential::decode(bytes).unwrap()).unwrap();
        }
        let in_log = Instant::now();
        let members = log.state().members(story.said[11].id());
        whole.push(start.elapsed().as_secs_f64());
        settled.push(in_log.elapsed().as_secs_f64());
        assert!(members.len() > 1_000, "{}", members.len());
        let start = Instant::now();
        for _ in 0..COUNT {
            assert!(black_box(&key).did().verifies("bench", black_box(&bytes), &signature));
        }
        signatures.push(start.elapsed().as_secs_f64());
    }
    let is_json = std::env::args().any(|argument| argument == "--json");
    for (name, values) in [("10,000 cold", whole), ("its rules", settled), ("its signatures", signatures)] {
        let seconds = median(values);
        match is_json {
            true => println!("{}", json!({ "name": name, "value": seconds })),
            false => println!("{name:<20} {seconds:>10.4} s"),
        }
    }
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
