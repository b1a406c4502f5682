//! The journal is cut while agents live, and the next start finds all that was in what went.

use std::path::Path;

use nisse_testkit::{Random, SimDisk};

use super::full_disk::{open_judged, power_cut, tell};

/// Stretches of the story; the home's limit is far below what they write.
const STRETCHES: usize = 12;

/// The journal's files, oldest first.
fn segments(disk: &SimDisk) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = disk.files().into_iter().map(|(path, _)| path).collect();
    files.retain(|path| path.starts_with(Path::new("/home/journal")));
    files.sort();
    files
}

#[test]
fn a_journal_is_cut_again_and_again_and_every_start_finds_what_was_in_what_went() {
    tell(async |disk, clock, mut model| {
        let mut random = Random::new(5);
        let mut oldest = segments(disk);
        let mut cuts = 0;
        let mut node = open_judged(disk, clock, &mut model).await?;
        for _ in 0..3 {
            for _ in 0..STRETCHES {
                model.tell(&node, clock, &mut random).await?;
                let now = segments(disk);
                cuts += usize::from(now.first() != oldest.first());
                oldest = now;
            }
            model.judge(&node, clock).await?;
            node = power_cut(node, disk, clock, &mut model).await?;
        }
        assert!(cuts > 3, "the journal was cut {cuts} times");
        Ok(())
    });
}
