//! A vault of keys that loses its power: no key that was told of is lost or another one.

use std::collections::BTreeMap;

use nisse_testkit::{Failure, PowerCuts, Random, SimClock, Subject, check};
use nisse_vault::{Keeper, KeyEntry, KeyKind, VaultPaths};

use super::*;

/// What was told of, by name, and the one change that may or may not stand.
#[derive(Default)]
struct Told {
    keys: BTreeMap<SecretName, (KeyEntry, Vec<u8>)>,
    maybe: Option<(SecretName, Option<Vec<u8>>)>,
}

impl Told {
    fn check(&mut self, keeper: &Keeper) -> Result<(), Failure> {
        if let Some((of, secret)) = self.maybe.take()
            && let Some(entry) = keeper.keys().into_iter().find(|entry| entry.name == of)
        {
            // It stands, though nobody was told: then it is whole.
            let found = keeper.reveal_key(&of)?.to_vec();
            check(secret.is_none_or(|secret| secret == found), || format!("{of} is not what was imported"))?;
            self.keys.insert(of, (entry, found));
        }
        let told: Vec<_> = self.keys.values().map(|(entry, _)| entry.clone()).collect();
        check(keeper.keys() == told, || format!("{:?} and not {told:?}", keeper.keys()))?;
        for (of, (_, secret)) in &self.keys {
            check(keeper.reveal_key(of)?.as_slice() == secret, || format!("{of} is another one"))?;
        }
        Ok(())
    }
}

impl Subject for Told {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        disk.create_dir_all(Path::new("/h"))?;
        let paths = VaultPaths { folder: "/h/vault".into(), key_file: "/h/keys/vault".into(), credential: None };
        // Never the same randomness in two lives.
        let (clock, entropy) = (Arc::new(SimClock::new(NOW)), Arc::new(SimEntropy::new(random.below(1 << 60))));
        let mut keeper = Keeper::open(Arc::new(disk.clone()), clock, entropy, paths, CHEAP, false)?;
        if keeper.status().sealed {
            // A power that goes meanwhile leaves it sealed, too.
            disk.sync_dir(Path::new("/h"))?;
            return Err(Failure::Violation(format!("nothing opens it: {:?}", keeper.status())));
        }
        self.check(&keeper)?;
        for _ in 0..6 {
            let of = name(&format!("k{}", random.below(8)));
            let kind = if random.once_in(2) { KeyKind::Secp256k1 } else { KeyKind::Ed25519 };
            if random.once_in(3) {
                keeper.protect(None, false, true)?;
            } else if self.keys.contains_key(&of) {
                let (entry, _) = &self.keys[&of];
                check(keeper.draw_key(&of, entry.kind)? == *entry, || format!("{of} was drawn twice"))?;
            } else {
                let secret = random.once_in(2).then(|| random.bytes(32));
                self.maybe = Some((of.clone(), secret.clone()));
                let entry = match secret {
                    Some(secret) => keeper.import_key(&of, kind, &Zeroizing::new(secret))?,
                    None => keeper.draw_key(&of, kind)?,
                };
                let secret = keeper.reveal_key(&of)?.to_vec();
                self.keys.insert(of, (entry, secret));
                self.maybe = None;
            }
        }
        Ok(())
    }
}

#[test]
fn no_power_cut_loses_a_key_that_was_told_of() {
    PowerCuts::new("vault keys", 1_000).run(Told::default).unwrap_or_else(|failure| panic!("{failure}"));
}
