//! Names asked for lately. An answer is kept for its TTL, and never longer than a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::resolver::Answer;

/// The longest an answer is kept.
const KEPT_FOR_MAX: Duration = Duration::from_secs(60);
/// Answers kept at once.
const NAMES_MAX: usize = 4096;

/// Answers by name, each with the time it ends.
#[derive(Default)]
pub(super) struct NameCache {
    answers: Mutex<HashMap<String, (Duration, Vec<IpAddr>)>>,
}

impl NameCache {
    pub(super) fn get(&self, name: &str, now: Duration) -> Option<Vec<IpAddr>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(name).filter(|(until, _)| now < *until).map(|(_, addresses)| addresses.clone())
    }

    pub(super) fn keep(&self, name: &str, answer: &Answer, now: Duration) {
        let until = now + answer.ttl.min(KEPT_FOR_MAX);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= NAMES_MAX {
            answers.retain(|_, (until, _)| now < *until);
        }
        if answers.len() < NAMES_MAX && now < until {
            answers.insert(name.to_owned(), (until, answer.addresses.clone()));
        }
    }
}
