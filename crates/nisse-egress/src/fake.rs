//! A world for tests: scripted names, and a network whose log says what was really dialled.
//!
//! The log and the canary count are the judges of a test: a refusal counts only when nothing was dialled. Addresses
//! that serve nothing are canaries. Servers here speak raw bytes, so that a test sees what went over the wire.

mod network;
mod secrets;
mod server;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::audit::{AuditLine, AuditSink};
use crate::resolver::{Answer, ResolveError, Resolver};

pub use network::FakeNetwork;
pub use secrets::FakeSecrets;
pub use server::{FakeServer, Piece, Received};

/// Names with scripted answers: each question takes the next one, the last one stays.
#[derive(Clone, Default)]
pub struct ScriptedResolver {
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, VecDeque<Answer>>,
    questions: Vec<String>,
}

impl ScriptedResolver {
    /// `name` answers with these addresses once, and then with what is added next.
    pub fn answer(&self, name: &str, addresses: &[&str], ttl: Duration) {
        let addresses: Vec<IpAddr> =
            addresses.iter().map(|text| text.parse().expect("a test names real addresses")).collect();
        self.lock().answers.entry(name.to_owned()).or_default().push_back(Answer { addresses, ttl });
    }

    /// Every name asked for, in order.
    pub fn questions(&self) -> Vec<String> {
        self.lock().questions.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Resolver for ScriptedResolver {
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        let mut script = self.lock();
        script.questions.push(name.to_owned());
        let answers = script.answers.get_mut(name).ok_or(ResolveError::NotFound)?;
        let last = answers.len() == 1;
        let next = if last { answers.front().cloned() } else { answers.pop_front() };
        next.ok_or(ResolveError::NotFound)
    }
}

/// Keeps the audit lines.
#[derive(Clone, Default)]
pub struct AuditLog {
    lines: Arc<Mutex<Vec<AuditLine>>>,
}

impl AuditLog {
    /// All lines so far.
    pub fn lines(&self) -> Vec<AuditLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AuditSink for AuditLog {
    fn record(&self, line: AuditLine) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
