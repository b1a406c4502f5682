//! Which credentials of a log are valid: the rules, followed until nothing is left undecided.

use std::collections::{BTreeMap, BTreeSet};

use super::Log;
use super::rules::Rules;
use super::verdict::Verdict;

/// What is known so far.
struct Settling<'l> {
    log: &'l Log,
    verdicts: Vec<Verdict>,
    /// What each undecided one hangs on, as it was found last.
    hangs_on: Vec<Vec<usize>>,
    /// Who is looked at again when that one is decided.
    waiting: Vec<BTreeSet<usize>>,
}

/// Whether each is valid, by its place.
pub(super) fn settle(log: &Log) -> Vec<bool> {
    let count = log.entries.len();
    let mut settling = Settling {
        log,
        verdicts: vec![Verdict::Unknown; count],
        hangs_on: vec![Vec::new(); count],
        waiting: vec![BTreeSet::new(); count],
    };
    settling.look_at_all();
    loop {
        let undecided: Vec<_> = (0..count).filter(|place| settling.verdicts[*place] == Verdict::Unknown).collect();
        if undecided.is_empty() {
            return settling.verdicts.iter().map(|verdict| *verdict == Verdict::Yes).collect();
        }
        let beaten: Vec<_> = settling.circles(&undecided).iter().flat_map(|circle| settling.beaten(circle)).collect();
        let again = beaten.into_iter().flat_map(|place| settling.decide(place, Verdict::No)).collect();
        settling.follow(again);
    }
}

