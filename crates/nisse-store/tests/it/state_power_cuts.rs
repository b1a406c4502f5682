//! Power cuts over the whole path of a commit: the journal decides, the state follows lazily and is made good by
//! applying the journal again. And over the database alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use nisse_model::Address;
use nisse_store::{
    AgentState, Database, Disk, Journal, JournalOptions, Position, Rows, StateStore, StateWrite, Table, state_root,
};
use nisse_testkit::{Failure, PowerCuts, Random, SimDisk, SimEntropy, Subject, check};

type Model = BTreeMap<String, Vec<u8>>;

/// One write per record: the key's length, the key, and the value if there is one.
fn encode(write: &StateWrite) -> Vec<u8> {
    let mut bytes = vec![write.key.len() as u8];
    bytes.extend(write.key.as_bytes());
    if let Some(value) = &write.value {
        bytes.push(1);
        bytes.extend(value);
    }
    bytes
}

fn decode(bytes: &[u8]) -> StateWrite {
    let (key, value) = bytes[1..].split_at(usize::from(bytes[0]));
    StateWrite { key: String::from_utf8(key.to_vec()).unwrap(), value: value.split_first().map(|(_, v)| v.to_vec()) }
}

/// A journal whose records are writes of two agents' states.
#[derive(Default)]
struct StateSubject {
    records: Vec<StateWrite>,
    acknowledged: usize,
    /// Records before this one were applied and made durable before the journal was truncated.
    truncated: u64,
}

impl StateSubject {
    fn model(&self, agent: u64) -> Model {
        let mut model = Model::new();
        let own = self.records.iter().enumerate().filter(|(position, _)| *position as u64 % 2 == agent);
        for (_, write) in own {
            match &write.value {
                Some(value) => model.insert(write.key.clone(), value.clone()),
                None => model.remove(&write.key),
            };
        }
        model
    }

    fn check_states(&self, agents: &[AgentState; 2]) -> Result<(), Failure> {
        for (number, agent) in agents.iter().enumerate() {
            let model = self.model(number as u64);
            let expected = state_root(model.iter().map(|(key, value)| (key.as_str(), value.as_slice())));
            check(agent.root()? == expected, || format!("agent {number} has another root than its records give"))?;
            let keys = agent.keys("", None, usize::MAX)?;
            check(keys.iter().eq(model.keys()), || format!("agent {number} has other keys: {keys:?}"))?;
            for (key, value) in &model {
                check(agent.get(key)?.as_ref() == Some(value), || {
                    format!("agent {number} has another value at {key}")
                })?;
            }
        }
        Ok(())
    }
}

impl Subject for StateSubject {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        disk.create_dir_durable(Path::new("/home"))?;
        let store = StateStore::open(Arc::new(disk.clone()), Path::new("/home/state"))?;
        let agent = |name: &str| store.agent(Address([7; 20]), &name.parse().unwrap());
        let agents = [agent("even"), agent("odd")];
        let applied = |agents: &[AgentState; 2]| -> Result<u64, Failure> {
            let after = |agent: &AgentState| agent.applied().map(|position| position.map_or(0, |p| p.0 + 1));
            Ok(after(&agents[0])?.max(after(&agents[1])?))
        };
        let (entropy, options) = (SimEntropy::new(random.next_u64()), JournalOptions { segment_bytes: 600 });
        let ahead = applied(&agents)?;
        let mut stands = 0;
        let folder = Path::new("/home/journal");
        let journal = Journal::open_with(Arc::new(disk.clone()), &entropy, folder, options, |position, bytes| {
            stands = position.0 + 1;
            check(self.records.get(position.0 as usize) == Some(&decode(bytes)), || format!("record {position}"))?;
            agents[position.0 as usize % 2].apply(position, &[decode(bytes)]).map_err(Failure::from)?;
            Ok::<_, Failure>(())
        })?;
        stands = stands.max(journal.next().0);
        check(ahead <= stands, || format!("{ahead} records were applied and {stands} stand"))?;
        check(stands >= self.acknowledged as u64, || format!("{} acknowledged, {stands} stand", self.acknowledged))?;
        check(journal.first().0 <= self.truncated, || "too much was truncated".to_owned())?;
        self.records.truncate(stands as usize);
        self.acknowledged = stands as usize;
        self.check_states(&agents)?;
        for _ in 0..random.index(10) {
            let position = Position(self.records.len() as u64);
            let key = format!("k{}", random.below(12));
            let length = random.index(80);
            let value = if random.once_in(4) { None } else { Some(random.bytes(length)) };
            let write = StateWrite { key, value };
            self.records.push(write.clone());
            let given = journal.append(&encode(&write))?.wait()?;
            check(given == position, || format!("record {position} was given {given}"))?;
            self.acknowledged = self.records.len();
            agents[position.0 as usize % 2].apply(position, &[write])?;
            if random.once_in(6) {
                let before = Position(applied(&agents)?);
                store.flush()?;
                self.truncated = before.0;
                journal.truncate_before(before)?.wait()?;
            }
        }
        self.check_states(&agents)
    }
}

