//! One case after the other: do it, look at the evidence, print a line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::evidence::Evidence;
use super::judge::{PERMITTED, packets};
use super::network::{Network, World};
use super::node::Node;
use crate::check::say;

/// How long evidence that is on its way may take.
const EVIDENCE_MAX: Duration = Duration::from_secs(5);
/// The cases are E1 to this.
const LAST: usize = 33;

/// The cases so far.
pub(super) struct Run<'a> {
    pub(super) node: &'a Node<'a>,
    network: &'a Network,
    worlds: [&'a World; 2],
    begun: BTreeMap<String, u64>,
    passed: BTreeMap<usize, usize>,
    failed: Vec<String>,
}

/// Where counters and logs stood.
pub(super) struct Mark {
    packets: BTreeMap<String, u64>,
    logs: [u64; 2],
}

impl<'a> Run<'a> {
    pub(super) fn new(
        network: &'a Network,
        node: &'a Node<'a>,
        far: &'a World,
        near: &'a World,
    ) -> anyhow::Result<Self> {
        let begun = packets(network)?;
        Ok(Self { node, network, worlds: [far, near], begun, passed: BTreeMap::new(), failed: Vec::new() })
    }

    /// Evidence is counted from here.
    pub(super) fn mark(&self) -> anyhow::Result<Mark> {
        let [far, near] = self.worlds;
        Ok(Mark { packets: packets(self.network)?, logs: [far.log.since(0)?.0, near.log.since(0)?.0] })
    }

    /// What happened since.
    pub(super) fn since(&self, mark: &Mark) -> anyhow::Result<Evidence> {
        let [far, near] = self.worlds;
        let mut counted = packets(self.network)?;
        for (name, count) in &mut counted {
            *count -= mark.packets.get(name).copied().unwrap_or_default();
        }
        let (events, near) = (far.log.since(mark.logs[0])?.1, near.log.since(mark.logs[1])?.1);
        Ok(Evidence { packets: counted, events, near })
    }

    /// Does one case. It passes when nothing strayed and `judge` agrees.
    pub(super) fn case(
        &mut self,
        number: &str,
        what: &str,
        act: impl FnOnce(&Node<'_>) -> anyhow::Result<()>,
        judge: impl Fn(&Evidence) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mark = self.mark()?;
        let acted = act(self.node);
        let start = Instant::now();
        let (verdict, seen) = loop {
            let evidence = self.since(&mark)?;
            let verdict = evidence.is_clean().and_then(|()| judge(&evidence));
            if verdict.is_ok() || start.elapsed() > EVIDENCE_MAX {
                break (verdict, evidence.summary());
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        self.note(number, &format!("{what} [{seen}]"), acted.and(verdict));
        Ok(())
    }

    /// Prints and keeps a verdict.
    pub(super) fn note(&mut self, number: &str, what: &str, verdict: anyhow::Result<()>) {
        let index = number.trim_start_matches('E').parse().unwrap_or_default();
        let passed = self.passed.entry(index).or_default();
        match verdict {
            Ok(()) => {
                *passed += 1;
                say(&format!("{number:>4} pass  {what}"));
            }
            Err(error) => {
                say(&format!("{number:>4} FAIL  {what}: {error:#}"));
                self.failed.push(format!("{number} ({what})"));
            }
        }
    }

    /// The counters over all cases, and whether each number passed.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let end = packets(self.network)?;
        let moved = |name: &&String| end[*name] - self.begun[*name];
        let strayed: u64 = end.keys().filter(|name| !PERMITTED.contains(&name.as_str())).map(|name| moved(&name)).sum();
        let permitted: Vec<_> = end
            .keys()
            .filter(|name| PERMITTED.contains(&name.as_str()))
            .map(|name| format!("{name} {}", moved(&name)))
            .collect();
        say(&format!("packets of the node's user: {}; anywhere else {strayed}", permitted.join(", ")));
        let cases: usize = self.passed.values().sum();
        say(&format!("{cases} cases of {} numbers passed, {} failed", self.passed.len(), self.failed.len()));
        ensure!(self.failed.is_empty(), "hold {}", self.failed.join(", "));
        let missing: Vec<_> = (1..=LAST).filter(|number| !self.passed.contains_key(number)).collect();
        ensure!(missing.is_empty(), "tell every case: {missing:?} are missing");
        ensure!(strayed == 0, "keep {strayed} packets in");
        Ok(())
    }
}
