//! A vault that loses its power: what was acknowledged is there, whole, and it unlocks.

use std::collections::BTreeMap;

use nisse_testkit::{Failure, PowerCuts, Random, Subject, check};

use super::*;

/// What was acknowledged, and the one change that may or may not stand.
#[derive(Default)]
struct Told {
    secrets: BTreeMap<String, Vec<u8>>,
    maybe: Option<(String, Option<Vec<u8>>)>,
    begun: bool,
}

impl Subject for Told {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        disk.create_dir_durable(Path::new("/h/vault"))?;
        let mut vault = sealed(disk)?;
        if !vault.is_begun() {
            check(!self.begun, || "a vault that was begun is empty".to_owned())?;
            vault.protect(&[words("correct horse")], CHEAP)?;
        } else {
            vault.unlock(&words("correct horse"))?;
        }
        self.begun = true;
        if let Some((name_of, value)) = self.maybe.take() {
            let found = vault.get("home", &name(&name_of)).ok().map(|value| value.to_vec());
            let before = self.secrets.get(&name_of).cloned();
            check(found == before || found == value, || format!("{name_of} is neither as it was nor as it became"))?;
            match found {
                Some(found) => self.secrets.insert(name_of, found),
                None => self.secrets.remove(&name_of),
            };
        }
        for (name_of, value) in &self.secrets {
            let found = vault.get("home", &name(name_of));
            check(found.is_ok_and(|found| found.as_slice() == value), || format!("{name_of} is lost"))?;
        }
        check(vault.list("home").len() == self.secrets.len(), || "there is more than was put".to_owned())?;
        for _ in 0..8 {
            let name_of = format!("s{}", random.below(6));
            let there = self.secrets.contains_key(&name_of);
            if random.once_in(4) && there {
                self.maybe = Some((name_of.clone(), None));
                vault.remove("home", &name(&name_of))?;
                self.secrets.remove(&name_of);
            } else {
                let length = 8 + random.index(200);
                let value = random.bytes(length);
                self.maybe = Some((name_of.clone(), Some(value.clone())));
                let setting = if there { Setting::Rotated } else { Setting::New };
                vault.set("home", &name(&name_of), &value, setting, NOW)?;
                self.secrets.insert(name_of, value);
            }
            self.maybe = None;
        }
        Ok(())
    }
}

#[test]
fn no_power_cut_loses_a_secret_or_leaves_half_of_one() {
    PowerCuts::new("vault", 1_000).run(Told::default).unwrap_or_else(|failure| panic!("{failure}"));
}
