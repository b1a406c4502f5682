//! A node that goes down at any moment, whose clock jumps and whose handlers fail: each event has its effect once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const AGENTS: [&str; 3] = ["a", "b", "c"];

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody tells of an event, perhaps for the second time.
    Tell { agent: usize, key: u8 },
    /// Time goes by, or jumps.
    Time { ms: u64 },
    /// The clock is set back.
    Back { ms: u64 },
    /// An attempt that is under way ends.
    End { place: usize, how: u8 },
    /// An agent goes, or comes.
    Turn { agent: usize },
    /// The node goes down, with or without the last thing that it decided.
    Crash { is_durable: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3usize, 0..40u8).prop_map(|(agent, key)| Step::Tell { agent, key }),
        3 => (0..200_000u64).prop_map(|ms| Step::Time { ms }),
        1 => (0..100_000u64).prop_map(|ms| Step::Back { ms }),
        6 => (0..8usize, 0..8u8).prop_map(|(place, how)| Step::End { place, how }),
        1 => (0..3usize).prop_map(|agent| Step::Turn { agent }),
        1 => any::<bool>().prop_map(|is_durable| Step::Crash { is_durable }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What the disk has.
#[derive(Default)]
struct Disk {
    jobs: BTreeMap<InvocationId, (AgentKey, WaitingJob)>,
    ended: BTreeMap<InvocationId, JobEnd>,
    cursors: BTreeMap<(AgentKey, TriggerName), Cursor>,
    /// What handlers changed, by the invocation.
    effects: BTreeMap<InvocationId, u32>,
    /// When timers' events happened.
    ticks: Vec<(AgentKey, Timestamp)>,
}

impl Disk {
    fn apply(&mut self, change: &JobChange) {
        match change {
            JobChange::Added(job) => {
                if job.event.kind == "timer" {
                    self.ticks.push((job.agent.clone(), job.event.time));
                }
                let before = self.jobs.insert(job.id, (job.agent.clone(), job.waiting()));
                assert!(before.is_none() && !self.ended.contains_key(&job.id), "{} is added twice", job.id);
            }
            JobChange::Retried { id, attempts, due, .. } => {
                let (_, job) = self.jobs.get_mut(id).expect("it is there");
                (job.attempts, job.due) = (*attempts, *due);
            }
            JobChange::Handled { id, answer, .. } => {
                self.jobs.get_mut(id).expect("it is there").1.handled = Some(answer.clone());
            }
            JobChange::Ended { id, end, .. } => {
                assert!(self.jobs.remove(id).is_some(), "{id} ends without having been");
                assert!(self.ended.insert(*id, end.clone()).is_none(), "{id} ends twice");
            }
            JobChange::Moved { agent, trigger, cursor } => {
                let before = self.cursors.insert((agent.clone(), trigger.clone()), *cursor);
                assert!(before.is_none_or(|before| before.at <= cursor.at), "a cursor goes back");
            }
            JobChange::Seen { .. } | JobChange::Forgotten { .. } => unreachable!("nobody tells of it here"),
        }
    }
}

struct World {
    now: Timestamp,
    jobs: Jobs,
    disk: Disk,
    up: BTreeSet<usize>,
    under_way: Vec<JobAction>,
    told: BTreeSet<InvocationId>,
    starts: u32,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: NOW,
            jobs: Jobs::new(JobLimits { running_max: 2, open_max: 20 }),
            disk: Disk::default(),
            up: BTreeSet::new(),
            under_way: Vec::new(),
            told: BTreeSet::new(),
            starts: 0,
        };
        (0..AGENTS.len()).for_each(|place| world.come_up(place));
        world
    }

    fn come_up(&mut self, place: usize) {
        self.up.insert(place);
        self.starts += 1;
        let triggers = vec![
            trigger("tick", "one", every(MINUTE_MS, Missed::All)),
            trigger("after", "two", after("one", OnEnd::Completed)),
        ];
        let up = up(self.starts, triggers);
        let now = self.now;
        self.act(true, |jobs, effects| jobs.come_up(agent(AGENTS[place]), up, now, effects));
    }

    /// Decides, makes that durable, and begins what is to be run; or goes down in between.
    fn act<T>(&mut self, is_durable: bool, act: impl FnOnce(&mut Jobs, &mut JobEffects) -> T) -> T {
        let mut effects = JobEffects::default();
        let said = act(&mut self.jobs, &mut effects);
        if is_durable {
            effects.changes.iter().for_each(|change| self.disk.apply(change));
            self.under_way.extend(effects.actions);
        }
        said
    }

    fn crash(&mut self) {
        self.under_way.clear();
        self.jobs = Jobs::new(JobLimits { running_max: 2, open_max: 20 });
        for (agent, job) in self.disk.jobs.values() {
            self.jobs.restore_job(agent.clone(), job.clone());
        }
        for ((agent, trigger), cursor) in &self.disk.cursors {
            self.jobs.restore_cursor(agent.clone(), trigger.clone(), *cursor);
        }
        let handled = self.disk.jobs.iter().filter(|(id, _)| self.disk.effects.contains_key(id));
        let handled: Vec<_> = handled.map(|(id, (agent, _))| (*id, agent.clone())).collect();
        for (id, agent) in handled {
            self.act(true, |jobs, effects| jobs.handled(&agent, id, None, effects));
        }
        for place in std::mem::take(&mut self.up) {
            self.come_up(place);
        }
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Tell { agent, key } => {
                let job = Job { due: now, ..job(AGENTS[agent], &format!("event {key}"), "one") };
                // As the node does, which asks its rows first.
                if !self.disk.ended.contains_key(&job.id) {
                    let id = job.id;
                    if self.act(true, |jobs, effects| jobs.add(job, now, effects)).is_ok() {
                        self.told.insert(id);
                    }
                }
            }
            Step::Time { ms } => {
                self.now = now.plus_ms(ms);
                let now = self.now;
                self.act(true, |jobs, effects| jobs.tick(now, effects));
            }
            Step::Back { ms } => self.now = Timestamp(now.0 - ms),
            Step::End { place, how } => self.end(place, how),
            Step::Turn { agent: place } => match self.up.remove(&place) {
                true => self.jobs.go_down(&agent(AGENTS[place])),
                false => self.come_up(place),
            },
            Step::Crash { is_durable } => {
                let job = job(AGENTS[0], "of a crash", "one");
                if !self.disk.ended.contains_key(&job.id) {
                    self.act(is_durable, |jobs, effects| jobs.add(job, now, effects)).ok();
                }
                self.crash();
            }
        }
    }

    fn end(&mut self, place: usize, how: u8) {
        if self.under_way.is_empty() {
            return;
        }
        let JobAction::Run { agent, id, .. } = self.under_way.remove(place % self.under_way.len());
        let now = self.now;
        let end = match how {
            0 => failed(FailureKind::Retryable),
            1 => failed(FailureKind::Permanent),
            2 => AttemptEnd::Away,
            _ => {
                *self.disk.effects.entry(id).or_default() += 1;
                AttemptEnd::Completed(None)
            }
        };
        // The power goes between the effect and the word about it.
        if how == 7 {
            return self.crash();
        }
        self.act(true, |jobs, effects| jobs.ended(&agent, id, (end, attempt(now)), 7, effects));
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        for place in 0..AGENTS.len() {
            if !self.up.contains(&place) {
                self.come_up(place);
            }
        }
        self.now = self.now.plus_ms(1_000_000);
        // A timer for which there was no room comes again within a second.
        let mut quiet_ms = 0;
        for _ in 0..10_000 {
            self.end(0, 5);
            self.now = self.now.plus_ms(10);
            let now = self.now;
            self.act(true, |jobs, effects| jobs.tick(now, effects));
            let is_quiet = self.under_way.is_empty() && self.disk.jobs.is_empty();
            quiet_ms = if is_quiet { quiet_ms + 10 } else { 0 };
            if quiet_ms > 2_000 {
                return;
            }
        }
        panic!("they never come to an end: {:?}", self.disk.jobs);
    }

    fn check(&self) {
        for (id, count) in &self.disk.effects {
            assert_eq!(*count, 1, "{id} has its effect once");
            assert!(matches!(self.disk.ended[id], JobEnd::Completed(_)), "{id} is known to be done");
        }
        for id in &self.told {
            assert!(self.disk.ended.contains_key(id), "{id} was promised and came to an end");
        }
        for name in AGENTS {
            let ticks: Vec<u64> = self.ticks_of(name);
            let first = NOW.0 / MINUTE_MS + 1;
            let expected: Vec<u64> = (first..).take(ticks.len()).collect();
            assert_eq!(ticks, expected, "each minute of {name} comes once, none is missing");
            assert!(first + ticks.len() as u64 > self.now.0 / MINUTE_MS, "and none is late");
        }
    }

    fn ticks_of(&self, name: &str) -> Vec<u64> {
        let of = self.disk.ticks.iter().filter(|(whose, _)| *whose == agent(name));
        let mut ticks: Vec<u64> = of.map(|(_, at)| at.0 / MINUTE_MS).collect();
        ticks.sort_unstable();
        ticks
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_happens_each_event_has_its_effect_once(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.finish();
        world.check();
    }
}