impl Settling<'_> {
    fn rules<T>(&self, ask: impl FnOnce(&Rules<'_>) -> T) -> T {
        let is_valid = |place: usize| self.verdicts[place];
        ask(&Rules { log: self.log, is_valid: &is_valid, with_revocations: true })
    }

    /// Looks at these, and at all that hangs on what is decided by it: at each again only when something is decided that it
    /// hangs on, and at revocations first, since much may hang on many of them.
    fn follow(&mut self, places: BTreeSet<usize>) {
        let log = self.log;
        let split = |places: BTreeSet<usize>| -> (BTreeSet<_>, BTreeSet<_>) {
            places.into_iter().partition(|place| log.entries[*place].credential.claim().revokes())
        };
        let (mut first, mut then) = split(places);
        while let Some(place) = first.pop_first().or_else(|| then.pop_first()) {
            let (revoking, other) = split(self.look(place));
            first.extend(revoking);
            then.extend(other);
        }
    }

    /// Looks at everything once, at what something hangs on before it is looked at again: little is left open then, and
    /// who hangs on what is seldom written down.
    fn look_at_all(&mut self) {
        let mut begun = vec![false; self.verdicts.len()];
        let mut again = BTreeSet::new();
        for start in 0..self.verdicts.len() {
            // What is looked at for the first time, or once more when what it hangs on was looked at.
            let mut path = vec![(start, false)];
            while let Some((place, once_more)) = path.pop() {
                if once_more {
                    again.extend(self.look(place));
                }
                if std::mem::replace(&mut begun[place], true) {
                    continue;
                }
                let finding = self.rules(|rules| rules.judge(place));
                if finding.verdict == Verdict::Unknown {
                    path.push((place, true));
                    path.extend(finding.hangs_on.into_iter().filter(|on| !begun[*on]).map(|on| (on, false)));
                } else {
                    again.extend(self.decide(place, finding.verdict));
                }
            }
        }
        self.follow(again);
    }

    /// Looks at one. Who is to be looked at again.
    fn look(&mut self, place: usize) -> BTreeSet<usize> {
        if self.verdicts[place] != Verdict::Unknown {
            return BTreeSet::new();
        }
        let mut finding = self.rules(|rules| rules.judge(place));
        if finding.verdict != Verdict::Unknown {
            return self.decide(place, finding.verdict);
        }
        finding.hangs_on.sort_unstable();
        finding.hangs_on.dedup();
        for on in &finding.hangs_on {
            self.waiting[*on].insert(place);
        }
        self.hangs_on[place] = finding.hangs_on;
        BTreeSet::new()
    }

    /// Notes it. Who hangs on it.
    fn decide(&mut self, place: usize, verdict: Verdict) -> BTreeSet<usize> {
        self.verdicts[place] = verdict;
        self.hangs_on[place] = Vec::new();
        std::mem::take(&mut self.waiting[place])
    }

    /// What has no effect in a circle: whatever revocations those of its earliest comer hang on, at once or by whom they were
    /// admitted; if there is none of others, those of its latest comer. Who had left by itself, as another of the circle
    /// knows, comes last. Whatever is looked at but revocations ranks lower than who looks, so each circle has one.
    fn beaten(&self, circle: &[usize]) -> Vec<usize> {
        let revokes = |place: &usize| self.log.entries[*place].credential.claim().revokes();
        let revocations: Vec<_> = circle.iter().copied().filter(revokes).collect();
        let came = |place: usize| {
            let (left, seniority) = self.rules(|rules| (rules.departures(place), rules.seniority(place)));
            let knows = |other: &usize| left.iter().any(|left| self.log.entries[*other].ancestors.contains(*left));
            (place, (revocations.iter().any(knows), seniority))
        };
        let came: BTreeMap<_, _> = revocations.iter().copied().map(came).collect();
        let (earliest, latest) = (came.values().min(), came.values().max());
        let by = |when| came.iter().filter(move |(_, came)| Some(*came) == when).map(|(place, _)| *place);
        let mut path: Vec<_> = by(earliest).collect();
        let mut seen: BTreeSet<_> = path.iter().copied().collect();
        let mut beaten = Vec::new();
        while let Some(place) = path.pop() {
            for on in self.hangs_on[place].iter().filter(|on| seen.insert(**on)) {
                if revokes(on) { beaten.push(*on) } else { path.push(*on) }
            }
        }
        if beaten.is_empty() { by(latest).collect() } else { beaten }
    }

    /// The groups of undecided ones that hang on each other and on no others (the source components of the graph; Tarjan,
    /// "Depth-first search and linear graph algorithms", 1972, without recursion).
    fn circles(&self, undecided: &[usize]) -> Vec<Vec<usize>> {
        const NEW: usize = usize::MAX;
        let count = self.verdicts.len();
        let (mut order, mut low, mut group) = (vec![NEW; count], vec![0; count], vec![NEW; count]);
        let (mut stack, mut groups, mut next) = (Vec::new(), Vec::<Vec<usize>>::new(), 0);
        for start in undecided {
            if order[*start] != NEW {
                continue;
            }
            let mut path = vec![(*start, 0)];
            while let Some((place, edge)) = path.last_mut() {
                let place = *place;
                if *edge == 0 {
                    (order[place], low[place]) = (next, next);
                    next += 1;
                    stack.push(place);
                }
                if let Some(on) = self.hangs_on[place].get(*edge) {
                    *edge += 1;
                    if order[*on] == NEW {
                        path.push((*on, 0));
                    } else if group[*on] == NEW {
                        low[place] = low[place].min(order[*on]);
                    }
                    continue;
                }
                path.pop();
                if let Some((before, _)) = path.last() {
                    low[*before] = low[*before].min(low[place]);
                }
                if low[place] == order[place] {
                    let from = stack.iter().rposition(|on| *on == place).expect("it was put there");
                    let members = stack.split_off(from);
                    for member in &members {
                        group[*member] = groups.len();
                    }
                    groups.push(members);
                }
            }
        }
        let inside = |members: &Vec<usize>| {
            members.iter().all(|place| self.hangs_on[*place].iter().all(|on| group[*on] == group[*place]))
        };
        groups.into_iter().filter(inside).collect()
    }
}