#[test]
fn no_power_cut_parts_a_state_from_its_journal() {
    let cuts = PowerCuts::share("state", 10).operations_max(120).with_faults();
    let report = cuts.run(StateSubject::default).unwrap_or_else(|text| panic!("{text}"));
    println!("{report:?}");
    assert!(report.lossy * 10 > report.cuts, "{report:?}");
}

#[test]
fn a_missing_sync_below_state_and_journal_is_noticed() {
    let planted = PowerCuts::new("state", 2000).operations_max(120).planting(|disk| disk.skip_sync_every(5));
    planted.run(StateSubject::default).unwrap_err();
}

const NUMBERS: Table = Table::new("numbers");

/// A database whose rows all say how many changes were made.
#[derive(Default)]
struct DatabaseSubject {
    made: u64,
    durable: u64,
}

impl Subject for DatabaseSubject {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        let database = Database::open(Arc::new(disk.clone()), Path::new("/database"))?;
        let found = database.mark("changes")?.map_or(0, |position| position.0);
        check((self.durable..=self.made).contains(&found), || {
            format!("{} changes are durable, {} were made, {found} stand", self.durable, self.made)
        })?;
        let mut rows = Vec::new();
        database.read(|transaction| {
            transaction.with_prefix(NUMBERS, &[], &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                true
            })
        })?;
        let whole = |found: u64| rows.iter().all(|(_, value)| *value == found.to_le_bytes());
        check(whole(found) && rows.len() == if found == 0 { 0 } else { 20 }, || format!("change {found} is torn"))?;
        // What stands now was read from the disk, but may never have been synced.
        database.flush()?;
        (self.made, self.durable) = (found, found);
        for _ in 0..random.index(5) {
            let number = self.made + 1;
            self.made = number;
            let change = |rows: &mut nisse_store::WriteTransaction| {
                for key in 0..20u8 {
                    rows.put(NUMBERS, &[key; 40], &number.to_le_bytes())?;
                }
                rows.set_mark("changes", Position(number))
            };
            if random.once_in(3) {
                database.write_lazily(change)?;
            } else {
                database.write(change)?;
                self.durable = number;
            }
        }
        Ok(())
    }
}

#[test]
fn no_power_cut_tears_a_change_of_the_database() {
    let cuts = PowerCuts::share("database", 10).operations_max(90).with_faults();
    let report = cuts.run(DatabaseSubject::default).unwrap_or_else(|text| panic!("{text}"));
    println!("{report:?}");
    assert!(report.lossy * 10 > report.cuts, "{report:?}");
}

#[test]
fn a_missing_sync_below_the_database_is_noticed() {
    let planted = PowerCuts::new("database", 2000).operations_max(90).planting(|disk| disk.skip_sync_every(3));
    planted.run(DatabaseSubject::default).unwrap_err();
}
